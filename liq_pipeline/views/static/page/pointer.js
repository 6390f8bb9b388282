// Mouse, touch, wheel and keys on the chart: drag moves, an axis stretches, wheel and pinch zoom at the pointer, a tap reads.
const fingers = new Map(); // by pointer: where it was last
let drag = null;

function place(event) {
  const all = $("plot").getBoundingClientRect();
  return { x: event.clientX - all.left, y: event.clientY - all.top };
}

function part(box, { x, y }) { // which part of the chart a pixel belongs to
  if (y > box.y + box.h) return "times";
  if (x > box.width - box.axis || x < box.x) return "prices";
  return "inside";
}

const boxNow = () => boxOf($("plot").clientWidth, $("plot").clientHeight);

function pointAt(at) {
  const box = boxNow(), { X, Y } = scalesOf(box);
  if (state.view === "heatmap" && at.x > box.x + box.w && part(box, at) !== "times") { // beside: the levels of the newest candle shown
    cross = { x: heatmap.begin + (cut() + 0.5) * heatmap.column_seconds, y: Y.back(clamp(at.y, box.y, box.y + box.h)), beside: true };
    redraw("over");
    return;
  }
  cross = part(box, at) === "inside" || state.view === "heatmap" ? { x: X.back(clamp(at.x, box.x, box.x + box.w)), y: Y.back(clamp(at.y, box.y, box.y + box.h)) } : null;
  redraw("over");
}

function down(event) {
  if (!ready() || event.button) return;
  $("plot").setPointerCapture(event.pointerId);
  const at = place(event);
  fingers.set(event.pointerId, at);
  drag = { part: part(boxNow(), at), from: at, at: event.timeStamp, far: false, many: fingers.size > 1 };
}

function move(event) {
  if (!ready()) return;
  const at = place(event), before = fingers.get(event.pointerId), touch = event.pointerType === "touch", box = boxNow();
  $("plot").style.cursor = { times: "ew-resize", prices: "ns-resize", inside: before ? "grabbing" : "crosshair" }[drag?.part || part(box, at)];
  if (!before) { if (!touch) pointAt(at); return; }
  if (Math.hypot(at.x - drag.from.x, at.y - drag.from.y) > 6) drag.far = true;
  if (fingers.size === 2) pinch(event.pointerId, at, box);
  else if (drag.far || !touch) {
    const dx = at.x - before.x, dy = at.y - before.y;
    if (drag.part === "inside") moveBy(dx / box.w, dy / box.h);
    else if (drag.part === "times") zoomBy(Math.exp(-dx / 200), 1);
    else stretch(Math.exp(dy / 200));
  }
  fingers.set(event.pointerId, at);
  if (!touch) pointAt(at);
}

function stretch(factor) { // of the price axis; in the map that of the amounts
  if (state.view !== "map") { zoomBy(1, factor); return; }
  frame.y1 = clamp(frame.y1 * factor, 0.02, 5);
  see(frame);
}

function pinch(id, at, box) {
  const [other] = [...fingers].filter(([one]) => one !== id).map(([, value]) => value), before = fingers.get(id);
  const size = (a, b) => Math.max(24, Math.abs(a - b)), middle = { x: (at.x + other.x) / 2, y: (at.y + other.y) / 2 };
  zoomBy(size(before.x, other.x) / size(at.x, other.x), size(before.y, other.y) / size(at.y, other.y), (middle.x - box.x) / box.w, (middle.y - box.y) / box.h);
  moveBy((at.x - before.x) / 2 / box.w, (at.y - before.y) / 2 / box.h);
}

function up(event) {
  const at = fingers.get(event.pointerId);
  fingers.delete(event.pointerId);
  if (!at) return;
  if (event.pointerType === "touch" && event.type === "pointerup" && !drag.far && !drag.many) pointAt(at);
  if (!fingers.size) drag = null;
}

function wheel(event) {
  if (!ready()) return;
  event.preventDefault();
  const at = place(event), box = boxNow(), where = part(box, at), factor = Math.exp(clamp(event.deltaY * (event.deltaMode ? 30 : 1), -300, 300) / 500);
  if (event.deltaX && Math.abs(event.deltaX) > Math.abs(event.deltaY)) { moveBy(-event.deltaX / box.w, 0); return; }
  if (where === "prices") stretch(factor);
  else zoomBy(event.altKey ? 1 : factor, where === "times" || event.shiftKey ? 1 : factor, clamp((at.x - box.x) / box.w, 0, 1), clamp((at.y - box.y) / box.h, 0, 1));
  pointAt(at);
}

const ARROWS = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const typing = event.target.matches("input:not([type=radio]):not([type=checkbox]), select, textarea");
  if (typing && !event.target.closest("dialog:not([open])")) return; // a list just closed holds the focus for one more frame
  const onChart = document.activeElement === $("plot") || document.activeElement === document.body;
  const act = { "+": () => zoomBy(0.8, 0.8), "=": () => zoomBy(0.8, 0.8), "-": () => zoomBy(1.25, 1.25), "−": () => zoomBy(1.25, 1.25), 0: reset }[event.key];
  if (event.key === "?") help();
  else if (event.key === "f") fullScreen();
  else if (event.key === "/") pick();
  else if (!ready()) return;
  else if (act) act();
  else if (event.key in ARROWS && onChart) event.shiftKey ? stepCross(...ARROWS[event.key]) : moveBy(ARROWS[event.key][0] * 0.08, ARROWS[event.key][1] * 0.08);
  else if (event.key === "Escape") { cross = null; redraw("over"); } else return;
  event.preventDefault();
}

function stepCross(left, up_) { // the cross-hair by one column or row; the line is read out then
  $("readout").setAttribute("aria-live", "polite");
  const [dx, dy] = state.view === "heatmap" ? [heatmap.column_seconds, heatmap.row_height] : [barStep(frame.x0, frame.x1), 0];
  if (!cross) cross = state.view === "heatmap" ? { x: heatmap.begin + (cut() + 0.5) * dx, y: priceAt(cut()) } : { x: bins.now, y: 0 };
  cross = { x: clamp(cross.x - left * dx, frame.x0, frame.x1), y: clamp(cross.y + up_ * dy, frame.y0, frame.y1) };
  redraw("over");
}

function wirePointer() {
  const plot = $("plot");
  for (const [name, action] of [["pointerdown", down], ["pointermove", move], ["pointerup", up], ["pointercancel", up]]) plot.addEventListener(name, action);
  plot.addEventListener("pointerleave", (event) => { if (event.pointerType !== "touch" && !fingers.size) { cross = null; redraw("over"); } });
  plot.addEventListener("wheel", wheel, { passive: false });
  plot.addEventListener("dblclick", () => ready() && reset());
  document.addEventListener("keydown", key);
}
