// The page: reads what is embedded (opened from disk) or asks the service; draws; keeps the address shareable.
const unpacked = (text) => new Response(new Blob([Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0))]).stream()
  .pipeThrough(new DecompressionStream("gzip"))).text();
const embedded = document.getElementById("boot");
const boot = JSON.parse(embedded.type === "application/json" ? embedded.textContent : await unpacked(embedded.textContent));
const { themes, classes: CLASSES, timeframes: TIMEFRAMES } = boot.style;
const $ = (id) => document.getElementById(id);
const served = boot.mode === "service";
const asked = new URLSearchParams(location.search);

const state = {
  symbol: asked.get("symbol") || boot.heatmap?.symbol || "",
  timeframe: asked.get("timeframe") || boot.heatmap?.timeframe || "7d",
  view: asked.get("view") === "map" ? "map" : "heatmap",
  min: Math.min(100, Math.max(0, Number(asked.get("min")) || 0)),
  classes: new Set(CLASSES.map((_, i) => i).filter((i) => !asked.has("leverage") || asked.get("leverage").split(".").includes(String(i)))),
  theme: asked.get("theme") || "dark",
};
if (!served) Object.assign(state, { symbol: boot.heatmap.symbol, timeframe: boot.heatmap.timeframe });
if (!TIMEFRAMES.includes(state.timeframe)) state.timeframe = TIMEFRAMES.includes(`${state.timeframe}d`) ? `${state.timeframe}d` : "7d";
if (!themes[state.theme]) state.theme = "dark";
let heatmap = boot.heatmap, levels = boot.levels, shown = null, generation = 0, zoom = {}, figure = null;

const usd = (v) => { for (const [n, s] of [[1e9, "B"], [1e6, "M"], [1e3, "K"]]) if (Math.abs(v) >= n) return `${(v / n).toPrecision(3)} ${s}`; return `${Math.round(v)}`; };
const price = (v) => v.toLocaleString("en-US", v >= 1000 ? { maximumFractionDigits: 1 } : { maximumSignificantDigits: 6 });
const utc = (seconds) => `${new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ")} UTC`;
const narrow = () => innerWidth < 640;
const base = () => (state.view === "heatmap" ? heatmap.brightest_usd : levelBars().tallest);
const threshold = () => base() * (state.min / 100) ** 2;

function remember() {
  const query = new URLSearchParams();
  if (served) { query.set("symbol", state.symbol); query.set("timeframe", state.timeframe); }
  if (state.view !== "heatmap") query.set("view", state.view);
  if (state.min) query.set("min", state.min);
  if (state.classes.size !== CLASSES.length) query.set("leverage", [...state.classes].sort().join("."));
  if (asked.has("theme") || shown) query.set("theme", state.theme);
  try { history.replaceState(null, "", `${location.pathname}${[...query].length ? `?${query}` : ""}${location.hash}`); } catch { /* a file in a sandbox */ }
}

async function get(path) {
  const token = new URLSearchParams(location.hash.slice(1)).get("token"); // after the #: it never leaves the browser in an address
  const answer = await fetch(path, { headers: { accept: "application/json", ...(token ? { authorization: `Bearer ${token}` } : {}) } });
  const body = await answer.json().catch(() => null); // a proxy in between answers in HTML
  if (!answer.ok || !body) throw Object.assign(new Error(body?.detail || `status ${answer.status}`), { similar: body?.similar });
  return body;
}

async function choose() { // nothing of the former choice stays on the screen while the new one is on its way, or fails
  heatmap = levels = figure = null;
  $("plot").hidden = $("tip").hidden = true;
  delete $("plot").dataset.drawn;
  $("title").textContent = document.title = `${state.symbol} ${state.timeframe} · estimated liquidation ${state.view}`;
  $("subtitle").textContent = "Loading …";
  $("note").textContent = "";
  say("");
  await load();
}

async function load() {
  const mine = ++generation;
  try {
    const query = new URLSearchParams({ symbol: state.symbol, timeframe: state.timeframe });
    const [field, list] = await Promise.all([get(`/liquidations/heatmap?${query}`), get(`/liquidations/levels?${query}`)]);
    if (mine !== generation) return;
    const fresh = !heatmap;
    [heatmap, levels] = [field, list];
    draw(fresh);
  } catch (error) {
    if (mine !== generation) return;
    if (heatmap) return say(`Not refreshed: ${error.message} What is shown: ${heatmap.notice}.`, true);
    $("subtitle").textContent = "Nothing to show.";
    remember();
    say(`Nothing to show for ${state.symbol} ${state.timeframe}: ${error.message}`, true, error.similar);
  }
}

