// SPDX-License-Identifier: GPL-2.0-or-later
//! The mach traps: `syscall` with the negative trap number in `rax`, as GNU Mach's syscall_sw.h numbers them.
//!
//! Several traps do the work of an RPC. For a traced task they answer `MACH_SEND_INTERRUPTED` and the wrapper falls back to
//! the RPC itself, which the trace then shows; glibc's wrappers do the same.

use core::arch::asm;

use mach_abi::trap;

use super::thread::{I386_THREAD_STATE, I386_THREAD_STATE_COUNT};
use crate::error::{KernReturn, Result};
use crate::port::{Disposition, PortName, Right};
use crate::stubs;

/// A trap of up to six arguments.
///
/// # Safety
/// The kernel reads and writes the memory that the arguments name; the caller answers for that.
unsafe fn trap6(number: i64, args: [u64; 6]) -> u64 {
    let result;
    // SAFETY: `syscall` enters the kernel, which keeps the callee-saved registers and the stack; all others are declared
    // lost. The caller answers for the memory the arguments name.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number => result,
            inlateout("rdi") args[0] => _,
            inlateout("rsi") args[1] => _,
            inlateout("rdx") args[2] => _,
            inlateout("r10") args[3] => _,
            inlateout("r8") args[4] => _,
            inlateout("r9") args[5] => _,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        )
    };
    result
}

/// A trap of up to eleven arguments; the seventh on stand where a C caller's stack would have them.
///
/// # Safety
/// As for [`trap6`].
unsafe fn trap11(number: i64, args: [u64; 6], stacked: &[u64; 5]) -> u64 {
    let result;
    // SAFETY: as in `trap6`; the six words pushed (five arguments and the place of a return address, which the kernel
    // skips) are popped again, and no operand is addressed through the stack pointer in between.
    unsafe {
        asm!(
            "push qword ptr [rcx + 32]",
            "push qword ptr [rcx + 24]",
            "push qword ptr [rcx + 16]",
            "push qword ptr [rcx + 8]",
            "push qword ptr [rcx]",
            "push 0",
            "syscall",
            "add rsp, 48",
            inlateout("rax") number => result,
            inlateout("rdi") args[0] => _,
            inlateout("rsi") args[1] => _,
            inlateout("rdx") args[2] => _,
            inlateout("r10") args[3] => _,
            inlateout("r8") args[4] => _,
            inlateout("r9") args[5] => _,
            inlateout("rcx") stacked.as_ptr() => _,
            lateout("r11") _,
        )
    };
    result
}

/// A trap all of whose arguments are numbers and names, so that it touches no memory by itself.
fn plain(number: i64, args: [u64; 6]) -> u64 {
    // SAFETY: no argument of the traps called through here is a pointer into this task, except `vm_allocate`'s and
    // `mach_port_allocate`'s out arguments, which point to a live local variable of the wrapper.
    unsafe { trap6(number, args) }
}

/// What a trap answered, or `None` if it says that the RPC must be made instead.
fn answer(value: u64) -> Option<Result<()>> {
    let value = KernReturn(value as i32);
    match value {
        KernReturn::MACH_SEND_INTERRUPTED => None,
        other => Some(other.into_result()),
    }
}

/// `mach_msg_trap` on the message at `address`.
pub(super) fn mach_msg(
    address: u64,
    option: u32,
    send_size: u32,
    rcv_size: u32,
    rcv_name: PortName,
    timeout: u32,
    notify: PortName,
) -> u32 {
    let args = [address, option.into(), send_size.into(), rcv_size.into(), rcv_name.0.into(), timeout.into()];
    // SAFETY: the kernel reads `send_size` bytes and writes at most `rcv_size` (or a header) at `address`; the callers in
    // `msg` pass a buffer with that room, or no receive option at all.
    unsafe { trap11(trap::MACH_MSG_TRAP, args, &[notify.0.into(), 0, 0, 0, 0]) as u32 }
}

/// `mach_reply_port`: a new port of which the caller holds the receive right.
pub fn mach_reply_port() -> PortName {
    PortName(plain(trap::MACH_REPLY_PORT, [0; 6]) as u32)
}

/// `mach_thread_self`: a new reference of a send right to the calling thread.
pub fn mach_thread_self() -> PortName {
    PortName(plain(trap::MACH_THREAD_SELF, [0; 6]) as u32)
}

/// `mach_task_self`: a new reference of a send right to the calling task.
pub fn mach_task_self() -> PortName {
    PortName(plain(trap::MACH_TASK_SELF, [0; 6]) as u32)
}

/// `mach_host_self`: a new reference of a send right to the host name port.
pub fn mach_host_self() -> PortName {
    PortName(plain(trap::MACH_HOST_SELF, [0; 6]) as u32)
}

/// `mach_print`: text straight to the kernel's console. Debug kernels only; elsewhere nothing happens.
pub fn mach_print(text: &core::ffi::CStr) {
    // SAFETY: the kernel reads a NUL-terminated string, which a `CStr` is.
    unsafe { trap6(trap::MACH_PRINT, [text.as_ptr() as u64, 0, 0, 0, 0, 0]) };
}

