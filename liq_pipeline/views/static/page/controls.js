// Buttons and switches, and the words around the chart.
function radios(id, values, words, change) {
  $(id).append(...values.map((value, i) => {
    const input = make("input", { type: "radio", name: id, value, checked: state[id] === value });
    input.addEventListener("change", () => change(value));
    return make("label", { title: value }, input, make("span", { textContent: words[i] }));
  }));
}

function say(text, kind = "") { // the line below the title
  $("status").textContent = text;
  $("status").title = text;
  $("status").className = kind;
}

let remarks = "", remarked = 0;
function remark(text) { // said for some seconds, then the line tells the data's age again
  clearTimeout(remarked);
  remarks = text;
  say(text, "ageing");
  remarked = setTimeout(() => { remarks = ""; if (ready()) describe(); }, 10_000);
}

function describe() {
  const data = state.view === "heatmap" ? heatmap : levels, what = state.view;
  $("title").replaceChildren(`${state.symbol} ${state.timeframe} · `, make("span", { className: "wide", textContent: "estimated liquidation " }), what);
  document.title = $("title").textContent;
  $("symbol").textContent = state.symbol || "Symbol";
  if (!data) return;
  const history = heatmap && heatmap.burn_in_days !== null && heatmap.burn_in_days < 20 && what === "heatmap" ? `only ${heatmap.burn_in_days.toFixed(0)} of 20 days of history before the left edge` : "";
  const badges = [["label", data.source_label && `${data.source_label.toUpperCase()} DATA`], ["past", wishedAt() && heatmap && `AS OF ${instant(shownAt())}`], ["short", data.short_history], ["none", !classes.size && "all leverage filters are off"]];
  const put = () => $("badges").replaceChildren(...badges.filter(([, text]) => text).map(([className, textContent]) => make("span", { className, textContent })));
  if ($("past").contains(document.activeElement)) steady(put); else put(); // a line more above must not take the slider away
  tellAge(data, history);
  $("note").textContent = `${data.note} ${what === "heatmap" ? `Bands end where a candle touches them. Colours: ${state.power === 100 ? "linear" : `power ${state.power / 100}`}; above ${usd(highUsd())} USD${state.high === 100 ? ` (the ${Math.round(heatmap.brightest_quantile * 100)} % quantile)` : ""} all alike.`
    : `Left axis: USD per bar; right axis: ${state.curve === "exposure" ? "added up from the price outwards" : "liquidated on the way, if the price gets there"}.`} Large: among the largest tenth of a side's rows within 10 %.`;
  tellScale();
  tellZones();
  tellPast();
  tellReached();
  const chart = `${$("title").textContent}. ${data.notice}. Price ${price(data.current_price)} USD. ${$("zones").textContent}`;
  $("plot").setAttribute("aria-label", chart);
}

function tellAge(data, history = "") {
  const live = served && checked ? `checked ${clockTime(checked)}, next ${clockTime(checked + EVERY)}` : "";
  const age = wishedAt() && state.view === "map" ? `levels as of ${data.as_of.slice(0, 16).replace("T", " ")} UTC` : data.notice;
  $("status").dataset.age = age;
  const text = [age + (served ? "" : " (when drawn)"), `price ${price(state.view === "map" ? bins.now : priceAt(cut()))}`, live, history, data.margin_note].filter(Boolean).join(" · ");
  if (trouble) say(trouble, "stale"); else if (remarks) say(remarks, "ageing"); else say(text, wishedAt() ? "" : data.is_stale ? "stale" : data.is_ageing ? "ageing" : "");
}

function tellZones() {
  const found = zonesNow(), words = (zone) => `${price(zone.low)} – ${price(zone.high)} (${signed(zone.away)} %, ${usd(zone.usd)} USD)`;
  $("zones").textContent = `Nearest large zones: ${SIDES.map((name, side) => `${name}s ${!shownSide(side) ? "not shown" : found[side].large[0] ? words(found[side].large[0]) : "none in sight"}`).join(" · ")}`;
  if ($("table").open) tellTable(found);
}