function say(text, stale, offers = []) {
  $("banner").hidden = !text;
  $("banner").replaceChildren(text, ...offers.map((name) => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: name });
    button.addEventListener("click", () => { $("symbol").value = state.symbol = name; choose(); });
    return button;
  }));
  $("banner").classList.toggle("stale", Boolean(stale));
}

function describe() {
  const what = state.view === "heatmap" ? "heatmap" : "map", data = state.view === "heatmap" ? heatmap : levels;
  $("title").textContent = `${data.symbol} ${data.timeframe} · estimated liquidation ${what}`;
  for (const [name, text] of [["label", data.source_label && `${data.source_label.toUpperCase()} DATA`], ["short", data.short_history]]) {
    if (text) $("title").append(" ", Object.assign(document.createElement("span"), { className: name, textContent: text }));
  }
  document.title = $("title").textContent;
  const history = heatmap.burn_in_days !== null && heatmap.burn_in_days < 20 && state.view === "heatmap"
    ? ` · only ${heatmap.burn_in_days.toFixed(0)} of 20 days of history before the left edge` : "";
  $("subtitle").textContent = `${data.notice}${served ? "" : " (when drawn)"} · price ${price(data.current_price)}${history}${data.margin_note ? ` · ${data.margin_note}` : ""}`;
  $("note").textContent = `${data.note} ${state.view === "heatmap" ? `Bands end where a candle touches them. Colours: linear; above the ${Math.round(heatmap.brightest_quantile * 100)} % quantile (${usd(heatmap.brightest_usd)} USD) all alike.` : ""}`;
  say(data.is_ageing || data.is_stale ? data.notice : "", data.is_stale);
}

function layout(extra) {
  const t = themes[state.theme], axis = { gridcolor: t.grid, linecolor: t.grid, zeroline: false, tickfont: { color: t.faint, ...(narrow() ? { size: 10 } : {}) } };
  return {
    paper_bgcolor: t.background, plot_bgcolor: t.background, font: { color: t.text, family: "system-ui, DejaVu Sans, sans-serif", size: innerWidth > 2000 ? 16 : 12 },
    margin: narrow() ? { l: 56, r: 10, t: 14, b: 32 } : { l: 76, r: state.view === "map" ? 66 : 20, t: 14, b: 40 },
    hovermode: "closest", dragmode: "zoom", showlegend: false, ...extra,
    xaxis: { ...axis, showgrid: false, ...extra.xaxis }, yaxis: { ...axis, tickformat: ",", ...extra.yaxis },
  };
}

function fieldOf() {
  const { columns, rows, layers } = heatmap, least = threshold();
  const z = Array.from({ length: rows }, () => new Array(columns.length).fill(0));
  layers.forEach((layer) => {
    if (!state.classes.has(CLASSES.indexOf(layer.leverage_class))) return;
    layer.columns.forEach((run, x) => { for (let i = 1; i < run.length; i++) z[run[0] + i - 1][x] += run[i]; });
  });
  return z.map((row) => row.map((v) => (v > 0 && v >= least ? v : null)));
}

function drawHeatmap() {
  const t = themes[state.theme], { columns, column_seconds: width, candles, price_low: low, row_height: height, rows } = heatmap;
  const z = fieldOf(), edges = [columns[0] - width, ...columns].map((s) => s * 1000);
  const middle = columns.map((s) => (s - width / 2) * 1000), pick = (i) => candles.map((c) => (c ? c[i] : null));
  shown = { z };
  return {
    data: [
      { type: "heatmap", x: edges, y: Array.from({ length: rows + 1 }, (_, i) => low + i * height), z, colorscale: t.ramp, zmin: 0, zmax: heatmap.brightest_usd,
        hoverinfo: "none", showscale: !narrow(), colorbar: { thickness: 12, outlinewidth: 0, exponentformat: "B", title: { text: `USD per ${price(height)}`, side: "right", font: { color: t.faint, size: 11 } }, tickfont: { color: t.faint } } },
      { type: "candlestick", x: middle, open: pick(0), high: pick(1), low: pick(2), close: pick(3), hoverinfo: "skip", line: { width: 1 },
        increasing: { line: { color: state.theme === "light" ? t.text : t.up }, fillcolor: t.up }, decreasing: { line: { color: t.down }, fillcolor: t.down } },
    ],
    layout: layout({
      xaxis: { type: "date", range: [edges[0], edges.at(-1)], rangeslider: { visible: false } }, yaxis: { range: [low, low + rows * height] },
      shapes: [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: heatmap.current_price, y1: heatmap.current_price, line: { color: t.price, width: 1, dash: "dash" } }],
      annotations: [priceTag(heatmap.current_price, { xref: "paper", x: 0, xanchor: "right", y: heatmap.current_price, yanchor: "middle" })],
    }),
  };
}

