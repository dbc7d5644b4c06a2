// SPDX-License-Identifier: GPL-2.0-or-later
//! What the table of options says to people: the help, the manual page, and docs/options.md.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::absent::ABSENT;
use super::filter::CLASSES;
use super::owner::{OWNER, Owner};
use super::place::{Here, Place};
use super::row::{Action, Row};
use super::table;

/// Where the texts of the help begin, and end.
const COLUMN: usize = 34;
const WIDTH: usize = 100;

/// The text of `-h`.
pub fn help() -> String {
    let mut text = String::from(
        "rpctrace2 [OPTION]... COMMAND [ARGUMENT]...\nRuns COMMAND and prints every Mach message that it and its children \
         send and receive,\nto standard error unless -o says otherwise.\n\n",
    );
    for row in table::rows() {
        explain(&mut text, &format!("  {}", names(row)), row.help);
    }
    text += "\nrpctrace2 owner [WORD]: the system trace, which is that of all tasks and one tool's at a time\n";
    for (word, _, does) in Owner::ALL {
        explain(&mut text, &format!("  {}", command(word)), does);
    }
    text += "\nThe exit status is COMMAND's; 127 if it is not found, 126 if it cannot be executed, 125 if it\ncannot be traced, 130 after Ctrl-C.\n";
    text
}

/// Options that are about how a trace is made.
const OF_LIVE: [&str; 9] = ["capture", "env", "as", "policy", "kernel-filter", "inject", "stop-at", "ool", "live"];

/// The options that a capture is shown with, as the help has them.
pub fn of_captures() -> String {
    let is_of_live = |row: &&Row| row.longs.iter().any(|long| OF_LIVE.contains(long));
    let mut text = String::from("Options:\n");
    for row in table::rows().filter(|row| Here::Show.follows(row.place) && !is_of_live(row)) {
        explain(&mut text, &format!("  {}", names(row)), row.help);
    }
    text
}

/// What something does, beside or below it, in lines that are not too long.
fn explain(text: &mut String, what: &str, does: &str) {
    *text += &format!("{what:<COLUMN$}");
    let mut column = COLUMN;
    if what.len() >= COLUMN {
        *text += &format!("\n{:COLUMN$}", "");
    }
    for word in does.split(' ') {
        if column + word.len() + 1 > WIDTH {
            *text += &format!("\n{:COLUMN$}", "");
            column = COLUMN;
        }
        let space = if column == COLUMN { "" } else { " " };
        *text += space;
        *text += word;
        column += word.len() + space.len();
    }
    text.push('\n');
}

/// The text of `-V`.
pub fn version() -> String {
    format!("rpctrace2 {}\n", env!("CARGO_PKG_VERSION"))
}

/// `-s, --string-limit SIZE`, as the help has it.
fn names(row: &Row) -> String {
    let letter = row.letter.map(|letter| format!("-{letter}"));
    let longs = row.longs.iter().map(|long| format!("--{long}"));
    let mut text = letter.into_iter().chain(longs).collect::<Vec<_>>().join(", ");
    match row.action {
        // The sets of -e do not fit there.
        Action::Value(what, _) => text += &format!(" {}", what.split(' ').next().unwrap_or(what)),
        Action::Optional(what, _) => text += &format!("[={what}]"),
        Action::Set(_) | Action::Help | Action::Version => {}
    }
    text
}

/// What docs/options.md says of `--on` and those after it.
const SELECTING: &str = "\n## From when until when\n\nA call is what a line is about: a request with its answer, a message without one, a mach_msg that failed. \
Of several options a call has to be what each asks for; of several ports, threads or codes, one of them. They hold for lines, `-c`, `-C`, `--ask=top` and the forms of `export` alike. \
Questions that need all messages are refused together with those that leave calls out.\n\n\
`--on WHAT` prints nothing before the first call of WHAT, and then everything that is selected. `vm_map` is known when the request is sent, `vm_map=KERN_NO_SPACE`, `vm_map=failed` and \
`mach_msg=MACH_RCV_TIMED_OUT` when the call has ended. WHAT need not be selected by `-e` itself. `--history LINES` keeps the last so many lines in a ring \
meanwhile and prints them first: what is printed is the end of what would be without `--on`, line by line. A call that began before and ends later is printed as `<... resumed>`, and not \
counted by `-c`.\n\n`--until WHAT`, `--limit CALLS` and `--for TIME` end the trace, which a line says: after the call of WHAT has ended; when so many calls that are shown have ended; with the first message \
that comes so long after the first (after that of `--on`), or when nothing comes so long. Whoever was traced then goes on untraced, children too. A command is still waited for, \
and its exit status is that of rpctrace2; nothing is printed of its end. Processes of `-p` are let go, as by Ctrl-C, and the exit status is 0. Ctrl-C does what it does without them. Calls that are open \
then are shown as unfinished, and answers to questions are of what had come until then. On a Hurd `--until=all` and `--until=command` are words of their own.\n\n\
`--slower`, `--port` and `--result` are known when a call has ended: lines then come when calls end, whole, as with `-e status=`. That a call without an answer is slower is known when its task or the trace ends. \
A call has a port if that is in a header or body of its messages, or in an array out of line as far as the record tells it. `--direction=receive` is what lines mark with `<-`: requests to a server and what it answers, \
what others do to a task on its control port, receives that failed; `send` is all else.\n\nAll messages come to rpctrace2, which selects: names of ports come from messages of all kinds. With `--kernel-filter` \
the kernel leaves out what neither `-e`, `--on` nor `--until` names. `--capture` keeps everything that comes until the trace ends, so that `show FILE` can select otherwise.\n\n\
An option that nothing was of says so at the end, on standard error (in our own small system where the trace goes): `rpctrace2: --port=77 matched none of 139 records`. Counted are the records that came, \
of messages and of what else the kernel tells, selected or not. Where none came nothing is said.\n";

