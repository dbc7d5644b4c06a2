// SPDX-License-Identifier: GPL-2.0-or-later
//! `msgh_id` of notifications: mach/notify.h.

numbers! {
    /// Every notification with its id.
    ALL: u32;

    /// No notification: what the ids of all count from.
    MACH_NOTIFY_FIRST = 0o100;
    /// A send or send-once right was deleted.
    MACH_NOTIFY_PORT_DELETED = 0o101;
    /// A message sent with `MACH_SEND_NOTIFY` was accepted.
    MACH_NOTIFY_MSG_ACCEPTED = 0o102;
    /// A receive right was, or would have been, deallocated.
    MACH_NOTIFY_PORT_DESTROYED = 0o105;
    /// A port has no send rights left.
    MACH_NOTIFY_NO_SENDERS = 0o106;
    /// A send-once right died unused.
    MACH_NOTIFY_SEND_ONCE = 0o107;
    /// A send or send-once right became a dead name.
    MACH_NOTIFY_DEAD_NAME = 0o110;
}
