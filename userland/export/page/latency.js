// SPDX-License-Identifier: GPL-2.0-or-later
// How long answers took: a histogram of the window, four columns to each doubling. A stroke across it looks for those only.

const latency = { surface: null, stroke: null, low: 0, bins: [], gutter: 58 };
const PER_DOUBLING = 4;

const binOf = (took) => Math.floor(Math.log2(Math.max(took, 1)) * PER_DOUBLING);
const startOf = (bin) => 2 ** (bin / PER_DOUBLING);

function showLatency() {
  const canvas = make("canvas", { id: "latency", role: "img", "aria-label": "Histogram of how long answers took" });
  $("panel").replaceChildren(canvas);
  latency.surface = new Surface(canvas);
  const x = (event) => event.clientX - canvas.getBoundingClientRect().left;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    latency.stroke = [x(event), x(event)];
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!latency.stroke) return;
    latency.stroke[1] = x(event);
    drawLatency();
  });
  canvas.addEventListener("pointerup", (event) => {
    const [from, to] = [latency.stroke[0], x(event)].sort((one, other) => one - other);
    latency.stroke = null;
    [state.tookMin, state.tookMax] = to - from < 4 ? [0, Infinity] : [startOf(binAt(from)), startOf(binAt(to) + 1)];
    find();
    drawLatency();
  });
  drawLatency();
}

function binAt(x) {
  const width = (latency.surface.width - latency.gutter - 8) / latency.bins.length;
  return latency.low + Math.max(0, Math.min(latency.bins.length - 1, Math.floor((x - latency.gutter) / width)));
}

function drawLatency() {
  const [first, last] = [lowerBound(rows.start, 0, trace.rows, state.from), lowerBound(rows.start, 0, trace.rows, state.to)];
  const all = new Map();
  for (let row = first; row < last; row++) {
    if (!hasAnswer(row) || (state.hits && !state.hits[row])) continue;
    const bin = binOf(rows.took[row]);
    const sum = all.get(bin) || { all: 0, bad: 0 };
    sum.all++;
    if (isBad(rows.flags[row])) sum.bad++;
    all.set(bin, sum);
  }
  const pen = latency.surface.begin(palette.panel);
  const { surface, gutter } = latency;
  pen.font = FONT;
  pen.textBaseline = "middle";
  pen.fillStyle = palette.soft;
  if (!all.size) return pen.fillText("No answer in this window.", 12, 20);
  const numbers = Array.from(all.keys());
  [latency.low, latency.bins] = [Math.min(...numbers), []];
  for (let bin = latency.low; bin <= Math.max(...numbers); bin++) latency.bins.push(all.get(bin) || { all: 0, bad: 0 });
  const most = Math.max(...latency.bins.map((bin) => bin.all));
  const [floor, width] = [surface.height - 22, (surface.width - gutter - 8) / latency.bins.length];
  const scaled = (count) => (count ? Math.max(2, (count / most) * (floor - 26)) : 0);
  let before = -Infinity;
  latency.bins.forEach((bin, at) => {
    const x = gutter + at * width;
    pen.fillStyle = `rgba(${palette.dense}, 0.6)`;
    pen.fillRect(x, floor - scaled(bin.all), Math.max(width - 1, 1), scaled(bin.all));
    if (bin.bad) {
      pen.fillStyle = palette.hatch;
      pen.fillRect(x, floor - scaled(bin.bad), Math.max(width - 1, 1), scaled(bin.bad));
    }
    if (x - before > 70 && x + 50 < surface.width) {
      pen.fillStyle = palette.soft;
      pen.fillText(duration(startOf(latency.low + at)), x, floor + 11);
      before = x;
    }
  });
  pen.fillStyle = palette.soft;
  pen.fillText(most.toLocaleString("en"), 8, 26);
  pen.fillText("0", 8, floor);
  pen.fillText("Answers by how long they took; hatched: errors. Drag to look for some only.", gutter, 10);
  if (latency.stroke) {
    pen.strokeStyle = palette.accent;
    const [from, to] = latency.stroke;
    pen.strokeRect(Math.min(from, to), 18, Math.abs(to - from), floor - 18);
  }
}
