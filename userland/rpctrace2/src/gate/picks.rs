// SPDX-License-Identifier: GPL-2.0-or-later
//! `--slower`, `--port`, `--direction`, `--thread`, `--result`: which exchanges, by what is known of each by itself.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use exchanges::exchange::{Exchange, Outcome, Role};
use exchanges::{Actor, Event, Names};
use mig_defs::table::Tables;
use report::words;
use trace_port::{Direction, Port};

use super::unmatched::Hits;
use crate::options::filter::{FilterError, code};
use crate::options::selecting::{Selecting, Thread, Way};

/// What of each exchange is asked for. Of several ports, threads or results one suffices.
#[derive(Debug)]
pub(super) struct Picks {
    slower: Option<u64>,
    ports: Vec<PortPick>,
    direction: Option<Way>,
    threads: Vec<Thread>,
    results: Vec<i32>,
}

/// A port, as the user calls it.
#[derive(Debug)]
enum PortPick {
    /// The kernel's number.
    Number(u32),
    /// A task's own name.
    Name(u32),
    /// What lines call it, or what they have of that in quotes.
    Text(String),
}

impl PortPick {
    fn parse(text: &str) -> Self {
        let number = |text: &str| text.parse().ok();
        let name = text.strip_prefix("name ").and_then(number).map(Self::Name);
        let port = || number(text.strip_prefix("port ").unwrap_or(text)).map(Self::Number);
        name.or_else(port).unwrap_or_else(|| Self::Text(text.to_string()))
    }

    /// Whether it is this one, which is in a message of an exchange.
    fn is(&self, names: &Names, actor: Actor, event: &Event, port: &Port) -> bool {
        match self {
            Self::Number(number) => port.is_known() && port.number.get() == *number,
            Self::Name(name) => port.name.get() == *name && !port.is_out_of_line(),
            Self::Text(text) => {
                let shown = match port.is_out_of_line() {
                    true => words::element(names, actor, event, port),
                    false => words::port(names, actor, event, port.name.get()),
                };
                shown == *text || shown.split('"').nth(1) == Some(text)
            }
        }
    }
}

impl Picks {
    pub(super) fn new(wanted: &Selecting, tables: Tables<'_>) -> Result<Self, FilterError> {
        Ok(Self {
            slower: wanted.slower,
            ports: wanted.ports.iter().map(|text| PortPick::parse(text)).collect(),
            direction: wanted.direction,
            threads: wanted.threads.clone(),
            results: wanted.results.iter().map(|word| code("--result", word, tables)).collect::<Result<_, _>>()?,
        })
    }

    /// Whether nothing is asked for.
    pub(super) fn are_none(&self) -> bool {
        self.direction.is_none() && self.threads.is_empty() && !self.need_end()
    }

    /// Whether it is known at an exchange's end only: what it takes, returns, and which ports are in its answer.
    fn need_end(&self) -> bool {
        self.slower.is_some() || !self.ports.is_empty() || !self.results.is_empty()
    }

    /// Whether an exchange that has begun is one of them, if that can be known.
    pub(super) fn has_already(&self, names: &Names, exchange: &Exchange<'_>) -> bool {
        !self.need_end() && self.has_direction(exchange) && self.has_thread(names, exchange.actor)
    }

    /// Whether an exchange that has ended by this time is one of them. Each question has its own hits.
    pub(super) fn has(&self, names: &Names, exchange: &Exchange<'_>, now: u64, hits: &mut Hits) -> bool {
        let answers = [
            (&mut hits.direction, self.has_direction(exchange)),
            (&mut hits.thread, self.has_thread(names, exchange.actor)),
            (&mut hits.port, self.has_port(names, exchange)),
            (&mut hits.result, self.has_result(exchange)),
            (&mut hits.slower, self.is_slower(exchange, now)),
        ];
        let mut has_all = true;
        for (hit, has) in answers {
            *hit |= has;
            has_all &= has;
        }
        hits.all |= has_all;
        has_all
    }

    /// Whether a right that a trap gave is one of them.
    pub(super) fn has_given(&self, names: &Names, actor: Actor, event: &Event) -> bool {
        let is_no_call = self.slower.is_none() && self.direction.is_none() && self.results.is_empty();
        is_no_call && self.has_thread(names, actor) && (self.ports.is_empty() || self.is_in(names, actor, event))
    }

    fn has_direction(&self, exchange: &Exchange<'_>) -> bool {
        let way = match exchange.role {
            Role::Client | Role::Exception { .. } => Way::Send,
            Role::Server | Role::Control { .. } => Way::Receive,
            Role::Failed => match exchange.last().map(|event| event.direction) {
                Some(Direction::Send) => Way::Send,
                _ => Way::Receive,
            },
        };
        self.direction.is_none_or(|wanted| wanted == way)
    }

    fn has_thread(&self, names: &Names, actor: Actor) -> bool {
        let is_it = |wanted: &Thread| {
            wanted.task == actor.task.0 + 1 && wanted.thread.is_none_or(|thread| names.place_of(actor) == Some(thread))
        };
        self.threads.is_empty() || self.threads.iter().any(is_it)
    }

    fn has_port(&self, names: &Names, exchange: &Exchange<'_>) -> bool {
        let mut events = exchange.request.iter().chain(&exchange.reply);
        self.ports.is_empty() || events.any(|event| self.is_in(names, exchange.actor, event))
    }

    fn is_in(&self, names: &Names, actor: Actor, event: &Event) -> bool {
        event.ports().iter().any(|port| self.ports.iter().any(|pick| pick.is(names, actor, event, port)))
    }

    fn has_result(&self, exchange: &Exchange<'_>) -> bool {
        self.results.is_empty() || exchange.code().is_some_and(|code| self.results.contains(&code))
    }

    /// Of one that has no answer it is known how long it has been waited for.
    fn is_slower(&self, exchange: &Exchange<'_>, now: u64) -> bool {
        let waited = || {
            let request = exchange.request.as_ref().filter(|_| exchange.outcome == Outcome::Unanswered)?;
            Some(now.saturating_sub(request.time))
        };
        self.slower.is_none_or(|least| exchange.duration().or_else(waited).is_some_and(|took| took >= least))
    }
}
