// SPDX-License-Identifier: GPL-2.0-or-later
//! A program in a task: its pages, its stack, its first thread.

use alloc::vec::Vec;

use hurd::stubs::io;
use mach::error::{KernReturn, Result};
use mach::memory::{PAGE_SIZE, Pages, VM_PROT_EXECUTE, VM_PROT_NONE, VM_PROT_READ, VM_PROT_WRITE};
use mach::mig::AnyRight;
use mach::port::{PortName, SendRight};
use mach::stubs;
use mach::sys::thread::{I386_THREAD_STATE, ThreadState};
use mach::sys::trap::{self, Mapping};
use small_hurd::errno::{ENOEXEC, EOPNOTSUPP};
use small_hurd::image::Image;

/// The end of a task's space.
const SPACE_END: u64 = 0x8000_0000_0000;

/// What is kept free below programs that may lie anywhere.
const LOW: u64 = 1 << 32;

/// Size of a program's first stack, as glibc's `mach_setup_thread` makes it.
const STACK_SIZE: u64 = 16 << 20;

/// `VM_INHERIT_COPY`.
const VM_INHERIT_COPY: i32 = 1;

/// All bytes of a file.
///
/// # Errors
/// What its server answers.
pub(super) fn read(file: PortName) -> Result<Vec<u8>> {
    match io::io_map(file) {
        // It could be mapped; reading it is enough here.
        Ok(_) | Err(EOPNOTSUPP) => {}
        Err(error) => return Err(error),
    }
    let size = io::io_stat(file)?.st_size;
    let size = u64::try_from(size).map_err(|_| ENOEXEC)?;
    let mut bytes: Vec<u8> = Vec::new();
    while (bytes.len() as u64) < size {
        let part = io::io_read(file, bytes.len() as i64, size - bytes.len() as u64)?;
        if part.is_empty() {
            break;
        }
        bytes.extend_from_slice(part.as_bytes());
    }
    Ok(bytes)
}

/// Takes everything out of a task that its old program had: threads, memory, and the names that its new one is not to have.
pub(super) fn clear(task: PortName, dealloc: &[PortName], destroy: &[PortName]) -> Result<()> {
    for thread in stubs::mach::task_threads(task)? {
        if let AnyRight::Send(thread) = thread {
            let _ = stubs::mach::thread_terminate(thread.name());
        }
    }
    let _ = stubs::mach::vm_deallocate(task, 0, SPACE_END);
    for name in dealloc {
        let _ = stubs::mach_port::mach_port_deallocate(task, *name);
    }
    for name in destroy {
        let _ = stubs::mach_port::mach_port_destroy(task, *name);
    }
    Ok(())
}

/// Nothing may lie at the lowest addresses: in a page, or where all may lie anywhere in 4 GiB.
pub(super) fn reserve(task: PortName, image: &Image, interpreter: Option<&Image>) -> Result<()> {
    let is_anywhere = |image: &Image| image.span.is_some();
    let size = if is_anywhere(image) && interpreter.is_none_or(is_anywhere) { LOW } else { PAGE_SIZE };
    let nothing = Mapping {
        mask: 0,
        anywhere: false,
        object: PortName::NULL,
        offset: 0,
        copy: true,
        protection: VM_PROT_NONE,
        max_protection: VM_PROT_NONE,
        inheritance: VM_INHERIT_COPY,
    };
    trap::vm_map(task, 0, size, &nothing).map(drop)
}

/// Puts a program's pages into a task; what may lie anywhere where there is room. The program as it lies there.
pub(super) fn load(task: PortName, mut image: Image) -> Result<Image> {
    if let Some(span) = image.span.filter(|span| *span > 0) {
        let mut base = 0;
        stubs::mach::vm_allocate(task, &mut base, span, true)?;
        stubs::mach::vm_deallocate(task, base, span)?;
        image = image.at(base).ok_or(KernReturn::KERN_NO_SPACE)?;
    }
    for region in &image.regions {
        stubs::mach::vm_allocate(task, &mut { region.start }, region.size, false)?;
        if !region.data.is_empty() {
            let mut pages = Pages::allocate(region.data.len() as u64)?;
            pages.as_mut_slice()[..region.data.len()].copy_from_slice(&region.data);
            stubs::mach::vm_write(task, region.start, pages.as_slice())?;
        }
        stubs::mach::vm_protect(task, region.start, region.size, false, region.protection)?;
    }
    Ok(image)
}

/// A program's first thread, suspended, and its stack.
pub(super) struct First {
    pub(super) thread: SendRight,
    pub(super) stack_base: u64,
    pub(super) stack_size: u64,
}

/// Makes the first thread, which starts at this entry with the stack pointer at the very end of its stack and all other registers 0.
pub(super) fn first_thread(task: PortName, entry: u64, is_stack_executable: bool) -> Result<First> {
    let mut guard = 0;
    stubs::mach::vm_allocate(task, &mut guard, STACK_SIZE + PAGE_SIZE, true)?;
    stubs::mach::vm_protect(task, guard, PAGE_SIZE, false, VM_PROT_NONE)?;
    let stack_base = guard + PAGE_SIZE;
    if is_stack_executable {
        let all = VM_PROT_READ | VM_PROT_WRITE | VM_PROT_EXECUTE;
        stubs::mach::vm_protect(task, stack_base, STACK_SIZE, false, all)?;
    }
    let thread = stubs::mach::thread_create(task)?;
    let state = ThreadState { rsp: stack_base + STACK_SIZE, rip: entry, ..ThreadState::default() };
    stubs::mach::thread_set_state(thread.name(), I386_THREAD_STATE, &state.words())?;
    Ok(First { thread, stack_base, stack_size: STACK_SIZE })
}
