// The heatmap: bands, candles, marks, and today's levels as a profile beside the price axis.
function cut() { // the newest column that is shown: the last, or that of an instant of the past
  if (!state.at) return heatmap.span - 1;
  return clamp(Math.floor((Date.parse(state.at) / 1000 - heatmap.begin) / heatmap.column_seconds + 1e-6) - 1, 0, heatmap.span - 1);
}

function drawHeatmap(c, box) {
  const { X, Y } = scalesOf(box), { begin, column_seconds: width, span, rows, price_low: low, high } = heatmap, last = cut();
  clipped(c, box, () => {
    c.imageSmoothingEnabled = false;
    const left = X(begin), top = Y(high);
    c.drawImage(image(), 0, 0, last + 1, rows, left, top, X(begin + (last + 1) * width) - left, Y(low) - top);
    if (state.swept) sweptMarks(c, X, Y, last);
    candleSticks(c, X, Y, last);
    dashed(c, box.x, Y(priceAt(last)), box.x + box.w, Y(priceAt(last)), theme().price);
    if (last < span - 1) dashed(c, X(begin + (last + 1) * width), box.y, X(begin + (last + 1) * width), box.y + box.h, theme().faint);
  });
  profile(c, box, Y, last);
  frameLines(c, box);
  priceAxis(c, box, Y, Y(priceAt(last)));
  timeAxis(c, box, X);
  zoneMarks(c, box, Y);
  candleLegend(c, box);
  const now = priceAt(last), y = Y(now);
  const [arrow, at] = edged(box, y);
  tag(c, box, arrow + price(now), arrow ? box.width : box.width - box.axis + 1, at, theme().price, theme().background, arrow ? "right" : "left");
}

function candleSticks(c, X, Y, last) {
  const [open, high, low, close] = heatmap.candles, { begin, column_seconds: width } = heatmap;
  const first = Math.max(0, Math.floor((frame.x0 - begin) / width) - 1), end = Math.min(last, Math.ceil((frame.x1 - begin) / width));
  const wide = Math.max(1, (X(begin + width) - X(begin)) * 0.72), outlined = state.theme === "light" && wide > 2.5;
  for (const rising of [true, false]) {
    c.fillStyle = rising ? (state.theme === "light" ? theme().text : theme().up) : theme().down;
    for (let column = first; column <= end; column++) {
      if (Number.isNaN(close[column]) || close[column] >= open[column] !== rising) continue;
      const middle = X(begin + (column + 0.5) * width), top = Y(high[column]);
      c.fillRect(Math.round(middle - 0.5), top, 1, Math.max(1, Y(low[column]) - top));
      const head = Y(Math.max(open[column], close[column])), tall = Math.max(1, Y(Math.min(open[column], close[column])) - head);
      c.fillRect(middle - wide / 2, head, wide, tall);
      if (rising && outlined && tall > 2) {
        c.fillStyle = theme().up;
        c.fillRect(middle - wide / 2 + 1, head + 1, wide - 2, tall - 2);
        c.fillStyle = theme().text;
      }
    }
  }
}

function sweptMarks(c, X, Y, last) {
  const { begin, column_seconds: width, price_low: low, row_height: height } = heatmap, found = swept();
  const size = clamp((X(width) - X(0)) / 4, 4, 7);
  c.beginPath();
  for (let i = 0; i < found.length; i += 2) {
    if (found[i] > last) continue;
    const x = X(begin + found[i] * width), y = Y(low + (found[i + 1] + 0.5) * height);
    c.moveTo(x - size, y - size); c.lineTo(x + size, y + size);
    c.moveTo(x - size, y + size); c.lineTo(x + size, y - size);
  }
  for (const [colour, wide] of [[theme().background, 4], [theme().price, 1.6]]) { // on bright and on dark bands
    Object.assign(c, { strokeStyle: colour, lineWidth: wide });
    c.stroke();
  }
  c.lineWidth = 1;
}

