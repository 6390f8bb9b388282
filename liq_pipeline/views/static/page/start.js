// What is shown, from the choice to the chart: ask, take, show; again every minute; and what is said when that fails.
const EVERY = 60_000;
let current = { heatmap: null, levels: null }, generation = 0, checked = 0, trouble = "";

function takeHeatmap(found) {
  heatmap = current.heatmap = found;
  settle();
  sumUp();
}

function takeLevels(found) {
  levels = found;
  binUp();
}

function show() { // after new data, or another view
  if (!ready0()) return;
  if (!frame) frameOfLink();
  else if (!state.zoom) frame = whole();
  $("plot").hidden = false;
  $("nothing").hidden = true;
  $("plot").classList.remove("asking");
  describe();
  redraw();
}

const ready0 = () => Boolean(state.view === "heatmap" ? heatmap : levels);

function blank(text) { // nothing of the former choice stays in sight while the new one is on its way, or fails
  heatmap = levels = field = bins = frame = cross = null;
  current = { heatmap: null, levels: null };
  readBefore = "";
  delete $("plot").dataset.drawn;
  for (const id of ["base", "over"]) surface(id);
  $("plot").hidden = !text.startsWith("Loading");
  for (const id of ["badges", "readout", "rows"]) $(id).replaceChildren();
  for (const id of ["zones", "note", "reached"]) $(id).textContent = "";
  $("nothing").hidden = false;
  $("nothing").textContent = text;
  describe();
  tellPast();
  say(text);
}

async function choose(wish, zoom = "") {
  if (!served && wish.timeframe) return neighbour(wish.timeframe);
  stopPlaying();
  for (const name of Object.keys(wish)) set(name, wish[name]);
  state.zoom = zoom;
  document.querySelectorAll("input[name=timeframe]").forEach((radio) => { radio.checked = radio.value === state.timeframe; });
  const found = kept(`${state.symbol} ${state.timeframe}`);
  blank("Loading …");
  trouble = "";
  if (found) {
    takeHeatmap(found.heatmap);
    current.levels = found.levels;
    if (!state.at || state.view !== "map") takeLevels(found.levels);
    show();
  }
  remember();
  loadReached();
  await load();
}

async function load() {
  const mine = ++generation, name = `${state.symbol} ${state.timeframe}`, got = {};
  const take = (part, action) => (value) => {
    if (mine !== generation) return;
    got[part] = value;
    action(value);
    trouble = "";
    checked = Date.now();
    show();
  };
  const parts = fetched();
  try {
    await Promise.all([parts.heatmap.then(take("heatmap", takeHeatmap)), parts.levels.then(take("levels", (value) => {
      current.levels = value;
      if (!state.at || state.view !== "map" || !served) takeLevels(value);
    }))]);
    if (mine !== generation) return;
    keep(name, got);
    if (state.at) await showPast();
    else if (levels !== current.levels) { takeLevels(current.levels); show(); }
  } catch (error) {
    if (mine === generation) failed(error);
  }
}

function failed(error) {
  const lost = error instanceof TypeError; // the browser's word for a server that is away
  if (ready()) {
    const age = (state.view === "heatmap" ? heatmap : levels).notice;
    trouble = lost ? `No connection, showing ${age}; retrying` : `Not refreshed: ${error.message} What is shown: ${age}.`;
    say(trouble, "stale");
    return;
  }
  generation++;
  blank("Nothing to show.");
  remember();
  say(lost ? "No connection; retrying." : `Nothing to show for ${state.symbol} ${state.timeframe}: ${error.message}`, "stale");
  $("nothing").textContent = $("status").textContent;
  if (error.status === 404) offer(error.similar || []);
}

async function offer(similar) { // in place of an unknown symbol: names to click
  const mine = generation;
  if (!symbols.length) await loadSymbols().catch(() => {});
  if (mine !== generation || !symbols.length || symbols.some((one) => one.symbol === state.symbol)) return;
  const names = similar.length ? similar : symbols.slice(0, 6).map((one) => one.symbol), said = `${state.symbol} is not published here.`;
  const button = (textContent, act) => { const one = make("button", { type: "button", textContent }); one.addEventListener("click", act); return one; };
  say(said, "stale");
  $("nothing").replaceChildren(make("b", { textContent: said }), make("span", { textContent: similar.length ? "Meant, perhaps:" : "Published are, for instance:" }),
    ...names.map((name) => button(name, () => choose({ symbol: name }))), button(`All ${symbols.length} symbols`, pick));
}

function switchView() {
  Object.assign(state, { zoom: "" });
  frame = cross = null;
  stopPlaying();
  if (state.view === "map" && state.at) showPast();
  else if (current.levels && levels !== current.levels) takeLevels(current.levels);
  remember();
  show();
}

function neighbour(timeframe) { // from disk: the page beside this one, if it is there; a picture of the same folder tells
  const probe = new Image(), folder = `../${timeframe}/`;
  probe.onload = () => { location.href = `${folder}heatmap.html${location.search}`; };
  probe.onerror = () => {
    say(`${folder}heatmap.html is not there: it lies beside this page where it was published. Keep the folder views together, or: liq run.`, "stale");
    document.querySelectorAll("input[name=timeframe]").forEach((radio) => { radio.checked = radio.value === state.timeframe; });
  };
  probe.src = `${folder}map-light.png`;
}

async function start() {
  $("lost").remove();
  dress();
  wireControls(); wireLegend(); wirePast(); wirePointer(); wireSymbols(); wireTakeaway();
  tellScale();
  new ResizeObserver(() => redraw()).observe($("plot"));
  const zoom = state.zoom;
  if (!served) {
    Object.assign($("symbol"), { disabled: true, title: OTHER_SYMBOLS });
    Object.assign(state, { zoom });
    loadReached();
    await load();
    if (refused.length && ready()) remark(refused[0]);
    return;
  }
  setInterval(() => { if (!document.hidden && state.symbol) { load(); loadReached(); } }, EVERY);
  addEventListener("online", () => { if (trouble || !ready()) load(); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden && checked && Date.now() - checked > EVERY) { load(); loadReached(); } });
  const listed = loadSymbols();
  listed.catch(() => {});
  if (!looksWhole(state.symbol)) {
    try {
      await listed;
    } catch (error) {
      return failed(error);
    }
    if (!symbols.length) { blank("Nothing is published yet."); return say("Nothing is published yet. To do: liq run, or liq demo.", "stale"); }
    state.symbol = state.symbol ? resolved(state.symbol) || state.symbol : symbols[0].symbol;
  }
  await choose({}, zoom);
  if (refused.length && ready()) remark(refused.join(" "));
}

start();
