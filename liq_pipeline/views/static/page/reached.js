// If the price gets there: how much gets liquidated on the way, a median and a range. In the page, or asked of the service.
const reachedOf = new Map(); // by symbol and horizon: an answer, or why there is none

const reachedKey = () => `${state.symbol} ${state.horizon}`;
const reachedNow = () => (wishedAt() ? null : reachedOf.get(reachedKey()));

async function loadReached() {
  const key = reachedKey();
  if (!state.symbol) { tellReached(); return; }
  try {
    reachedOf.set(key, !served ? JSON.parse(new TextDecoder().decode(await embedded("ranges")))[state.horizon] : await ask(`/liquidations/if-reached?${new URLSearchParams({ symbol: state.symbol, horizon: state.horizon })}`));
  } catch (error) {
    if (!reachedOf.has(key)) reachedOf.set(key, { hidden_because: error.message });
  }
  if (key === reachedKey()) { tellReached(); redraw(); }
}

function why() {
  if (wishedAt()) return "it is known from the newest bar on, not for the past";
  const found = reachedNow();
  return found ? found.hidden_because : "asking …";
}

function tellReached() {
  const hidden = why(), found = reachedNow();
  $("reached").hidden = state.view !== "map";
  $("reached").textContent = hidden
    ? `If reached within ${state.horizon} h: no range; ${hidden.replace(/\.$/, "")}.`
    : `If reached within ${state.horizon} h: USD liquidated on the way, estimated from ${Math.round(found.days_of_truth)} days of reported liquidations`
      + ` (${found.source}); not whether the price gets there.`;
}

// The range at a price, between the targets that the service gives; null beyond them.
function rangeAt(target) {
  const found = reachedNow();
  if (!found || found.hidden_because) return null;
  const list = target < found.current_price ? found.if_reached_long : found.if_reached_short;
  const away = Math.abs(target / found.current_price - 1), distance = (one) => Math.abs(one.distance_pct) / 100;
  const after = list.findIndex((one) => distance(one) >= away);
  if (after < 1) return after === 0 && away >= 0.8 * distance(list[0]) ? list[0] : null;
  const [a, b] = [list[after - 1], list[after]], part = (away - distance(a)) / (distance(b) - distance(a));
  return Object.fromEntries(["p10_usd", "p50_usd", "p90_usd"].map((name) => [name, a[name] + (b[name] - a[name]) * part]));
}

function farther(target) { // how far the ranges go, where a target lies beyond; else 0
  const found = reachedNow();
  if (!found || found.hidden_because) return 0;
  const most = Math.max(...(target < found.current_price ? found.if_reached_long : found.if_reached_short).map((one) => Math.abs(one.distance_pct)));
  return 100 * Math.abs(target / found.current_price - 1) > most ? most : 0;
}

function sentence(target) {
  const range = rangeAt(target);
  if (!range) return "";
  if (touched()) return `if reached in ${state.horizon} h: ${usd(range.p10_usd)} to ${usd(range.p90_usd)} USD, half below ${usd(range.p50_usd)}`; // its few lines hold no more
  return `if ${price(Number(target.toPrecision(5)))} is reached within ${state.horizon} h: ${usd(range.p10_usd)} to ${usd(range.p90_usd)} USD liquidated, half the time below `
    + `${usd(range.p50_usd)} (estimated, from ${Math.round(reachedNow().days_of_truth)} days of reported liquidations)`;
}
