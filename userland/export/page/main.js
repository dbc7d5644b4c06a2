// SPDX-License-Identifier: GPL-2.0-or-later
// What happens when the page is opened: the strip on top and the lanes at once, then what is in them, then the texts.

function showHead() {
  document.title = `${trace.title || "trace"} — rpctrace2`;
  $("title").textContent = trace.title || "A trace";
  const count = (number, what) => `${number.toLocaleString("en")} ${what}${number === 1 ? "" : "s"}`;
  const facts = [count(trace.messages, "message"), count(new Set(trace.lanes.map((lane) => lane.task)).size, "task"), duration(trace.length)];
  $("facts").textContent = facts.join(" · ");
  const said = [];
  if (trace.lost) said.push(`✕ ${count(trace.lost, "record")} lost: marked on the timeline.`);
  if (trace.leftOut) said.push(`The bytes of ${count(trace.leftOut, "message")} were left out to keep this file small.`);
  $("warning").textContent = said.join(" ");
  $("warning").hidden = !said.length;
}

function paint() {
  drawOverview();
  if (state.view === "sequence" && rows) drawSequence();
  else drawTimeline();
}

async function open() {
  if (typeof DecompressionStream === "undefined") throw new Error("This browser cannot unpack the page's data (DecompressionStream): use one of 2023 or later.");
  readOverview(await block("overview0"));
  overview.surface = new Surface($("overview"));
  timeline.surface = new Surface($("stage"));
  trace.ordered = null;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  setTheme(dark.matches ? "dark" : "light");
  dark.addEventListener("change", () => setTheme(dark.matches ? "dark" : "light"));
  showHead();
  showDetails(-1);
  painters.push(paint);
  showAll();
  redraw();
  listenOverview();
  listenKeys();
  await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 0)));
  performance.mark("drawn");
  if (document.readyState === "loading") await new Promise((resolve) => document.addEventListener("DOMContentLoaded", resolve));
  await readColumns(await block("columns0"));
  listenPointer();
  listenTables();
  showTab("messages");
  const waiting = rows.flags.reduce((sum, flags) => sum + (flags >> 7), 0);
  $("tab-waiting").textContent = `Outstanding (${waiting.toLocaleString("en")})`;
  $("tab-remarks").textContent = `Remarks (${trace.marks.length.toLocaleString("en")})`;
  state.ready = true;
  performance.mark("ready");
  redraw();
  await readTexts();
  performance.mark("all-read");
  document.documentElement.dataset.read = "all";
}

open().catch((error) => {
  $("warning").hidden = false;
  $("warning").textContent = `The page could not be shown: ${error.message}`;
  throw error;
});
