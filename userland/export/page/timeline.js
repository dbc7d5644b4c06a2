// SPDX-License-Identifier: GPL-2.0-or-later
// Threads from top to bottom, time from left to right. Where there are more rows than points, each two points sum up what is in them.

const timeline = {
  surface: null,
  /** Points that the lanes' names take. */
  gutter: 150,
  axis: 24,
  row: 18,
  gap: 5,
  /** Points that a sum is for. */
  column: 2,
  /** What was drawn where: row, left, top, width. */
  drawn: [],
};

function xOf(time) {
  return timeline.gutter + ((time - state.from) / (state.to - state.from)) * (timeline.surface.width - timeline.gutter);
}

function timeAt(x) {
  return state.from + ((x - timeline.gutter) / (timeline.surface.width - timeline.gutter)) * (state.to - state.from);
}

const laneHeight = (lane) => lane.depths * timeline.row + timeline.gap;

/** Scrolls so that a lane is in sight. */
function revealLane(lane, depth) {
  if (!timeline.surface || !trace.ordered) return;
  let top = 0;
  for (const other of trace.ordered) {
    if (other === lane) break;
    top += laneHeight(other);
  }
  top += depth * timeline.row;
  const room = timeline.surface.height - timeline.axis - timeline.row;
  if (top < state.scroll) state.scroll = top;
  else if (top > state.scroll + room) state.scroll = top - room;
}

function scrollBy(points) {
  const all = (trace.ordered || []).reduce((sum, lane) => sum + laneHeight(lane), 0);
  const room = timeline.surface.height - timeline.axis;
  state.scroll = Math.max(0, Math.min(state.scroll + points, all - room + 20));
  redraw();
}

function drawTimeline() {
  timeline.gutter = timeline.surface.width < 600 ? 96 : 160;
  const { surface, gutter, axis } = timeline;
  const pen = surface.begin(palette.panel);
  pen.font = FONT;
  pen.textBaseline = "middle";
  timeline.drawn = [];
  drawGrid(pen);
  let top = axis - state.scroll;
  const lanes = trace.ordered || trace.lanes;
  lanes.forEach((lane, place) => {
    const height = lane.tracks.length ? laneHeight(lane) : timeline.row + timeline.gap;
    if (top + height > axis && top < surface.height) drawLane(pen, lane, top, height, place);
    top += height;
  });
  if (state.chain) drawLinks(pen);
  drawMarks(pen);
  drawAxis(pen);
  pen.fillStyle = palette.line;
  pen.fillRect(gutter - 1, 0, 1, surface.height);
}

function drawGrid(pen) {
  const { surface, gutter, axis } = timeline;
  pen.fillStyle = palette.band;
  for (const time of ticks(state.from, state.to, (surface.width - gutter) / 110).found) {
    pen.fillRect(Math.round(xOf(time)), axis, 1, surface.height);
  }
}

function drawAxis(pen) {
  const { surface, gutter, axis } = timeline;
  pen.fillStyle = palette.page;
  pen.fillRect(0, 0, surface.width, axis - 1);
  pen.fillStyle = palette.line;
  pen.fillRect(0, axis - 1, surface.width, 1);
  pen.fillStyle = palette.soft;
  const { found, distance } = ticks(state.from, state.to, (surface.width - gutter) / 110);
  const span = distance * 100;
  for (const time of found) {
    const x = Math.round(xOf(time));
    if (x < gutter) continue;
    pen.fillRect(x, axis - 6, 1, 5);
    const text = Math.abs(time) < 1e-6 ? "0" : Math.abs(time) < 1e9 && distance < 1e6 && time < 1e6 ? duration(time) : moment(time, span);
    pen.fillText(text, x + 4, axis / 2 - 1);
  }
  pen.fillText(fitted(pen, `${trace.lanes.length} ${trace.lanes.length === 1 ? "thread" : "threads"}`, gutter - 12), 8, axis / 2 - 1);
}

function drawMarks(pen) {
  const { surface, gutter, axis } = timeline;
  for (const mark of trace.marks) {
    const x = xOf(mark.time);
    if (x < gutter - 4 || x > surface.width + 4) continue;
    drawMark(pen, mark, x, axis, surface.height);
    if (mark.lost) {
      const text = `${mark.lost} lost`;
      const width = widthOf(pen, text) + 8;
      pen.fillStyle = palette.warn;
      pen.fillRect(x + 4, surface.height - 20, width, 16);
      pen.fillStyle = palette.panel;
      pen.fillText(text, x + 8, surface.height - 12);
    }
  }
}

