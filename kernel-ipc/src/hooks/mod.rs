//! The hooks, one file per moment of the kernel: what happens instead of the original function.
//!
//! | kernel function | hook |
//! |---|---|
//! | `mach_msg_trap`, its continuations | [`message`] and [`receive`] |
//! | `task_get_special_port`, `task_set_special_port` | [`special_port`] |
//! | `ipc_task_init`, `ipc_task_terminate` | [`lifecycle`] |
//! | `ipc_kobject_server` | [`kobject`] |
//! | `exception_raise`, `exception_parse_reply` | [`exception`] |
//! | the RPC-emulating traps | none: `entry` refuses them for a traced task, so that a real RPC is sent |

pub mod exception;
pub mod kobject;
pub mod lifecycle;
pub mod message;
pub mod receive;
pub mod special_port;

#[cfg(test)]
mod batch_tests;
#[cfg(test)]
mod call_tests;
#[cfg(test)]
mod control_tests;
#[cfg(test)]
mod tests;
