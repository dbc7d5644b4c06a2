// SPDX-License-Identifier: GPL-2.0-or-later
//! Makes two traces of one program comparable: port names are renumbered by first appearance, and lines whose order Mach
//! does not promise are put into one.

use std::collections::HashMap;

/// What of a trace's order the program itself determines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Every line's.
    Whole,
    /// That of each task's own lines.
    WithinTasks,
    /// That of each thread's own lines, but for what it receives, which has that of each kind of message: threads of one task run at once.
    WithinThreads,
}

/// Normalises a trace as far as `order` allows. Register contents are left out: they say where the compiler put a function.
pub fn trace(text: &str, order: Order) -> String {
    let text = &without_registers(text);
    let mut lines = match order {
        Order::Whole => return ports(text),
        Order::WithinTasks | Order::WithinThreads => joined(text),
    };
    match order {
        Order::Whole => {}
        Order::WithinTasks => lines.sort_by_key(|line| thread(line).0),
        Order::WithinThreads => lines.sort_by_cached_key(|line| (thread(line), received(line).map(str::to_owned))),
    }
    let mut text = lines.join("\n");
    text.push('\n');
    ports(&text)
}

/// The lines of a trace with the two parts of every interrupted call made one again, where its first part stands. A call
/// that has only a first part ends as one does whose reply never comes.
fn joined(text: &str) -> Vec<String> {
    const UNFINISHED: &str = " <unfinished ...>";
    const RESUMED: &str = " resumed> ";
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let resumed = line.split_once(" <... ").and_then(|(_, rest)| {
            let (routine, outcome) = rest.split_once(RESUMED)?;
            Some((format!(" {routine}("), outcome))
        });
        let begun = resumed.as_ref().and_then(|(call, _)| {
            let begins = |other: &str| tag(other).is_some_and(|tag| other[tag.len()..].starts_with(call));
            let is_it = |other: &String| thread(other) == thread(line) && begins(other) && other.ends_with(UNFINISHED);
            // A thread waits for the last of several: those before it are never answered.
            lines.iter().rposition(is_it)
        });
        match (begun, resumed) {
            (Some(at), Some((_, outcome))) => {
                let start = lines[at].strip_suffix(UNFINISHED).unwrap_or_default();
                lines[at] = format!("{start} {outcome}");
            }
            _ => lines.push(line.to_owned()),
        }
    }
    for line in &mut lines {
        if let Some(start) = line.strip_suffix(UNFINISHED) {
            *line = format!("{start} = ?");
        }
    }
    lines
}

/// `name[task]` or `name[task/thread]` at the start of a line.
fn tag(line: &str) -> Option<&str> {
    let end = line.find(']')?;
    (line.find('[')? < end && !line[..end].contains(' ')).then(|| &line[..=end])
}

/// The numbers of the task and the thread whose line it is; the first thread has none while it is alone. Lines of no task go last.
fn thread(line: &str) -> (u32, u32) {
    let numbers = tag(line).and_then(|tag| tag.split_once('[')).map(|(_, numbers)| numbers.trim_end_matches(']'));
    let (task, thread) = numbers.map_or(("", "1"), |numbers| numbers.split_once('/').unwrap_or((numbers, "1")));
    (task.parse().unwrap_or(u32::MAX), thread.parse().unwrap_or(u32::MAX))
}

/// What a thread receives, where the line is of that.
fn received(line: &str) -> Option<&str> {
    line.split_once("] <- ").and_then(|(_, message)| message.split('(').next())
}

/// Empties the brackets or braces after every `new_state: ` and `old_state: `, and takes away where a crashed thread was.
fn without_registers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let state = ["new_state: ", "old_state: "].into_iter().find_map(|mark| Some(line.find(mark)? + mark.len()));
        let bounds = state.and_then(|start| Some((start, start + line[start..].find([']', '}'])?)));
        match bounds {
            Some((start, end)) if line[start..].starts_with(['[', '{']) => {
                out.push_str(&line[..=start]);
                out.push_str("...");
                out.push_str(&line[end..]);
            }
            _ => match line.find(", rip 0x").filter(|_| line.starts_with("+++ ")) {
                Some(at) => {
                    out.push_str(&line[..at]);
                    out.push_str(", rip ...) +++\n");
                }
                None => out.push_str(line),
            },
        }
    }
    out
}

