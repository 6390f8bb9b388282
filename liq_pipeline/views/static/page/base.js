// What every part uses: elements, words, numbers. All parts are one script, in the order of `views/page.py`.
const $ = (id) => document.getElementById(id);
const boot = JSON.parse($("boot").textContent);
const { themes, classes: CLASSES, timeframes: TIMEFRAMES } = boot.style;
const SIDES = ["long", "short"];
const served = boot.mode === "service";
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const narrow = () => innerWidth < 640;
const clamp = (value, least, most) => Math.min(most, Math.max(least, value));

function make(tag, attributes = {}, ...children) {
  const element = Object.assign(document.createElement(tag), attributes);
  element.append(...children);
  return element;
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
const zone = () => (state.clock === "utc" ? "UTC" : "local");
const instant = (seconds) => `${iso(seconds).slice(0, 16).replace("T", " ")} ${zone()}`;
const clockTime = (milliseconds) => `${iso(milliseconds / 1000).slice(11, 16)} ${zone()}`;
const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

function tickText(seconds, step) {
  const text = iso(seconds), day = `${Number(text.slice(8, 10))} ${MONTHS[Number(text.slice(5, 7)) - 1]}`;
  return step >= 86_400 || text.slice(11, 16) === "00:00" ? day : text.slice(11, 16);
}