/// What docs/options.md says of `--as`.
const ENGINES: &str = "\n## Engines\n\nA task has one trace port (special port 5), which belongs to who receives from it, and beside it up \
to eight engines, each with a trace port of its own (trace-port/defs/trace_control.defs). Without `--as` rpctrace2 \
takes the trace port; where that is another tracer's, it makes an engine called rpctrace2 and says so, and a \
kernel without engines refuses (`KERN_NO_ACCESS`). With `--as` the trace port is left alone, whoever has it. \
Children of a task that is traced by an engine are traced by it, too.\n\nThere is no option to join an engine that \
is there: only who receives from an engine's trace port gets a right to the engine, and that port, the queue and the \
records in it are of the rpctrace2 that made the engine. To see what another tracer sees one makes an engine of \
one's own.\n\nEvery message comes to rpctrace2, and `-e trace=` selects there, because names come from messages of \
all kinds. `--kernel-filter` has the kernel leave out what is neither selected nor tells what tasks and ports are \
and how they end, as far as its 16 rules of an engine go: ranges of msgh_ids, joined where the fewest messages lie between. Less is known \
then: what a program of the Hurd holds a port for (`cwd`, `fd 1`) is not said; threads are numbered, and reply ports \
known, by those messages that come; an answer that has not the id of its request and 100 is not seen, so that the \
call is unfinished; whether a thread went on after an exception is known by the exception's answer alone; and a line \
may come a second late, because for a record that was left out it is waited as for one that has not come yet.\n\n\
`--inject` makes an engine that the kernel asks about each message of SET before it is sent, so that the thread waits \
until rpctrace2 has answered, also for msgh_ids that only lie between those of SET where an engine's 16 \
ranges do not suffice. A line says `(INJECTED)` if its record is that of a message that was asked about, its end is the one that was \
injected and, of retval=, the reply is a return code and nothing else; `(DELAYED)` if the message was to wait. Nothing is \
injected where the kernel cannot ask: the message cannot be copied in, or there is no memory. retval= is for those that \
send and receive in one call, as MIG's stubs do; others are sent. The first `--inject` that has a message decides; the \
time is whole milliseconds. A Hurd's errno values have their names (`retval=ENOENT`).\n";

/// What docs/options.md says of `--stop-at`.
const STOPS: &str = "\n## At the prompt\n\n`--stop-at SET` has each thread that is about to send a message of SET wait, prints the line of that \
message and asks `stop> `, of several threads one after the other. `show` prints all of the message, `registers` those of the thread (of a task with several \
threads only if one alone is in such a call with such a message), `go` sends it, `fail CODE` does not: mach_msg returns a MACH_SEND_ code, and any other is the \
return code of a reply that nobody has sent, where the routine has one and the call receives it. `quit` sends it, lets go of everything and waits for the command's end; \
Ctrl-C ends the trace, on a Hurd also the first one, which otherwise is the command's alone. At the end of the input everything goes on, which a line says. \
Any beginning of a word does. What `--inject` has made \
something of is not asked about.\n\nOnly who has stopped waits, and whoever waits for it: other threads go on, and what they do is written when the question has been \
answered. Who ends a thread that has stopped ends it at once. The question goes to the terminal, wherever the trace goes: to standard error on a Hurd, to the console in our \
own small system. A program that reads the same terminal meanwhile may get what is typed.\n";

