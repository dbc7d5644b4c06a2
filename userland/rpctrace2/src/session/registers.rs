// SPDX-License-Identifier: GPL-2.0-or-later
//! The registers of a thread that has stopped before it sends.
//!
//! The kernel has numbers for threads in records, and ports for those who ask about them; nothing says which are whose. In a task with one
//! thread it is that one. Of several it is the only one that is in a `mach_msg` as the record says: its arguments, and in its memory
//! the message, whose reply port is another in each thread; if that can be said of several, the only one whose message has the same contents,
//! as far as they are compared. If that is none, or several, none is shown.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use mach::port::PortName;
use mach::stubs;
use mach::sys::thread::{I386_THREAD_STATE, I386_THREAD_STATE_COUNT};
use mach_abi::header::LP64;
use mach_abi::{Format, Header};
use trace_port::Record;

/// What a thread has told `mach_msg`.
pub(super) struct Call {
    /// `option`.
    options: u32,
    /// The message, or its beginning.
    message: Vec<u8>,
}

impl Call {
    /// What the record says of a message that is about to be sent.
    pub(super) fn of(record: &Record<'_>) -> Self {
        let message = record.message.get(..MESSAGE_MAX).unwrap_or(record.message);
        Self { options: record.header.options.get(), message: message.to_vec() }
    }

    /// Whether these bytes begin as a message to the same port, with the same port for a reply, of the same kind.
    fn is_headed_so(&self, bytes: &[u8]) -> bool {
        let header =
            |bytes| Header::read(Format::Lp64, bytes).map(|header| (header.remote_port, header.local_port, header.id));
        header(bytes).is_some_and(|found| header(&self.message) == Some(found))
    }

    /// Whether what is behind the header is the same, too.
    fn is_the_same(&self, bytes: &[u8]) -> bool {
        self.message.get(LP64.end..) == bytes.get(LP64.end..self.message.len())
    }
}

/// Registers of `struct i386_thread_state` of the 64-bit kernel, in its order.
const NAMES: [&str; I386_THREAD_STATE_COUNT / 2] = [
    "r15", "r14", "r13", "r12", "r11", "r10", "r9", "r8", "rdi", "rsi", "rbp", "", "rbx", "rdx", "rcx", "rax", "rip",
    "cs", "rflags", "rsp", "ss",
];
/// The order in which they are shown.
const SHOWN: [&str; 18] = [
    "rip", "rflags", "rsp", "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "r8", "r9", "r10", "r11", "r12", "r13",
    "r14", "r15",
];
/// Registers in a line.
const IN_A_LINE: usize = 3;
/// Bytes of a page.
const PAGE: u64 = 4096;
/// Most bytes of a message that are compared.
const MESSAGE_MAX: usize = 4096;

/// The registers of a thread.
struct Registers([u32; I386_THREAD_STATE_COUNT]);

impl Registers {
    fn of(thread: PortName) -> Option<Self> {
        let mut words = [0; I386_THREAD_STATE_COUNT];
        let count = stubs::mach::thread_get_state(thread, I386_THREAD_STATE, &mut words).ok()?;
        (count == words.len()).then_some(Self(words))
    }

    fn get(&self, name: &str) -> u64 {
        let place = NAMES.iter().position(|known| *known == name).unwrap_or_default();
        let word = |at: usize| u64::from(self.0.get(at).copied().unwrap_or_default());
        word(2 * place) | word(2 * place + 1) << 32
    }

    /// The bytes where its message is, if it has told `mach_msg` this.
    fn message(&self, task: PortName, call: &Call) -> Option<Vec<u8>> {
        let has_said = self.get("rsi") as u32 == call.options;
        let bytes = has_said.then(|| read(task, self.get("rdi"), call.message.len()))??;
        call.is_headed_so(&bytes).then_some(bytes)
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for names in SHOWN.chunks(IN_A_LINE) {
            for name in names {
                text += &format!("  {name:<6} {:#018x}", self.get(name));
            }
            text.push('\n');
        }
        text
    }
}

/// So many bytes of a task's memory.
fn read(task: PortName, address: u64, size: usize) -> Option<Vec<u8>> {
    let begin = address & !(PAGE - 1);
    let end = address.checked_add(size as u64)?.checked_next_multiple_of(PAGE)?;
    let memory = stubs::mach::vm_read(task, begin, end - begin).ok()?;
    let skipped = (address - begin) as usize;
    Some(memory.as_slice().get(skipped..skipped.checked_add(size)?)?.to_vec())
}

/// The text of the registers of the thread of a task that is in this call, or why there is none.
pub(super) fn of(task: PortName, call: &Call) -> String {
    let Ok(threads) = stubs::mach::task_threads(task) else { return String::from("its task has ended\n") };
    let threads: Vec<_> = threads.collect();
    let all: Vec<Registers> = threads.iter().filter_map(|thread| Registers::of(thread.name())).collect();
    if threads.len() == 1
        && let [only] = &all[..]
    {
        return only.text();
    }
    let mut found: Vec<(Registers, Vec<u8>)> = Vec::new();
    for registers in all {
        found.extend(registers.message(task, call).map(|message| (registers, message)));
    }
    let alike = found.len();
    if alike > 1 {
        found.retain(|(_, message)| call.is_the_same(message));
    }
    match &found[..] {
        [(one, _)] => one.text(),
        _ => format!(
            "of {} threads {alike} are in such a call: it cannot be said which one has stopped\n",
            threads.len()
        ),
    }
}
