// SPDX-License-Identifier: GPL-2.0-or-later
// Colours of the theme, and what several drawings share. What is wrong, lost or open has a shape of its own beside its colour.

const palette = {};

/** Takes the colours from the style sheet, once for each theme. */
function readPalette() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["page", "panel", "line", "text", "soft", "accent", "bad", "warn", "band", "hit", "dense", "saturation", "lightness", "edge"]) {
    palette[name] = style.getPropertyValue(`--${name}`).trim();
  }
  const hue = (name) => {
    let hash = 7;
    for (let at = 0; at < name.length; at++) hash = (hash * 31 + name.charCodeAt(at)) >>> 0;
    // Not red: that is for what failed.
    return 30 + (hash % 300);
  };
  palette.fill = trace.names.map((name) => `hsl(${hue(name)} ${palette.saturation} ${palette.lightness})`);
  palette.stroke = trace.names.map((name) => `hsl(${hue(name)} ${palette.saturation} ${palette.edge})`);
  palette.levels = [0.22, 0.4, 0.6, 0.85].map((alpha) => `rgba(${palette.dense}, ${alpha})`);
  palette.hatch = hatch(palette.bad);
  palette.lossHatch = hatch(palette.warn);
}

/** A pattern of slanted lines. */
function hatch(color) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 6;
  const pen = tile.getContext("2d");
  pen.strokeStyle = color;
  pen.lineWidth = 1.4;
  pen.beginPath();
  for (const at of [-6, 0, 6]) {
    pen.moveTo(at, 6);
    pen.lineTo(at + 6, 0);
  }
  pen.stroke();
  return pen.createPattern(tile, "repeat");
}

/** A canvas as large as it is shown, in the screen's own points. */
class Surface {
  constructor(canvas) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d", { alpha: false });
    this.width = this.height = 0;
    new ResizeObserver(() => {
      this.measure();
      redraw();
    }).observe(canvas);
    this.measure();
  }

  measure() {
    this.ratio = Math.min(window.devicePixelRatio || 1, 2);
    [this.width, this.height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    const [width, height] = [Math.round(this.width * this.ratio), Math.round(this.height * this.ratio)];
    if (this.canvas.width !== width || this.canvas.height !== height) [this.canvas.width, this.canvas.height] = [width, height];
  }

  /** Clears it. */
  begin(color) {
    const { pen, ratio } = this;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.fillStyle = color;
    pen.fillRect(0, 0, this.width, this.height);
    return pen;
  }
}

const FONT = '12px system-ui, "DejaVu Sans", sans-serif';
const BOLD = '600 12px system-ui, "DejaVu Sans", sans-serif';
const widths = new Map();

/** How wide a text is in the usual font; each text is measured once. */
function widthOf(pen, text) {
  let width = widths.get(text);
  if (width === undefined) {
    if (widths.size > 5000) widths.clear();
    width = pen.measureText(text).width;
    widths.set(text, width);
  }
  return width;
}

/** The text, or as much of it as there is room for. */
function fitted(pen, text, room) {
  if (widthOf(pen, text) <= room) return text;
  const keep = Math.floor((text.length * (room - 10)) / widthOf(pen, text));
  return keep > 0 ? `${text.slice(0, keep)}…` : "";
}

/** Times at round distances for an axis. */
function ticks(from, to, most) {
  const least = (to - from) / Math.max(most, 1);
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1)));
  const distance = [1, 2, 5, 10].map((factor) => factor * power).find((value) => value >= least) || power * 10;
  const found = [];
  for (let time = Math.ceil(from / distance) * distance; time <= to; time += distance) found.push(time);
  return { found, distance };
}

/** What happened at a mark is lost records, or something that was said. */
function drawMark(pen, mark, x, top, bottom) {
  pen.fillStyle = mark.lost ? palette.warn : palette.soft;
  if (mark.lost) {
    pen.save();
    pen.fillStyle = palette.lossHatch;
    pen.fillRect(x - 4, top, 8, bottom - top);
    pen.fillStyle = palette.warn;
    pen.fillRect(x - 0.5, top, 1, bottom - top);
    pen.restore();
  } else {
    pen.fillRect(x - 0.5, top, 1, 6);
    pen.beginPath();
    pen.moveTo(x, top + 4);
    pen.lineTo(x + 4, top + 8);
    pen.lineTo(x, top + 12);
    pen.lineTo(x - 4, top + 8);
    pen.fill();
  }
}
