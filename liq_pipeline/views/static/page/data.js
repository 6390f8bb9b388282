// Data: embedded in the page (from disk), or asked of the service; as typed arrays.
const KINDS = { "|u1": Uint8Array, "<i4": Int32Array, "<u4": Uint32Array, "<f4": Float32Array };
const KEEP = 12;
const cache = new Map(); // what was shown last, so that a switch back shows it at once

function unpack(buffer) {
  const size = new DataView(buffer).getUint32(0, true), found = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, size)));
  let at = 4 + size;
  for (const [name, kind, length] of found.arrays) {
    const end = at + length * KINDS[kind].BYTES_PER_ELEMENT;
    found[name] = new KINDS[kind](buffer.slice(at, end));
    at = end;
  }
  return found;
}

// Amounts per side and class, each over rows, then columns; columns are evenly spaced in time, also where the data has holes.
function heatmapOf(buffer) {
  const found = unpack(buffer), { columns, rows, cells, candles, column_seconds: width, cell_step: step } = found, count = columns.length;
  const begin = (count ? columns[0] : Date.parse(found.as_of) / 1000) - width, span = count ? Math.round((columns[count - 1] - columns[0]) / width) + 1 : 1;
  const place = Uint32Array.from(columns, (second) => Math.round((second - columns[0]) / width));
  const table = Float32Array.from({ length: 32_768 }, (_, code) => (code ? Math.exp((code - 1) * step) : 0));
  const half = cells.length / 2;
  let from = 0;
  found.layers = SIDES.map(() => CLASSES.map(() => {
    const amounts = new Float32Array(rows * span);
    for (let row = 0; row < rows; row++) {
      for (let column = 0, code = 0; column < count; column++, from++) {
        const zigzag = cells[from] | (cells[half + from] << 8);
        code += (zigzag >>> 1) ^ -(zigzag & 1);
        amounts[row * span + place[column]] = table[code];
      }
    }
    return amounts;
  }));
  found.cells = null;
  found.candles = Array.from({ length: 5 }, (_, field) => {
    const values = new Float32Array(span).fill(NaN);
    for (let column = 0; column < count; column++) values[place[column]] = candles[field * count + column];
    return values;
  });
  return Object.assign(found, { span, begin, high: found.price_low + rows * found.row_height });
}

async function ask(path, kind = "json") {
  const token = new URLSearchParams(location.hash.slice(1)).get("token"); // after the #: it never leaves the browser in an address
  const answer = await fetch(path, { headers: token ? { authorization: `Bearer ${token}` } : {} });
  if (answer.ok && kind !== "json") return kind === "packed" ? answer.arrayBuffer() : answer.blob();
  const body = await answer.json().catch(() => null); // a proxy in between answers in HTML
  if (!answer.ok || !body) throw Object.assign(new Error(body?.detail || `status ${answer.status}`), { similar: body?.similar, status: answer.status });
  return body;
}

async function embedded(id) {
  const bytes = Uint8Array.from(atob($(id).textContent), (sign) => sign.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

const asked = (what, more = {}) => `/liquidations/${what}?${new URLSearchParams({ symbol: state.symbol, timeframe: state.timeframe, ...more })}`;

// Of what a symbol and timeframe show: two promises, both on their way at once.
function fetched() {
  if (!served) return { heatmap: embedded("heatmap").then(heatmapOf), levels: embedded("levels").then(unpack) };
  return { heatmap: ask(asked("heatmap", { format: "packed" }), "packed").then(heatmapOf), levels: ask(asked("levels", { format: "packed" }), "packed").then(unpack) };
}

function kept(name) {
  const found = cache.get(name);
  if (found) { cache.delete(name); cache.set(name, found); }
  return found;
}

function keep(name, value) {
  cache.delete(name);
  cache.set(name, value);
  if (cache.size > KEEP) cache.delete(cache.keys().next().value);
}
