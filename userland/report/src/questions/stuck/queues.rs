// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages that were sent and that nobody has received, by port.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use trace_port::Port;

use super::Done;
use crate::questions::say::ThreadId;

/// Most messages of a queue that are kept: more than a port takes, but for those that are sent by send-once rights. A longer one is of a port
/// whose receiver is not traced, or about which nothing certain is known.
const KEPT: usize = 64;

/// A message in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) id: u32,
    pub(super) correlation: u64,
    pub(super) by: ThreadId,
    pub(super) time: u64,
}

/// What is known of a port.
#[derive(Debug, Default)]
struct Queue {
    port: Port,
    messages: VecDeque<Message>,
    /// It was longer than what is kept.
    is_cut: bool,
    /// When each thread last received from it, the last one first.
    receivers: Vec<Done>,
}

/// By the kernel's number of the port.
#[derive(Debug, Default)]
pub(super) struct Queues(BTreeMap<u32, Queue>);

impl Queues {
    /// A message was sent to a port.
    pub(super) fn push(&mut self, to: &Port, message: Message) {
        let queue = self.0.entry(to.number.get()).or_default();
        queue.port = *to;
        if queue.messages.len() == KEPT {
            queue.messages.pop_front();
            queue.is_cut = true;
        }
        queue.messages.push_back(message);
    }

    /// A message was received from a port.
    pub(super) fn take(&mut self, port: u32, correlation: u64, done: Done) {
        let queue = self.0.entry(port).or_default();
        queue.receivers.retain(|receiver| receiver.by != done.by);
        queue.receivers.insert(0, done);
        self.forget(port, correlation);
    }

    /// A message is not in the queue of this port any more, or never was.
    pub(super) fn forget(&mut self, port: u32, correlation: u64) {
        let Some(queue) = self.0.get_mut(&port).filter(|_| correlation != 0) else { return };
        if let Some(place) = queue.messages.iter().position(|message| message.correlation == correlation) {
            queue.messages.remove(place);
        }
    }

    /// An answer was received from the port that it was to come to.
    pub(super) fn answered(&mut self, port: u32, correlation: u64) {
        self.forget(port, correlation);
        if self.0.get(&port).is_some_and(|queue| queue.messages.is_empty() && queue.receivers.is_empty()) {
            self.0.remove(&port);
        }
    }

    /// The port is no more.
    pub(super) fn end(&mut self, port: u32) {
        self.0.remove(&port);
    }

    /// These threads receive no more.
    pub(super) fn end_of(&mut self, is_one: impl Fn(ThreadId) -> bool) {
        self.0.retain(|_, queue| {
            let before = queue.receivers.len();
            queue.receivers.retain(|receiver| !is_one(receiver.by));
            before == queue.receivers.len() || !queue.receivers.is_empty()
        });
    }

    /// The threads that have received from a port, the last one first.
    pub(super) fn receivers(&self, port: u32) -> Vec<Done> {
        self.0.get(&port).map_or(Vec::new(), |queue| queue.receivers.clone())
    }

    /// The queues of which all messages are known, and that a traced thread has received from or `is_traced` says so, each with its messages.
    pub(super) fn waiting(&self, is_traced: impl Fn(&Port) -> bool) -> impl Iterator<Item = (&Port, Vec<Message>)> {
        let is_known = move |queue: &&Queue| {
            !queue.is_cut && !queue.messages.is_empty() && (!queue.receivers.is_empty() || is_traced(&queue.port))
        };
        self.0.values().filter(is_known).map(|queue| (&queue.port, queue.messages.iter().copied().collect()))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn port(number: u32) -> Port {
        Port { number: number.into(), ..Port::default() }
    }

    fn message(correlation: u64) -> Message {
        Message { id: 100, correlation, by: (1, 10), time: correlation }
    }

    fn of(queues: &Queues) -> Vec<(u32, Vec<u64>)> {
        let of = |(port, messages): (&Port, Vec<Message>)| {
            (port.number.get(), messages.iter().map(|message| message.correlation).collect())
        };
        queues.waiting(|port| port.number.get() == 7).map(of).collect()
    }

    #[test]
    fn a_message_is_in_its_queue_from_send_to_receive() {
        let mut queues = Queues::default();
        (1..=3).for_each(|correlation| queues.push(&port(7), message(correlation)));
        queues.push(&port(8), message(1));
        assert_eq!(of(&queues), [(7, vec![1, 2, 3])], "nobody traced receives from 8, as far as is known");
        let done = Done { by: (2, 20), time: 1, sequence: 1 };
        // The answer to 1 has its number, and goes elsewhere.
        queues.take(8, 1, done);
        queues.take(7, 2, done);
        assert_eq!(of(&queues), [(7, vec![1, 3])]);
        queues.take(7, 0, done);
        assert_eq!(of(&queues), [(7, vec![1, 3])], "what has no number is none of them");
        queues.end_of(|thread| thread == (2, 20));
        assert_eq!(of(&queues), []);
    }

    #[test]
    fn nothing_is_said_of_a_queue_that_is_longer_than_what_is_kept() {
        let mut queues = Queues::default();
        (1..=KEPT as u64).for_each(|correlation| queues.push(&port(7), message(correlation)));
        assert_eq!(of(&queues).first().map(|queue| queue.1.len()), Some(KEPT));
        queues.push(&port(7), message(100));
        assert_eq!(of(&queues), []);
    }
}