/// `thread_switch(MACH_PORT_NULL, SWITCH_OPTION_NONE, 0)`: lets another thread run.
pub fn thread_switch() {
    plain(trap::THREAD_SWITCH, [0; 6]);
}

/// `thread_switch(MACH_PORT_NULL, SWITCH_OPTION_DEPRESS, milliseconds)`: lets every other thread run before this one, for so long.
pub fn thread_switch_depressed(milliseconds: u32) {
    const SWITCH_OPTION_DEPRESS: u64 = 1;
    plain(trap::THREAD_SWITCH, [0, SWITCH_OPTION_DEPRESS, milliseconds.into(), 0, 0, 0]);
}

/// `thread_set_self_state` with a state that does not hold the general registers.
pub(super) fn thread_set_self_state(flavor: i32, state: &[u64]) -> Result<()> {
    let count = size_of_val(state) / size_of::<u32>();
    // SAFETY: the kernel reads `count` 32-bit words at the slice, which has them.
    let value =
        unsafe { trap6(trap::THREAD_SET_SELF_STATE, [flavor as u64, state.as_ptr() as u64, count as u64, 0, 0, 0]) };
    KernReturn(value as i32).into_result()
}

/// `thread_set_self_state` with the general registers: the thread goes on with these. Comes back only if the kernel refuses them.
///
/// # Safety
/// The registers are those of a place where this thread may go on: they stood there when it was interrupted, and what it had on its
/// stack then is still there.
pub(super) unsafe fn thread_go_on(state: &[u32; I386_THREAD_STATE_COUNT]) -> KernReturn {
    let args = [I386_THREAD_STATE as u64, state.as_ptr() as u64, state.len() as u64, 0, 0, 0];
    // SAFETY: the kernel reads the array, as many words as it has; the caller answers for where the thread goes on. All registers come
    // from the array then, those that `syscall` loses included: the kernel returns from this trap as from an interrupt.
    KernReturn(unsafe { trap6(trap::THREAD_SET_SELF_STATE, args) } as i32)
}

/// `device_write_request`: bytes to a device, without waiting for an answer.
pub fn device_write_request(device: PortName, data: &[u8]) -> Result<()> {
    let args = [device.0.into(), 0, 0, 0, data.as_ptr() as u64, data.len() as u64];
    // SAFETY: the kernel reads the slice.
    let value = unsafe { trap6(trap::SYSCALL_DEVICE_WRITE_REQUEST, args) };
    answer(value).unwrap_or_else(|| stubs::device::device_write_inband(device, 0, 0, data).map(drop))
}

/// `device_writev_request`: the same of several pieces, one after the other.
pub fn device_writev_request(device: PortName, pieces: &[&[u8]]) -> Result<()> {
    // `io_buf_vec_t`: where and how many.
    let list: alloc::vec::Vec<[u64; 2]> =
        pieces.iter().map(|piece| [piece.as_ptr() as u64, piece.len() as u64]).collect();
    let args = [device.0.into(), 0, 0, 0, list.as_ptr() as u64, list.len() as u64];
    // SAFETY: the kernel reads the list and the slices in it.
    let value = unsafe { trap6(trap::SYSCALL_DEVICE_WRITEV_REQUEST, args) };
    let each = |piece: &&[u8]| stubs::device::device_write_inband(device, 0, 0, piece).map(drop);
    answer(value).unwrap_or_else(|| pieces.iter().try_for_each(each))
}

/// `vm_allocate`: zero-filled pages in `task`, at `address` or anywhere; returns where.
pub fn vm_allocate(task: PortName, address: u64, size: u64, anywhere: bool) -> Result<u64> {
    let mut place = address;
    let out = &raw mut place as u64;
    match answer(plain(trap::SYSCALL_VM_ALLOCATE, [task.0.into(), out, size, anywhere.into(), 0, 0])) {
        Some(result) => result.map(|()| place),
        None => {
            stubs::mach::vm_allocate(task, &mut place, size, anywhere)?;
            Ok(place)
        }
    }
}

/// `vm_deallocate`: unmaps pages of `task`.
pub fn vm_deallocate(task: PortName, address: u64, size: u64) -> Result<()> {
    answer(plain(trap::SYSCALL_VM_DEALLOCATE, [task.0.into(), address, size, 0, 0, 0]))
        .unwrap_or_else(|| stubs::mach::vm_deallocate(task, address, size))
}

/// What `vm_map` maps, and how; its last nine arguments.
#[derive(Clone, Copy, Debug)]
pub struct Mapping {
    /// Bits that must be zero in the address.
    pub mask: u64,
    /// Whether the kernel may choose the address.
    pub anywhere: bool,
    /// The object, or null for zero-filled memory.
    pub object: PortName,
    /// Where in the object the mapping starts.
    pub offset: u64,
    /// Whether to map a copy.
    pub copy: bool,
    /// Protection now.
    pub protection: i32,
    /// Most protection ever.
    pub max_protection: i32,
    /// What a child task gets: `VM_INHERIT_SHARE` 0, `VM_INHERIT_COPY` 1, `VM_INHERIT_NONE` 2.
    pub inheritance: i32,
}

