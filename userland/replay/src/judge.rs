// SPDX-License-Identifier: GPL-2.0-or-later
//! Whether what was sent again was answered as in the capture.

use std::fmt::Write;

use compare::Renaming;
use export::model::Call;

use crate::Calls;
use crate::plan::{Plan, replayed};

/// Routines that answer what the client's own memory or name space is like, which nothing in a capture makes the same again: it writes there
/// without a message.
const OWN: [&str; 3] = ["vm_read", "mach_port_names", "mach_port_get_set_status"];

/// What came of a replay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// As text, with the reasons of what was not replayed.
    pub text: String,
    /// The client's calls.
    pub calls: usize,
    /// Those that were sent again, and of which the answers can be compared.
    pub replayed: usize,
    /// Of these, answers that are not as in the capture.
    pub differ: usize,
    /// Sent again, but nobody answers such.
    pub one_way: usize,
}

/// Compares the trace of a replay with its plan. `line` is a call as text.
pub fn judge(plan: &Plan, replay: &Calls, line: impl Fn(&Call) -> String) -> Judgement {
    let mut found = Judgement { calls: plan.calls.len() + plan.refused.len(), ..Judgement::default() };
    for (call, why) in &plan.refused {
        // Writing to a String cannot fail.
        let _ = writeln!(found.text, "not replayed: {}: {why}", line(call));
    }
    let sent = replayed(replay);
    let mut unseen = 0;
    let mut renaming = Renaming::default();
    for (place, call) in plan.calls.iter().enumerate() {
        let again = u32::try_from(place + 1).ok().and_then(|number| sent.get(&number));
        let Some(again) = again else {
            let _ = writeln!(
                found.text,
                "not replayed: {}: what it needs was not in an answer, or the program that replays has ended",
                line(call)
            );
            continue;
        };
        found.replayed += 1;
        found.one_way += usize::from(call.reply.is_none() && again.outcome == "one-way");
        let is_own = call.routine.as_deref().is_some_and(|name| OWN.contains(&name));
        let is_known = [call, again].map(|call| compare::memory(call) == Some(true)) == [true, true];
        let has_contents = is_known && !is_own;
        unseen += usize::from(compare::memory(call).is_some() && !has_contents);
        if let Some(text) = compare::answers(call, again, &mut renaming, has_contents) {
            found.differ += 1;
            found.text.push_str(&text);
        }
    }
    let Judgement { calls, replayed, differ, one_way, .. } = found;
    let _ = write!(found.text, "{replayed} of {calls} replayed, ");
    let _ = match differ {
        1 => writeln!(found.text, "1 differs"),
        _ => writeln!(found.text, "{differ} differ"),
    };
    if one_way > 0 {
        let _ = writeln!(found.text, "{one_way} of them without an answer, so that nothing is compared");
    }
    if unseen > 0 {
        let _ =
            writeln!(found.text, "answers with memory out of line, of which the contents are not compared: {unseen}");
    }
    found
}
