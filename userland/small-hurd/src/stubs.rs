// SPDX-License-Identifier: GPL-2.0-or-later
//! Stubs of what only servers say to each other and to who waits for them; those of the Hurd's interfaces are the crate `hurd`'s.

/// Includes one generated file as a module.
macro_rules! generated {
    ($($(#[$doc:meta])* $module:ident => $file:literal;)*) => {
        $(
            $(#[$doc])*
            #[expect(unreachable_pub, reason = "generated for a library")]
            pub(crate) mod $module {
                include!(concat!(env!("MACH_STUBS"), "/", $file));
            }
        )*
    };
}

generated! {
    /// late_auth.defs: late answers of the authentication server.
    auth_reply => "late_auth.rs";
    /// late_process.defs: late answers of the process server.
    process_reply => "late_process.rs";
    /// msg_request.defs: what message ports are sent.
    msg_request => "msg_request.rs";
    /// fsys.defs, as the filesystem calls that something hangs in.
    fsys => "fsys.rs";
    /// fsys.defs, the side of what hangs there.
    fsys_server => "fsys_server.rs";
}
