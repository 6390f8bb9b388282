// What is chosen: in the address, so that a link shows the same; what is a habit is remembered here, too.
const PLAIN = { symbol: "", timeframe: "7d", view: "heatmap", side: "both", leverage: "", min: 0, low: 0, high: 100, power: 100, swept: 0,
  theme: "dark", clock: "utc", curve: "exposure", horizon: "4", at: "", zoom: "" };
const HABITS = ["theme", "clock"], OF_BARS = ["side", "leverage", "min"], OF_CELLS = ["side", "leverage", "min", "low", "high", "power", "swept"], FILTERS = [...OF_CELLS, "view", "curve", "horizon"];
const ONE_OF = { view: ["heatmap", "map"], side: ["both", ...SIDES], theme: Object.keys(themes), clock: ["utc", "local"],
  curve: ["exposure", "reached"], horizon: ["1", "4", "24"], timeframe: TIMEFRAMES };
const LIMITS = { min: [0, 100], low: [0, 200], high: [0, 200], power: [20, 200], swept: [0, 1] };
const KEPT = "liq-page";
const refused = []; // what the address asks for and cannot be shown, in words
const state = chosen(new URLSearchParams(location.search));
let classes = classesOf(state.leverage);

function remembered() {
  try { return JSON.parse(localStorage.getItem(KEPT)) || {}; } catch { return {}; } // a file in a sandbox has no storage
}

// A name as people and other programs write it: btc/usdt, BTC-PERP, BINANCE:BTCUSDT.P.
function plainName(text) {
  return text.trim().toUpperCase().replace(/^BINANCE:/, "").replace(/(\.P|-PERP)$/, "").replace(/[/:-]/g, "");
}

function chosen(query) {
  const kept = remembered(), bare = ![...query.keys()].length, found = { ...PLAIN };
  for (const name of [...HABITS, ...(bare ? FILTERS : []), ...(bare && served ? ["symbol", "timeframe"] : [])]) if (name in kept) found[name] = kept[name];
  for (const name of Object.keys(PLAIN)) if (query.has(name)) found[name] = query.get(name);
  if (!served) for (const name of ["symbol", "timeframe"]) if (query.has(name) && plainName(query.get(name)) !== boot[name].toUpperCase()) refused.push(`This file is of ${boot.symbol} ${boot.timeframe}; other symbols and timeframes have pages of their own.`);
  if (!served) Object.assign(found, { symbol: boot.symbol, timeframe: boot.timeframe });
  if (TIMEFRAMES.includes(`${found.timeframe}d`)) found.timeframe += "d";
  if (query.has("timeframe") && served && !TIMEFRAMES.includes(found.timeframe)) refused.push(`There is no timeframe “${found.timeframe.slice(0, 20)}” (${TIMEFRAMES.join(", ")}): ${PLAIN.timeframe} is shown.`);
  for (const name of [...new Set(query.keys())].filter((one) => !(one in PLAIN)).slice(0, 3)) refused.push(`This page takes no “${name.slice(0, 20)}”.`);
  if (/^[\d-]+[T ][\d:.]+$/.test(found.at)) found.at = `${found.at.replace(" ", "T")}Z`; // without a zone: UTC, as for the service
  if (found.at && Number.isNaN(Date.parse(found.at))) refused.push(`“${found.at.slice(0, 30)}” is no instant: the newest is shown.`);
  for (const [name, values] of Object.entries(ONE_OF)) if (!values.includes(found[name])) found[name] = PLAIN[name];
  for (const [name, [least, most]] of Object.entries(LIMITS)) found[name] = Number.isFinite(Number(found[name])) ? clamp(Number(found[name]), least, most) : PLAIN[name];
  if (found.low >= found.high) Object.assign(found, { low: PLAIN.low, high: PLAIN.high });
  if (Number.isNaN(Date.parse(found.at))) found.at = "";
  found.symbol = plainName(String(found.symbol)).slice(0, 40);
  return found;
}

// "0.2": the first and third class; "none": none of them; "": all.
function classesOf(text) {
  if (text === "none") return new Set();
  const named = String(text).split(".").filter((part) => part !== "").map(Number).filter((place) => place in CLASSES);
  return new Set(named.length ? named : CLASSES.keys());
}

function address() {
  const query = new URLSearchParams();
  state.leverage = classes.size === CLASSES.length ? "" : [...classes].sort().join(".") || "none";
  for (const name of Object.keys(PLAIN)) {
    const always = served && (name === "symbol" || name === "timeframe");
    if (!served && (name === "symbol" || name === "timeframe")) continue;
    if (always || String(state[name]) !== String(PLAIN[name])) query.set(name, state[name]);
  }
  return `${location.pathname}${[...query].length ? `?${query}` : ""}`;
}

const mine = new Set(); // what was chosen here: only that becomes a habit, not what a link brought
let remembering = 0;

function set(name, value) {
  state[name] = value;
  mine.add(name);
  remember();
}

function remember() { // not for every step of a slider: browsers refuse many changes of the address
  clearTimeout(remembering);
  remembering = setTimeout(() => {
    try {
      history.replaceState(null, "", address() + location.hash);
      localStorage.setItem(KEPT, JSON.stringify({ ...remembered(), ...Object.fromEntries([...mine].map((name) => [name, state[name]])) }));
    } catch { /* a file in a sandbox */ }
  }, 150);
}
