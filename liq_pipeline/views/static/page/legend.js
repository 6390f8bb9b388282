// Sliders: the colour scale with its two handles and its power, the threshold, the range of prices of the map.
function tellScale() {
  tellFilters();
  const on = ready() && state.view === "heatmap";
  $("colour").hidden = $("swept-label").hidden = state.view !== "heatmap";
  $("of-map").hidden = $("span").hidden = state.view !== "map";
  if (ready()) $("min-text").textContent = `${usd(least())} USD`;
  for (const name of ["low", "high", "power", "min"]) $(name).value = state[name];
  $("power-text").textContent = (state.power / 100).toFixed(2);
  const stops = theme().ramp, at = (share) => state.low / 2 + ((state.high - state.low) / 2) * share; // the track is 0 to 200
  $("ramp").style.background = `linear-gradient(90deg, ${stops.map((colour, i) => `${colour} ${at((i / (stops.length - 1)) ** (1 / (state.power / 100))).toFixed(1)}%`).join(", ")})`;
  if (!on) { $("low-text").textContent = $("high-text").textContent = "–"; return; }
  $("low-text").textContent = usd(lowUsd());
  $("high-text").textContent = `${usd(highUsd())}${field.top > highUsd() ? " ▶" : ""}`;
  $("high-text").title = field.top > highUsd() ? `Amounts above it look alike; the largest is ${usd(field.top)} USD` : "Nothing is larger";
}

function tellSpan() {
  if (state.view !== "map" || !ready()) return;
  const [low, high] = spanOf(), share = (value) => Math.round((1000 * (value - low)) / (high - low));
  $("from").value = share(frame.x0);
  $("to").value = share(frame.x1);
  $("from-text").textContent = price(Number(frame.x0.toPrecision(5)));
  $("to-text").textContent = price(Number(frame.x1.toPrecision(5)));
  $("rail").style.background = `linear-gradient(90deg, var(--panel) ${$("from").value / 10}%, var(--faint) ${$("from").value / 10}% ${$("to").value / 10}%, var(--panel) ${$("to").value / 10}%)`;
}

function spanOf() { // three times the whole picture, as far as there are levels
  const [low, high] = mapReach(), wide = high - low;
  return [Math.max(bins.first * bins.step, low - wide, 0), Math.min((bins.first + bins.count) * bins.step, high + wide)].map((edge, i) => (i ? Math.max(edge, high) : Math.min(edge, low)));
}

function wireLegend() {
  for (const name of ["min", "low", "high", "power"]) {
    $(name).addEventListener("input", () => {
      const value = Number($(name).value);
      set(name, name === "low" ? Math.min(value, state.high - 5) : name === "high" ? Math.max(value, state.low + 5) : value);
      tellScale();
      redraw();
    });
  }
  for (const name of ["from", "to"]) {
    $(name).addEventListener("input", () => {
      const [low, high] = spanOf(), from = Number($("from").value), to = Number($("to").value), at = (share) => low + ((high - low) * share) / 1000;
      see({ ...frame, x0: at(name === "from" ? Math.min(from, to - 10) : from), x1: at(name === "to" ? Math.max(to, from + 10) : to) });
    });
  }
}