/// What docs/options.md says of `rpctrace2 owner` and `-p all`.
const SYSTEM: &str = "\n## The system trace\n\nThe trace of all tasks is one tool's at a time (docs/ktrace.md). `-p all` claims it in the \
foreground, under the name of `--as`, or as rpctrace2: where another owns it that lives, one line says who; a tool in the \
background is taken over, and what it has configured ends. One engine has all tasks that are there, and their children; \
tasks are listed again until there is nobody new. With `--inject` each task gets an engine of its own, because that of all tasks asks \
nobody about messages; the system trace is owned all the same. It is given back at the end, also after Ctrl-C; what an rpctrace2 that is killed \
leaves is ended by `rpctrace2 owner release`, or claimed by the next `-p all`.\n\n`owner` stands before everything else: `rpctrace2 -- owner` traces \
a program of that name. Changes take the host's privileged port, which a privileged user of a Hurd has; in our own small system the boot server \
writes it for `${host-port}`: `rpctrace2 --host=${host-port} owner claim`.\n";

fn command(word: Option<&str>) -> String {
    ["rpctrace2", OWNER].into_iter().chain(word).collect::<Vec<_>>().join(" ")
}

/// docs/options.md.
pub fn markdown() -> String {
    let mut text = String::from(
        "# The options of rpctrace2\n\nMade of the table in userland/rpctrace2/src/options/table.rs, as `rpctrace2 -h` and \
         docs/rpctrace2.1 are; a test compares them. \"Only\": where it is followed if that \
         is not everywhere: by `cargo qemu rpctrace2` on the host, by rpctrace2 as a program of a Hurd, or, for \"show\", by `cargo rpctrace2 show FILE`, which takes those of the host, too, as far as \
         they are not about how a trace is made; rpctrace2 in our own small \
         system has no files, no terminal and no processes.\n\n| option | what it does | only | strace | rpctrace | fidlcat | test |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for row in table::rows() {
        let names = names(row).replace('|', "\\|");
        let host = match row.place {
            Place::Everywhere => "",
            Place::Host => "host",
            Place::Files => "host, Hurd",
            Place::Hurd => "Hurd",
            Place::Show => "show",
        };
        let [strace, rpctrace, fidlcat] = row.others;
        let help = row.help.replace('|', "\\|");
        text += &format!("| `{names}` | {help} | {host} | {strace} | {rpctrace} | {fidlcat} | `{}` |\n", row.test);
    }
    text += "\n## Classes of -e\n\nRoutines of all interfaces that are known, by the beginnings of their names.\n\n\
             | class | routines that begin with |\n|---|---|\n";
    for (class, beginnings) in CLASSES {
        let beginnings = beginnings.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        text += &format!("| `{class}` | {beginnings} |\n");
    }
    text += SELECTING;
    text += ENGINES;
    text += STOPS;
    text += SYSTEM;
    text += "\n| command | what it does |\n|---|---|\n";
    for (word, _, does) in Owner::ALL {
        text += &format!("| `{}` | {does} |\n", command(word));
    }
    text += "\n## Options of others that are not here\n\nEach is refused with the same words, before anything boots.\n\n\
             | option | of | why not, or what else |\n|---|---|---|\n";
    for absent in ABSENT {
        let names = absent.names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        text += &format!("| {names} | {} | {} |\n", absent.whose, absent.why);
    }
    text
}

/// docs/rpctrace2.1.
pub fn manual() -> String {
    let escape = |text: &str| text.replace('\\', "\\e").replace('-', "\\-");
    let mut text = String::from(
        ".\\\" Made of userland/rpctrace2/src/options/table.rs; a test compares them.\n.TH RPCTRACE2 1\n.SH NAME\n\
         rpctrace2 \\- print the Mach messages of a command\n.SH SYNOPSIS\n.B rpctrace2\n[\\fIOPTION\\fR]...\n\
         \\fICOMMAND\\fR [\\fIARGUMENT\\fR]...\n.br\n.B rpctrace2 owner\n[claim|release|background]\n.SH DESCRIPTION\nRuns \\fICOMMAND\\fR and prints every Mach message that it \
         and its children send and receive, to standard error unless \\fB\\-o\\fR says otherwise.\n.SH OPTIONS\n",
    );
    for row in table::rows() {
        text += &format!(".TP\n.B {}\n{}\n", escape(&names(row)), escape(row.help));
    }
    text += ".SH THE SYSTEM TRACE\nThat of all tasks, which is one tool's at a time: that of \\fB\\-p all\\fR, or of who claims it.\n";
    for (word, _, does) in Owner::ALL {
        text += &format!(".TP\n.B {}\n{}\n", escape(&command(word)), escape(does));
    }
    text += ".SH EXIT STATUS\nThat of \\fICOMMAND\\fR; 127 if it is not found, 126 if it cannot be executed, 125 if it cannot be traced, 130 \
             after Ctrl\\-C.\n";
    text.to_string()
}
