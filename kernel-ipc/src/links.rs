//! What connects events: numbers of ports, and the exception a thread is in. For messages and replies see [`crate::stamp`] and
//! [`crate::replies`].
//!
//! Tables of fixed size, found by address; the oldest entry gives way. A forgotten link costs a correlation number, never a
//! message. Addresses stay in here: records get the numbers.

use spin::mutex::SpinMutex;
use trace_port::record::PORT_NUMBER;

use crate::gnumach::Port;
use crate::numbers::{Correlation, PortNumber, ThreadNumber};

/// Ports that keep their number; one more, and the oldest of its neighbourhood is forgotten and gets a new one if it comes again.
const PORTS: usize = 512;
/// How many places a port's number may stand in.
const WINDOW: usize = 8;
/// Exceptions that are waited for.
const EXCEPTIONS: usize = 64;

/// Numbers and links.
pub(crate) struct Links {
    ports: SpinMutex<Ports>,
    exceptions: SpinMutex<[(ThreadNumber, Correlation); EXCEPTIONS]>,
}

struct Ports {
    last: u32,
    slots: [(usize, u32); PORTS],
}

impl Links {
    /// Nothing linked. All zero bytes.
    pub(crate) const fn new() -> Self {
        Self {
            ports: SpinMutex::new(Ports { last: 0, slots: [(0, 0); PORTS] }),
            exceptions: SpinMutex::new([(ThreadNumber::NONE, Correlation::NONE); EXCEPTIONS]),
        }
    }

    /// The number that stands for a port in records. The same as long as the port lives, unless
    /// more than [`PORTS`] others have been shown meanwhile.
    pub(crate) fn port_number(&self, port: Port) -> PortNumber {
        let mut ports = self.ports.lock();
        let start = hash(port);
        let place = |index: usize| (start + index) % PORTS;
        let mut oldest = (place(0), u32::MAX);
        for index in 0..WINDOW {
            match ports.slots.get(place(index)) {
                Some(&(known, number)) if known == port.address() => return PortNumber::new(number),
                Some(&(_, number)) if number < oldest.1 => oldest = (place(index), number),
                _ => {}
            }
        }
        ports.last = ports.last.wrapping_add(1) & !PORT_NUMBER;
        let number = ports.last;
        if let Some(slot) = ports.slots.get_mut(oldest.0) {
            *slot = (port.address(), number);
        }
        PortNumber::new(number)
    }

    /// Notes the correlation number of a thread's exception.
    pub(crate) fn raised(&self, thread: ThreadNumber, correlation: Correlation) {
        if let Some(slot) = self.exceptions.lock().get_mut(thread.get() as usize % EXCEPTIONS) {
            *slot = (thread, correlation);
        }
    }

    /// The correlation number of the exception whose reply a thread got, or none.
    pub(crate) fn replied(&self, thread: ThreadNumber) -> Correlation {
        match self.exceptions.lock().get(thread.get() as usize % EXCEPTIONS) {
            Some(&(known, correlation)) if known == thread => correlation,
            _ => Correlation::NONE,
        }
    }
}

/// Objects of one kind stand at a fixed distance from each other: the product spreads them.
fn hash(port: Port) -> usize {
    ((port.address() as u64 >> 3).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_keeps_its_number_and_two_ports_never_share_one() {
        let links = Links::new();
        let ports: std::vec::Vec<Port> =
            (1..=40).map(|index| Port::fake(0xffff_ffff_8000_0000 + index * 136)).collect();
        let numbers: std::vec::Vec<u32> = ports.iter().map(|&port| links.port_number(port).get()).collect();
        let mut distinct = numbers.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), ports.len());
        assert!(numbers.iter().all(|number| number & PORT_NUMBER != 0 && number & !PORT_NUMBER <= 40));
        assert_eq!(ports.iter().map(|&port| links.port_number(port).get()).collect::<std::vec::Vec<_>>(), numbers);
    }

    #[test]
    fn more_ports_than_fit_push_out_the_oldest_and_get_fresh_numbers() {
        let links = Links::new();
        for index in 0..4 * PORTS {
            links.port_number(Port::fake(0x10_0000 + index * 136));
        }
        let last = Port::fake(0x10_0000 + (4 * PORTS - 1) * 136);
        assert_eq!(links.port_number(last).get() & !PORT_NUMBER, 4 * PORTS as u32);
    }
}
