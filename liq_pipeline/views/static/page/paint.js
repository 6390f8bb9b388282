// Canvases and what both views draw alike: boxes, axes, tags. Drawing takes a context and a box, so that a picture is drawn the same way.
const theme = () => themes[state.theme];
let cross = null; // where the cross-hair is: {x, y}; y is null in the map
let waiting = false;

function boxOf(width, height, view = state.view) {
  const small = width < 640, text = small ? 10 : width > 2000 ? 15 : 12;
  const axis = Math.round(text * Math.max(6, view === "heatmap" && heatmap ? price(heatmap.current_price).length * 0.66 + 0.8 : 0)), bottom = text + 14;
  if (view === "map") return { x: axis, y: text + 14, w: width - 2 * axis, h: height - bottom - text - 14, width, height, text, axis, small, profile: 0 };
  const profile = small ? 48 : clamp(Math.round(width * 0.09), 70, 170);
  return { x: 0, y: 4, w: width - axis - profile, h: height - bottom - 4, width, height, text, axis, small, profile };
}

const fontOf = (box, bold = "") => `${bold} ${box.text}px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif`;

function write(c, text, x, y, colour, align = "left", base = "middle") {
  c.fillStyle = colour;
  c.textAlign = align;
  c.textBaseline = base;
  c.fillText(text, x, y);
}

function tag(c, box, text, x, y, background, colour, align = "left") { // a word on its own ground, kept inside the box
  c.font = fontOf(box, "600");
  const wide = c.measureText(text).width + 8, high = box.text + 8, left = align === "left" ? x : align === "right" ? x - wide : clamp(x - wide / 2, 0, box.width - wide);
  c.fillStyle = background;
  c.fillRect(left, clamp(y - high / 2, 0, box.height - high), wide, high);
  write(c, text, left + 4, clamp(y, high / 2, box.height - high / 2) + 1, colour);
  c.font = fontOf(box);
}

function dashed(c, x0, y0, x1, y1, colour) {
  c.strokeStyle = colour;
  c.lineWidth = 1;
  c.setLineDash([4, 4]);
  c.beginPath();
  c.moveTo(Math.round(x0) + 0.5, Math.round(y0) + 0.5);
  c.lineTo(Math.round(x1) + 0.5, Math.round(y1) + 0.5);
  c.stroke();
  c.setLineDash([]);
}

function clipped(c, box, action) {
  c.save();
  c.beginPath();
  c.rect(box.x, box.y, box.w, box.h);
  c.clip();
  action();
  c.restore();
}

function edged(box, y) { // where a tag of a price stands that is out of sight: at the edge, with an arrow
  return y < box.y ? ["▲ ", box.y] : y > box.y + box.h ? ["▼ ", box.y + box.h - box.text] : ["", y];
}

function frameLines(c, box) {
  c.strokeStyle = theme().grid;
  c.strokeRect(box.x + 0.5, box.y + 0.5, box.w, box.h);
}

function surface(id) { // the canvas at the screen's own pixels
  const canvas = $(id), { clientWidth: width, clientHeight: height } = $("plot"), ratio = devicePixelRatio || 1;
  const wide = Math.round(width * ratio), high = Math.round(height * ratio);
  if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high });
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return [context, boxOf(width, height)];
}

const ready = () => Boolean(frame && (state.view === "heatmap" ? heatmap : levels));

function redraw(what = "all") {
  if (what === "all") redraw.base = true;
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    if (!ready()) return;
    if (redraw.base) drawBase();
    redraw.base = false;
    drawOver();
    readOut();
  });
}

function drawBase() {
  const [c, box] = surface("base");
  drawView(c, box);
  tellSpan();
  const all = $("plot").dataset;
  all.frame = JSON.stringify(frame);
  all.drawn = `${state.symbol} ${state.timeframe} ${state.view} ${state.theme} ${state.min} ${[...classes].sort()} ${state.side}`;
}

function drawView(c, box) {
  c.fillStyle = theme().background;
  c.fillRect(0, 0, box.width, box.height);
  c.font = fontOf(box);
  c.lineWidth = 1;
  if (state.view === "heatmap") drawHeatmap(c, box); else drawMap(c, box);
}

function drawOver() {
  const [c, box] = surface("over");
  if (!cross) return;
  c.font = fontOf(box);
  if (state.view === "heatmap") crossHeatmap(c, box); else crossMap(c, box);
}

function scalesOf(box) {
  return { X: linear(frame.x0, frame.x1, box.x, box.x + box.w), Y: linear(frame.y0, frame.y1, box.y + box.h, box.y) };
}

function priceAxis(c, box, Y, tagAt) { // no number under the tag of the price
  const x = box.width - box.axis;
  for (const tick of roundTicks(frame.y0, frame.y1, box.h / 48)) {
    const y = Y(tick);
    if (y > box.y + 6 && y < box.y + box.h - 4 && Math.abs(y - tagAt) > box.text) write(c, price(tick), x + 5, y, theme().faint);
  }
}

function timeAxis(c, box, X) {
  const { ticks, step } = timeTicks(frame.x0, frame.x1, Math.max(2, Math.floor(box.w / (box.text * 7))));
  for (const tick of ticks) {
    const x = X(tick);
    if (x > box.x + 20 && x < box.x + box.w - 20) write(c, tickText(tick, step), x, box.y + box.h + box.text / 2 + 5, theme().faint, "center");
  }
  write(c, zone(frame.x1), box.width - 5, box.y + box.h + box.text / 2 + 5, theme().faint, "right");
}