function priceTag(value, place) { // on the axis, as on any chart: over the plot it would cover the newest candles
  const t = themes[state.theme];
  return { ...place, text: `<b>${price(value)}</b>`, showarrow: false, font: { color: t.background, size: narrow() ? 10 : 12 }, bgcolor: t.price, borderpad: 2 };
}

function levelBars() {
  if (levels.bars) return levels.bars;
  const all = [...levels.long_liquidations.map((l) => ({ ...l, side: 0 })), ...levels.short_liquidations.map((l) => ({ ...l, side: 1 }))];
  const now = levels.current_price, away = (l) => Math.abs((l.price_low + l.price_high) / 2 / now - 1);
  const total = all.reduce((sum, l) => sum + l.notional_usd, 0);
  let reach = 0.03, sum = 0;
  for (const l of [...all].sort((a, b) => away(a) - away(b))) { sum += l.notional_usd; reach = away(l); if (sum > 0.8 * total) break; }
  const pad = Math.min(0.2, Math.max(0.03, reach)) * now, step = levels.bin_width * Math.max(1, Math.ceil((2 * pad) / levels.bin_width / 200));
  const first = Math.floor((now - pad) / step), count = Math.ceil((now + pad) / step) - first, upper = [10, 25, 50, Infinity];
  const usdBy = [0, 1].map(() => CLASSES.map(() => new Array(count).fill(0)));
  for (const l of all) {
    const bar = Math.floor((l.price_low + l.price_high) / 2 / step + 1e-9) - first;
    if (bar >= 0 && bar < count) usdBy[l.side][upper.findIndex((u) => l.leverage <= u)][bar] += l.notional_usd;
  }
  const sums = usdBy[0][0].map((_, b) => usdBy.flat().reduce((s, c) => s + c[b], 0));
  return (levels.bars = { step, first, count, usdBy, tallest: Math.max(...sums, 1) });
}

function drawMap() {
  const t = themes[state.theme], { step, first, count, usdBy } = levelBars(), least = threshold(), now = levels.current_price;
  const at = Array.from({ length: count }, (_, i) => (first + i + 0.5) * step), on = (c) => state.classes.has(c);
  const both = at.map((_, b) => CLASSES.reduce((s, _, c) => s + (on(c) ? usdBy[0][c][b] + usdBy[1][c][b] : 0), 0));
  const kept = (c) => at.map((_, b) => (on(c) && both[b] >= least ? usdBy[0][c][b] + usdBy[1][c][b] : 0));
  const side = (s, b) => (both[b] >= least ? CLASSES.reduce((sum, _, c) => sum + (on(c) ? usdBy[s][c][b] : 0), 0) : 0);
  const below = [[now, 0]], above = [[now, 0]];
  for (let b = count - 1; b >= 0; b--) if ((first + b) * step < now) below.push([(first + b) * step, below.at(-1)[1] + side(0, b)]);
  for (let b = 0; b < count; b++) if ((first + b + 1) * step > now) above.push([(first + b + 1) * step, above.at(-1)[1] + side(1, b)]);
  const curve = (points, colour, name) => ({ type: "scatter", mode: "lines", x: points.map((p) => p[0]), y: points.map((p) => p[1]), yaxis: "y2", name, line: { color: colour, width: 2 }, hoverinfo: "skip" });
  shown = { both, below, above };
  return {
    data: [
      ...CLASSES.map((name, c) => ({ type: "bar", x: at, y: kept(c), width: step * 0.92, name, marker: { color: t.classes[c], line: { width: 0 } }, hoverinfo: "none" })),
      curve(below, t.long, "longs, cumulative"), curve(above, t.short, "shorts, cumulative"),
    ],
    layout: layout({
      barmode: "stack", xaxis: { range: [first * step, (first + count) * step], tickformat: "," }, yaxis: { tickformat: "", exponentformat: "B", rangemode: "tozero", showgrid: true, title: narrow() ? undefined : { text: `USD per ${price(step)}`, font: { color: t.faint } } },
      yaxis2: { overlaying: "y", side: "right", rangemode: "tozero", showgrid: false, zeroline: false, tickmode: "auto", exponentformat: "B", tickfont: { color: t.faint }, visible: !narrow() },
      showlegend: true, legend: { orientation: "h", traceorder: "normal", x: 0, y: 1.0, yanchor: "bottom", font: { size: narrow() ? 9 : 12, color: t.text }, itemclick: false, itemdoubleclick: false },
      margin: narrow() ? { l: 56, r: 10, t: 70, b: 32 } : { l: 84, r: 66, t: 46, b: 40 },
      shapes: [{ type: "line", yref: "paper", y0: 0, y1: 1, x0: now, x1: now, line: { color: t.price, width: 1, dash: "dash" } }],
      annotations: [priceTag(now, { yref: "paper", y: 0, yanchor: "top", x: now, xanchor: "center" })],
    }),
  };
}

