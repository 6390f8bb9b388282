// What every part uses: elements, words, numbers. All parts are one script, in the order of `views/page.py`.
const $ = (id) => document.getElementById(id);
const boot = JSON.parse($("boot").textContent);
const { themes, classes: CLASSES, timeframes: TIMEFRAMES } = boot.style;
const SIDES = ["long", "short"];
const served = boot.mode === "service";
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const touched = () => matchMedia("(hover: none)").matches;
const clamp = (value, least, most) => Math.min(most, Math.max(least, value));

function make(tag, attributes = {}, ...children) {
  const element = Object.assign(document.createElement(tag), attributes);
  element.append(...children);
  return element;
}

function steady(act) { // the chart, and what is below it, stays where it is on the screen: under the finger
  const before = $("stage").getBoundingClientRect().top;
  act();
  scrollBy(0, $("stage").getBoundingClientRect().top - before);
}

function usd(value) {
  for (const [size, letter] of [[1e9, "B"], [1e6, "M"], [1e3, "K"]]) if (Math.abs(value) >= size * 0.9995) return `${Number((value / size).toPrecision(3))} ${letter}`;
  return `${Math.round(value)}`;
}

const few = new Intl.NumberFormat("en-US", { maximumFractionDigits: 1 }), many = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 6 });
const price = (value) => (Math.abs(value) >= 1000 ? few : many).format(value);
const signed = (value, digits = 1) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(digits)}`;

// Seconds to add to UTC for the clock that is chosen.
const shift = (seconds) => (state.clock === "utc" ? 0 : -60 * new Date(seconds * 1000).getTimezoneOffset());
const iso = (seconds) => new Date((seconds + shift(seconds)) * 1000).toISOString();
function zone(seconds) { // "UTC", or how far the local clock is from it then: UTC+5:30
  const minutes = Math.round(shift(seconds) / 60), size = Math.abs(minutes);
  return `UTC${minutes ? `${minutes < 0 ? "−" : "+"}${Math.floor(size / 60)}${size % 60 ? `:${String(size % 60).padStart(2, "0")}` : ""}` : ""}`;
}
const instant = (seconds) => `${iso(seconds).slice(0, 16).replace("T", " ")} ${zone(seconds)}`;
const clockTime = (milliseconds) => `${iso(milliseconds / 1000).slice(11, 16)} ${zone(milliseconds / 1000)}`;
const WEEKDAYS = "Sun Mon Tue Wed Thu Fri Sat".split(" "), MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

const dayText = (text) => `${Number(text.slice(8, 10))} ${MONTHS[Number(text.slice(5, 7)) - 1]}`;
const tagTime = (seconds) => `${WEEKDAYS[new Date(iso(seconds)).getUTCDay()]} ${dayText(iso(seconds))} ${iso(seconds).slice(11, 16)}`;

function tickText(seconds, step) {
  const text = iso(seconds);
  return step >= 86_400 || text.slice(11, 16) === "00:00" ? dayText(text) : text.slice(11, 16);
}
