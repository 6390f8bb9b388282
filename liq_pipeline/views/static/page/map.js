// The map: bars over price by leverage, and on the right axis one curve per side: exposure added up, or "if reached".
function heights(bars) {
  const tallest = Math.max(1, ...bars.total) * 1.08 * frame.y1;
  const [low, high] = [frame.x0, frame.x1], found = state.curve === "reached" ? reachedNow() : null;
  const most = state.curve === "exposure" ? Math.max(1, upTo(0, Math.min(low, bins.now)), upTo(1, Math.max(high, bins.now)))
    : Math.max(1, ...(found && !found.hidden_because ? [...found.if_reached_long, ...found.if_reached_short].filter((one) => one.price >= low && one.price <= high).map((one) => one.p90_usd) : [1]));
  return { tallest, most: most * 1.25 }; // the words above the curves have room
}

function drawMap(c, box) {
  const bars = barsOf(frame.x0, frame.x1), { tallest, most } = heights(bars), { now } = bins, bottom = box.y + box.h;
  const X = linear(frame.x0, frame.x1, box.x, box.x + box.w), Y = linear(0, tallest, bottom, box.y), right = linear(0, most, bottom, box.y);
  const hasCurve = state.curve === "exposure" || (reachedNow() && !reachedNow().hidden_because);
  c.strokeStyle = theme().grid;
  for (const tick of roundTicks(0, tallest, box.h / 60)) {
    c.beginPath(); c.moveTo(box.x, Math.round(Y(tick)) + 0.5); c.lineTo(box.x + box.w, Math.round(Y(tick)) + 0.5); c.stroke();
    write(c, usd(tick), box.x - 5, clamp(Y(tick), box.y + 6, bottom), theme().faint, "right");
  }
  if (hasCurve) for (const tick of roundTicks(0, most, box.h / 60)) write(c, usd(tick), box.x + box.w + 5, clamp(right(tick), box.y + 6, bottom), theme().faint);
  const label = (value) => (box.small && frame.x0 >= 10_000 ? `${few.format(value / 1000)}K` : price(value)), wide = (text) => c.measureText(text).width;
  const edge = box.small ? 0 : 12, ofTag = wide(price(now)) * 1.1 + 8; // the price's own tag is bold
  const apart = box.small ? Math.max(wide(label(frame.x0)), wide(label(frame.x1))) + 10 : box.text * 7;
  for (const tick of roundTicks(frame.x0, frame.x1, box.w / apart)) {
    const x = X(tick);
    if (x > box.x + edge && x < box.x + box.w - edge && Math.abs(x - X(now)) > (wide(label(tick)) + ofTag) / 2 + 2) write(c, label(tick), x, bottom + box.text / 2 + 5, theme().faint, "center");
  }
  clipped(c, box, () => {
    const added = state.curve === "exposure", curves = added ? areas(X, right) : ranges(X, right);
    const fill = () => { for (const [upper, lower, colour] of curves) filled(c, upper, lower, colour); };
    if (added) fill(); // below the bars, whose colours are those of the legend; edges of a range are read on them
    drawBars(c, X, Y, bars);
    if (!added) fill();
    for (const [, , colour, line] of curves) outlined(c, line, colour);
    dashed(c, X(now), box.y, X(now), bottom, theme().price);
    drawLandmarks(c, box, X);
  });
  frameLines(c, box);
  mapLegend(c, box, bars, hasCurve);
  if (now > frame.x0 && now < frame.x1) tag(c, box, price(now), X(now), bottom + box.text / 2 + 5, theme().price, theme().background, "center");
}

function drawBars(c, X, Y, bars) {
  const floor = leastOfBar(bars), wide = X(bars.wide) - X(0), gap = wide > 4 ? 1 : 0;
  for (let i = 0; i < bars.number; i++) {
    if (bars.total[i] < floor || !bars.total[i]) continue;
    let sum = 0;
    for (const kind of CLASSES.keys()) {
      const amount = bars.usdOf[0][kind][i] + bars.usdOf[1][kind][i];
      if (!amount) continue;
      const top = Y(sum + amount);
      c.fillStyle = theme().classes[kind];
      c.fillRect(X((bars.begin + i) * bars.wide), top, wide - gap, Y(sum) - top);
      sum += amount;
    }
  }
}

