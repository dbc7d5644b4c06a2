// SPDX-License-Identifier: GPL-2.0-or-later
//! Special ports: mach/task_special_ports.h, mach/thread_special_ports.h, and the trace port.

numbers! {
    /// Every special port of a stock kernel with its number.
    ALL: i32;

    /// The port that stands for a task.
    TASK_KERNEL_PORT = 1;
    /// Where exceptions of a task go.
    TASK_EXCEPTION_PORT = 3;
    /// Where a task begins to look for others.
    TASK_BOOTSTRAP_PORT = 4;
    /// The port that stands for a thread.
    THREAD_KERNEL_PORT = 1;
    /// Where exceptions of a thread go.
    THREAD_EXCEPTION_PORT = 3;
}

/// Where the records of a traced task go. A stock kernel answers `KERN_INVALID_ARGUMENT`, as it does for every number but its own.
pub const TASK_TRACE_PORT: i32 = 5;

/// Memory of the ring that the caller's trace port of a task has, to be mapped and read: a memory object (trace-port/src/ring.rs has the layout).
pub const TASK_TRACE_RING: i32 = 6;

/// The page of that ring which its reader writes: a memory object.
pub const TASK_TRACE_READER: i32 = 7;