async function draw(fresh) {
  document.documentElement.dataset.theme = state.theme;
  $("theme").textContent = state.theme === "dark" ? "Light" : "Dark";
  remember();
  if (!heatmap || !levels || typeof Plotly === "undefined") return;
  if (fresh) zoom = {};
  $("min-text").textContent = `${usd(threshold())} USD`;
  describe();
  $("tip").hidden = true;
  $("plot").hidden = false;
  figure = state.view === "heatmap" ? drawHeatmap() : drawMap();
  // The zoom is ours to keep, not Plotly's: without a uirevision it draws what the layout says.
  for (const [axis, range] of Object.entries(zoom)) Object.assign(figure.layout[axis], { range: [...range], autorange: false });
  await Plotly.react($("plot"), figure.data, figure.layout, { responsive: true, displaylogo: false, scrollZoom: true, displayModeBar: false, doubleClick: false, showTips: false });
  if (!$("plot").dataset.wired) {
    $("plot").dataset.wired = "yes";
    $("plot").on("plotly_hover", hover);
    $("plot").on("plotly_unhover", () => { $("tip").hidden = true; });
    $("plot").on("plotly_relayout", (change) => {
      for (const axis of ["xaxis", "yaxis", "yaxis2"]) if (Object.keys(change).some((key) => key.startsWith(`${axis}.range`))) zoom[axis] = [...$("plot").layout[axis].range];
    });
    $("plot").on("plotly_doubleclick", () => draw(true));
  }
  $("plot").dataset.drawn = `${state.symbol} ${state.timeframe} ${state.view} ${state.theme} ${state.min} ${[...state.classes].sort()}`;
}

function hover({ points, event }) {
  const point = points.find((p) => p.data.type === (state.view === "heatmap" ? "heatmap" : "bar"));
  if (!point) return;
  const lines = state.view === "heatmap" ? cellText(...point.pointNumber) : barText(point.pointNumber);
  const tip = $("tip"), box = $("plot").getBoundingClientRect();
  tip.textContent = lines.join("\n");
  tip.hidden = false;
  const x = event.clientX - box.left, y = event.clientY - box.top;
  tip.style.left = `${Math.max(4, x + 14 + tip.offsetWidth > box.width ? x - 14 - tip.offsetWidth : x + 14)}px`;
  tip.style.top = `${Math.max(4, Math.min(y + 14, box.height - tip.offsetHeight - 4))}px`;
}

function split(amount) {
  return CLASSES.map((name, c) => [name, amount(c)]).filter(([, v]) => v > 0).map(([name, v]) => `  ${name}: ${usd(v)} USD`);
}

