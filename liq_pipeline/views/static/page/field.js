// The heatmap as numbers: sums over the sides and classes that are shown, its picture, what was swept, large zones.
let heatmap = null, levels = null, field = null;
const LARGE_QUANTILE = 0.9, WITHIN = 0.1; // large: among the largest tenth of a side's bins within 10 %, as in `liquidation_features`
const shownSide = (side) => state.side === "both" || state.side === SIDES[side];
const least = () => base() * (state.min / 100) ** 2;
const base = () => (state.view === "heatmap" ? heatmap.brightest_usd : tallestBar());
const lowUsd = () => heatmap.brightest_usd * (state.low / 100) ** 2;
const highUsd = () => heatmap.brightest_usd * (state.high / 100) ** 2;

function sumUp() {
  const { layers, rows, span } = heatmap;
  const sides = SIDES.map((_, side) => {
    const sum = new Float32Array(rows * span);
    if (shownSide(side)) for (const kind of classes) { const one = layers[side][kind]; for (let i = 0; i < sum.length; i++) sum[i] += one[i]; }
    return sum;
  });
  const total = sides[0].map((value, i) => value + sides[1][i]);
  let top = 0;
  for (const value of total) if (value > top) top = value;
  field = { sides, total, top, image: null, swept: null };
}

const ramps = new Map();
function ramp(theme, size = 256) { // colours as numbers, as a canvas stores them
  if (ramps.has(theme)) return ramps.get(theme);
  const stops = themes[theme].ramp.map((colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16)));
  const found = Uint32Array.from({ length: size }, (_, i) => {
    const place = (i / (size - 1)) * (stops.length - 1), k = Math.min(stops.length - 2, Math.floor(place)), part = place - k;
    const [r, g, b] = stops[k].map((value, c) => Math.round(value + (stops[k + 1][c] - value) * part));
    return (255 << 24) | (b << 16) | (g << 8) | r;
  });
  ramps.set(theme, found);
  return found;
}

function image() { // one pixel per cell; threshold and colours change it, moving and zooming do not
  const key = [state.theme, state.min, state.low, state.high, state.power].join();
  if (field.image?.key === key) return field.image.canvas;
  const { span, rows } = heatmap, { total } = field, colours = ramp(state.theme), floor = least(), low = lowUsd(), scale = 1 / (highUsd() - low);
  const power = state.power / 100, canvas = field.image?.canvas || make("canvas", { width: span, height: rows });
  const context = canvas.getContext("2d"), picture = field.image?.picture || context.createImageData(span, rows), pixels = new Uint32Array(picture.data.buffer);
  for (let row = 0; row < rows; row++) {
    for (let column = 0, from = row * span, to = (rows - 1 - row) * span; column < span; column++, from++, to++) {
      const value = total[from];
      if (value <= 0 || value < floor) { pixels[to] = 0; continue; }
      let part = (value - low) * scale;
      if (power !== 1 && part > 0) part **= power;
      pixels[to] = part <= 0 ? 0 : colours[part >= 1 ? 255 : (part * 255) | 0];
    }
  }
  context.putImageData(picture, 0, 0);
  field.image = { key, canvas, picture };
  return canvas;
}

// Where the price took a band: it was bright, the candle crossed its row, and it is gone. Pairs of column and row.
function swept() {
  if (field.swept) return field.swept;
  const { span, rows, candles, price_low: bottom, row_height: height, brightest_usd: bright } = heatmap, { total } = field, found = [];
  for (let column = 1; column < span; column++) {
    const first = Math.max(0, Math.floor((candles[2][column] - bottom) / height)), last = Math.min(rows - 1, Math.floor((candles[1][column] - bottom) / height));
    for (let row = first; row <= last; row++) {
      const before = total[row * span + column - 1];
      if (before >= 0.25 * bright && total[row * span + column] < 0.1 * before) found.push(column, row);
    }
  }
  return (field.swept = Float32Array.from(found));
}

// Bins of one side, each as a zone of its own; and the large ones, neighbours as one zone (a single smaller one does not part them).
function zonesOf(amounts, low, step, now, side) {
  const of = (from, to, sum) => ({ side, from, to, usd: sum }), some = [];
  for (let bin = 0; bin < amounts.length; bin++) {
    const away = (low + (bin + 0.5) * step) / now - 1;
    if (amounts[bin] >= 1 && (side === 0) === away < 0 && Math.abs(away) <= WITHIN) some.push(of(bin, bin, amounts[bin]));
  }
  const sizes = some.map((zone) => zone.usd).sort((a, b) => a - b), large = sizes[Math.floor(LARGE_QUANTILE * (sizes.length - 1))], found = [];
  for (const { from: bin } of some.filter((zone) => zone.usd >= large)) {
    if (!found.length || bin - found.at(-1).to > 2) found.push(of(bin, bin, 0));
    found.at(-1).to = bin;
  }
  for (const zone of found) for (let bin = zone.from; bin <= zone.to; bin++) zone.usd += amounts[bin];
  for (const zone of [...some, ...found]) {
    Object.assign(zone, { low: low + zone.from * step, high: low + (zone.to + 1) * step });
    const edge = side === 0 ? Math.min(zone.high, now) : Math.max(zone.low, now);
    zone.away = 100 * (edge / now - 1);
  }
  return { all: some, large: found.sort((a, b) => Math.abs(a.away) - Math.abs(b.away)) };
}

// Zones of the instant that is shown, per side: of the heatmap's column, or of the map's bins; large ones nearest first.
function zonesNow() {
  if (state.view === "map") return mapZones();
  return SIDES.map((_, side) => zonesOf(columnAt(cut(), side), heatmap.price_low, heatmap.row_height, priceAt(cut()), side));
}

function columnAt(column, side) {
  return Float32Array.from({ length: heatmap.rows }, (_, row) => field.sides[side][row * heatmap.span + column]);
}

function priceAt(column) {
  if (column >= heatmap.span - 1) return heatmap.current_price;
  for (let at = column; at >= 0; at--) if (!Number.isNaN(heatmap.candles[3][at])) return heatmap.candles[3][at];
  return heatmap.current_price;
}