function drawLane(pen, lane, top, height, place) {
  const { surface, gutter } = timeline;
  if (place % 2) {
    pen.fillStyle = palette.band;
    pen.globalAlpha = 0.45;
    pen.fillRect(0, top, surface.width, height);
    pen.globalAlpha = 1;
  }
  pen.save();
  pen.beginPath();
  pen.rect(gutter, timeline.axis, surface.width - gutter, surface.height);
  pen.clip();
  lane.tracks.forEach((track, depth) => drawTrack(pen, track, top + depth * timeline.row + 2));
  pen.restore();
  pen.fillStyle = palette.text;
  pen.font = BOLD;
  pen.fillText(fitted(pen, lane.label, gutter - 16), 8, Math.max(top, Math.min(timeline.axis, top + height - timeline.row - 2)) + timeline.row / 2 + 2);
  pen.font = FONT;
}

function drawTrack(pen, [low, high], top) {
  const { order, start } = trace.tracks;
  let first = lowerBound(start, low, high, state.from);
  // Rows of a track do not overlap, so that only the one before may reach into the window.
  if (first > low && endOf(order[first - 1]) >= state.from) first--;
  const last = lowerBound(start, first, high, state.to);
  const room = timeline.surface.width - timeline.gutter;
  if (last - first > room / 6) return drawColumns(pen, first, last, top);
  const labels = [];
  for (let place = first; place < last; place++) drawRow(pen, order[place], top, labels);
  for (const [row, left, width] of labels) drawLabel(pen, row, left, top, width);
}

/** Sums of rows, two points each: the darker the busier, a notch below for errors, above for what is looked for. */
function drawColumns(pen, first, last, top) {
  const { start, busy, bad, hits } = trace.tracks;
  const { gutter, column, surface, row } = timeline;
  const span = ((state.to - state.from) * column) / (surface.width - gutter);
  const height = row - 3;
  const isDimmed = state.hits !== null || state.chain !== null;
  const [notches, found] = [[], []];
  let [level, left, place] = [-1, 0, first];
  const flush = (x) => {
    if (level < 0) return;
    pen.fillStyle = palette.levels[level];
    pen.fillRect(left, top, x - left, height);
  };
  pen.globalAlpha = isDimmed ? 0.45 : 1;
  for (let x = gutter, until = state.from + span; x < surface.width; x += column, until += span) {
    const next = gallop(start, place, last, until);
    let now = -1;
    if (next > place) {
      const part = (busy[next] - busy[place]) / span;
      now = part > 0.7 ? 3 : part > 0.35 ? 2 : part > 0.1 ? 1 : 0;
      if (bad[next] > bad[place]) notches.push([x, Math.min(6, 2 + (16 * (bad[next] - bad[place])) / (next - place))]);
      if (state.hits && hits[next] > hits[place]) found.push(x);
    } else if (place > first && endOf(trace.tracks.order[place - 1]) > until) {
      now = 3;
    }
    if (now !== level) {
      flush(x);
      [level, left] = [now, x];
    }
    place = next;
  }
  flush(surface.width);
  pen.globalAlpha = 1;
  pen.fillStyle = palette.bad;
  for (const [x, tall] of notches) pen.fillRect(x, top + height - tall, column, tall);
  pen.fillStyle = palette.hit;
  for (const x of found) pen.fillRect(x, top, column, height - 5);
}

/** As `lowerBound`, for a value that is most likely near. */
function gallop(values, low, high, value) {
  let step = 1;
  while (low + step < high && values[low + step] < value) step *= 2;
  return lowerBound(values, low + (step >> 1), Math.min(low + step, high), value);
}

function drawRow(pen, row, top, labels) {
  const { gutter, surface } = timeline;
  const [flags, what] = [rows.flags[row], rows.what[row]];
  const height = timeline.row - 3;
  const left = Math.max(xOf(rows.start[row]), gutter - 2);
  const right = Math.min(xOf(endOf(row)), surface.width + 2);
  const width = Math.max(right - left, 2);
  const isLit = state.chain ? state.chain.has(row) : state.hits === null || state.hits[row] === 1;
  const outcome = (flags >> 3) & 7;
  pen.globalAlpha = isLit ? 1 : 0.28;
  pen.fillStyle = palette.fill[what];
  pen.fillRect(left, top, width, height);
  pen.fillStyle = palette.stroke[what];
  // Which side the thread is on: what it received has a bar at its left, what it sent a line below.
  if ((flags & 7) === SERVER) pen.fillRect(left, top, Math.min(3, width), height);
  else pen.fillRect(left, top + height - 2, width, 2);
  if (outcome === UNANSWERED) drawOpenEnd(pen, left, top, width, height);
  if (outcome === WITH_ERROR || outcome === CALL_FAILED) {
    pen.fillStyle = palette.hatch;
    pen.fillRect(left, top, width, height);
    pen.fillStyle = palette.bad;
    pen.fillRect(left, top, Math.min(2, width), height);
  }
  if (row === state.selected) {
    pen.strokeStyle = palette.text;
    pen.lineWidth = 2;
    pen.strokeRect(left - 1, top - 1, width + 2, height + 2);
  } else if (state.hits && state.hits[row] === 1) {
    pen.strokeStyle = palette.hit;
    pen.lineWidth = 2;
    pen.strokeRect(left, top + 1, width, height - 2);
  }
  pen.globalAlpha = 1;
  timeline.drawn.push([row, left, top, width]);
  if (width > 34) labels.push([row, left, width]);
}

