// SPDX-License-Identifier: GPL-2.0-or-later
//! The registers of a thread that has stopped before it sends.
//!
//! The kernel has numbers for threads in records, and ports for those who ask about them; nothing says which are whose. In a task with one
//! thread it is that one. Of several it is the only one that is in a `mach_msg` as the record says: its arguments, and the message in
//! its memory. If that can be said of more than one, none is shown.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use mach::port::PortName;
use mach::stubs;
use mach::sys::thread::{I386_THREAD_STATE, I386_THREAD_STATE_COUNT};
use mach_abi::header::LP64;

/// What a thread has told `mach_msg`.
pub(super) struct Call {
    /// `option`.
    pub(super) options: u32,
    /// `msgh_id` of the message.
    pub(super) msgh_id: u32,
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

    /// Whether it is in this call: the second argument, and the message that the first one points to.
    fn is_in(&self, task: PortName, call: &Call) -> bool {
        self.get("rsi") as u32 == call.options && msgh_id(task, self.get("rdi")) == Some(call.msgh_id)
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

/// `msgh_id` of the message at an address of a task's memory.
fn msgh_id(task: PortName, address: u64) -> Option<u32> {
    let at = address.checked_add(LP64.id as u64)?;
    // It may lie across two pages.
    let memory =
        stubs::mach::vm_read(task, at & !(PAGE - 1), if at % PAGE > PAGE - 4 { 2 * PAGE } else { PAGE }).ok()?;
    let bytes = memory.as_slice().get((at % PAGE) as usize..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

/// The text of the registers of the thread of a task that is in this call, or why there is none.
pub(super) fn of(task: PortName, call: &Call) -> String {
    let Ok(threads) = stubs::mach::task_threads(task) else { return String::from("its task has ended\n") };
    let threads: Vec<_> = threads.collect();
    let is_only = threads.len() == 1;
    let all = threads.iter().filter_map(|thread| Registers::of(thread.name()));
    let all: Vec<Registers> = all.filter(|registers| is_only || registers.is_in(task, call)).collect();
    match &all[..] {
        [one] => one.text(),
        _ => format!(
            "of {} threads {} are in such a call: it cannot be said which one has stopped\n",
            threads.len(),
            all.len()
        ),
    }
}
