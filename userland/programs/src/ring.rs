// SPDX-License-Identifier: GPL-2.0-or-later
//! A tracer's ring, for programs that are tracers of their own.

use alloc::vec::Vec;
use core::hint::black_box;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use mach::error::KernReturn;
use mach::memory::{Mapped, PAGE_SIZE, VM_PROT_READ, VM_PROT_WRITE};
use mach::port::{PortName, SendRight};
use mach::stubs::mach::task_get_special_port;
use mach_abi::special_port::{TASK_TRACE_READER, TASK_TRACE_RING};
use trace_port::record::Record;
use trace_port::ring::{self, FRAMES_WORD, Item, Reader, RingError, Standing, Step, TRACERS_CAPACITY, TRACERS_SIZE};

use crate::{Doing, Mismatch};

/// Asks for the ring of the caller's trace port of a task; the right is to a memory object, and of use with [`Ring::map`].
///
/// # Errors
/// `KERN_INVALID_ARGUMENT` of a kernel without rings, `KERN_RESOURCE_SHORTAGE` where there is none to be had, `KERN_NO_ACCESS` for a task that is
/// not traced to a port that the caller receives from.
pub fn ask(task: PortName) -> Result<SendRight, KernReturn> {
    task_get_special_port(task, TASK_TRACE_RING)
}

/// A ring's two mappings.
#[derive(Debug)]
pub struct Mappings {
    kernels: Mapped,
    readers: Mapped,
}

impl Mappings {
    /// The ring of the caller's trace port of a task.
    ///
    /// # Errors
    /// Those of [`ask`] and of `vm_map`.
    pub fn of(task: PortName) -> Result<Self, KernReturn> {
        let kernels = Mapped::map(&ask(task)?, TRACERS_SIZE as u64, VM_PROT_READ)?;
        let readers = task_get_special_port(task, TASK_TRACE_READER)?;
        Ok(Self { kernels, readers: Mapped::map(&readers, PAGE_SIZE, VM_PROT_READ | VM_PROT_WRITE)? })
    }

    /// A reader of it.
    ///
    /// # Errors
    /// `KERN_FAILURE` where what is mapped is no ring.
    pub fn reader(&self) -> Result<Reader, KernReturn> {
        self.words().and_then(|words| Reader::open(&words).ok()).ok_or(KernReturn::KERN_FAILURE)
    }

    /// Has the kernel bring every page, of each of which it keeps something once it has.
    pub fn touch(&self) {
        let words = |mapped: &Mapped| {
            mapped.words().iter().step_by(PAGE_SIZE as usize / 8).fold(0, |sum, word| sum ^ word.load(Relaxed))
        };
        black_box(words(&self.kernels) ^ words(&self.readers));
    }

    /// The ring's words, if there is room for one.
    pub fn words(&self) -> Option<ring::Ring<'_, AtomicU64>> {
        let words = self.kernels.words();
        let frames = words.get(FRAMES_WORD..FRAMES_WORD + TRACERS_CAPACITY / 8)?;
        ring::Ring::in_parts(words, self.readers.words(), frames)
    }
}

/// A ring that is mapped here, and how far it was read.
#[derive(Debug)]
pub struct Ring {
    mappings: Mappings,
    reader: Reader,
    buffer: Vec<u64>,
}

impl Ring {
    /// The ring of the caller's trace port of a task.
    ///
    /// # Errors
    /// Those of [`Mappings::of`] and [`Mappings::reader`].
    pub fn of(task: PortName) -> Result<Self, KernReturn> {
        let mappings = Mappings::of(task)?;
        Ok(Self { reader: mappings.reader()?, buffer: alloc::vec![0; BUFFER_WORDS], mappings })
    }

    /// Its words.
    ///
    /// # Errors
    /// Where what is mapped is too small for one.
    pub fn words(&self) -> Result<ring::Ring<'_, AtomicU64>, Mismatch> {
        self.mappings.words().doing("memory as large as a ring")
    }

    /// The reader's page.
    pub fn readers_page(&self) -> &[AtomicU64] {
        self.mappings.readers.words()
    }

    /// Where it is mapped to be read.
    pub const fn address(&self) -> u64 {
        self.mappings.kernels.address()
    }

    /// Takes the records that are there and gives their room back. Returns how many they were; what becomes of open ones is not told.
    ///
    /// # Errors
    /// Records that are missing, a ring that cannot be, and what `take` refuses.
    pub fn read(&mut self, mut take: impl FnMut(&Record<'_>) -> Result<(), Mismatch>) -> Result<usize, Mismatch> {
        let mut count = 0;
        let words = self.mappings.words().doing("memory as large as a ring")?;
        loop {
            let batch = self.reader.read(&words, &mut self.buffer).map_err(damaged)?;
            if batch.is_empty() {
                return Ok(count);
            }
            for item in batch {
                match item {
                    Item::Record(record, _) | Item::Open(_, record, _) => {
                        take(&record)?;
                        count += 1;
                    }
                    Item::Outcome(_) => {}
                    Item::Lost(_) => return Err(Mismatch::new("a ring that loses nothing: found records missing")),
                }
            }
            words.set_tail(self.reader.position());
        }
    }

    /// Looks at the records that are there where they stand, and gives their room back. Those that are not there in one piece are copied, and so is what
    /// has come behind them. Returns how many they were.
    ///
    /// # Errors
    /// As for [`Ring::read`].
    pub fn walk(
        &mut self,
        standing: impl FnMut(&Standing<'_, AtomicU64>),
        mut copied: impl FnMut(&Record<'_>),
    ) -> Result<usize, Mismatch> {
        let words = self.mappings.words().doing("memory as large as a ring")?;
        let count = walk(&mut self.reader, &words, standing);
        words.set_tail(self.reader.position());
        if self.reader.position() == words.head() {
            return Ok(count);
        }
        let rest = self.read(|record| {
            copied(record);
            Ok(())
        })?;
        Ok(count + rest)
    }

    /// Says that the reader is about to sleep until so many bytes are unread. `false` if there are: it is not.
    ///
    /// # Errors
    /// As for [`Ring::words`].
    pub fn may_sleep(&self, until: u64) -> Result<bool, Mismatch> {
        let words = self.words()?;
        words.set_sleeps(until);
        let may_sleep = words.unread() < until;
        if !may_sleep {
            words.set_sleeps(0);
        }
        Ok(may_sleep)
    }

    /// Says that the reader is awake. What would have woken it may be on its way.
    ///
    /// # Errors
    /// As for [`Ring::words`].
    pub fn wakes_up(&self) -> Result<(), Mismatch> {
        self.words()?.set_sleeps(0);
        Ok(())
    }
}

/// A function of its own, which needs all registers. Returns how many records there were.
#[inline(never)]
fn walk(
    reader: &mut Reader,
    ring: &ring::Ring<'_, AtomicU64>,
    mut standing: impl FnMut(&Standing<'_, AtomicU64>),
) -> usize {
    let mut count = 0;
    for step in reader.walk(ring) {
        if let Step::Record(record) = step {
            standing(&record);
            count += 1;
        }
    }
    count
}

/// No frame is larger than half of a ring.
const BUFFER_WORDS: usize = TRACERS_CAPACITY / 2 / 8;

fn damaged(error: RingError) -> Mismatch {
    Mismatch::new(match error {
        RingError::NoRing => "a ring: found none",
        RingError::WrongVersion { .. } => "a ring of this layout: found another one",
        RingError::BadWord { word, .. } => word,
        RingError::SmallBuffer => "a buffer for the largest frame: found a smaller one",
    })
}
