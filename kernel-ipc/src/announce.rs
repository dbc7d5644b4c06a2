// SPDX-License-Identifier: GPL-2.0-or-later
//! Events without a message, for engines that ask for them: births, deaths, and an engine's own end.
//!
//! Nobody waits for them: who makes a task, or ends one, is often not the traced one.

use trace_port::Direction;

use crate::bare::{self, News};
use crate::engines::{Engine, Turn};
use crate::fan_out;
use crate::gnumach::{Kernel, Key, Task};
use crate::observe::Moment;
use crate::quiet::Wait;
use crate::recorder;
use crate::state::{Next, State};

/// Tells the engines of a trace that ask for such. A right to `about` goes with it, if there is one.
#[inline(never)]
pub(crate) fn tell(kernel: &impl Kernel, state: &State, key: Key, news: &News, about: Option<Task>) {
    let moment = Moment::now_apart(kernel, state);
    let mut turn = Turn::first(Direction::Receive);
    loop {
        match state.next_engine(kernel, key, &mut turn, |engine, since| asks(engine, since, news, moment)) {
            Next::None => return,
            Next::Dead(engine) => fan_out::end(kernel, state, engine),
            Next::Engine(sending) => {
                let (to, dropped) = ((key, sending.engine), sending.dropped);
                if state.recorder.is(to.1) {
                    recorder::write_news(kernel, state, news, moment, dropped);
                    kernel.ipc_port_release_send(sending.right);
                    state.sent_to(kernel, key, to.1, (0, 0));
                    continue;
                }
                let task = about.and_then(|about| kernel.task_send_right(about));
                match bare::record(kernel, sending.right, task, (news, moment, dropped)) {
                    Ok(memory) => drop(fan_out::force(kernel, state, to, memory, Wait::InCall.cap())),
                    Err(right) => {
                        kernel.ipc_port_release_send(right);
                        state.sent_to(kernel, key, to.1, (dropped, 1));
                    }
                }
            }
        }
    }
}

fn asks(engine: &Engine, since: u64, news: &News, moment: Moment) -> u8 {
    let event = trace_port::control::event_of(news.kind, Direction::Send);
    u8::from(moment.sequence > since && engine.events() & event != 0)
}

#[cfg(test)]
mod tests;
