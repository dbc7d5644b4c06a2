// SPDX-License-Identifier: GPL-2.0-or-later
//! Which port a port is: a number that is the same in all tasks, kept in a hole of its struct.
//!
//! It is given when the port is first shown, and taken away when the port is destroyed, while anything is traced: another port may come
//! to stand in its memory. A number from before the present traces is none. The hole of a port that was made while nothing was traced may
//! hold anything; numbers are kept as codes of 31 bits that depend on a secret of this boot and on where the port is, so that anything is
//! taken for one of the N numbers of the present traces once in 2^31 / N times, and no program can bring that about. There is no table: nothing
//! is forgotten, and it costs the same however many ports there are.

use core::num::{NonZeroU32, NonZeroU64};
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use trace_port::port;
use trace_port::record::PORT_NUMBER;

use crate::gnumach::ForOne;
use crate::numbers::{PortNumber, ThreadNumber};

/// What a port is to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Its number; none of a port set.
    pub(crate) number: PortNumber,
    /// `IKOT_*`, or [`port::PORT_SET`].
    pub(crate) kind: u8,
    /// The number of the traced task, or of the thread of one, that it is the control port of, or 0.
    pub(crate) object: u32,
}

impl Identity {
    /// A port set.
    pub(crate) const SET: Self = Self { number: PortNumber::NONE, kind: port::PORT_SET, object: 0 };
}

/// The kind of a port and its object, as a word.
#[derive(Clone, Copy, Debug)]
pub(crate) struct What(u64);

impl What {
    /// This kind.
    #[inline(always)]
    pub(crate) const fn kind(kind: u8) -> Self {
        Self(kind as u64)
    }

    /// This kind and object.
    #[inline(always)]
    pub(crate) const fn of(kind: u8, object: u32) -> Self {
        Self(Self::kind(kind).0 | (object as u64) << 32)
    }
}

/// A name, and which port it stands for: the words of a [`trace_port::Port`], which are two, so that a function returns them in registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NamedPort {
    /// The name, which is not 0, and the number.
    first: NonZeroU64,
    /// The kind, and the object.
    second: u64,
}

impl NamedPort {
    /// This port by this name; none by 0.
    #[inline(always)]
    pub(crate) fn of(name: u32, port: Identity) -> Option<Self> {
        NonZeroU32::new(name).map(|name| Self::by(name, (port.number, What::of(port.kind, port.object))))
    }

    /// [`NamedPort::of`] a name that is not 0.
    #[inline(always)]
    pub(crate) fn by(name: NonZeroU32, (number, what): (PortNumber, What)) -> Self {
        Self { first: NonZeroU64::from(name) | u64::from(number.get()) << 32, second: what.0 }
    }

    /// The one with these words.
    pub(crate) const fn of_words([first, second]: [u64; 2]) -> Option<Self> {
        match NonZeroU64::new(first) {
            Some(first) => Some(Self { first, second }),
            None => None,
        }
    }

    /// The name.
    pub(crate) const fn name(self) -> u32 {
        self.first.get() as u32
    }

    /// The words.
    #[inline(always)]
    pub(crate) const fn words(self) -> [u64; 2] {
        [self.first.get(), self.second]
    }

    /// Which port it is.
    #[inline(always)]
    pub(crate) const fn identity(self) -> Identity {
        let number = PortNumber::new((self.first.get() >> 32) as u32);
        Identity { number, kind: self.second as u8, object: (self.second >> 32) as u32 }
    }
}

/// Gives out numbers.
pub(crate) struct Numbers {
    last: AtomicU32,
    /// The first one since the first of the present traces began, and how many were given since.
    first: AtomicU32,
    since: AtomicU32,
    secret: AtomicU32,
    threads: AtomicU32,
}

impl Numbers {
    /// None given yet.
    pub(crate) const fn new() -> Self {
        Self {
            last: AtomicU32::new(0),
            first: AtomicU32::new(0),
            since: AtomicU32::new(0),
            secret: AtomicU32::new(0),
            threads: AtomicU32::new(0),
        }
    }

    /// Takes something that no program knows; once, before the first trace.
    pub(crate) fn keep_secret(&self, secret: u64) {
        self.secret.store(secret as u32, Relaxed);
    }

