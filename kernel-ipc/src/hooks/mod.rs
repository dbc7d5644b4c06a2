// SPDX-License-Identifier: GPL-2.0-or-later
//! The hooks, one file per moment of the kernel.
//!
//! A traced task runs the kernel's own `mach_msg_trap` and its continuations. The payload looks on where these call others: where the
//! message is copied in, where it is copied out, and where the call ends. Nothing of the kernel's semantics is written here again.
//!
//! # The life of a call
//!
//! A client's RPC, and the server's receive that it ends by a hand-off. What the sites see, from top to bottom in time; `T` is the thread
//! that is current. Everything is at spl0; nothing is locked, unless it says so.
//!
//! ```text
//! kernel                              hook                         known then
//! ------                              ----                         ----------
//! mach_msg_trap                    T  (stub)        call opens     the arguments (they stay in the pcb), notify
//!   copyinmsg                      T  copy::copied_in              the message as sent: DRAFT, stamp in the kmsg, reply expected
//!   copyin                         T  arrays::sent                 a name in an array out of line, for the draft
//!   |
//!   +- another task's port, its receiver sleeps:
//!   |    thread_handoff            T  handoff::hand_off  LOCKED    sent; the draft is left, nothing else is done
//!   |      = the receiver runs on R
//!   |    copyout                   R  copy::copied_out             R's message as received: DRAFT; stamp taken
//!   |    thread_syscall_return     R  call::finish                 R's result; T's draft QUEUED, then R's: R WAITS
//!   |
//!   +- another task's port, queued (ipc_mqueue_send), or the kernel answers later:
//!   |    ipc_mqueue_copyin         T  call::sent                   sent; the draft is QUEUED
//!   |
//!   +- the kernel's port: ipc_kobject_server answers at once
//!   |    ipc_kobject_server        T  kobject::serve               a request on a traced task's control port: its own RECORDS
//!   |
//!   +- cannot be sent: ipc_kmsg_put's copyout gives it back        the same kmsg as was copied in: no receive
//!   |
//!   (sleeps in mach_msg_continue or mach_msg_receive_continue; mach_msg_interrupt may end that: call::interrupted, in another thread)
//!   copyout                        T  arrays::received             a name in an array out of line: put aside
//!   copyout                        T  copy::copied_out             the reply: into the request's draft if that is still here
//!   ipc_kmsg_copyout_body fails    T  copy::body_failed            the call ends here, nobody waits
//! thread_syscall_return, or return T  call::finish                 the result: drafts settled, QUEUED: T WAITS
//! ```
//!
//! Of a task that is looked at lightly ([`light`](crate::light)) no call opens until a message is copied in, taken out of a queue, or copied
//! out whose id may be wanted, or the call fails; the stubs look for that themselves.
//!
//! A draft is a message to the trace port that lacks only its outcome. It owns its rights, so it outlives the trace and the task. One
//! that is queued in the middle of a call never waits; each thread has at most one such before it waits at its exit, where its call is over
//! and its result is returned whatever happens to the wait. A thread being halted, or another's thread, never waits. Where an engine holds the
//! thread with what it has received ([`hold`](crate::hold)), it stays there after that.
//!
//! | kernel function | its file (GNU Mach 1.8+git20250702) | hook |
//! |---|---|---|
//! | `mach_msg_trap`, `mach_msg_interrupt` | ipc/mach_msg.c | [`call`] |
//! | `thread_syscall_return` | x86_64/locore.S | [`call`] |
//! | `ipc_mqueue_copyin` | ipc/ipc_mqueue.c | [`call`] |
//! | `copyinmsg` | ipc/copy_user.c | [`copy`] |
//! | `copyout` | x86_64/locore.S | [`copy`] |
//! | `ipc_kmsg_copyout_body` | ipc/ipc_kmsg.c | [`copy`] |
//! | `copyin` in `ipc_kmsg_copyin`, `copyout` in `ipc_kmsg_copyout_body` | x86_64/locore.S | none: [`arrays`](crate::arrays) |
//! | `ipc_mqueue_receive` | ipc/ipc_mqueue.c | none: [`received_on`](crate::received_on) |
//! | `thread_handoff` | kern/ipc_sched.c | [`handoff`] |
//! | `ipc_kobject_server` | kern/ipc_kobject.c | [`kobject`] |
//! | `ipc_kobject_notify` | kern/ipc_kobject.c | [`notify`] |
//! | `exception_raise`, `exception_parse_reply` | kern/exception.c | [`exception`] |
//! | `task_get_special_port`, `task_set_special_port` | kern/ipc_tt.c | [`special_port`] |
//! | `ipc_task_init`, `ipc_thread_enable`, `ipc_thread_terminate`, `ipc_task_terminate` | kern/ipc_tt.c | [`lifecycle`] |
//! | `host_reboot` | kern/machine.c | [`call`] |
//! | `ipc_port_destroy` | ipc/ipc_port.c | none: the stub of `arch` clears what is kept with the port ([`replies`](crate::replies)) |
//! | `mach_reply_port`, `mach_thread_self`, `mach_task_self`, `mach_host_self` | ipc/mach_port.c, kern/ipc_tt.c, kern/ipc_host.c | [`trap`] |
//! | the traps that stand in for RPCs | kern/ipc_mig.c | none: `arch` refuses them for a task of which somebody wants to be told of them, so that a real RPC is sent |

pub(crate) mod call;
pub(crate) mod copy;
pub(crate) mod exception;
pub(crate) mod handoff;
pub(crate) mod kobject;
pub(crate) mod lifecycle;
#[cfg(test)]
pub(crate) mod model;
pub(crate) mod notify;
pub(crate) mod special_port;
pub(crate) mod trap;
