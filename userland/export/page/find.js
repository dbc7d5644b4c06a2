// SPDX-License-Identifier: GPL-2.0-or-later
// Finding: all texts are kept in memory, in small letters, and looked through at each letter that is typed.

const texts = { chunks: [], starts: [], read: 0 };

/** Reads all texts, a chunk at a time, while the page is in use. */
async function readTexts() {
  for (let chunk = 0; chunk < trace.texts; chunk++) {
    const bytes = await block(`text${chunk}`);
    const starts = [0];
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at];
      if (byte >= 65 && byte <= 90) bytes[at] = byte + 32;
      else if (byte === 0) starts.push(at + 1);
    }
    texts.starts.push(Uint32Array.from(starts));
    texts.chunks.push(ascii.decode(bytes));
    texts.read = chunk + 1;
    if (state.query && chunk % 50 === 49) find();
  }
  find();
}

const ascii = new TextDecoder("latin1");

/** Marks the rows that are looked for: those that have the text, and took as long as is wanted. */
function find() {
  if (!rows) return;
  const began = performance.now();
  const query = state.query.toLowerCase();
  const all = query === "";
  if (all && state.tookMin <= 0 && state.tookMax === Infinity) {
    state.hits = null;
    state.hitCount = 0;
  } else {
    const hits = all ? new Uint8Array(trace.rows).fill(1) : withText(query);
    if (state.tookMin > 0 || state.tookMax < Infinity) {
      for (let row = 0; row < trace.rows; row++) {
        const took = rows.took[row];
        if (!hasAnswer(row) || took < state.tookMin || took >= state.tookMax) hits[row] = 0;
      }
    }
    let count = 0;
    const { order, hits: sums } = trace.tracks;
    for (let place = 0; place < order.length; place++) {
      count += hits[order[place]];
      sums[place + 1] = count;
    }
    [state.hits, state.hitCount] = [hits, count];
  }
  performance.measure("find", { start: began });
  showFound();
  redraw();
  settle();
}

function withText(query) {
  const hits = new Uint8Array(trace.rows);
  for (let chunk = 0; chunk < texts.read; chunk++) {
    const [text, starts] = [texts.chunks[chunk], texts.starts[chunk]];
    let row = 0;
    for (let at = text.indexOf(query); at >= 0; at = text.indexOf(query, starts[row + 1])) {
      while (starts[row + 1] <= at) row++;
      hits[rows.rowOf[chunk * trace.chunk + row]] = 1;
    }
  }
  return hits;
}

function showFound() {
  const parts = [];
  if (state.query || state.hits) parts.push(`${state.hitCount.toLocaleString("en")} of ${trace.rows.toLocaleString("en")}`);
  if (state.tookMin > 0 || state.tookMax < Infinity) parts.push(`${duration(state.tookMin)} – ${state.tookMax === Infinity ? "∞" : duration(state.tookMax)}`);
  if (state.query && texts.read < trace.texts) parts.push(`reading ${Math.floor((100 * texts.read) / trace.texts)} %`);
  $("found").textContent = parts.join(", ");
}

function setQuery(query) {
  state.query = query;
  if ($("query").value !== query) $("query").value = query;
  find();
}
