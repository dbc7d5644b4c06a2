//! Which reply belongs to which request: from single messages to the steps of RPCs.

use alloc::rc::Rc;
use alloc::vec::Vec;

use mach_abi::header::REPLY_ID_OFFSET;
use mach_abi::notify::MACH_NOTIFY_SEND_ONCE;
use mach_abi::{Header, type_name};
use mig_defs::table::Tables;
use trace_port::Direction;

use crate::event::Event;

/// Requests without a reply that are remembered; an older one is forgotten and its reply, if it comes, is an orphan.
const PENDING_MAX: usize = 4096;

/// A request that expects a reply.
#[derive(Debug)]
pub struct Call {
    /// Counts the calls of the trace.
    pub id: u64,
    /// The request as it was sent.
    pub request: Event,
}

/// What an event is in the course of an RPC.
#[derive(Clone, Debug)]
pub enum Step {
    /// A request was sent that expects a reply.
    Request(Rc<Call>),
    /// A reply came; `call` is `None` if its request was not seen.
    Reply {
        /// What it answers.
        call: Option<Rc<Call>>,
        /// The reply.
        reply: Rc<Event>,
    },
    /// A message was sent that expects no reply.
    OneWay(Rc<Event>),
    /// A request or notification came in.
    Incoming(Rc<Event>),
    /// A server answered; `request` is `None` if it was not seen.
    Answer {
        /// What it answers.
        request: Option<Rc<Event>>,
        /// The answer.
        answer: Rc<Event>,
    },
    /// `mach_msg` failed.
    Failed(Rc<Event>),
}

/// A request that a traced server received and has not answered.
#[derive(Debug)]
struct Served {
    /// The name of the reply right in the server.
    reply_right: u32,
    reply_id: u32,
    request: Rc<Event>,
}

/// Remembers what is unanswered.
#[derive(Debug, Default)]
pub struct Correlator {
    calls: u64,
    pending: Vec<Rc<Call>>,
    served: Vec<Served>,
}

impl Correlator {
    /// Says what an event is.
    pub fn step(&mut self, tables: Tables<'_>, event: Event) -> Step {
        let header = match event.mach_header() {
            Some(header) if event.retval == 0 => header,
            _ => return Step::Failed(Rc::new(event)),
        };
        match event.direction {
            Direction::Send => self.sent(tables, header, event),
            Direction::Receive => self.received(tables, header, event),
        }
    }

    fn sent(&mut self, tables: Tables<'_>, header: Header, event: Event) -> Step {
        let answered = self.served.iter().position(|served| {
            served.request.task == event.task
                && served.reply_right == header.remote_port
                && served.reply_id == header.id
        });
        if let Some(index) = answered {
            let request = Some(self.served.remove(index).request);
            return Step::Answer { request, answer: Rc::new(event) };
        }
        if tables.is_reply(header.id) {
            return Step::Answer { request: None, answer: Rc::new(event) };
        }
        let one_way = tables.request(header.id).is_some_and(|routine| routine.reply_id().is_none());
        if one_way || !is_name(header.local_port as u32) {
            return Step::OneWay(Rc::new(event));
        }
        self.calls += 1;
        let call = Rc::new(Call { id: self.calls, request: event });
        if self.pending.len() == PENDING_MAX {
            self.pending.remove(0);
        }
        self.pending.push(call.clone());
        Step::Request(call)
    }

    fn received(&mut self, tables: Tables<'_>, header: Header, event: Event) -> Step {
        if let Some(index) = self.answered_call(header, &event) {
            let call = Some(self.pending.remove(index));
            return Step::Reply { call, reply: Rc::new(event) };
        }
        if tables.is_reply(header.id) {
            return Step::Reply { call: None, reply: Rc::new(event) };
        }
        let request = Rc::new(event);
        let reply_right = header.remote_port;
        if is_name(reply_right) {
            // The name is used again, so what it stood for before is gone.
            self.served.retain(|served| served.request.task != request.task || served.reply_right != reply_right);
            let reply_id = header.id.wrapping_add(REPLY_ID_OFFSET);
            self.served.push(Served { reply_right, reply_id, request: request.clone() });
        }
        Step::Incoming(request)
    }

    /// The call that this message answers. Of several that one port and id fit, the kernel's correlation number tells
    /// which; other servers are taken to answer in order.
    fn answered_call(&self, header: Header, event: &Event) -> Option<usize> {
        let port = received_on(header, event);
        let fits = |call: &Rc<Call>| {
            let request = &call.request;
            let Some(sent) = request.mach_header() else { return false };
            let answers = header.id == sent.id.wrapping_add(REPLY_ID_OFFSET);
            // What comes instead of a reply when the server drops the right.
            let died = header.id == MACH_NOTIFY_SEND_ONCE && sent.local_port as u32 == port;
            request.task == event.task && (answers || died)
        };
        let same_message = |call: &Rc<Call>| event.correlation != 0 && call.request.correlation == event.correlation;
        let same_port = |call: &Rc<Call>| call.request.mach_header().is_some_and(|sent| sent.local_port as u32 == port);
        let position = |test: &dyn Fn(&Rc<Call>) -> bool| self.pending.iter().position(|call| fits(call) && test(call));
        position(&same_message).or_else(|| position(&same_port))
    }
}

/// The port a message came in on, by its name in the receiver.
pub fn received_on(header: Header, event: &Event) -> u32 {
    // With a protected payload, the header does not name the port.
    match u32::from(header.local_disposition()) {
        type_name::PROTECTED_PAYLOAD => event.rcv_name,
        _ => header.local_port as u32,
    }
}

/// Whether this names a right at all.
pub fn is_name(name: u32) -> bool {
    name != 0 && name != u32::MAX
}
