// SPDX-License-Identifier: GPL-2.0-or-later
//! `mach_reply_port`, `mach_thread_self`, `mach_task_self` and `mach_host_self`: the traps that give the task a right without a message.

use trace_port::{Direction, EventKind};

use crate::deliver;
use crate::emit::{self, Content};
use crate::gnumach::{Kernel, mr};
use crate::observe::{self, Event, Moment};
use crate::quiet::Wait;
use crate::state::State;

/// The current thread's trap of this number has given it `name`, and is over: it waits for its tracer here.
pub(crate) fn gave(kernel: &impl Kernel, state: &State, trap: u32, name: u32) {
    emit::prepare(kernel, state);
    let thread = observe::current_thread(kernel, state);
    let event = Event::other(Direction::Receive, EventKind::Trap, thread, Moment::now_apart(kernel, state));
    if let Some(draft) = emit::draft(kernel, state, &event, Content::NOTHING) {
        emit::set_trap(kernel, &draft, trap, name);
        emit::settle(kernel, &draft, mr::KERN_SUCCESS);
        let task = observe::current_task(kernel);
        emit::say_names(kernel, state, &draft, (task, Direction::Receive), Content::NOTHING);
        deliver::queue(kernel, state, draft, Wait::AtExit);
    }
}

#[cfg(test)]
mod tests;