/** Nobody answered: the end is torn off. */
function drawOpenEnd(pen, left, top, width, height) {
  pen.save();
  pen.setLineDash([4, 3]);
  pen.strokeStyle = palette.warn;
  pen.lineWidth = 1.5;
  pen.strokeRect(left + 1, top + 1, width - 2, height - 2);
  pen.restore();
}

function drawLabel(pen, row, left, top, width) {
  const isLit = state.chain ? state.chain.has(row) : state.hits === null || state.hits[row] === 1;
  const outcome = outcomeOf(row);
  const sign = outcome === WITH_ERROR || outcome === CALL_FAILED ? "✕ " : outcome === UNANSWERED ? "… " : outcome === ONE_WAY ? "→ " : "";
  pen.globalAlpha = isLit ? 1 : 0.45;
  pen.fillStyle = palette.text;
  pen.fillText(fitted(pen, sign + trace.names[rows.what[row]], width - 8), left + 5, top + (timeline.row - 3) / 2);
  pen.globalAlpha = 1;
}

/** The lit chain's messages from thread to thread. */
function drawLinks(pen) {
  const places = new Map();
  let top = timeline.axis - state.scroll;
  for (const lane of trace.ordered) {
    places.set(lane.number, top);
    top += laneHeight(lane);
  }
  const yOf = (row) => places.get(rows.lane[row]) + rows.depth[row] * timeline.row + timeline.row / 2;
  pen.save();
  pen.beginPath();
  pen.rect(timeline.gutter, timeline.axis, timeline.surface.width, timeline.surface.height);
  pen.clip();
  pen.strokeStyle = pen.fillStyle = palette.accent;
  pen.lineWidth = 1.5;
  let count = 0;
  for (const row of state.chain) {
    const other = rows.link[row];
    if (roleOf(row) !== CLIENT || other < 0 || !state.chain.has(other) || ++count > 500) continue;
    drawArrow(pen, xOf(rows.start[row]), yOf(row), xOf(rows.start[other]), yOf(other));
    if (outcomeOf(other) !== UNANSWERED && outcomeOf(row) !== UNANSWERED && outcomeOf(row) !== ONE_WAY) {
      pen.setLineDash([4, 3]);
      drawArrow(pen, xOf(endOf(other)), yOf(other), xOf(endOf(row)), yOf(row));
      pen.setLineDash([]);
    }
  }
  pen.restore();
}

function drawArrow(pen, x1, y1, x2, y2) {
  const side = Math.sign(y2 - y1) * 6;
  pen.beginPath();
  pen.moveTo(x1, y1 + side);
  pen.bezierCurveTo(x1, (y1 + y2) / 2, x2, (y1 + y2) / 2, x2, y2 - side);
  pen.stroke();
  pen.beginPath();
  pen.moveTo(x2, y2 - side / 2);
  pen.lineTo(x2 - 4, y2 - side / 2 - side);
  pen.lineTo(x2 + 4, y2 - side / 2 - side);
  pen.fill();
}

/** The row drawn there; where sums are drawn, the one nearest to the point. */
function rowAt(x, y) {
  for (let at = timeline.drawn.length - 1; at >= 0; at--) {
    const [row, left, top, width] = timeline.drawn[at];
    if (y >= top && y < top + timeline.row && x >= left - 2 && x <= left + width + 2) return row;
  }
  let top = timeline.axis - state.scroll;
  for (const lane of trace.ordered || []) {
    const depth = Math.floor((y - top) / timeline.row);
    const track = y >= top ? lane.tracks[depth] : undefined;
    if (track && y < top + laneHeight(lane)) {
      const span = (state.to - state.from) / (timeline.surface.width - timeline.gutter);
      const place = lowerBound(trace.tracks.start, track[0], track[1], timeAt(x - 2));
      if (place < track[1] && trace.tracks.start[place] <= timeAt(x) + span * 2) return trace.tracks.order[place];
      return -1;
    }
    top += laneHeight(lane);
  }
  return -1;
}
