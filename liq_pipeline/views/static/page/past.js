// The past: a slider over the heatmap's columns. The heatmap ends there; the map is asked of the service (`?at=`).
let playing = false, askedAt = "", pastOf = new Map();
const STEP_MILLISECONDS = 120;

const closes = (column) => heatmap.begin + (column + 1) * heatmap.column_seconds;
const knowsPast = () => served || state.view === "heatmap"; // a file holds the newest levels only
const hasPast = () => Boolean(heatmap) && knowsPast();
const wishedAt = () => (knowsPast() ? state.at : ""); // from disk the map stays the newest one, whatever the heatmap's slider says

const shownAt = () => (state.view === "heatmap" ? closes(cut()) : Date.parse(levels && levels !== current.levels ? levels.as_of : state.at) / 1000); // the instant that is shown, of the past

function settle() { // an instant that cannot be shown is said, and not claimed
  if (!state.at) return;
  const wished = Date.parse(state.at) / 1000, said = instant(wished), first = closes(0), last = closes(heatmap.span - 1);
  if (wished > last) {
    state.at = "";
    remark(`${said} lies ahead of the data: the newest is shown, ${instant(last)}.`);
  } else if (wished < first && state.view === "heatmap") {
    goodAt(first);
    remark(`${said} lies before this heatmap, which begins ${instant(first)}: the map and longer timeframes go farther back.`);
  }
}

function goodAt(seconds) {
  state.at = new Date(seconds * 1000).toISOString().replace(":00.000Z", "Z");
}

function tellPast() {
  const able = hasPast();
  $("past").classList.toggle("none", !knowsPast());
  for (const id of ["at", "play", "now"]) $(id).disabled = !able;
  if (!knowsPast()) { $("at-text").textContent = "This file holds the newest map only. The past: the heatmap here; of the map, liq serve or liq at."; return; }
  if (!heatmap) { $("at-text").textContent = ""; return; }
  $("at").max = heatmap.span - 1;
  $("at").value = cut();
  $("at-text").textContent = state.at ? instant(shownAt()) : `newest: ${instant(closes(heatmap.span - 1))}`;
  $("at").setAttribute("aria-valuetext", $("at-text").textContent);
  $("now").disabled = !able || !state.at;
  $("when").disabled = !able;
  if (document.activeElement !== $("when")) $("when").value = state.at && able ? iso(shownAt()).slice(0, 16) : "";
}

async function goTo(column) {
  const last = column >= heatmap.span - 1;
  if (last) state.at = ""; else goodAt(closes(column));
  remember();
  if (state.view === "map") await showPast();
  else show();
}

async function showPast() { // the levels of the instant that is chosen; while one is asked for, only the newest wish counts
  const wished = state.at, name = `${state.symbol} ${state.timeframe}`;
  if (!served || state.view !== "map") return;
  tellPast();
  if (!wished) { askedAt = ""; if (current.levels && levels !== current.levels) takeLevels(current.levels); show(); return; }
  const place = `${name} ${wished}`;
  askedAt = place;
  if (!pastOf.has(place)) {
    setTimeout(() => { if (askedAt === place && !pastOf.has(place) && state.view === "map" && state.at === wished && place.startsWith(`${state.symbol} ${state.timeframe} `)) awaiting(wished); }, 300); // what is still in sight is of another instant
    await new Promise((done) => setTimeout(done, playing ? 0 : 60));
    if (askedAt !== place) return;
    try {
      const found = await ask(asked("levels", { format: "packed", at: wished }), "packed").then(unpack);
      if (pastOf.size > 60) pastOf = new Map();
      pastOf.set(place, found);
    } catch (error) {
      if (askedAt !== place) return;
      askedAt = "";
      $("plot").classList.remove("asking");
      say(`No map of ${instant(Date.parse(wished) / 1000)}: ${error.message}`, "stale");
      if (!ready()) $("nothing").textContent = $("status").textContent;
      return;
    }
  }
  if (askedAt !== place || state.at !== wished || name !== `${state.symbol} ${state.timeframe}`) return;
  takeLevels(pastOf.get(place));
  show();
}

function awaiting(wished) {
  $("plot").classList.add("asking");
  say(`Asking for the map of ${instant(Date.parse(wished) / 1000)} …`);
}

async function play() {
  playing = !playing;
  $("play").textContent = playing ? "Pause" : "Play";
  $("play").setAttribute("aria-pressed", String(playing));
  if (playing && cut() >= heatmap.span - 1) await goTo(0);
  while (playing && heatmap && hasPast() && cut() < heatmap.span - 1) {
    const until = performance.now() + (calm.matches ? 4 : 1) * STEP_MILLISECONDS;
    await goTo(Math.min(heatmap.span - 1, cut() + Math.max(1, Math.round(heatmap.span / 180))));
    await new Promise((done) => setTimeout(done, Math.max(16, until - performance.now())));
  }
  playing = false;
  $("play").textContent = "Play";
  $("play").setAttribute("aria-pressed", "false");
}

function stopPlaying() {
  playing = false;
}

function wirePast() {
  $("at").addEventListener("input", () => { stopPlaying(); goTo(Number($("at").value)); });
  $("play").addEventListener("click", play);
  $("when").addEventListener("change", () => {
    const typed = Date.parse(`${$("when").value}Z`) / 1000;
    if (Number.isNaN(typed) || !heatmap) return;
    stopPlaying();
    goodAt(typed - shift(typed));
    settle();
    if (state.view === "map") showPast(); else show();
    remember();
  });
  $("now").addEventListener("click", () => { stopPlaying(); goTo(heatmap.span - 1); });
}
