// SPDX-License-Identifier: GPL-2.0-or-later
//! Which calls a call has led to, across tasks, and where its time went.
//!
//! A request that a thread receives and the calls that the same thread makes until it answers, or receives another request, are parent and
//! children. Copies of one message are known by their correlation number. The time of a call is split where the records show it: in the queue until
//! the request is received, in the server until it answers, and back until the answer is received.

mod words;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use exchanges::exchange::{Exchange, Outcome, Remark, Role, Tally};
use exchanges::pair::is_name;
use exchanges::{Actor, Event, Names, Sink};
use trace_port::{Port, port};

use super::say::ThreadId;
use crate::analysis::{Analysis, Found};
use crate::lines::subject;

/// Most calls that are told one below the other: what a call of that depth leads to is told by itself.
const DEPTH: usize = 32;

/// A call, of which more becomes known.
#[derive(Debug)]
struct Node {
    parent: Option<u64>,
    /// How many calls it is below.
    depth: usize,
    /// Who asks; `None` if nobody of the trace does.
    by: Option<ThreadId>,
    /// The routine.
    text: String,
    port: Option<Port>,
    correlation: u64,
    sent: Option<u64>,
    received: Option<(ThreadId, u64)>,
    /// Who has passed the request on, last.
    passed_on: Option<ThreadId>,
    replied: Option<u64>,
    /// When the answer was received, or sent to somebody who is not traced.
    ended: Option<u64>,
    failed: bool,
    children: Vec<Node>,
}

impl Node {
    /// When it began, as far as it is known.
    fn begin(&self) -> u64 {
        self.sent.or(self.received.map(|received| received.1)).unwrap_or(0)
    }

    /// How long it took, if it has ended.
    fn total(&self) -> Option<u64> {
        Some(self.ended?.saturating_sub(self.begin()))
    }

    /// In the queue.
    fn queued(&self) -> Option<u64> {
        Some(self.received?.1.saturating_sub(self.sent?))
    }

    /// In the server.
    fn served(&self) -> Option<u64> {
        Some(self.replied?.saturating_sub(self.received?.1))
    }

    /// In the server without the calls that it made meanwhile.
    fn own(&self) -> Option<u64> {
        let children = self.children.iter().filter_map(Self::total).fold(0, u64::saturating_add);
        Some(self.served()?.saturating_sub(children))
    }

    /// On the way back.
    fn returned(&self) -> Option<u64> {
        Some(self.ended?.saturating_sub(self.replied?))
    }
}

/// What is known of requests that came in by a port.
#[derive(Debug, Default)]
struct Served {
    port: Port,
    /// The kernel's number of the task that received the last of them.
    task: u32,
    requests: u64,
    queued: u64,
    served: u64,
    own: u64,
    /// Requests that are in the queue.
    depth: u64,
    most: u64,
}

/// Calls that are going on, and the text of those that have ended.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// Least nanoseconds of a call that is told.
    min: u64,
    /// By the numbers of the exchanges; children have larger ones than their parents.
    open: BTreeMap<u64, Box<Node>>,
    /// The number of the exchange, by the correlation number of the request.
    by_correlation: BTreeMap<u64, u64>,
    /// The request that each thread serves.
    serving: BTreeMap<ThreadId, u64>,
    /// By the kernel's number of the port.
    ports: BTreeMap<u32, Served>,
    /// Calls that are nobody's children, in the order in which they ended, which are still to be written.
    finished: Vec<Node>,
    text: String,
    lost: u64,
}

impl Tree {
    /// Calls that took less than so many nanoseconds are left out.
    pub(crate) fn new(min: u64) -> Self {
        Self { min, ..Self::default() }
    }

    fn asked(&mut self, exchange: &Exchange<'_>, request: &Event) {
        let by = (request.task, request.thread);
        if let Some(node) = self.by_correlation.get(&request.correlation).and_then(|id| self.open.get_mut(id)) {
            // With the right of another to answer.
            node.passed_on = Some(by);
            self.serving.remove(&by);
            return;
        }
        let serves = self.serving.get(&by).and_then(|id| Some((*id, self.open.get(id)?.depth + 1)));
        let serves = serves.filter(|(_, depth)| *depth < DEPTH);
        let mut node = node(exchange, request);
        (node.parent, node.depth) = (serves.map(|serves| serves.0), serves.map_or(0, |serves| serves.1));
        (node.by, node.sent) = (Some(by), Some(request.time));
        if let Some(port) = node.port.filter(|port| port.kind == port::NONE) {
            let served = self.ports.entry(port.number.get()).or_default();
            served.depth += 1;
            served.most = served.most.max(served.depth);
        }
        self.by_correlation.insert(request.correlation, exchange.id);
        self.open.insert(exchange.id, Box::new(node));
    }

