// Windows onto the chart: where a time or a price lies on the screen, round ticks, moving and zooming.
const MINUTES = [1, 5, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7200, 14_400, 28_800, 57_600];
const PAST_NEWEST = 0.05; // empty time to the right of the newest candle
let frame = null; // what is in sight: {x0, x1, y0, y1}; x in seconds or USD, y in USD

function linear(from, to, low, high) {
  const factor = (high - low) / (to - from);
  return Object.assign((value) => low + (value - from) * factor, { back: (pixel) => from + (pixel - low) / factor });
}

function roundTicks(from, to, most) {
  const raw = (to - from) / Math.max(1, most), power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((times) => times * power).find((size) => size >= raw) || 10 * power;
  const found = [];
  for (let tick = Math.ceil(from / step); tick <= to / step; tick++) found.push(tick * step);
  return found;
}

function timeTicks(from, to, most) {
  const step = 60 * (MINUTES.find((minutes) => (to - from) / (60 * minutes) <= most) || 100_000), found = [];
  for (let tick = Math.ceil((from + shift(from)) / step) * step - shift(from); tick <= to; tick += step) found.push(tick);
  return { ticks: found, step };
}

function whole() {
  if (state.view === "map") {
    const [low, high] = mapReach();
    return { x0: low, x1: high, y0: 0, y1: 1 };
  }
  const { begin, span, column_seconds: width, price_low: low, high } = heatmap;
  return { x0: begin, x1: begin + span * width * (1 + PAST_NEWEST), y0: low, y1: high };
}

// Bounds: never so far that nothing is left in sight, nor so close that there is nothing to see.
function bounded(next) {
  const all = whole(), result = { ...next };
  for (const [low, high] of [["x0", "x1"], ["y0", "y1"]]) {
    const size = all[high] - all[low], most = state.view === "map" && low === "x0" ? 12 : 4;
    const wide = clamp(next[high] - next[low], size / 400, size * most), middle = (next[low] + next[high]) / 2;
    const centre = clamp(middle, all[low] - wide * 0.45, all[high] + wide * 0.45);
    result[low] = centre - wide / 2;
    result[high] = centre + wide / 2;
  }
  if (state.view === "map") Object.assign(result, { y0: 0, y1: next.y1 });
  return result;
}

function moveBy(dx, dy) { // shares of the plot
  const { x0, x1, y0, y1 } = frame, x = (x1 - x0) * dx, y = state.view === "map" ? 0 : (y1 - y0) * dy;
  see({ x0: x0 - x, x1: x1 - x, y0: y0 + y, y1: y1 + y });
}

function zoomBy(fx, fy, atX = 0.5, atY = 0.5) { // factors below 1 come closer; the point at these shares stays where it is
  const { x0, x1, y0, y1 } = frame, x = x0 + (x1 - x0) * atX, y = state.view === "map" ? 0 : y1 - (y1 - y0) * atY;
  see({ x0: x - (x - x0) * fx, x1: x + (x1 - x) * fx, y0: y - (y - y0) * fy, y1: y + (y1 - y) * fy });
}

function see(next) {
  frame = bounded(next);
  const all = whole();
  state.zoom = Object.keys(all).some((key) => Math.abs(frame[key] - all[key]) > 1e-9 * Math.abs(all[key])) ? ["x0", "x1", "y0", "y1"].map((key) => Number(frame[key].toPrecision(10))).join(",") : "";
  remember();
  redraw();
}

function reset() {
  frame = whole();
  state.zoom = "";
  remember();
  redraw();
}

function frameOfLink() { // a zoom that came with the address, once
  const numbers = String(state.zoom).split(",").map(Number);
  if (numbers.length !== 4 || !numbers.every(Number.isFinite) || numbers[0] >= numbers[1] || numbers[2] >= numbers[3]) return reset();
  frame = bounded({ x0: numbers[0], x1: numbers[1], y0: numbers[2], y1: numbers[3] });
}
