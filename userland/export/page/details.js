// SPDX-License-Identifier: GPL-2.0-or-later
// Everything that is known of one exchange: its text taken apart, its messages' bytes, and what it belongs to.

const kept = new Map();

/** The chunk with this name, read once and kept while it is one of the last few. */
function chunkOf(id) {
  if (!kept.has(id)) {
    if (kept.size > 16) kept.delete(kept.keys().next().value);
    kept.set(id, block(id));
  }
  return kept.get(id);
}

async function textOf(row) {
  const [chunk, at] = [Math.floor(rows.at[row] / trace.chunk), rows.at[row] % trace.chunk];
  const bytes = await chunkOf(`text${chunk}`);
  let start = 0;
  for (let line = 0; line < at; line++) start = bytes.indexOf(0, start) + 1;
  return ascii.decode(bytes.subarray(start, bytes.indexOf(0, start)));
}

/** The request and the answer as they were recorded; null where there is none, or `undefined` where the page has not got them. */
async function messagesOf(row) {
  const [chunk, at] = [Math.floor(rows.at[row] / trace.chunk), rows.at[row] % trace.chunk];
  const bytes = await chunkOf(`bytes${chunk}`);
  if (!bytes) return undefined;
  const reader = new Reader(bytes);
  let correlation = 0n;
  const one = () => {
    if (reader.number() === 0) return null;
    correlation = BigInt.asUintN(64, correlation + reader.bigDifference());
    const message = { correlation };
    for (const name of ["options", "retval", "size", "recorded"]) message[name] = reader.number();
    message.bytes = reader.take(reader.number());
    return message;
  };
  let found = [];
  for (let skipped = 0; skipped <= at; skipped++) found = [one(), one()];
  // The answer's record is the last of the exchange; the request's, or the only one's, the first.
  if (found[0]) found[0].sequence = rows.first[row];
  if (found[1]) found[1].sequence = found[0] ? rows.last[row] : rows.first[row];
  return found;
}

/** `a: 1, b: {c: 2, d: "x, y"}` at its outer commas, as names and values. */
function fieldsOf(text) {
  const fields = [];
  let [depth, start, isQuoted] = [0, 0, false];
  for (let at = 0; at <= text.length; at++) {
    const letter = text[at];
    if (isQuoted) {
      if (letter === "\\") at++;
      else if (letter === '"') isQuoted = false;
    } else if (letter === '"') isQuoted = true;
    else if ("([{<".includes(letter) && letter) depth++;
    else if (")]}>".includes(letter) && letter) depth--;
    else if (letter === undefined || (letter === "," && depth === 0)) {
      const part = text.slice(start, at).trim();
      const colon = /^(\w+): /.exec(part);
      if (part) fields.push(colon ? [colon[1], part.slice(colon[0].length)] : ["", part]);
      start = at + 1;
    }
  }
  return fields;
}

/** The place of the bracket that closes the one at `open`. */
function closing(text, open) {
  let [depth, isQuoted] = [0, false];
  for (let at = open; at < text.length; at++) {
    const letter = text[at];
    if (isQuoted) {
      if (letter === "\\") at++;
      else if (letter === '"') isQuoted = false;
    } else if (letter === '"') isQuoted = true;
    else if ("([{".includes(letter)) depth++;
    else if (")]}".includes(letter) && --depth === 0) return at;
  }
  return -1;
}

/** The fields of a line: what was asked, what it came to, and what was answered. */
function takenApart(text, name) {
  const call = text.indexOf(`${name}(`);
  const open = call < 0 ? -1 : call + name.length;
  const close = open < 0 ? -1 : closing(text, open);
  const asked = close < 0 ? [] : fieldsOf(text.slice(open + 1, close));
  const result = /(?:\)|reply|resumed>)[^"]*? = (.*)$/s.exec(close < 0 ? text : text.slice(close));
  if (!result) return { asked, result: "", answered: [] };
  const brace = result[1].indexOf(" {");
  const end = brace < 0 ? -1 : closing(result[1], brace + 1);
  if (end < 0) return { asked, result: result[1], answered: [] };
  return { asked, result: result[1].slice(0, brace) + result[1].slice(end + 1), answered: fieldsOf(result[1].slice(brace + 2, end)) };
}

function hexadecimal(bytes) {
  const lines = [];
  for (let at = 0; at < bytes.length; at += 8) {
    const part = Array.from(bytes.subarray(at, at + 8));
    const digits = part.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const letters = part.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : ".")).join("");
    lines.push(`${at.toString(16).padStart(4, "0")}  ${digits.padEnd(23)} ${letters}`);
  }
  return lines.join("\n");
}

const pair = (name, ...value) => [make("dt", {}, name), make("dd", {}, ...value)];