/// Replaces the number after every `port ` by its place among all port numbers of the text, from 1.
fn ports(text: &str) -> String {
    const MARK: &str = "port ";
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(MARK) {
        let (before, after) = rest.split_at(at + MARK.len());
        out.push_str(before);
        let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, tail) = after.split_at(digits);
        if !number.is_empty() {
            let next = seen.len() + 1;
            out.push_str(&seen.entry(number).or_insert(next).to_string());
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::{Order, ports, trace};

    #[test]
    fn numbers_follow_the_order_of_first_appearance() {
        assert_eq!(ports("a(port 14, port 9) = {port 14}\nport x"), "a(port 1, port 2) = {port 1}\nport x");
    }

    const INTERLEAVED: &str = "\
a[1] x(p: port 5) <unfinished ...>
b[2] y() = 0
a[1/2] z() = 0
a[1/1] <... x resumed> = 1
a[1/2] end() <unfinished ...>
+++ a[1] exited with 0 +++
";

    #[test]
    fn interrupted_calls_are_joined_and_tasks_keep_their_own_order() {
        let expected =
            "a[1] x(p: port 1) = 1\na[1/2] z() = 0\na[1/2] end() = ?\nb[2] y() = 0\n+++ a[1] exited with 0 +++\n";
        assert_eq!(trace(INTERLEAVED, Order::WithinTasks), expected);
    }

    /// Threads run in any order, but each does things in its own, and so does who sends to a port.
    #[test]
    fn threads_keep_their_own_order_and_so_do_messages_of_a_kind() {
        let received = "a[1/1] <- m(to: port 7, 0)\na[1/1] <- m(to: port 7, 1)\na[1/1] <- n(to: port 7, 0)\n";
        let text = INTERLEAVED.replace("a[1/2] end", &format!("{received}a[1/2] end"));
        let lines: Vec<&str> = text.lines().collect();
        let shuffled = |places: [usize; 9]| trace(&places.map(|at| lines[at]).join("\n"), Order::WithinThreads);
        let expected = shuffled([0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(shuffled([1, 2, 0, 6, 4, 3, 5, 7, 8]), expected);
        assert_ne!(shuffled([0, 1, 2, 3, 5, 4, 6, 7, 8]), expected, "messages of a kind");
        assert_ne!(shuffled([0, 1, 7, 3, 4, 5, 6, 2, 8]), expected, "calls of a thread");
        let lost = text.replace("b[2] y() = 0\n", "");
        assert_ne!(trace(&lost, Order::WithinThreads), expected);
    }

    #[test]
    fn registers_are_left_out() {
        let line = "a[1] set(flavor: X, new_state: [0, 0, 196576]) = KERN_SUCCESS\n";
        assert_eq!(trace(line, Order::Whole), "a[1] set(flavor: X, new_state: [...]) = KERN_SUCCESS\n");
        let line = "a[1] get(flavor: X) = KERN_SUCCESS {old_state: {rip: 0x30, ...}}\n";
        assert_eq!(trace(line, Order::Whole), "a[1] get(flavor: X) = KERN_SUCCESS {old_state: {...}}\n");
        let line = "+++ a[1] killed by X (Y, rip 0x401000) +++\n";
        assert_eq!(trace(line, Order::Whole), "+++ a[1] killed by X (Y, rip ...) +++\n");
    }

    #[test]
    fn two_traces_that_differ_only_in_names_become_equal_and_others_do_not() {
        assert_eq!(ports("port 3 port 4 port 3"), ports("port 7 port 5 port 7"));
        assert_ne!(ports("port 3 port 4 port 3"), ports("port 7 port 5 port 5"));
    }
}
