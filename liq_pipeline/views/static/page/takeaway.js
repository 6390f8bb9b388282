// What people take with them: a link, a picture with its title and age, rows of what is shown.
const PICTURE = { width: 1600, height: 900, top: 74, foot: 26 };

function download(content, name) {
  const url = URL.createObjectURL(content);
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

const fileName = (kind) => `${state.symbol}-${state.timeframe}-${state.view}${wishedAt() ? `-${state.at.replace(/[^0-9TZ]/g, "")}` : ""}.${kind}`;

async function copyLink() {
  const link = new URL(address(), location.href).href; // without a token
  try {
    await navigator.clipboard.writeText(link);
  } catch { // not on an address without TLS
    const field_ = make("textarea", { value: link });
    document.body.append(field_);
    field_.select();
    document.execCommand("copy");
    field_.remove();
  }
  flash("copy", "Copied");
}

function flash(id, text) {
  const before = $(id).dataset.text || $(id).textContent;
  Object.assign($(id), { textContent: text }).dataset.text = before;
  setTimeout(() => { $(id).textContent = before; }, 1500);
}

function picture() { // as the published one: title, badges, age, chart, scale
  const { width, height, top, foot } = PICTURE, canvas = make("canvas", { width, height }), c = canvas.getContext("2d"), t = theme();
  c.fillStyle = t.background;
  c.fillRect(0, 0, width, height);
  c.save();
  c.translate(0, top);
  drawView(c, boxOf(width, height - top - foot));
  c.restore();
  const family = "system-ui, DejaVu Sans, sans-serif", badges = [...$("badges").children].map((one) => one.textContent);
  c.font = `700 22px ${family}`;
  write(c, [$("title").textContent, ...badges].join("  ·  "), 16, 26, t.text);
  c.font = `14px ${family}`;
  write(c, `${$("status").dataset.age}${served ? "" : " (when drawn)"}  ·  price ${price(state.view === "map" ? bins.now : priceAt(cut()))}`, 16, 54, $("status").className ? t.warning : t.faint);
  c.font = `12px ${family}`;
  write(c, $("note").textContent, 16, height - 12, t.faint);
  if (state.view === "heatmap") {
    const colours = c.createLinearGradient(width - 420, 0, width - 180, 0);
    t.ramp.forEach((colour, i) => colours.addColorStop(i / (t.ramp.length - 1), colour));
    c.fillStyle = colours;
    c.fillRect(width - 420, 46, 240, 14);
    write(c, usd(lowUsd()), width - 426, 54, t.faint, "right");
    write(c, `${usd(highUsd())}${field.top > highUsd() ? " ▶" : ""} USD per ${price(heatmap.row_height)}`, width - 174, 54, t.faint);
  }
  return canvas;
}

function savePicture() {
  if (ready()) picture().toBlob((content) => download(content, fileName("png")), "image/png");
}

const CLASS_KEYS = ["10x", "25x", "50x", "over_50x"]; // as the service and the published columns name them
const someClasses = () => classes.size < CLASSES.length;
const limits = () => ({ ...(state.side === "both" ? {} : { side: state.side }), ...(someClasses() ? { leverage: [...classes].sort().map((kind) => CLASS_KEYS[kind]).join() } : {}), ...ofInstant() });
const ofInstant = () => (state.at ? { at: state.at } : {});
const isFiltered = (kind) => (state.view === "map" ? served || kind !== "parquet" : kind === "csv" || (kind === "json" && !served)); // the others are given whole

function besides(path) { // a file beside the page; in a frame, for where it is missing the browser shows an error in its place
  const frame_ = make("iframe", { hidden: true, src: path, title: "A file that is saved" });
  frame_.addEventListener("load", () => { frame_.remove(); say(`Not saved: ${path} is not there. It lies beside this page where it was published; CSV holds the same rows.`, "stale"); });
  setTimeout(() => frame_.remove(), 60_000);
  document.body.append(frame_);
}

async function saveRows(kind) {
  if (!ready()) return;
  if (isFiltered(kind) && !classes.size) { remark("Nothing to save: all leverage filters are off."); return; }
  try {
    if (kind !== "parquet" && (!served || (state.view === "heatmap" && kind === "csv"))) return download(new Blob([ownRows(kind)]), fileName(kind));
    if (!served) return besides(`../../../liquidation_levels/${state.symbol}/${state.timeframe}.parquet`);
    const path = state.view === "map" ? asked("levels", { format: kind, ...limits() })
      : kind === "json" ? asked("heatmap", ofInstant()) : `/files/liquidation_heatmap/${state.symbol}/${state.timeframe}.parquet`;
    download(await ask(path, "blob"), state.view === "heatmap" && kind === "parquet" ? `${state.symbol}-${state.timeframe}-heatmap.parquet` : fileName(kind));
  } catch (error) {
    say(`Not saved: ${error.message}`, "stale");
  }
}

function tellMenu() { // what each file holds, before it is saved
  const map = state.view === "map", sides = state.side === "both" ? "both sides" : `${state.side}s`, ones = someClasses() ? `leverage ${[...classes].sort().map((kind) => CLASSES[kind]).join(", ") || "none"}` : "all leverages";
  const rows = map ? `levels, ${sides}, ${ones}${state.min ? ", all amounts" : ""}` : "cells in sight, as filtered", until = state.at ? " up to the instant shown" : "";
  const words = { csv: rows, json: served && !map ? `the whole heatmap${until}, not filtered` : rows,
    parquet: !served ? "levels, as published: not filtered" : map ? rows : "all cells, as published: not filtered" };
  for (const [kind, text] of Object.entries(words)) $(kind).lastChild.textContent = text;
  $("docs").hidden = $("endpoint").hidden = !served || location.hash.includes("token="); // a link carries no token
  $("endpoint").href = map && classes.size ? asked("levels", limits()) : asked(map ? "levels" : "heatmap", ofInstant());
}

function ownRows(kind) { // what is here, filtered, and of the heatmap what is in sight
  const [names, rows] = state.view === "heatmap" ? cellRows() : levelRows(), { symbol, timeframe, as_of, source_label, note } = state.view === "heatmap" ? heatmap : levels;
  if (kind === "json") return JSON.stringify({ symbol, timeframe, as_of, source_label, note, rows: rows.map((row) => Object.fromEntries(names.map((name, i) => [name, row[i]]))) });
  return `${[names, ...rows].map((row) => row.join(",")).join("\n")}\n`;
}

const plainClass = (kind) => CLASSES[kind].replace("≤ ", "<=").replace("–", "-").replace("> ", ">"); // ASCII: spreadsheets guess encodings
const digits = (value) => Number(value.toPrecision(10));

function levelRows() {
  const { bin, side, leverage, usd: amounts, bin_width: step } = levels, rows = [];
  for (let i = 0; i < bin.length; i++) {
    if (!shownSide(side[i]) || !classes.has(LEVERAGE_UP_TO.findIndex((most) => leverage[i] <= most))) continue;
    rows.push([SIDES[side[i]], digits(bin[i] * step), digits((bin[i] + 1) * step), leverage[i], Math.round(amounts[i])]);
  }
  return [["side", "price_low", "price_high", "leverage", "usd"], rows];
}

function cellRows() {
  const { begin, column_seconds: width, span, rows, price_low: low, row_height: height, layers } = heatmap, found = [];
  const from = Math.max(0, Math.floor((frame.x0 - begin) / width)), to = Math.min(cut(), Math.ceil((frame.x1 - begin) / width) - 1);
  const bottom = Math.max(0, Math.floor((frame.y0 - low) / height)), top = Math.min(rows - 1, Math.ceil((frame.y1 - low) / height) - 1), floor = least();
  for (let column = from; column <= to; column++) {
    const closed = new Date((begin + (column + 1) * width) * 1000).toISOString().replace(".000Z", "Z");
    for (let row = bottom; row <= top; row++) {
      const at = row * span + column;
      if (!(field.total[at] > 0) || field.total[at] < floor) continue;
      for (const [side, name] of SIDES.entries()) {
        if (!shownSide(side)) continue;
        for (const kind of [...classes].sort()) if (layers[side][kind][at] > 0) found.push([closed, digits(low + row * height), digits(low + (row + 1) * height), name, plainClass(kind), Math.round(layers[side][kind][at])]);
      }
    }
  }
  return [["closes", "price_low", "price_high", "side", "leverage_class", "usd"], found];
}

function wireTakeaway() {
  const open = (yes) => { $("save-menu").hidden = !yes; $("save").setAttribute("aria-expanded", String(yes)); };
  $("save").addEventListener("click", () => { tellMenu(); open($("save-menu").hidden); });
  document.addEventListener("click", (event) => { if (!event.target.closest(".menu")) open(false); });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape" && !$("save-menu").hidden) { open(false); $("save").focus(); } });
  $("copy").addEventListener("click", copyLink);
  $("png").addEventListener("click", savePicture);
  for (const kind of ["csv", "json", "parquet"]) $(kind).addEventListener("click", () => saveRows(kind));
}