function cellText(y, x) {
  const low = heatmap.price_low + y * heatmap.row_height, candle = heatmap.candles[x];
  const of = (side) => (c) => { const run = heatmap.layers.find((l) => l.side === side && l.leverage_class === CLASSES[c]).columns[x]; return state.classes.has(c) ? run[1 + y - run[0]] || 0 : 0; };
  const lines = [utc(heatmap.columns[x]), `${price(low)} – ${price(low + heatmap.row_height)} USD`];
  for (const side of ["long", "short"]) {
    const sum = CLASSES.reduce((s, _, c) => s + of(side)(c), 0);
    if (sum) lines.push(`${side}s: ${usd(sum)} USD`, ...split(of(side)));
  }
  if (candle) lines.push(`candle: ${candle.slice(0, 4).map(price).join(" / ")}`);
  return lines;
}

function barText(b) {
  const { step, first, usdBy } = levelBars(), low = (first + b) * step, lines = [`${price(low)} – ${price(low + step)} USD`];
  ["long", "short"].forEach((side, s) => {
    const of = (c) => (state.classes.has(c) ? usdBy[s][c][b] : 0), sum = CLASSES.reduce((t, _, c) => t + of(c), 0);
    if (sum) lines.push(`${side}s: ${usd(sum)} USD`, ...split(of));
  });
  const [points, side] = low < levels.current_price ? [shown.below, "longs"] : [shown.above, "shorts"];
  const reached = points.find(([p]) => (side === "longs" ? p <= low + step / 2 : p >= low + step / 2));
  if (reached) lines.push(`${side} from the price to here: ${usd(reached[1])} USD`);
  return lines;
}

async function savePng() {
  if (!figure) return;
  const t = themes[state.theme], title = [...$("title").childNodes].map((part) => part.textContent.trim()).filter(Boolean).join("  ·  ");
  const url = await Plotly.toImage({ data: figure.data, layout: { ...$("plot").layout, autosize: false, margin: { l: 84, r: 70, t: 90, b: 44 }, title: { text: `${title}<br><sub>${$("subtitle").textContent}</sub>`, x: 0.02, font: { color: t.text } } } }, { format: "png", width: 1600, height: 900 });
  const link = Object.assign(document.createElement("a"), { href: url, download: `${state.symbol}-${state.timeframe}-${state.view}.png` });
  link.click();
}

function fill(select, values, value) {
  select.replaceChildren(...values.map((v) => new Option(v, v, false, v === value)));
  select.value = value;
}

async function start() {
  document.documentElement.dataset.theme = state.theme;
  fill($("timeframe"), TIMEFRAMES, state.timeframe);
  document.querySelector(`input[name=view][value=${state.view}]`).checked = true;
  $("min").value = state.min;
  $("classes").append(...CLASSES.map((name, i) => {
    const label = document.createElement("label"), box = Object.assign(document.createElement("input"), { type: "checkbox", checked: state.classes.has(i) });
    box.addEventListener("change", () => { state.classes[box.checked ? "add" : "delete"](i); draw(); });
    label.append(box, name);
    return label;
  }));
  $("controls").addEventListener("submit", (event) => event.preventDefault());
  $("symbol").addEventListener("change", () => { state.symbol = $("symbol").value; choose(); });
  $("timeframe").addEventListener("change", () => {
    if (!served) { location.href = `../${$("timeframe").value}/heatmap.html${location.search}`; return; }
    state.timeframe = $("timeframe").value;
    choose();
  });
  document.querySelectorAll("input[name=view]").forEach((radio) => radio.addEventListener("change", () => { state.view = radio.value; draw(true); }));
  $("min").addEventListener("input", () => { state.min = Number($("min").value); draw(); });
  $("theme").addEventListener("click", () => { state.theme = state.theme === "dark" ? "light" : "dark"; draw(); });
  $("reset").addEventListener("click", () => draw(true));
  $("png").addEventListener("click", savePng);
  addEventListener("resize", () => draw());
  if (!served) { $("symbol-label").hidden = true; return draw(true); }
  try {
    const { symbols } = await get("/symbols");
    if (!symbols.length) return say("Nothing is published yet. To do: liq run, or liq demo.", true);
    const names = symbols.map((s) => s.symbol), wanted = state.symbol.toUpperCase();
    state.symbol = state.symbol ? names.find((name) => name.toUpperCase() === wanted) || state.symbol : names[0];
    fill($("symbol"), [...new Set([...names, state.symbol])], state.symbol);
    await choose();
    setInterval(load, 60_000);
  } catch (error) {
    say(`The service does not answer: ${error.message}`, true);
  }
}

start();
