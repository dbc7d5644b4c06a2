// SPDX-License-Identifier: GPL-2.0-or-later
// The same in words: a table of the messages in the window, of which only what is in sight is there, and figures.

const HEIGHT = 22;
/** Browsers draw nothing at some tens of millions of points. */
const TALLEST = 8e6;
const list = { rows: null, first: 0, count: 0, table: null, body: null };

/** The row at a place of the table. */
const rowOfPlace = (place) => (list.rows ? list.rows[place] : list.first + place);

function updateList() {
  if (!rows) return;
  const first = lowerBound(rows.start, 0, trace.rows, state.from);
  const last = lowerBound(rows.start, first, trace.rows, state.to);
  [list.first, list.count, list.rows] = [first, last - first, null];
  if (state.hits) {
    const found = [];
    for (let row = first; row < last; row++) if (state.hits[row]) found.push(row);
    [list.rows, list.count] = [found, found.length];
  }
  $("window").textContent = `${list.count.toLocaleString("en")} in ${duration(state.to - state.from)} from ${moment(Math.max(state.from, 0), state.to - state.from)}`;
  if (state.tab === "messages") fillList();
}

function showList() {
  const columns = [["time", "18%", "number"], ["took", "12%", "number"], ["who", "24%", ""], ["what", "28%", ""], ["outcome", "18%", ""]];
  list.body = make("tbody");
  list.table = make("table", { class: "messages", "aria-label": "Messages in the window" },
    make("thead", {}, make("tr", { "aria-rowindex": "1" }, ...columns.map(([name, width, kind]) => {
      const head = make("th", { scope: "col", class: kind }, name);
      head.style.width = width;
      return head;
    }))), list.body);
  $("panel").replaceChildren(list.table);
  updateList();
  if (state.selected >= 0) revealRow(state.selected);
}

/** How far a place of the table is from its top. Tables that would be too tall are squeezed. */
const squeeze = () => Math.min(1, TALLEST / Math.max(list.count * HEIGHT, 1));

function fillList() {
  const panel = $("panel");
  const most = Math.ceil(panel.clientHeight / HEIGHT) + 4;
  const top = Math.floor(panel.scrollTop / (HEIGHT * squeeze()));
  const first = Math.max(0, Math.min(top - 1, list.count - most));
  const last = Math.min(list.count, first + most);
  list.table.setAttribute("aria-rowcount", String(list.count + 1));
  const space = (places) => {
    const cell = make("td", { colspan: "5" });
    cell.style.height = `${Math.max(places * HEIGHT * squeeze(), 0)}px`;
    return make("tr", { class: "space", "aria-hidden": "true" }, cell);
  };
  const shown = [];
  for (let place = first; place < last; place++) shown.push(listRow(rowOfPlace(place), place));
  const above = Math.min(first, Math.max(0, list.count - (last - first)));
  list.body.replaceChildren(space(above), ...shown, space(list.count - last));
  if (!list.count) list.body.replaceChildren(make("tr", {}, make("td", { colspan: "5", class: "soft" }, "Nothing in this window. Press 0 for all of the trace.")));
}

function listRow(row, place) {
  const isWrong = isBad(rows.flags[row]);
  const outcome = outcomeOf(row);
  const took = hasAnswer(row) ? duration(rows.took[row]) : outcome === UNANSWERED ? `> ${duration(rows.took[row])}` : "";
  const what = (roleOf(row) === SERVER ? "← " : "") + trace.names[rows.what[row]];
  const current = row === state.selected ? { "aria-current": "true" } : {};
  return make("tr", { "aria-rowindex": String(place + 2), "data-row": String(row), ...current },
    make("td", { class: "number" }, moment(rows.start[row], Math.min(state.to - state.from, 1e5))),
    make("td", { class: "number" }, took),
    make("td", {}, trace.lanes[rows.lane[row]].label),
    make("td", {}, what),
    make("td", isWrong ? { class: "bad" } : {}, (isWrong ? "✕ " : outcome === UNANSWERED ? "… " : "") + OUTCOMES[outcome]));
}

/** Has a row in sight, if the table has it. */
function revealRow(row) {
  if (state.tab !== "messages" || !list.table || !rows) return;
  updateList();
  if (row < 0) return;
  const place = list.rows ? lowerBound(list.rows, 0, list.count, row) : row - list.first;
  if (place < 0 || place >= list.count) return;
  const panel = $("panel");
  const [top, room] = [place * HEIGHT * squeeze(), panel.clientHeight - 3 * HEIGHT];
  if (top < panel.scrollTop || top > panel.scrollTop + room) panel.scrollTop = Math.max(0, top - room / 2);
  fillList();
}

