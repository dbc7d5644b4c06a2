// SPDX-License-Identifier: GPL-2.0-or-later
// A task a column, a message a line, in the order in which they were seen: from the start of the window on, as many as there is room for.

const sequence = { line: 24, head: 34, drawn: [], from: NaN, place: 0 };

/** The place in the order of all records that the diagram begins at: of many that have one time, not all are in it at once. */
function firstPlace() {
  if (sequence.from !== state.from) {
    const row = lowerBound(rows.start, 0, trace.rows, Math.max(state.from, 0));
    [sequence.from, sequence.place] = [state.from, row < trace.rows ? rows.first[row] : Infinity];
  }
  return sequence.place;
}

/** Has the diagram begin at a place, and the window at its time. */
function moveSequence(place, time) {
  show(time, time + state.to - state.from);
  [sequence.from, sequence.place] = [state.from, place];
  redraw();
}

/** Has a row in the diagram. */
function revealMessage(row) {
  if (sequence.drawn.some(([other]) => other === row)) return;
  const before = Math.max(row - 3, 0);
  moveSequence(rows.first[before], rows.start[before]);
}

/** Messages from a place on: when, which row, and whether it is the answer. One that both ends recorded is there once. */
function messagesFrom(place, most) {
  const found = [];
  const isOne = (row) => !(roleOf(row) === SERVER && rows.link[row] >= 0) && (!state.hits || state.hits[row] === 1);
  let row = lowerBound(rows.first, 0, trace.rows, place);
  // Answers to requests of before the window are not far from it, or are not shown.
  const early = Math.max(0, row - 4 * most);
  for (let at = early; at < row; at++) {
    if (isOne(at) && hasAnswer(at) && rows.last[at] >= place) found.push([endOf(at), at, true, rows.last[at]]);
  }
  for (let count = 0; row < trace.rows && count < most; row++) {
    if (!isOne(row)) continue;
    count++;
    found.push([rows.start[row], row, false, rows.first[row]]);
    if (hasAnswer(row)) found.push([endOf(row), row, true, rows.last[row]]);
  }
  found.sort((one, other) => one[3] - other[3]);
  return found.slice(0, most);
}

const hasAnswer = (row) => outcomeOf(row) === ANSWERED || outcomeOf(row) === WITH_ERROR;

/** The columns of these messages: traced tasks, then those that the trace does not name. */
function parties(messages) {
  const present = new Set(messages.flatMap(([, row]) => ends(row)));
  const found = [];
  for (const lane of trace.ordered) {
    if (!present.has(lane.task) || found.some((party) => party.task === lane.task)) continue;
    found.push({ task: lane.task, label: `${lane.name}[${lane.task}]` });
  }
  if (present.has(0)) found.push({ task: 0, label: "kernel" });
  if (present.has(-1)) found.push({ task: -1, label: "not traced" });
  return found;
}

/** From whose column to whose. */
function ends(row) {
  const own = trace.lanes[rows.lane[row]].task;
  const role = roleOf(row);
  if (role === SERVER) return [rows.peer[row] >= 0 ? rows.peer[row] + 1 : -1, own];
  if (role === CONTROL) return [-1, own];
  if (role === EXCEPTION) return [own, -1];
  if (role === FAILED) return [own, own];
  return [own, receiverOf(row)];
}

function drawSequence() {
  const { surface } = timeline;
  const pen = surface.begin(palette.panel);
  pen.font = FONT;
  pen.textBaseline = "middle";
  sequence.drawn = [];
  const most = Math.floor((surface.height - sequence.head) / sequence.line);
  const found = messagesFrom(firstPlace(), most);
  const all = parties(found);
  const left = surface.width < 600 ? 8 : 92;
  const distance = Math.min(Math.max((surface.width - left) / Math.max(all.length, 1), 64), 320);
  const place = new Map(all.map((party, at) => [party.task, left + distance * (at + 0.5)]));
  pen.fillStyle = palette.line;
  for (const x of place.values()) pen.fillRect(Math.round(x), sequence.head, 1, surface.height);
  found.forEach(([time, row, isAnswer], at) => {
    const y = sequence.head + (at + 0.65) * sequence.line;
    const [from, to] = ends(row);
    const [x1, x2] = isAnswer ? [place.get(to), place.get(from)] : [place.get(from), place.get(to)];
    drawMessage(pen, row, isAnswer, x1, x2, y, distance);
    if (left > 8) {
      pen.fillStyle = palette.soft;
      pen.fillText(moment(time, 1e5), 6, y);
    }
    sequence.drawn.push([row, y]);
  });
  if (!found.length) {
    pen.fillStyle = palette.soft;
    pen.fillText("No message begins after the start of the window.", left, sequence.head + 20);
  }
  drawHeads(pen, all, place, distance);
}

