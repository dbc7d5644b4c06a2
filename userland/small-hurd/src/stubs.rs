// SPDX-License-Identifier: GPL-2.0-or-later
//! Stubs of what only servers say to each other and to who waits for them; those of the Hurd's interfaces are the crate `hurd`'s.

use mach::generated_stubs;

generated_stubs! {
    /// late_auth.defs: late answers of the authentication server.
    #[expect(unreachable_pub, reason = "generated for a library")]
    pub(crate) auth_reply => "late_auth.rs";
    /// late_process.defs: late answers of the process server.
    #[expect(unreachable_pub, reason = "generated for a library")]
    pub(crate) process_reply => "late_process.rs";
    /// msg_request.defs: what message ports are sent.
    #[expect(unreachable_pub, reason = "generated for a library")]
    pub(crate) msg_request => "msg_request.rs";
    /// fsys.defs, as the filesystem calls that something hangs in.
    #[expect(unreachable_pub, reason = "generated for a library")]
    pub(crate) fsys => "fsys.rs";
    /// fsys.defs, the side of what hangs there.
    #[expect(unreachable_pub, reason = "generated for a library")]
    pub(crate) fsys_server => "fsys_server.rs";
}
