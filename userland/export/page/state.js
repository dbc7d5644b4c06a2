// SPDX-License-Identifier: GPL-2.0-or-later
// What is being looked at, and when that is drawn again.

const $ = (id) => document.getElementById(id);

/** Times are nanoseconds since the first record. */
const state = {
  from: 0, to: 1, selected: -1, chain: null, view: "timeline", scroll: 0, hover: -1, tab: "messages",
  /** Which rows are looked for: null where all are, else one byte a row. */
  hits: null, hitCount: 0, query: "", tookMin: 0, tookMax: Infinity, ready: false,
};

/** The shortest time that the window shows. */
const SHORTEST = 20;
let isScheduled = false;
let settling = 0;
const painters = [];
const settled = [];

/** Draws at the next frame. */
function redraw() {
  if (isScheduled) return;
  isScheduled = true;
  requestAnimationFrame((now) => {
    isScheduled = false;
    for (const paint of painters) paint(now);
  });
}

/** What takes longer than a frame is brought up to date when nothing has changed for a moment. */
function settle() {
  clearTimeout(settling);
  settling = setTimeout(() => settled.forEach((update) => update()), 120);
}

function show(from, to) {
  const span = Math.min(Math.max(to - from, SHORTEST), trace.length * 1.04);
  const margin = trace.length * 0.02;
  const start = Math.min(Math.max(from, -margin), trace.length + margin - span);
  if (start === state.from && start + span === state.to) return;
  [state.from, state.to] = [start, start + span];
  redraw();
  settle();
}

const showAll = () => show(-trace.length * 0.02, trace.length * 1.02);

function zoom(factor, around = (state.from + state.to) / 2) {
  show(around - (around - state.from) * factor, around + (state.to - around) * factor);
}

function pan(part) {
  const by = (state.to - state.from) * part;
  show(state.from + by, state.to + by);
}

/** Selects a row, or none with -1, and has it in sight. */
function select(row, { reveal = true } = {}) {
  if (!rows) return;
  state.selected = row;
  // What belongs to nothing leaves the rest as it is.
  const chain = row >= 0 ? chainOf(row) : null;
  state.chain = chain && chain.size > 1 ? chain : null;
  if (row >= 0 && reveal) {
    const [start, end, span] = [rows.start[row], endOf(row), state.to - state.from];
    if (start < state.from || start > state.to || (end > state.to && rows.took[row] < span)) show(start - span * 0.3, start + span * 0.7);
    if (state.view === "sequence") revealMessage(row);
    revealLane(trace.lanes[rows.lane[row]], rows.depth[row]);
  }
  showDetails(row);
  revealRow(row);
  redraw();
}

/** Fits the selected row, or, if it is fitted, what it led to. */
function fit() {
  if (state.selected < 0) return showAll();
  const fitTo = (start, end) => {
    const room = Math.max((end - start) * 0.15, SHORTEST);
    return [start - room, end + room];
  };
  const row = state.selected;
  const one = fitTo(rows.start[row], endOf(row));
  const isFitted = Math.abs(state.from - one[0]) < 1 && Math.abs(state.to - one[1]) < 1;
  if (!isFitted) {
    show(...one);
    return revealRow(row);
  }
  let [start, end] = [Infinity, -Infinity];
  for (const other of state.chain || [row]) [start, end] = [Math.min(start, rows.start[other]), Math.max(end, endOf(other))];
  show(...fitTo(start, end));
  revealRow(row);
}

/** Selects the next or previous row that this holds for, from the selected one on, or from the start of the window. */
function step(direction, holds) {
  if (!rows) return;
  let row = state.selected;
  if (row < 0) row = lowerBound(rows.start, 0, trace.rows, state.from) - (direction > 0 ? 1 : 0);
  for (row += direction; row >= 0 && row < trace.rows; row += direction) if (holds(row)) return select(row);
  say(direction > 0 ? "There is none after it." : "There is none before it.");
}

/** Next of what is looked for, or else of the same thread. */
function stepUsual(direction) {
  if (state.hits) return step(direction, (row) => state.hits[row] === 1);
  const lane = state.selected >= 0 ? rows.lane[state.selected] : -1;
  step(direction, (row) => lane < 0 || rows.lane[row] === lane);
}

function say(text) {
  $("status").textContent = text;
}

/** An element with a text and children; no text is ever taken for markup. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}