/** Fills the pane at once with what is there, and then with what has to be unpacked. */
async function showDetails(row) {
  const pane = $("details");
  if (row < 0) return pane.replaceChildren(...aboutTrace());
  const name = trace.names[rows.what[row]];
  const outcome = OUTCOMES[outcomeOf(row)];
  const isWrong = isBad(rows.flags[row]);
  const rest = make("div", {}, make("p", { class: "soft" }, "unpacking…"));
  const isOutstanding = rows.flags[row] & OUTSTANDING;
  pane.replaceChildren(
    make("h2", {}, name),
    make("dl", {},
      ...pair("who", trace.lanes[rows.lane[row]].label),
      ...pair("what", ROLES[roleOf(row)]),
      ...pair("outcome", make("span", isWrong ? { class: "bad" } : {}, (isWrong ? "✕ " : "") + outcome + (isOutstanding ? "; outstanding when the records end" : ""))),
      ...pair("when", moment(rows.start[row], 1)),
      ...(hasAnswer(row) ? pair("took", duration(rows.took[row])) : outcomeOf(row) === UNANSWERED ? pair("waited", `${duration(rows.took[row])}, at least`) : []),
      ...(receiverOf(row) === 0 ? pair("to", "the kernel") : rows.peer[row] >= 0 ? pair("for", taskLabel(rows.peer[row] + 1)) : [])),
    rest,
    ...relations(row));
  pane.scrollTop = 0;
  say(`${name} by ${trace.lanes[rows.lane[row]].label}: ${outcome}`);
  const [text, messages] = await Promise.all([textOf(row), messagesOf(row)]);
  if (state.selected === row) rest.replaceChildren(...contents(text, name, messages));
}

function taskLabel(task) {
  const lane = trace.lanes.find((other) => other.task === task);
  return lane ? `${lane.name}[${task}]` : `task ${task}`;
}

function contents(text, name, messages) {
  const { asked, result, answered } = takenApart(text, name);
  const fields = (title, list) => (list.length ? [make("h3", {}, title), make("dl", { class: "fields" }, ...list.flatMap(([key, value]) => pair(key || "·", value)))] : []);
  const parts = [...fields("Request", asked), ...(result ? fields("Result", [["", result]]) : []), ...fields("Reply", answered)];
  parts.push(make("h3", {}, "Line"), make("pre", { class: "text" }, text));
  if (messages === undefined) {
    parts.push(make("p", { class: "soft" }, "The bytes of this message were left out to keep the page small; the capture has them."));
    return parts;
  }
  for (const [at, title] of [[0, "Bytes of the request"], [1, "Bytes of the reply"]]) {
    const message = messages[at];
    if (!message || !message.size) continue;
    const cut = message.bytes.length < message.size ? `, ${message.bytes.length} of them here` + (message.recorded < message.size ? ` (${message.recorded} were recorded)` : "") : "";
    parts.push(make("h3", {}, title), make("p", { class: "soft" }, `${message.size} bytes${cut}; record ${message.sequence}` + (message.correlation ? `, message ${message.correlation}` : "")));
    if (message.bytes.length) parts.push(make("pre", {}, hexadecimal(message.bytes)));
  }
  return parts;
}

/** Buttons that lead to what it belongs to. */
function relations(row) {
  const jump = (title, other) => make("button", { class: "jump", type: "button", onclick: () => select(other) }, `${title}${trace.names[rows.what[other]]} — ${trace.lanes[rows.lane[other]].label}`);
  const parts = [];
  const other = rows.link[row];
  if (other >= 0) parts.push(jump(roleOf(row) === SERVER ? "← asked by: " : "→ received as: ", other));
  if (rows.parent[row] >= 0) parts.push(jump("↑ sent while serving: ", rows.parent[row]));
  const served = roleOf(row) === SERVER ? childrenOf(row, 50) : [];
  parts.push(...served.map((child) => jump("↓ meanwhile sent: ", child)));
  return parts.length ? [make("h3", {}, "Belongs to"), ...parts] : [];
}

/** What is said of the trace where nothing is selected. */
function aboutTrace() {
  const began = new Date(trace.second * 1000).toISOString().replace(".000Z", " UTC").replace("T", " ");
  return [
    make("h2", {}, trace.title || "A trace"),
    make("dl", {},
      ...pair("began", began),
      ...pair("lasted", duration(trace.length)),
      ...pair("messages", trace.messages.toLocaleString("en")),
      ...pair("exchanges", trace.rows.toLocaleString("en")),
      ...pair("lost", trace.lost ? make("span", { class: "bad" }, `✕ ${trace.lost.toLocaleString("en")} records`) : "nothing"),
      ...trace.facts.flatMap(([name, text]) => pair(name, text))),
    make("h3", {}, "How to read it"),
    make("p", {}, "A bar is a request until its answer. A line below it: this thread sent it. A bar at its left: this thread received it. Hatched, with ✕: it failed. Dashed, with …: no answer was seen. → : none was expected."),
    make("p", {}, "Where bars would be thinner than a point they are summed up: the darker, the busier; a notch below is an error."),
    make("p", {}, "Click a bar for its fields and bytes. What asked for it, and what it asked for in turn, stays lit."),
    make("p", { class: "soft" }, `At most ${trace.kept} bytes of a message are on this page.` + (trace.leftOut ? ` Of ${trace.leftOut.toLocaleString("en")} messages there are none, to keep it small.` : "")),
  ];
}