    /// The first of the present traces begins: numbers from before are none.
    pub(crate) fn begin(&self) {
        self.first.store(self.last.load(Relaxed) + 1, Relaxed);
        self.since.store(0, Relaxed);
    }

    /// The number that this code in the hole of the port at `address` stands for, if it was put there for this port.
    #[inline(always)]
    pub(crate) fn known(&self, address: usize, code: u32) -> Option<PortNumber> {
        self.known_by(address, code, |word| word.load(Relaxed))
    }

    /// [`Numbers::known`] on a kernel for one processor.
    #[inline(always)]
    pub(crate) fn known_quickly(&self, one: ForOne, address: usize, code: u32) -> Option<PortNumber> {
        self.known_by(address, code, |word| one.look_at(word))
    }

    #[inline(always)]
    fn known_by(&self, address: usize, code: u32, load: impl Fn(&AtomicU32) -> u32) -> Option<PortNumber> {
        if code == 0 {
            return None;
        }
        let number = code ^ pad(address, load(&self.secret));
        // One that was given before them, and what is none, comes round to a large one.
        let place = number.wrapping_sub(load(&self.first));
        (place < load(&self.since)).then(|| PortNumber::new(number))
    }

    /// A number that no port has, and its code for the port at `address`; none once all are given.
    #[cold]
    #[inline(never)]
    pub(crate) fn next(&self, address: usize) -> Option<(PortNumber, u32)> {
        loop {
            let next = |last: u32| last.checked_add(1).filter(|next| next & PORT_NUMBER == 0);
            let number = self.last.fetch_update(Relaxed, Relaxed, next).ok()? + 1;
            // Before anybody finds it; a larger one may have been given meanwhile.
            self.since.fetch_max(number.wrapping_sub(self.first.load(Relaxed)).wrapping_add(1), Relaxed);
            let code = number ^ pad(address, self.secret.load(Relaxed));
            // Zeros are no number.
            if code != 0 {
                return Some((PortNumber::new(number), code));
            }
        }
    }

    /// A number that no thread has.
    pub(crate) fn next_thread(&self) -> ThreadNumber {
        ThreadNumber::new(self.threads.fetch_add(1, Relaxed).wrapping_add(1))
    }
}

/// 31 bits that only who knows the secret can tell.
#[inline(always)]
const fn pad(address: usize, secret: u32) -> u32 {
    (address as u32 ^ secret) >> 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers() -> Numbers {
        let numbers = Numbers::new();
        numbers.keep_secret(0x1234_5678_9abc_def1);
        numbers
    }

    #[test]
    fn a_number_is_known_where_it_was_put_and_nowhere_else() {
        let numbers = numbers();
        let (one, code) = numbers.next(0x1000).unwrap();
        let (other, others) = numbers.next(0x2000).unwrap();
        assert_eq!((one.get(), other.get()), (1, 2));
        assert_eq!(numbers.known(0x1000, code), Some(one));
        assert_eq!(numbers.known(0x2000, others), Some(other));
        assert_eq!(numbers.known_quickly(ForOne::fake(), 0x2000, others), Some(other));
        assert_eq!(numbers.known(0x2000, code), None, "the memory of another port");
        assert_eq!(numbers.known(0x1000, 0), None, "memory of zeros");
        assert_eq!(numbers.known(0x1000, code ^ 1 ^ 3), None, "not given yet");
        numbers.begin();
        assert_eq!(numbers.known(0x1000, code), None, "from before the present traces");
    }

    #[test]
    fn what_happens_to_stand_in_the_hole_is_no_number() {
        const GIVEN: usize = 1000;
        let numbers = numbers();
        (0..GIVEN).for_each(|index| assert!(numbers.next(index).is_some()));
        let mut found = 0;
        for index in 0..1_000_000_u32 {
            let code = [1, index & 0xff, index, 0x7fff_ffff, 0x4141_4141 >> 1][index as usize % 5];
            found += u32::from(numbers.known(0xffff_ffff_8000_0000 + 136 * index as usize, code).is_some());
        }
        // A million times a thousand in 2^31.
        assert!(found <= 5, "{found} words were taken for numbers");
    }

    #[test]
    fn there_are_no_more_numbers_than_names_can_tell() {
        let numbers = numbers();
        numbers.last.store(PORT_NUMBER - 1, Relaxed);
        assert_eq!(numbers.next(8), None);
        assert_eq!(numbers.next(8), None);
    }
}