function drawHeads(pen, all, place, distance) {
  pen.fillStyle = palette.page;
  pen.fillRect(0, 0, timeline.surface.width, sequence.head - 4);
  pen.font = BOLD;
  for (const party of all) {
    const text = fitted(pen, party.label, distance - 12);
    const [x, width] = [place.get(party.task), widthOf(pen, text) + 16];
    pen.fillStyle = palette.panel;
    pen.fillRect(x - width / 2, 4, width, 22);
    pen.strokeStyle = palette.line;
    pen.lineWidth = 1;
    pen.setLineDash(party.task <= 0 ? [3, 2] : []);
    pen.strokeRect(x - width / 2, 4, width, 22);
    pen.setLineDash([]);
    pen.fillStyle = party.task > 0 ? palette.text : palette.soft;
    pen.fillText(text, x - width / 2 + 8, 15);
  }
  pen.font = FONT;
}

function drawMessage(pen, row, isAnswer, x1, x2, y, distance) {
  const outcome = outcomeOf(row);
  const isWrong = (isAnswer && outcome === WITH_ERROR) || outcome === CALL_FAILED;
  const isLit = !state.chain || state.chain.has(row) || state.chain.has(rows.link[row]);
  const color = isWrong ? palette.bad : row === state.selected ? palette.accent : palette.stroke[rows.what[row]];
  pen.globalAlpha = isLit ? 1 : 0.35;
  if (row === state.selected) {
    pen.fillStyle = palette.band;
    pen.fillRect(0, y - sequence.line / 2, timeline.surface.width, sequence.line);
  }
  pen.strokeStyle = pen.fillStyle = color;
  pen.lineWidth = row === state.selected ? 2.5 : 1.5;
  pen.setLineDash(isAnswer ? [5, 3] : []);
  const own = x1 === x2;
  const direction = own ? -1 : Math.sign(x2 - x1);
  pen.beginPath();
  pen.moveTo(x1, y + 4);
  if (own) pen.lineTo(x1 + 22, y + 4);
  if (own) pen.lineTo(x1 + 22, y + 9);
  pen.lineTo(x2 - direction * 3, own ? y + 9 : y + 4);
  pen.stroke();
  pen.setLineDash([]);
  const head = own ? y + 9 : y + 4;
  pen.beginPath();
  pen.moveTo(x2, head);
  pen.lineTo(x2 - direction * 7, head - 4);
  pen.lineTo(x2 - direction * 7, head + 4);
  pen.fill();
  const name = trace.names[rows.what[row]];
  const sign = isWrong ? "✕ " : !isAnswer && outcome === UNANSWERED ? "… " : "";
  const text = fitted(pen, isAnswer ? `${sign}${name} reply` : `${sign}${name}`, Math.max(Math.abs(x2 - x1), distance) - 24);
  const at = own ? x1 + 28 : Math.min(x1, x2) + Math.max((Math.abs(x2 - x1) - widthOf(pen, text)) / 2, 8);
  const width = widthOf(pen, text);
  pen.fillStyle = row === state.selected ? palette.band : palette.panel;
  pen.fillRect(at - 3, y - 10, width + 6, 11);
  pen.fillStyle = isWrong ? palette.bad : palette.text;
  pen.fillText(text, at, y - 4);
  pen.globalAlpha = 1;
}

/** Moves on by so many messages, or back. */
function scrollSequence(lines) {
  if (lines > 0) {
    const found = messagesFrom(firstPlace(), lines + 1);
    const next = found[Math.min(lines, found.length - 1)];
    if (next) moveSequence(next[3], next[0]);
    return;
  }
  const row = Math.max(lowerBound(rows.first, 0, trace.rows, firstPlace()) + lines, 0);
  if (row < trace.rows) moveSequence(rows.first[row], rows.start[row]);
}

function rowAtLine(y) {
  for (const [row, at] of sequence.drawn) if (Math.abs(y - at) <= sequence.line / 2) return row;
  return -1;
}
