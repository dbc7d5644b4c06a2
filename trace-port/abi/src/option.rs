// SPDX-License-Identifier: GPL-2.0-or-later
//! `mach_msg_option_t` of mach/message.h: the bits of the `option` argument of `mach_msg`.

numbers! {
    /// Every option with its bit.
    ALL: u32;

    /// No option.
    MACH_MSG_OPTION_NONE = 0;
    /// Send the message in the buffer.
    MACH_SEND_MSG = 0x1;
    /// Receive a message into the buffer.
    MACH_RCV_MSG = 0x2;
    /// Give up sending after the timeout.
    MACH_SEND_TIMEOUT = 0x10;
    /// If the queue is full, queue one message all the same and ask for a notification.
    MACH_SEND_NOTIFY = 0x20;
    /// Return when the send is interrupted, instead of trying again: the C library's, not the kernel's.
    MACH_SEND_INTERRUPT = 0x40;
    /// Ask for a notification when the send right of the message is used up.
    MACH_SEND_CANCEL = 0x80;
    /// Give up receiving after the timeout.
    MACH_RCV_TIMEOUT = 0x100;
    /// Ask for a dead-name notification on the reply port received.
    MACH_RCV_NOTIFY = 0x200;
    /// Return when the receive is interrupted, instead of trying again: the C library's, not the kernel's.
    MACH_RCV_INTERRUPT = 0x400;
    /// Leave a message that is too large in the queue instead of destroying it.
    MACH_RCV_LARGE = 0x800;
    /// Queue the message whatever the queue's limit: for callers in the kernel only.
    MACH_SEND_ALWAYS = 0x1_0000;
}

/// The options that use the `notify` argument.
pub const WITH_NOTIFY: u32 = MACH_SEND_NOTIFY | MACH_SEND_CANCEL | MACH_RCV_NOTIFY;

/// `MACH_MSG_TIMEOUT_NONE`, in milliseconds: the value of an argument that no option asks for.
pub const MACH_MSG_TIMEOUT_NONE: u32 = 0;