function areas(X, right) { // of each side that is shown: upper and lower edge, colour, line
  const zero = right(0);
  return SIDES.map((name, side) => {
    const end = side === 0 ? Math.min(frame.x0, bins.now) : Math.max(frame.x1, bins.now), begin = bins.now, points = [];
    for (let i = 0; i <= 300; i++) { const at = begin + ((end - begin) * i) / 300; points.push([X(at), right(upTo(side, at))]); }
    return [points, points.map(([x]) => [x, zero]), theme()[name], points];
  }).filter((_, side) => shownSide(side));
}

function ranges(X, right) {
  const found = reachedNow();
  if (!found || found.hidden_because) return [];
  return SIDES.map((name, side) => {
    const list = side === 0 ? found.if_reached_long : found.if_reached_short, of = (field) => list.map((one) => [X(one.price), right(one[field])]);
    return [of("p90_usd"), of("p10_usd"), theme()[name], of("p50_usd")];
  }).filter(([upper], side) => upper.length && shownSide(side));
}

const through = (c, points) => points.forEach(([x, y], i) => (i ? c.lineTo(x, y) : c.moveTo(x, y)));

function filled(c, upper, lower, colour) {
  c.beginPath();
  through(c, [...upper, ...[...lower].reverse()]);
  c.globalAlpha = 0.22;
  c.fillStyle = colour;
  c.fill();
  c.globalAlpha = 1;
}

function outlined(c, line, colour) {
  c.beginPath();
  through(c, line);
  for (const [ink, wide] of [[theme().background, 5], [colour, 2]]) { // seen on bars of any colour
    Object.assign(c, { strokeStyle: ink, lineWidth: wide });
    c.stroke();
  }
  c.lineWidth = 1;
}

function drawLandmarks(c, box, X) {
  const pain = maxPain(), y = box.y + box.text;
  if (pain.price) {
    const x = X(pain.price);
    dashed(c, x, box.y, x, box.y + box.h, theme().warning);
    if (x > box.x && x < box.x + box.w) tag(c, { ...box, width: box.x + box.w }, `max pain ${price(pain.price)}`, x, y, theme().background, theme().warning, "center");
  }
  for (const { large: [zone] } of mapZones()) { // the nearest large one of each side, on the axis
    if (!zone) continue;
    c.fillStyle = theme()[SIDES[zone.side]];
    c.fillRect(X(zone.low), box.y + box.h - 5, Math.max(3, X(zone.high) - X(zone.low)), 5);
  }
  c.font = fontOf(box);
  [[0, frame.x0, box.x + 6, "left", "◀ "], [1, frame.x1, box.x + box.w - 6, "right", ""]].forEach(([side, edge, x, align, arrow]) => {
    const amount = beyond(side, edge);
    if (amount >= 1 && shownSide(side)) write(c, `${arrow}${usd(amount)} USD beyond${align === "right" ? " ▶" : ""}`, x, y + box.text * 1.6, theme()[SIDES[side]], align);
  });
}

function mapLegend(c, box, bars, hasCurve) {
  let x = box.x;
  const y = (box.text + 14) / 2, small = box.small, what = state.curve === "exposure" ? "added up from the price" : `if reached in ${state.horizon} h: 10–50–90 %`;
  const entries = [...CLASSES.map((name, kind) => [theme().classes[kind], name]), ...(small ? [] : SIDES.map((name) => [theme()[name], `${name}s`]))];
  c.font = fontOf(box);
  for (const [colour, name] of entries) {
    c.fillStyle = colour;
    c.fillRect(x, y - box.text / 2, box.text, box.text);
    write(c, name, x + box.text + 4, y + 1, theme().text);
    x += box.text + c.measureText(name).width + (small ? 9 : 16);
  }
  const left = `left: USD per ${price(bars.wide)}`, right = hasCurve ? `right: USD, ${what}` : "";
  if (small || x + c.measureText(left).width + c.measureText(right).width + 12 > box.width) return; // the line below the chart says it, too
  write(c, left, x, y + 1, theme().faint);
  write(c, right, box.width - 4, y + 1, theme().faint, "right");
}

function crossMap(c, box) {
  const X = linear(frame.x0, frame.x1, box.x, box.x + box.w), x = X(cross.x);
  if (x < box.x || x > box.x + box.w) return;
  const wide = barStep(frame.x0, frame.x1), low = Math.floor(cross.x / wide) * wide;
  c.fillStyle = `${theme().text}22`;
  c.fillRect(X(low), box.y, X(low + wide) - X(low), box.h);
  tag(c, box, price(Number(cross.x.toPrecision(6))), x, box.y + box.h + box.text / 2 + 5, theme().text, theme().background, "center");
}