function tellTable(found = zonesNow()) {
  const largest = found.flatMap(({ all }) => all).sort((a, b) => b.usd - a.usd).slice(0, 20), cells = (zone) => [`${SIDES[zone.side]}s`, `${price(zone.low)} – ${price(zone.high)}`, `${signed(zone.away)} %`, usd(zone.usd)];
  const head = make("tr", {}, ...["side", "price, USD", "away", "USD"].map((text) => make("th", { scope: "col", textContent: text })));
  $("rows").replaceChildren(make("table", {}, make("thead", {}, head), make("tbody", {}, ...largest.map((zone) => make("tr", {}, ...cells(zone).map((text) => make("td", { textContent: text })))))));
}

function dress() {
  Object.assign(document.documentElement.dataset, { theme: state.theme, on: "yes" });
  $("theme").textContent = state.theme === "dark" ? "Light" : "Dark";
  $("clock").textContent = state.clock === "utc" ? "Local" : "UTC";
  [["key-up", theme().up], ["key-down", theme().down]].forEach(([id, colour]) => { $(id).style.background = colour; });
}

const isPlain = (name) => (name === "leverage" ? classes.size === CLASSES.length : String(state[name]) === String(PLAIN[name]));

function tellFilters() {
  const count = (state.view === "map" ? OF_BARS : OF_CELLS).filter((name) => !isPlain(name)).length;
  $("plain").hidden = !count;
  $("more").textContent = count ? `Filters (${count})` : "Filters";
}

function plain() { // every filter as on the plain page
  for (const name of OF_CELLS) set(name, PLAIN[name]);
  CLASSES.forEach((_, kind) => classes.add(kind));
  document.querySelectorAll("#classes input").forEach((box) => { box.checked = true; });
  document.querySelector(`input[name=side][value=${PLAIN.side}]`).checked = true;
  $("swept").checked = Boolean(PLAIN.swept);
  tellScale();
  changed();
}

function changed() { // a filter: new sums from what is here, nothing is asked again
  if (heatmap) sumUp();
  if (levels) binSums();
  remember();
  if (ready()) describe();
  redraw();
}

function help() {
  $("sheet").showModal();
}

function fullScreen() {
  if (!document.fullscreenEnabled) return;
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen().catch((error) => remark(`The browser refuses full screen: ${error.message}`));
}

function wireControls() {
  radios("timeframe", TIMEFRAMES, TIMEFRAMES, (value) => choose({ timeframe: value }));
  radios("view", ["heatmap", "map"], ["Heatmap", "Map"], (value) => { set("view", value); switchView(); });
  radios("side", ["both", ...SIDES], ["Both", "Longs", "Shorts"], (value) => { set("side", value); changed(); });
  radios("curve", ["exposure", "reached"], ["Added up", "If reached"], (value) => { set("curve", value); changed(); });
  radios("horizon", ["1", "4", "24"], ["1 h", "4 h", "24 h"], (value) => { set("horizon", value); tellReached(); loadReached(); redraw(); });
  $("classes").append(...CLASSES.map((name, kind) => {
    const box = make("input", { type: "checkbox", checked: classes.has(kind) });
    box.addEventListener("change", () => { classes[box.checked ? "add" : "delete"](kind); mine.add("leverage"); changed(); });
    return make("label", {}, box, name);
  }));
  $("swept").checked = Boolean(state.swept);
  $("swept").addEventListener("change", () => { set("swept", Number($("swept").checked)); tellFilters(); redraw(); });
  $("theme").addEventListener("click", () => { set("theme", state.theme === "dark" ? "light" : "dark"); dress(); tellScale(); redraw(); });
  $("clock").addEventListener("click", () => { set("clock", state.clock === "utc" ? "local" : "utc"); dress(); if (ready()) describe(); redraw(); });
  $("plain").addEventListener("click", plain);
  $("reset").addEventListener("click", () => ready() && reset());
  $("full").addEventListener("click", fullScreen);
  for (const one of [$("full"), ...document.querySelectorAll(".of-full")]) one.hidden = !document.fullscreenEnabled;
  $("help").addEventListener("click", help);
  $("close").addEventListener("click", () => $("sheet").close());
  $("more").addEventListener("click", () => $("more").setAttribute("aria-expanded", String($("filters").classList.toggle("open"))));
  $("table").addEventListener("toggle", () => ready() && tellZones());
  $("controls").addEventListener("submit", (event) => event.preventDefault());
}
