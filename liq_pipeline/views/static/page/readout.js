// The fixed line above the chart: what is under the cross-hair. No box lies over the bands.
let readBefore = "";

function readOut() {
  const parts = cross ? (state.view === "heatmap" ? readHeatmap() : readMap()) : [["", touched() ? "Tap the chart to read it" : "Point at the chart to read it; ? lists keys and gestures"]];
  const text = JSON.stringify(parts);
  if (text === readBefore) return;
  readBefore = text;
  if (cross && !$("readout").classList.contains("read")) { // it needs more room from now on; the chart stays where the finger is
    steady(() => $("readout").classList.add("read"));
  }
  $("readout").replaceChildren(...parts.flatMap(([name, value, more]) => [make("span", {}, ...(name ? [make("i", { textContent: `${name} ` })] : []), make("b", { textContent: value }), ...(more ? [make("i", { textContent: ` ${more}` })] : [])), " "]));
}

function split(amountOf) {
  const some = [...classes].sort().map((kind) => [CLASSES[kind].replace(" ", "\u00a0"), amountOf(kind)]).filter(([, amount]) => amount >= 1);
  return some.length ? `(${some.map(([name, amount]) => `${name} ${usd(amount)}`).join(", ")})` : "";
}

function readHeatmap() {
  const { begin, column_seconds: width, span, rows, price_low: low, row_height: height, layers, candles } = heatmap;
  const column = Math.floor((cross.x - begin) / width), row = Math.floor((cross.y - low) / height), parts = [["", instant(begin + (column + 1) * width)]];
  if (row < 0 || row >= rows) return [...parts, ["price", `${price(Number(cross.y.toPrecision(6)))}`]];
  parts.push(["", `${price(low + row * height)} – ${price(low + (row + 1) * height)}`]);
  if (column < 0 || column > cut()) return [...parts, ["", column < 0 ? "before the data" : "no data yet"]];
  const at = row * span + column, now = priceAt(column);
  SIDES.forEach((name, side) => {
    const sum = field.sides[side][at];
    if (sum >= 1) parts.push([`${name}s`, `${usd(sum)} USD`, split((kind) => layers[side][kind][at])]);
  });
  if (!Number.isNaN(candles[3][column])) {
    const opens = iso(begin + column * width).slice(11, 16), closed = iso(begin + (column + 1) * width).slice(11, 16);
    parts.push([touched() ? "" : `candle ${opens} – ${closed}`, ["O", "H", "L", "C"].map((letter, i) => `${letter} ${price(Number(candles[i][column].toPrecision(7)))}`).join("  ")]);
  }
  const side = low + (row + 0.5) * height < now ? 0 : 1, here = Math.floor((now - low) / height);
  if (!shownSide(side)) return parts;
  let sum = 0;
  for (let one = Math.max(0, Math.min(row, here)); one <= Math.min(rows - 1, Math.max(row, here)); one++) sum += field.sides[side][one * span + column];
  parts.push([`${SIDES[side]}s from the price to here`, `${usd(sum)} USD`]);
  return parts;
}

function readMap() {
  const bars = barsOf(frame.x0, frame.x1), bar = Math.floor(cross.x / bars.wide) - bars.begin;
  if (bar < 0 || bar >= bars.number) return [["price", price(cross.x)]];
  const low = (bars.begin + bar) * bars.wide, middle = low + bars.wide / 2, away = 100 * (middle / bins.now - 1), parts = [["", `${price(low)} – ${price(low + bars.wide)}`, `${signed(away)} %`]];
  SIDES.forEach((name, side) => {
    const of = (kind) => bars.usdOf[side][kind][bar], sum = [...classes].reduce((total, kind) => total + of(kind), 0);
    if (sum >= 1) parts.push([`${name}s`, `${usd(sum)} USD`, split(of)]);
  });
  const side = middle < bins.now ? 0 : 1;
  if (shownSide(side)) parts.push([`${SIDES[side]}s from the price to here`, `${usd(upTo(side, cross.x))} USD`]);
  const said = sentence(cross.x);
  if (said) parts.push(["", said]);
  else if (farther(cross.x)) parts.push(["if reached:", `no range beyond ${farther(cross.x)} % from the price`]);
  return parts;
}
