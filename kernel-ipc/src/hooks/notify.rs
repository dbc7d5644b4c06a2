// SPDX-License-Identifier: GPL-2.0-or-later
//! `ipc_kobject_notify`: messages to ports of the kernel's for which it has no routine. Notifications are among them, and the requests of
//! trace_control.defs.

use mach_abi::notify::MACH_NOTIFY_NO_SENDERS;
use mach_abi::{header, type_name};

use crate::control;
use crate::gnumach::{InTransit, Kernel, mr};
use crate::state::State;

/// In the place of `ipc_kobject_notify`, which answers what is not answered here (`false`).
pub(crate) fn asked(kernel: &impl Kernel, state: &State, request: InTransit, reply: InTransit) -> bool {
    if kernel.msgh_id(request.kmsg()) != MACH_NOTIFY_NO_SENDERS {
        return control::serve(kernel, state, request, reply);
    }
    // Send-once rights to ports of the kernel's are the kernel's alone. Of what anybody else sends under this id the body and the reply right
    // would be left in the kernel for ever, as after MIG_NO_REPLY it takes nothing of the request back.
    if header::remote(kernel.msgh_bits(request.kmsg())) != type_name::PORT_SEND_ONCE {
        return false;
    }
    let is_engines = control::no_senders(kernel, state, kernel.destination(request));
    if is_engines {
        control::answer(kernel, reply, mr::MIG_NO_REPLY);
    }
    is_engines
}
