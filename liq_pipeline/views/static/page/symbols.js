// Which symbols there are, a name as people write it, and the list to choose from.
let symbols = [];
const AT_ONCE = 60; // rows: more than a list shows; the others follow when these are there
const OTHER_SYMBOLS = "Other symbols: their own pages, or liq serve";

async function loadSymbols() {
  const found = await ask("/symbols");
  symbols = found.symbols;
}

function resolved(name) { // "btc" is BTCUSDT
  const names = new Map(symbols.map((one) => [one.symbol.toUpperCase(), one.symbol]));
  for (const end of ["", "USDT", "USDC", "USD_PERP"]) if (names.has(name + end)) return names.get(name + end);
  return "";
}

const looksWhole = (name) => /(USD[TC]?|_PERP|_\d{6})$/.test(name);

function pick() {
  if (!served) { remark(OTHER_SYMBOLS); return; }
  if ($("picker").open) return;
  const began = performance.now();
  $("find").value = "";
  listSymbols();
  $("picker").showModal();
  $("find").focus();
  requestAnimationFrame(() => setTimeout(() => { $("picker").dataset.opened = (performance.now() - began).toFixed(1); }));
}

function listSymbols() {
  const wish = plainName($("find").value);
  const some = symbols.filter((one) => one.symbol.toUpperCase().includes(wish));
  some.sort((a, b) => !a.symbol.startsWith(wish) - !b.symbol.startsWith(wish));
  const rows = some.slice(0, AT_ONCE).map(symbolRow);
  $("found").replaceChildren(...(rows.length ? rows : [make("li", { textContent: symbols.length ? `No published symbol has “${wish}” in its name.` : "Asking …" })]));
  clearTimeout(listSymbols.rest);
  listSymbols.rest = setTimeout(() => $("found").append(...some.slice(AT_ONCE).map(symbolRow)), 60);
}

function symbolRow(one) {
  return make("li", {}, make("button", { type: "button", value: one.symbol, title: one.notice, ariaCurrent: String(one.symbol === state.symbol) },
    one.symbol, make("span", { textContent: `${price(one.current_price)}${one.is_stale ? " · stale" : ""}` })));
}

function wireSymbols() {
  $("symbol").addEventListener("click", pick);
  $("find").addEventListener("input", listSymbols);
  $("find").addEventListener("keydown", (event) => {
    const first = $("found").querySelector("button");
    if (event.key === "Escape") { event.preventDefault(); $("picker").close(); } // a search field would only empty itself
    if (event.key === "Enter" && first) { event.preventDefault(); first.click(); }
    if (event.key === "ArrowDown" && first) { event.preventDefault(); first.focus(); }
  });
  $("found").addEventListener("keydown", (event) => {
    const row = event.target.closest("li"), next = { ArrowDown: row?.nextElementSibling, ArrowUp: row?.previousElementSibling }[event.key];
    if (event.key in ARROWS) { event.preventDefault(); (next?.querySelector("button") || $("find")).focus(); }
  });
  $("found").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    $("picker").close();
    choose({ symbol: button.value });
  });
  $("picker").addEventListener("click", (event) => { if (event.target === $("picker")) $("picker").close(); });
}
