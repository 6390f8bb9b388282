// The map as numbers: levels summed into even bins, how they add up from the price outwards, max pain, zones.
let bins = null;
const LEVERAGE_UP_TO = [10, 25, 50, Infinity];
const BARS = 200, SHOWN_SHARE = 0.8, NEAREST = 0.03, FARTHEST = 0.2; // as in the published picture

function binUp() { // all, whatever is filtered: once per levels
  const { bin, side, leverage, usd: amounts, bin_width: step, current_price: now } = levels;
  let first = Math.floor(now / step), last = first;
  for (const one of bin) { if (one < first) first = one; if (one > last) last = one; }
  const usdOf = SIDES.map(() => CLASSES.map(() => new Float64Array(last - first + 1)));
  for (let i = 0; i < bin.length; i++) usdOf[side[i]][LEVERAGE_UP_TO.findIndex((most) => leverage[i] <= most)][bin[i] - first] += amounts[i];
  bins = { first, step, now, count: last - first + 1, usdOf };
  binSums();
  bins.reach = reachOf();
}

function binSums() { // of the sides and classes that are shown
  const { count, usdOf } = bins;
  bins.side = SIDES.map((_, side) => {
    const sum = new Float64Array(count);
    if (shownSide(side)) for (const kind of classes) for (let i = 0; i < count; i++) sum[i] += usdOf[side][kind][i];
    return sum;
  });
  bins.running = bins.side.map((sum) => { // before each edge
    const total = new Float64Array(count + 1);
    for (let i = 0; i < count; i++) total[i + 1] = total[i] + sum[i];
    return total;
  });
  bins.tallest = 0;
}

function reachOf() { // around the price, until four fifths of all are in sight
  const { first, step, now, count, usdOf } = bins, away = Array.from({ length: count }, (_, i) => Math.abs(((first + i + 0.5) * step) / now - 1));
  const sums = away.map((_, i) => usdOf.flat().reduce((sum, one) => sum + one[i], 0)), total = sums.reduce((sum, one) => sum + one, 0);
  let found = NEAREST, sum = 0;
  for (const i of away.map((_, i) => i).sort((a, b) => away[a] - away[b])) { sum += sums[i]; found = away[i]; if (sum > SHOWN_SHARE * total) break; }
  return clamp(found, NEAREST, FARTHEST);
}

function mapReach() {
  return [bins.now * (1 - bins.reach), bins.now * (1 + bins.reach)];
}

const barStep = (from, to) => bins.step * Math.max(1, Math.ceil((to - from) / bins.step / BARS));

// Bars in sight: edges and, per side and class, USD.
function barsOf(from, to) {
  const { first, step, count, usdOf } = bins, wide = barStep(from, to), times = Math.round(wide / step);
  const begin = Math.floor(from / wide), number = Math.max(1, Math.ceil(to / wide) - begin);
  const found = SIDES.map(() => CLASSES.map(() => new Float64Array(number)));
  for (let side = 0; side < 2; side++) {
    if (!shownSide(side)) continue;
    for (const kind of classes) {
      for (let i = Math.max(0, begin * times - first), end = Math.min(count, (begin + number) * times - first); i < end; i++) {
        found[side][kind][Math.floor((first + i) / times) - begin] += usdOf[side][kind][i];
      }
    }
  }
  const total = new Float64Array(number);
  for (const one of found.flat()) for (let i = 0; i < number; i++) total[i] += one[i];
  return { begin, wide, number, usdOf: found, total };
}

function tallestBar() {
  if (!bins.tallest) bins.tallest = Math.max(1, ...barsOf(...mapReach()).total);
  return bins.tallest;
}

// A threshold is of a bar of the whole picture; closer bars hold less, in proportion.
const leastOfBar = (bars) => (least() * bars.wide) / barStep(...mapReach());

function upTo(side, target) { // USD of a side between the price and a target
  const { first, step, count, now } = bins, running = bins.running[side];
  const at = (value) => { const place = clamp(value / step - first, 0, count), low = Math.min(count - 1, Math.floor(place)); return running[low] + (running[low + 1] - running[low]) * (place - low); };
  return Math.abs(at(now) - at(target));
}

function beyond(side, edge) { // USD of a side farther away than an edge
  const { running } = bins, total = running[side].at(-1), inside = upTo(side, edge);
  const own = side === 0 ? edge < bins.now : edge > bins.now;
  return own ? Math.max(0, (side === 0 ? upTo(0, 0) : upTo(1, Infinity)) - inside) : total;
}

function maxPain() { // the bin of one side with the most USD, all leverages added
  let best = { usd: 0, price: null };
  bins.usdOf.forEach((kinds) => { for (let i = 0; i < bins.count; i++) { const sum = kinds.reduce((total, one) => total + one[i], 0); if (sum > best.usd) best = { usd: sum, price: (bins.first + i + 0.5) * bins.step }; } });
  return best;
}

const mapZones = () => SIDES.map((_, side) => zonesOf(bins.side[side], bins.first * bins.step, bins.step, bins.now, side));