    fn received(&mut self, exchange: &Exchange<'_>, request: &Event) {
        let by = (request.task, request.thread);
        let on = request.received_on().or_else(|| request.port(request.mach_header?.local_port as u32)).copied();
        let known = self.by_correlation.get(&request.correlation).copied().filter(|_| request.correlation != 0);
        let id = match known.filter(|id| self.open.contains_key(id)) {
            Some(id) => id,
            None => {
                let node = Node { port: on, ..node(exchange, request) };
                self.open.insert(exchange.id, Box::new(node));
                exchange.id
            }
        };
        if let Some(node) = self.open.get_mut(&id) {
            let is_first = node.received.is_none();
            node.received = Some((by, node.received.map_or(request.time, |first| first.1)));
            if let Some(port) = on.filter(|_| is_first) {
                let served = self.ports.entry(port.number.get()).or_default();
                (served.port, served.task) = (port, by.0);
                served.requests += 1;
                served.depth = served.depth.saturating_sub(u64::from(node.sent.is_some()));
            }
        }
        self.serving.insert(by, id);
    }

    /// A server has answered.
    fn answered(&mut self, exchange: &Exchange<'_>) {
        let (Some(request), Some(reply)) = (&exchange.request, &exchange.reply) else { return };
        let of_call = self.by_correlation.get(&request.correlation).copied().filter(|_| request.correlation != 0);
        let id = of_call.unwrap_or(exchange.id);
        self.serving.retain(|_, serves| *serves != id);
        let Some(node) = self.open.get_mut(&id) else { return };
        node.replied = Some(reply.time);
        if node.sent.is_none() {
            node.failed = exchange.has_failed();
            self.close(id, reply.time);
        }
    }

    /// The answer to a call has come.
    fn ended(&mut self, exchange: &Exchange<'_>) {
        let Some(reply) = &exchange.reply else { return };
        if let Some(node) = self.open.get_mut(&exchange.id) {
            node.failed = exchange.has_failed();
            self.close(exchange.id, reply.time);
        }
    }

    fn close(&mut self, id: u64, time: u64) {
        let Some(mut node) = self.open.remove(&id) else { return };
        node.ended = Some(time);
        self.serving.retain(|_, serves| *serves != id);
        self.done(id, *node);
    }

    /// Nothing more will be known of a call: it goes to its parent, or becomes text.
    fn done(&mut self, id: u64, node: Node) {
        if self.by_correlation.get(&node.correlation) == Some(&id) {
            self.by_correlation.remove(&node.correlation);
        }
        let own = node.own();
        if let Some(served) =
            node.port.filter(|_| node.received.is_some()).and_then(|port| self.ports.get_mut(&port.number.get()))
        {
            served.queued = served.queued.saturating_add(node.queued().unwrap_or(0));
            served.served = served.served.saturating_add(node.served().unwrap_or(0));
            served.own = served.own.saturating_add(own.unwrap_or(0));
        }
        match node.parent.and_then(|parent| self.open.get_mut(&parent)) {
            Some(parent) => parent.children.push(node),
            None => self.finished.push(node),
        }
    }
}

/// A call of which nothing is known but what it asks.
fn node(exchange: &Exchange<'_>, request: &Event) -> Node {
    let mut text = String::new();
    subject(&mut text, exchange.subject);
    Node {
        parent: None,
        depth: 0,
        by: None,
        text,
        port: request.remote_port().copied(),
        correlation: request.correlation,
        sent: None,
        received: None,
        passed_on: None,
        replied: None,
        ended: None,
        failed: false,
        children: Vec::new(),
    }
}

impl<'t> Analysis<'t> for Tree {
    fn finish(&mut self, names: &Names, out: &mut String) -> Found {
        // The children first.
        while let Some((id, node)) = self.open.pop_last() {
            self.done(id, *node);
        }
        self.flush(names);
        self.write(names, out);
        Found::Nothing
    }
}

impl<'t> Sink<'t> for Tree {
    fn opened(&mut self, _: &Names, exchange: &Exchange<'t>) {
        let Some((request, header)) =
            exchange.request.as_ref().and_then(|request| Some((request, request.mach_header?)))
        else {
            return;
        };
        let is_one_way = exchange.subject.routine.is_some_and(|routine| routine.reply_id().is_none());
        match exchange.role {
            Role::Client if !is_one_way && is_name(header.local_port as u32) => self.asked(exchange, request),
            Role::Server if is_name(header.remote_port) => self.received(exchange, request),
            // What it makes of that is no part of what it served before.
            Role::Server => drop(self.serving.remove(&(request.task, request.thread))),
            _ => {}
        }
    }

    fn closed(&mut self, names: &Names, exchange: &Exchange<'t>) {
        match (exchange.role, exchange.outcome) {
            (Role::Server, Outcome::Answered { .. }) => self.answered(exchange),
            (Role::Client, Outcome::Answered { .. }) => self.ended(exchange),
            _ => {}
        }
        self.flush(names);
    }

    fn counted(&mut self, _: Tally) {}

    fn given(&mut self, _: &Names, _: Actor, _: &Event) {}

    fn remark(&mut self, _: &Names, _: u64, remark: &Remark) {
        if let Remark::Lost(count) = remark {
            self.lost = self.lost.saturating_add((*count).into());
        }
    }
}