/// `vm_map`: maps an object, or zero-filled memory, into `task`; returns where.
pub fn vm_map(task: PortName, address: u64, size: u64, map: &Mapping) -> Result<u64> {
    let mut place = address;
    let args = [task.0.into(), &raw mut place as u64, size, map.mask, map.anywhere.into(), map.object.0.into()];
    let stacked =
        [map.offset, map.copy.into(), map.protection as u64, map.max_protection as u64, map.inheritance as u64];
    // SAFETY: the only pointer is that of `place`, a live local variable the kernel writes the address to.
    let value = unsafe { trap11(trap::SYSCALL_VM_MAP, args, &stacked) };
    match answer(value) {
        Some(result) => result.map(|()| place),
        None => {
            stubs::mach::vm_map(
                task,
                &mut place,
                size,
                map.mask,
                map.anywhere,
                map.object,
                map.offset,
                map.copy,
                map.protection,
                map.max_protection,
                map.inheritance,
            )?;
            Ok(place)
        }
    }
}

/// `task_create`: a task without threads, whose memory is empty or inherited from `parent`.
pub fn task_create(parent: PortName, inherit_memory: bool) -> Result<PortName> {
    let mut child = 0u32;
    let out = &raw mut child as u64;
    match answer(plain(trap::SYSCALL_TASK_CREATE, [parent.0.into(), inherit_memory.into(), out, 0, 0, 0])) {
        Some(result) => result.map(|()| PortName(child)),
        None => stubs::mach::task_create(parent, inherit_memory).map(|right| right.into_name()),
    }
}

/// `task_terminate`: ends a task.
pub fn task_terminate(task: PortName) -> Result<()> {
    answer(plain(trap::SYSCALL_TASK_TERMINATE, [task.0.into(), 0, 0, 0, 0, 0]))
        .unwrap_or_else(|| stubs::mach::task_terminate(task))
}

/// `task_suspend`: adds one to a task's suspend count.
pub fn task_suspend(task: PortName) -> Result<()> {
    answer(plain(trap::SYSCALL_TASK_SUSPEND, [task.0.into(), 0, 0, 0, 0, 0]))
        .unwrap_or_else(|| stubs::mach::task_suspend(task))
}

/// `task_set_special_port`: gives `task` a copy of the send right `port` (or null) as its special port `which`.
pub fn task_set_special_port(task: PortName, which: i32, port: PortName) -> Result<()> {
    answer(plain(trap::SYSCALL_TASK_SET_SPECIAL_PORT, [task.0.into(), which as u64, port.0.into(), 0, 0, 0]))
        .unwrap_or_else(|| stubs::mach::task_set_special_port(task, which, port))
}

/// `mach_port_allocate`: a new right in `task`'s space.
pub fn mach_port_allocate(task: PortName, right: Right) -> Result<PortName> {
    let mut name = 0u32;
    let out = &raw mut name as u64;
    match answer(plain(trap::SYSCALL_MACH_PORT_ALLOCATE, [task.0.into(), right as u64, out, 0, 0, 0])) {
        Some(result) => result.map(|()| PortName(name)),
        None => stubs::mach_port::mach_port_allocate(task, right as u32),
    }
}

/// `mach_port_deallocate`: releases one reference of a send, send-once or dead-name right.
pub fn mach_port_deallocate(task: PortName, name: PortName) -> Result<()> {
    answer(plain(trap::SYSCALL_MACH_PORT_DEALLOCATE, [task.0.into(), name.0.into(), 0, 0, 0, 0]))
        .unwrap_or_else(|| stubs::mach_port::mach_port_deallocate(task, name))
}

/// `mach_port_insert_right`: puts a right of ours into `task`'s space under `name`.
pub fn mach_port_insert_right(task: PortName, name: PortName, right: PortName, how: Disposition) -> Result<()> {
    answer(plain(
        trap::SYSCALL_MACH_PORT_INSERT_RIGHT,
        [task.0.into(), name.0.into(), right.0.into(), how as u64, 0, 0],
    ))
    .unwrap_or_else(|| stubs::mach_port::mach_port_insert_right(task, name, right, how))
}

/// `mach_port_allocate_name`: a new right in `task`'s space under a name of the caller's choice.
pub fn mach_port_allocate_name(task: PortName, right: Right, name: PortName) -> Result<()> {
    answer(plain(trap::SYSCALL_MACH_PORT_ALLOCATE_NAME, [task.0.into(), right as u64, name.0.into(), 0, 0, 0]))
        .unwrap_or_else(|| stubs::mach_port::mach_port_allocate_name(task, right as u32, name))
}
