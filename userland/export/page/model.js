// SPDX-License-Identifier: GPL-2.0-or-later
// The trace: what html/parts.rs wrote, read in the same order, and what follows from it.

const ROLES = ["call", "request received", "asked of its control port", "exception", "mach_msg"];
const OUTCOMES = ["answered", "error", "sent, one way", "no answer seen", "failed"];
const [CLIENT, SERVER, CONTROL, EXCEPTION, FAILED] = [0, 1, 2, 3, 4];
const [ANSWERED, WITH_ERROR, ONE_WAY, UNANSWERED, CALL_FAILED] = [0, 1, 2, 3, 4];
const TO_KERNEL = 64;
const OUTSTANDING = 128;
/** Rows of a lane that overlap are drawn below one another, down to so many. */
const DEPTHS = 8;

const trace = { rows: 0, lanes: [], names: [], marks: [], buckets: [], length: 1, facts: [], title: "" };
let rows = null;

const roleOf = (row) => rows.flags[row] & 7;
const outcomeOf = (row) => (rows.flags[row] >> 3) & 7;
const endOf = (row) => rows.start[row] + rows.took[row];
const isBad = (flags) => ((flags >> 3) & 7) === WITH_ERROR || ((flags >> 3) & 7) === CALL_FAILED;

function readOverview(bytes) {
  const reader = new Reader(bytes);
  for (const name of ["rows", "messages", "second", "nanosecond", "length", "texts", "bytes", "chunk", "kept", "lost", "leftOut"]) {
    trace[name] = reader.number();
  }
  const list = (read) => Array.from({ length: reader.number() }, read);
  trace.title = reader.text();
  trace.facts = list(() => [reader.text(), reader.text()]);
  trace.lanes = list((_, number) => {
    const [task, thread, name] = [reader.number(), reader.number(), reader.text()];
    return { number, task, thread, name, label: `${name}[${task}${thread ? "/" + thread : ""}]`, tracks: [] };
  });
  trace.names = list(() => reader.text());
  trace.marks = list(() => ({ time: reader.number(), lost: reader.number(), text: reader.text() }));
  trace.buckets = list(() => ({ all: reader.number(), bad: reader.number() }));
  trace.length = Math.max(trace.length, 1);
}

/** Reads the columns, and lets the browser draw between them. */
async function readColumns(bytes) {
  const reader = new Reader(bytes);
  const count = trace.rows;
  const column = async (Type, read) => {
    const part = new Reader(reader.take(reader.number()));
    const values = new Type(count);
    for (let row = 0; row < count; row++) values[row] = read(part, row);
    await pause();
    return values;
  };
  let [before, place] = [0, 0];
  const read = {
    start: await column(Float64Array, (part) => (before += part.number())),
    took: await column(Float64Array, (part) => part.number()),
    first: await column(Float64Array, (part) => (place += part.difference())),
    last: await column(Float64Array, (part) => part.number()),
    lane: await column(Uint32Array, (part) => part.number()),
    what: await column(Uint32Array, (part) => part.number()),
    flags: await column(Uint8Array, (part) => part.bytes[part.at++]),
    link: await column(Int32Array, (part, row) => {
      const distance = part.difference();
      return distance ? row - distance : -1;
    }),
    peer: await column(Int32Array, (part) => part.number() - 1),
  };
  let expected = 0;
  read.at = await column(Uint32Array, (part) => {
    const at = expected + part.difference();
    expected = at + 1;
    return at;
  });
  read.rowOf = new Uint32Array(count);
  for (let row = 0; row < count; row++) read.rowOf[read.at[row]] = row;
  for (let row = 0; row < count; row++) if (read.link[row] >= 0) read.link[read.link[row]] = row;
  for (let row = 0; row < count; row++) read.last[row] += read.first[row];
  rows = read;
  await pause();
  nest();
  await pause();
  track();
}

/** Which request a thread had received and not answered yet when it sent another: only where there was one and no more. */
function nest() {
  const count = trace.rows;
  rows.parent = new Int32Array(count).fill(-1);
  rows.depth = new Uint8Array(count);
  const serving = trace.lanes.map(() => []);
  const ends = trace.lanes.map(() => []);
  for (let row = 0; row < count; row++) {
    // Records have places in one order; by their times alone some are together that are not.
    const [lane, first, last] = [rows.lane[row], rows.first[row], rows.last[row]];
    const role = rows.flags[row] & 7;
    let open = serving[lane];
    if (open.length && open.some((other) => rows.last[other] < first)) {
      open = serving[lane] = open.filter((other) => rows.last[other] >= first);
    }
    if (role === CLIENT && open.length === 1) rows.parent[row] = open[0];
    if (role === SERVER && ((rows.flags[row] >> 3) & 7) !== ONE_WAY) open.push(row);
    const until = ends[lane];
    let depth = 0;
    while (depth < until.length && until[depth] > first) depth++;
    depth = Math.min(depth, DEPTHS - 1);
    until[depth] = last;
    rows.depth[row] = depth;
  }
  trace.lanes.forEach((lane, number) => (lane.depths = Math.max(ends[number].length, 1)));
}

