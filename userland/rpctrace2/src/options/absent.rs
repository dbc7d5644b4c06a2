// SPDX-License-Identifier: GPL-2.0-or-later
//! Options of other tracers that this one has not, and why: each is refused with these words.

/// An option of another tracer that this one has not.
#[derive(Clone, Copy, Debug)]
pub struct Absent {
    /// As it is written there.
    pub names: &'static [&'static str],
    /// By whom.
    pub whose: &'static str,
    /// Why not, or what else does it.
    pub why: &'static str,
}

/// Options of others that are not here.
pub const ABSENT: &[Absent] = &[
    Absent { names: &["--remote-pid"], whose: "fidlcat", why: "-p, on a Hurd" },
    Absent {
        names: &["-k", "--stack-trace", "--stack"],
        whose: "strace and fidlcat",
        why: "not there: a record holds no stack",
    },
    Absent { names: &["-y", "--decode-fds"], whose: "strace", why: "not needed: what a port is, is always said" },
    Absent { names: &["-N", "--arg-names"], whose: "strace", why: "not needed: arguments always have their names" },
    Absent {
        names: &["-n"],
        whose: "strace",
        why: "not there yet: a line has the name of the routine, or its msgh_id where there is none",
    },
    Absent {
        names: &["-ff", "-D", "--daemonize"],
        whose: "strace",
        why: "not there: a trace is one file, and its tracer the command's parent",
    },
    Absent {
        names: &["-O", "--summary-syscall-overhead"],
        whose: "strace",
        why: "not there: times are what they were, tracing included",
    },
    Absent {
        names: &["-u", "--user", "-P", "--trace-path"],
        whose: "strace",
        why: "not there: neither users nor paths are Mach's",
    },
    Absent { names: &["--fault"], whose: "strace", why: "--inject=SET:error=CODE, which says how a message fails" },
    Absent {
        names: &["-d", "--debug"],
        whose: "strace",
        why: "`cargo qemu -v rpctrace2` shows what the kernel and the boot server say",
    },
    Absent {
        names: &["--format", "--from", "--compare", "--with"],
        whose: "fidlcat",
        why: "not there yet: records are not kept in files",
    },
];
