// SPDX-License-Identifier: GPL-2.0-or-later
//! Carrying a plan out: a new task with a program's pages, its first stack and its first thread.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use bootstrap::image::{Image, PAGE_SIZE, SPACE_END, SPACE_START, Segment};
use bootstrap::stack;
use mach::error::{KernReturn, Result};
use mach::memory::{Pages, VM_PROT_NONE};
use mach::port::{PortName, SendRight};
use mach::stubs;
use mach::sys::thread::{I386_THREAD_STATE, ThreadState};
use mach::sys::trap::{self, Mapping};

/// Size of a program's first stack.
const STACK_SIZE: u64 = 256 * 1024;

/// `VM_INHERIT_COPY`: a child task made with inherited memory gets its own copy.
const VM_INHERIT_COPY: i32 = 1;

/// A task that is being made; terminated again unless it is [`NewTask::finished`].
pub(crate) struct NewTask {
    task: SendRight,
    finished: bool,
}

impl NewTask {
    /// An empty task. It inherits its trace port from the task that asked for it.
    pub(crate) fn create(name: &str, parent: PortName) -> Result<Self> {
        let task = SendRight::from_name(trap::task_create(parent, false)?);
        let new = Self { task, finished: false };
        // The name only serves the kernel's own messages; one that is too long is cut.
        stubs::gnumach::task_set_name(new.name(), &name.as_bytes()[..name.len().min(31)])?;
        Ok(new)
    }

    /// The task port.
    pub(crate) fn name(&self) -> PortName {
        self.task.name()
    }

    /// The task is whole: it stays.
    pub(crate) fn finished(mut self) -> SendRight {
        self.finished = true;
        core::mem::replace(&mut self.task, SendRight::from_name(PortName::NULL))
    }

    /// Maps the program, builds its stack and starts its first thread, which runs once the task is not suspended.
    pub(crate) fn start(
        &self,
        image: &Image<'_>,
        arguments: &[Vec<u8>],
        environment: &[Vec<u8>],
    ) -> core::result::Result<(), String> {
        let place = |what: &'static str| move |error: KernReturn| format!("{what}: {error}");
        reserve_null_pages(self.name()).map_err(place("reserving the first pages"))?;
        for segment in &image.segments {
            self.map(segment)
                .map_err(|error| format!("mapping {:#x} bytes at {:#x}: {error}", segment.size, segment.start))?;
        }
        let pointer = self.write_stack(arguments, environment)?;
        let thread = stubs::mach::thread_create(self.name()).map_err(place("thread_create"))?;
        let state = ThreadState { rsp: pointer, rip: image.entry, ..ThreadState::default() };
        stubs::mach::thread_set_state(thread.name(), I386_THREAD_STATE, &state.words())
            .map_err(place("thread_set_state"))?;
        stubs::mach::thread_resume(thread.name()).map_err(place("thread_resume"))
    }

    fn map(&self, segment: &Segment<'_>) -> Result<()> {
        let mut pages = Pages::allocate(segment.size)?;
        let end = segment.data_offset + segment.data.len();
        pages.as_mut_slice()[segment.data_offset..end].copy_from_slice(segment.data);
        trap::vm_allocate(self.name(), segment.start, segment.size, false)?;
        stubs::mach::vm_write(self.name(), segment.start, pages.as_slice())?;
        stubs::mach::vm_protect(self.name(), segment.start, segment.size, false, segment.protection)
    }

    /// The stack at the end of the space, where GNU Mach's own loader puts it; returns the stack pointer.
    fn write_stack(&self, arguments: &[Vec<u8>], environment: &[Vec<u8>]) -> core::result::Result<u64, String> {
        let stack = stack::build(SPACE_END, arguments, environment);
        let used = SPACE_END - (stack.pointer & !(PAGE_SIZE - 1));
        if used > STACK_SIZE / 2 {
            return Err(format!("arguments: expected at most {} bytes on the stack, found {used}", STACK_SIZE / 2));
        }
        let write = || -> Result<()> {
            trap::vm_allocate(self.name(), SPACE_END - STACK_SIZE, STACK_SIZE, false)?;
            let mut pages = Pages::allocate(used)?;
            let offset = used as usize - stack.bytes.len();
            pages.as_mut_slice()[offset..].copy_from_slice(&stack.bytes);
            stubs::mach::vm_write(self.name(), SPACE_END - used, pages.as_slice())
        };
        write().map_err(|error| format!("stack of {STACK_SIZE:#x} bytes: {error}"))?;
        Ok(stack.pointer)
    }
}

impl Drop for NewTask {
    fn drop(&mut self) {
        if !self.finished {
            let _ = trap::task_terminate(self.task.name());
        }
    }
}

/// Keeps the first pages of a task from ever being mapped: otherwise the kernel hands them out first, and a null pointer
/// would be a good one.
pub(crate) fn reserve_null_pages(task: PortName) -> Result<()> {
    let mapping = Mapping {
        mask: 0,
        anywhere: false,
        object: PortName::NULL,
        offset: 0,
        copy: false,
        protection: VM_PROT_NONE,
        max_protection: VM_PROT_NONE,
        inheritance: VM_INHERIT_COPY,
    };
    trap::vm_map(task, 0, SPACE_START, &mapping).map(|_| ())
}
