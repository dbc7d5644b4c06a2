// SPDX-License-Identifier: GPL-2.0-or-later
// Keys, pointer and wheel.

const KEYS = [
  ["W S", "zoom in and out"], ["A D", "move back and on"], ["↑ ↓", "scroll the threads"], ["← →", "previous and next of the thread"],
  [", .", "previous and next of what is looked for, or else of the thread"], ["F", "fit the selected; again: all that it led to"],
  ["0", "all of the trace"], ["/", "find"], ["E Shift+E", "next and previous error"], ["O", "what was outstanding at the end"],
  ["G", "to the other end of the message"], ["P", "to what was served meanwhile"], ["V", "timeline or sequence diagram"],
  ["1 … 5", "the tables"], ["T", "light or dark"], ["?", "these keys"], ["Esc", "close, or leave what is typed in; then forget what is looked for; then deselect"],
];

const held = new Set();
let lastMove = 0;

/** Keys that are held move the window evenly, however many frames there are. */
function move(now) {
  if (!held.size) return (lastMove = 0);
  const part = Math.min(now - (lastMove || now - 16), 50) / 1000;
  lastMove = now;
  if (held.has("w")) zoom(0.12 ** part);
  if (held.has("s")) zoom(0.12 ** -part);
  if (held.has("a")) pan(-part);
  if (held.has("d")) pan(part);
  requestAnimationFrame(move);
}

const isError = (row) => isBad(rows.flags[row]);

const commands = {
  ".": () => stepUsual(1),
  ",": () => stepUsual(-1),
  ArrowRight: () => step(1, (row) => state.selected < 0 || rows.lane[row] === rows.lane[state.selected]),
  ArrowLeft: () => step(-1, (row) => state.selected < 0 || rows.lane[row] === rows.lane[state.selected]),
  ArrowDown: () => (state.view === "sequence" ? scrollSequence(1) : scrollBy(40)),
  ArrowUp: () => (state.view === "sequence" ? scrollSequence(-1) : scrollBy(-40)),
  f: fit,
  0: showAll,
  Home: showAll,
  "/": () => $("query").focus(),
  e: () => step(1, isError),
  E: () => step(-1, isError),
  o: () => showTab("waiting"),
  g: () => state.selected >= 0 && rows.link[state.selected] >= 0 && select(rows.link[state.selected]),
  p: () => state.selected >= 0 && rows.parent[state.selected] >= 0 && select(rows.parent[state.selected]),
  v: toggleView,
  t: toggleTheme,
  "?": showKeys,
  1: () => showTab("messages"), 2: () => showTab("routines"), 3: () => showTab("latency"), 4: () => showTab("waiting"), 5: () => showTab("remarks"),
  Escape: forget,
};

/** Esc: what was begun last is given up first. */
function forget() {
  if (state.query || state.hits) {
    [state.tookMin, state.tookMax] = [0, Infinity];
    return setQuery("");
  }
  if (state.selected >= 0) select(-1);
}

function toggleView() {
  state.view = state.view === "timeline" ? "sequence" : "timeline";
  $("view").textContent = state.view === "timeline" ? "Sequence" : "Timeline";
  redraw();
}

function isDark() {
  return document.documentElement.dataset.theme === "dark";
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  $("theme").textContent = theme === "dark" ? "Light" : "Dark";
  readPalette();
  redraw();
  settle();
}

function toggleTheme() {
  setTheme(isDark() ? "light" : "dark");
}

function showKeys() {
  const keys = KEYS.flatMap(([names, what]) => [make("dt", {}, ...names.split(" ").flatMap((name) => [make("kbd", {}, name), " "])), make("dd", {}, what)]);
  $("keys").replaceChildren(
    make("h2", { id: "keys-title" }, "Keys"), make("dl", {}, ...keys),
    make("p", {}, "Wheel: zoom; with Shift: move; over the names of threads: scroll. Drag: move. A stroke across the strip on top: that part. Double click: fit."),
    make("button", { type: "button", onclick: () => $("keys").close() }, "Close"));
  $("keys").showModal();
}

function listenKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if ($("keys").open) {
      if (event.key === "Escape" || event.key === "?") $("keys").close();
      return;
    }
    const isTyping = event.target === $("query");
    if (isTyping) {
      if (event.key === "Enter") {
        event.preventDefault();
        return stepUsual(event.shiftKey ? -1 : 1);
      }
      if (event.key === "Escape") {
        // Browsers empty the field.
        event.preventDefault();
        $("query").blur();
      }
      return;
    }
    const key = event.key.length === 1 && event.key !== "E" ? event.key.toLowerCase() : event.key;
    if ("wasd".includes(key) && key.length === 1) {
      if (!held.size) requestAnimationFrame(move);
      held.add(key);
      return event.preventDefault();
    }
    if (event.target.closest("button, [role=tabpanel]") && ["ArrowUp", "ArrowDown", "Home"].includes(key)) return;
    if (!commands[key]) return;
    event.preventDefault();
    commands[key]();
  });
  document.addEventListener("keyup", (event) => held.delete(event.key.toLowerCase()));
  window.addEventListener("blur", () => held.clear());
  $("query").addEventListener("input", () => setQuery($("query").value));
  $("finder").addEventListener("submit", (event) => event.preventDefault());
  $("view").addEventListener("click", toggleView);
  $("theme").addEventListener("click", toggleTheme);
  $("help").addEventListener("click", showKeys);
}

function hover(event) {
  const tip = $("tip");
  const box = timeline.surface.canvas.getBoundingClientRect();
  const [x, y] = [event.clientX - box.left, event.clientY - box.top];
  const mark = state.view === "timeline" && trace.marks.find((other) => Math.abs(xOf(other.time) - x) < 5 && y > timeline.axis && (other.lost || y < timeline.axis + 14));
  const row = !rows || x < timeline.gutter * (state.view === "timeline" ? 1 : 0) ? -1 : state.view === "timeline" ? rowAt(x, y) : rowAtLine(y);
  tip.hidden = row < 0 && !mark;
  timeline.surface.canvas.style.cursor = row >= 0 ? "pointer" : "default";
  if (tip.hidden) return;
  tip.textContent = mark ? mark.text : `${trace.names[rows.what[row]]} — ${OUTCOMES[outcomeOf(row)]}${hasAnswer(row) ? ", " + duration(rows.took[row]) : ""}`;
  tip.style.left = `${Math.max(0, Math.min(x + 14, box.width - Math.min(tip.offsetWidth, 420) - 8))}px`;
  tip.style.top = `${Math.min(y + timeline.surface.canvas.offsetTop + 16, box.height + timeline.surface.canvas.offsetTop - 28)}px`;
}

function listenPointer() {
  const canvas = timeline.surface.canvas;
  let drag = null;
  canvas.addEventListener("pointerdown", (event) => {
    drag = { x: event.clientX, y: event.clientY, moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drag) return hover(event);
    const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
    if (!drag.moved && Math.abs(dx) + Math.abs(dy) < 4) return;
    $("tip").hidden = true;
    drag = { x: event.clientX, y: event.clientY, moved: true };
    if (state.view === "sequence") return scrollSequence(-Math.sign(dy));
    pan(-dx / (timeline.surface.width - timeline.gutter));
    scrollBy(-dy);
  });
  canvas.addEventListener("pointerup", (event) => {
    const wasMoved = drag?.moved;
    drag = null;
    if (wasMoved || !rows) return;
    const box = canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    select(state.view === "timeline" ? rowAt(x, y) : rowAtLine(y), { reveal: false });
  });
  canvas.addEventListener("pointercancel", () => (drag = null));
  canvas.addEventListener("pointerleave", () => ($("tip").hidden = true));
  canvas.addEventListener("dblclick", fit);
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const x = event.clientX - canvas.getBoundingClientRect().left;
    const by = event.deltaMode ? event.deltaY * 20 : event.deltaY;
    if (state.view === "sequence") return scrollSequence(Math.sign(by) * Math.max(1, Math.round(Math.abs(by) / 40)));
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) return pan(((event.deltaX || by) / timeline.surface.width) * 1.2);
    if (x < timeline.gutter) return scrollBy(by);
    zoom(1.0016 ** by, timeAt(x));
  }, { passive: false });
}