function profile(c, box, Y, last) {
  const { price_low: low, row_height: height, rows } = heatmap, right = box.x + box.w + box.profile, sides = SIDES.map((_, side) => columnAt(last, side));
  let widest = 0;
  for (let row = 0; row < rows; row++) widest = Math.max(widest, sides[0][row] + sides[1][row]);
  if (!widest) return;
  c.save();
  c.beginPath();
  c.rect(box.x + box.w + 1, box.y, box.profile, box.h);
  c.clip();
  for (let row = 0; row < rows; row++) {
    const y = Y(low + (row + 1) * height), tall = Math.max(1, Y(low + row * height) - y - (Y(0) - Y(height) > 3 ? 1 : 0));
    let x = right;
    for (const [side, amounts] of sides.entries()) {
      const wide = (amounts[row] / widest) * (box.profile - 4);
      if (!(wide > 0) || amounts[row] < least()) continue;
      c.fillStyle = theme()[SIDES[side]];
      c.fillRect(x - wide, y, wide, tall);
      x -= wide;
    }
  }
  c.restore();
}

function zoneMarks(c, box, Y) { // the nearest large zone of each side: a bracket along the profile, and its words
  const now = Y(priceAt(cut())), half = (box.text + 8) / 2;
  for (const { large: [zone] } of zonesNow()) {
    if (!zone) continue;
    const top = Y(zone.high), low = Y(zone.low), x = box.x + box.w + 2;
    if (low < box.y || top > box.y + box.h) continue;
    c.fillStyle = theme()[SIDES[zone.side]];
    c.fillRect(x - 2, top, 3, Math.max(2, low - top));
    const text = box.profile < 100 ? `${signed(zone.away)}%` : `${signed(zone.away)} %  ${usd(zone.usd)}`;
    const beside = zone.side ? low + half + 1 : top - half - 1; // towards the price, where bars are small
    const at = Math.abs(now - beside) > half + 1 && (now - beside > 0) === Boolean(zone.side) ? beside : zone.side ? top - half - 1 : low + half + 1;
    tag(c, box, text, x + 3, clamp(at, box.y + 10, box.y + box.h - 10), theme().background, theme()[SIDES[zone.side]]);
  }
}

function candleLegend(c, box) {
  let x = box.x + 8;
  const y = box.y + box.text, parts = [[state.theme === "light" ? theme().up : theme().up, "up"], [theme().down, "down"], ...(state.swept ? [[null, "× swept"]] : [])];
  c.font = fontOf(box);
  c.fillStyle = `${theme().background}c0`;
  c.fillRect(x - 4, y - box.text * 0.8, parts.reduce((sum, [, word]) => sum + c.measureText(word).width + box.text + 12, 0), box.text * 1.6);
  for (const [colour, word] of parts) {
    if (colour) {
      c.fillStyle = colour;
      c.fillRect(x, y - box.text / 2, box.text * 0.55, box.text);
      c.strokeStyle = theme().faint;
      c.strokeRect(x + 0.5, y - box.text / 2 + 0.5, box.text * 0.55, box.text - 1);
      x += box.text * 0.55 + 4;
    }
    write(c, word, x, y + 1, theme().text);
    x += c.measureText(word).width + 10;
  }
}

function crossHeatmap(c, box) {
  const { begin, column_seconds: width } = heatmap, column = Math.floor((cross.x - begin) / width); // it stands on a candle
  const { X, Y } = scalesOf(box), x = X(begin + (column + 0.5) * width), y = Y(cross.y), ink = theme().background;
  if (x >= box.x && x <= box.x + box.w && !cross.beside) {
    dashed(c, x, box.y, x, box.y + box.h, theme().text);
    tag(c, box, tagTime(closes(column)), x, box.y + box.h + box.text / 2 + 5, theme().text, ink, "center");
  }
  if (y >= box.y && y <= box.y + box.h) {
    dashed(c, box.x, y, box.width - box.axis, y, theme().text);
    tag(c, box, price(Number(cross.y.toPrecision(6))), box.width - box.axis + 1, y, theme().text, ink);
  }
}