/** Figures of each routine in the window. */
function showRoutines() {
  const sums = new Map();
  const [first, last] = [lowerBound(rows.start, 0, trace.rows, state.from), lowerBound(rows.start, 0, trace.rows, state.to)];
  for (let row = first; row < last; row++) {
    if (state.hits && !state.hits[row]) continue;
    // What two tasks recorded is counted for who asked.
    if (roleOf(row) === SERVER && rows.link[row] >= 0) continue;
    let sum = sums.get(rows.what[row]);
    if (!sum) sums.set(rows.what[row], (sum = { count: 0, bad: 0, answered: 0, total: 0, most: 0 }));
    sum.count++;
    if (isBad(rows.flags[row])) sum.bad++;
    if (!hasAnswer(row)) continue;
    sum.answered++;
    sum.total += rows.took[row];
    sum.most = Math.max(sum.most, rows.took[row]);
  }
  const sorted = Array.from(sums).sort((one, other) => other[1].total - one[1].total || other[1].count - one[1].count);
  const head = ["routine", "calls", "errors", "total", "mean", "longest"].map((name, at) => make("th", { scope: "col", class: at ? "number" : "" }, name));
  const body = sorted.map(([what, sum]) => {
    const time = (value) => make("td", { class: "number" }, sum.answered ? duration(value) : "");
    return make("tr", { onclick: () => setQuery(`${trace.names[what]}(`) },
      make("td", {}, make("button", { type: "button", title: "Find it" }, trace.names[what])),
      make("td", { class: "number" }, sum.count.toLocaleString("en")),
      make("td", { class: sum.bad ? "number bad" : "number" }, sum.bad ? `✕ ${sum.bad.toLocaleString("en")}` : "0"),
      time(sum.total), time(sum.total / sum.answered), time(sum.most));
  });
  $("panel").replaceChildren(make("table", { "aria-label": "Figures of each routine in the window" }, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body)));
}

/** Where a request that is not answered has come to, as far as the records say. */
function whereIs(row) {
  if (roleOf(row) === SERVER) return "received here";
  if (rows.flags[row] & TO_KERNEL) return "in the kernel";
  return rows.link[row] >= 0 ? `received by ${trace.lanes[rows.lane[rows.link[row]]].label}` : "no traced task has received it";
}

/** What had no answer when the records end, the oldest first. */
function showWaiting() {
  const found = [];
  for (let row = 0; row < trace.rows; row++) if (rows.flags[row] & OUTSTANDING) found.push(row);
  if (!found.length) return $("panel").replaceChildren(make("p", { class: "empty" }, "Every request that expects an answer had one when the records end."));
  const head = ["for at least", "who", "what", "where it is", "since"].map((name) => make("th", { scope: "col" }, name));
  const body = found.map((row) => make("tr", { "data-row": String(row), onclick: () => select(row) },
    make("td", {}, duration(rows.took[row])),
    make("td", {}, trace.lanes[rows.lane[row]].label),
    make("td", {}, make("button", { type: "button" }, (roleOf(row) === SERVER ? "← " : "") + trace.names[rows.what[row]])),
    make("td", {}, whereIs(row)),
    make("td", {}, moment(rows.start[row], 1e5))));
  $("panel").replaceChildren(make("table", { "aria-label": "Outstanding when the records end" }, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body)));
}

function showRemarks() {
  if (!trace.marks.length) return $("panel").replaceChildren(make("p", { class: "empty" }, "Nothing was lost, and no task's end was seen."));
  const body = trace.marks.map((mark) => make("tr", { onclick: () => show(mark.time - (state.to - state.from) / 2, mark.time + (state.to - state.from) / 2) },
    make("td", {}, moment(mark.time, 1e5)), make("td", mark.lost ? { class: "bad" } : {}, mark.lost ? `✕ ${mark.text}` : mark.text)));
  const head = ["time", "remark"].map((name) => make("th", { scope: "col" }, name));
  $("panel").replaceChildren(make("table", { "aria-label": "Remarks on the trace" }, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body)));
}

const TABS = { messages: showList, routines: showRoutines, latency: showLatency, waiting: showWaiting, remarks: showRemarks };

function showTab(name) {
  state.tab = name;
  for (const other of Object.keys(TABS)) {
    const tab = $(`tab-${other}`);
    tab.setAttribute("aria-selected", String(other === name));
    tab.tabIndex = other === name ? 0 : -1;
  }
  $("panel").setAttribute("aria-labelledby", `tab-${name}`);
  $("panel").scrollTop = 0;
  if (rows) TABS[name]();
}

function listenTables() {
  const names = Object.keys(TABS);
  names.forEach((name, at) => {
    const tab = $(`tab-${name}`);
    tab.addEventListener("click", () => showTab(name));
    tab.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!by) return;
      const next = names[(at + by + names.length) % names.length];
      event.stopPropagation();
      showTab(next);
      $(`tab-${next}`).focus();
    });
  });
  $("panel").addEventListener("scroll", () => {
    if (state.tab === "messages" && list.table) fillList();
  });
  $("panel").addEventListener("click", (event) => {
    const row = event.target.closest("tr[data-row]");
    if (row && state.tab === "messages") select(Number(row.dataset.row));
  });
  settled.push(() => {
    if (!rows) return;
    updateList();
    if (state.tab === "routines") showRoutines();
    if (state.tab === "latency") drawLatency();
  });
}