/** Rows by lane and depth, which do not overlap; with sums, so that any number of them is summed up by two look-ups. */
function track() {
  const count = trace.rows;
  const sizes = new Uint32Array(trace.lanes.length * DEPTHS + 1);
  for (let row = 0; row < count; row++) sizes[rows.lane[row] * DEPTHS + rows.depth[row] + 1]++;
  for (let at = 1; at < sizes.length; at++) sizes[at] += sizes[at - 1];
  const next = sizes.slice();
  const order = new Uint32Array(count);
  for (let row = 0; row < count; row++) order[next[rows.lane[row] * DEPTHS + rows.depth[row]]++] = row;
  const [start, busy, bad, hits] = [new Float64Array(count), new Float64Array(count + 1), new Uint32Array(count + 1), new Uint32Array(count + 1)];
  for (let place = 0; place < count; place++) {
    const row = order[place];
    start[place] = rows.start[row];
    busy[place + 1] = busy[place] + rows.took[row];
    bad[place + 1] = bad[place] + (isBad(rows.flags[row]) ? 1 : 0);
  }
  trace.tracks = { order, start, busy, bad, hits };
  trace.lanes.forEach((lane, number) => {
    lane.tracks = Array.from({ length: lane.depths }, (_, depth) => [sizes[number * DEPTHS + depth], sizes[number * DEPTHS + depth + 1]]);
  });
  const byTask = (one, other) => one.task - other.task || one.thread - other.thread || one.number - other.number;
  trace.ordered = trace.lanes.slice().sort(byTask);
}

/** The first place in sorted values, from `low` up to `high`, that has at least this value. */
function lowerBound(values, low, high, value) {
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (values[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Rows that one thing led to another by: what asked for it, up to the first, and what it asked for, down to the last. */
function chainOf(row) {
  const chain = new Set();
  const up = (at) => {
    for (let next = at; next >= 0 && !chain.has(next); ) {
      chain.add(next);
      next = roleOf(next) === SERVER ? rows.link[next] : rows.parent[next];
    }
  };
  up(row);
  const open = [row];
  while (open.length && chain.size < 10000) {
    const at = open.pop();
    chain.add(at);
    const other = rows.link[at];
    if (roleOf(at) === CLIENT && other >= 0) open.push(other);
    if (roleOf(at) === SERVER) open.push(...childrenOf(at, 1000));
  }
  return chain;
}

/** Requests that were sent while this one was served. */
function childrenOf(row, most) {
  const found = [];
  const [lane, end] = [rows.lane[row], endOf(row)];
  for (let next = row + 1; next < trace.rows && rows.start[next] <= end && found.length < most; next++) {
    if (rows.lane[next] === lane && rows.parent[next] === row) found.push(next);
  }
  return found;
}

/** The task that a call went to, as far as the trace tells: its number, 0 for the kernel, or -1. */
function receiverOf(row) {
  if (roleOf(row) === SERVER) return trace.lanes[rows.lane[row]].task;
  const other = rows.link[row];
  if (other >= 0) return trace.lanes[rows.lane[other]].task;
  return rows.flags[row] & TO_KERNEL ? 0 : -1;
}

/** Nanoseconds in words, to three digits. */
function duration(time) {
  for (const [unit, name] of [[1e9, "s"], [1e6, "ms"], [1e3, "µs"]]) {
    if (Math.abs(time) >= unit) return `${Number((time / unit).toPrecision(Math.abs(time) >= 1000 * unit ? 6 : 3))} ${name}`;
  }
  return `${Math.round(time)} ns`;
}

/** When in the trace, with as many digits as a span of this length needs. */
function moment(time, span = 1e4) {
  const digits = Math.min(9, Math.max(3, Math.ceil(11 - Math.log10(Math.max(span, 1)))));
  return `${(time / 1e9).toFixed(digits)} s`;
}

/** Lets the browser do what else is to be done. */
function pause() {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
