// SPDX-License-Identifier: GPL-2.0-or-later
// All of the trace in one strip: how much there was when, and which part of it the window shows. A stroke across it sets the window.

const overview = { surface: null, stroke: null, base: null, key: "" };

const overviewX = (time) => ((time + trace.length * 0.02) / (trace.length * 1.04)) * overview.surface.width;
const overviewTime = (x) => (x / overview.surface.width) * trace.length * 1.04 - trace.length * 0.02;

/** The strip without the window: it changes with the theme and the size only, and is kept as a picture. */
function drawBase() {
  const { surface } = overview;
  const key = [surface.canvas.width, surface.canvas.height, palette.panel].join();
  if (overview.key === key) return;
  overview.key = key;
  overview.base = document.createElement("canvas");
  [overview.base.width, overview.base.height] = [surface.canvas.width, surface.canvas.height];
  const pen = overview.base.getContext("2d");
  pen.scale(surface.ratio, surface.ratio);
  pen.fillStyle = palette.panel;
  pen.fillRect(0, 0, surface.width, surface.height);
  const height = surface.height - 4;
  const columns = new Map();
  trace.buckets.forEach((bucket, at) => {
    if (!bucket.all) return;
    const x = Math.floor(overviewX(((at + 0.5) / trace.buckets.length) * trace.length) / 3) * 3;
    const column = columns.get(x) || { all: 0, bad: 0 };
    columns.set(x, { all: column.all + bucket.all, bad: column.bad + bucket.bad });
  });
  const most = Math.max(1, ...Array.from(columns.values(), (column) => column.all));
  const scaled = (count) => (count ? Math.max(2, Math.sqrt(count / most) * (height - 10)) : 0);
  pen.fillStyle = `rgba(${palette.dense}, 0.55)`;
  for (const [x, column] of columns) pen.fillRect(x, height - scaled(column.all), 2.5, scaled(column.all));
  const failed = Array.from(columns).filter(([, column]) => column.bad);
  pen.fillStyle = palette.bad;
  for (const [x, column] of failed) {
    pen.fillRect(x, height - scaled(column.bad), 2.5, scaled(column.bad));
    // What failed has a cap above the column, too, unless most columns have some.
    if (failed.length > columns.size / 4) continue;
    pen.beginPath();
    pen.moveTo(x - 1.5, height - scaled(column.all) - 6);
    pen.lineTo(x + 4, height - scaled(column.all) - 6);
    pen.lineTo(x + 1.25, height - scaled(column.all) - 2);
    pen.fill();
  }
  for (const mark of trace.marks) drawMark(pen, mark, overviewX(mark.time), 0, mark.lost ? surface.height : 12);
}

function drawOverview() {
  const { surface } = overview;
  const pen = surface.begin(palette.panel);
  drawBase();
  if (overview.base.width && overview.base.height) pen.drawImage(overview.base, 0, 0, surface.width, surface.height);
  const [left, right] = overview.stroke ? overview.stroke.slice().sort((one, other) => one - other) : [overviewX(state.from), overviewX(state.to)];
  pen.fillStyle = palette.page;
  pen.globalAlpha = 0.72;
  pen.fillRect(0, 0, left, surface.height);
  pen.fillRect(right, 0, surface.width - right, surface.height);
  pen.globalAlpha = 1;
  pen.strokeStyle = palette.accent;
  pen.lineWidth = 1.5;
  pen.strokeRect(left + 0.75, 0.75, Math.max(right - left - 1.5, 2), surface.height - 1.5);
  if (state.selected >= 0) {
    pen.fillStyle = palette.text;
    pen.fillRect(overviewX(rows.start[state.selected]) - 0.5, 0, 1.5, surface.height);
  }
}

function listenOverview() {
  const canvas = overview.surface.canvas;
  const x = (event) => event.clientX - canvas.getBoundingClientRect().left;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    overview.stroke = [x(event), x(event)];
    redraw();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!overview.stroke) return;
    overview.stroke[1] = x(event);
    redraw();
  });
  canvas.addEventListener("pointerup", (event) => {
    const [from, to] = [overview.stroke[0], x(event)].sort((one, other) => one - other);
    overview.stroke = null;
    // A click moves the window there.
    if (to - from < 4) {
      const half = (state.to - state.from) / 2;
      show(overviewTime(from) - half, overviewTime(from) + half);
    } else show(overviewTime(from), overviewTime(to));
    redraw();
  });
  canvas.addEventListener("dblclick", showAll);
}
