// SPDX-License-Identifier: GPL-2.0-or-later
//! The numbers of the Hurd's interfaces: hurd/hurd_types.h, and glibc's fcntl.h, wait.h and signal.h for the Hurd.

/// Places of an exec's port array (`INIT_PORT_*`).
pub mod port {
    /// The working directory.
    pub const CWDIR: usize = 0;
    /// The root directory.
    pub const CRDIR: usize = 1;
    /// Who the program is.
    pub const AUTH: usize = 2;
    /// The program as the proc server knows it.
    pub const PROC: usize = 3;
    /// The id of its controlling terminal.
    pub const CTTYID: usize = 4;
    /// What its bootstrap port is to be.
    pub const BOOTSTRAP: usize = 5;
    /// How many places there are.
    pub const MAX: usize = 6;
}

/// Places of an exec's integer array (`INIT_*`).
pub mod int {
    /// The file mode creation mask.
    pub const UMASK: usize = 0;
    /// Blocked signals.
    pub const SIGMASK: usize = 1;
    /// Ignored signals.
    pub const SIGIGN: usize = 2;
    /// Pending signals.
    pub const SIGPENDING: usize = 3;
    /// Signals that a debugger wants.
    pub const TRACEMASK: usize = 4;
    /// How many places there are.
    pub const MAX: usize = 5;
}

/// Flags of an exec (`EXEC_*`).
pub mod exec {
    /// In a new task.
    pub const NEWTASK: i32 = 1;
    /// With none of the caller's ports: the program has rights that the caller lacks.
    pub const SECURE: i32 = 2;
    /// Ports that are missing are the standard ones.
    pub const DEFAULTS: i32 = 4;
    /// Stopped, as under a debugger.
    pub const SIGTRAP: i32 = 8;
    /// The arguments are on the stack.
    pub const STACK_ARGS: i32 = 0x10;
}

/// Flags of a lookup (`O_*`).
pub mod open {
    /// For reading.
    pub const READ: i32 = 1;
    /// For writing.
    pub const WRITE: i32 = 2;
    /// For executing.
    pub const EXEC: i32 = 4;
    /// Nothing waits.
    pub const NONBLOCK: i32 = 8;
    /// Made if it is not there.
    pub const CREAT: i32 = 0x10;
    /// Refused if it is there.
    pub const EXCL: i32 = 0x20;
    /// A symbolic link itself.
    pub const NOLINK: i32 = 0x40;
    /// A node itself, not its translator.
    pub const NOTRANS: i32 = 0x80;
    /// Written at its end.
    pub const APPEND: i32 = 0x100;
    /// Made empty.
    pub const TRUNC: i32 = 0x1_0000;
}

/// How a lookup goes on (`FS_RETRY_*`).
pub mod retry {
    /// With the result, and the name that is left.
    pub const NORMAL: u32 = 1;
    /// With the result as the caller may have it by its own rights, and the name that is left.
    pub const REAUTH: u32 = 2;
    /// With what the name that is left says.
    pub const MAGICAL: u32 = 3;
}

/// What a process is waited for (`WNOHANG` and its like of wait.h).
pub mod wait {
    /// Nothing waits.
    pub const NOHANG: i32 = 1;
    /// Stops, too.
    pub const UNTRACED: i32 = 2;
    /// Continuations, too.
    pub const CONTINUED: i32 = 4;
    /// It can be waited for again.
    pub const NOWAIT: i32 = 8;
    /// Ends.
    pub const EXITED: i32 = 16;
}

/// What is asked of a process (`PI_*` of hurd/process.h).
pub mod info {
    /// Its task.
    pub const FETCH_TASKINFO: i32 = 1;
}

/// Processes that are always there (hurd/pids.h of the Hurd's sources).
pub mod pid {
    /// The kernel's task.
    pub const KERNEL: i32 = 3;
}

/// Signals (signal.h).
pub mod signal {
    /// The names of signals, from 1.
    const NAMES: [&str; 32] = [
        "SIGHUP",
        "SIGINT",
        "SIGQUIT",
        "SIGILL",
        "SIGTRAP",
        "SIGABRT",
        "SIGEMT",
        "SIGFPE",
        "SIGKILL",
        "SIGBUS",
        "SIGSEGV",
        "SIGSYS",
        "SIGPIPE",
        "SIGALRM",
        "SIGTERM",
        "SIGURG",
        "SIGSTOP",
        "SIGTSTP",
        "SIGCONT",
        "SIGCHLD",
        "SIGTTIN",
        "SIGTTOU",
        "SIGIO",
        "SIGXCPU",
        "SIGXFSZ",
        "SIGVTALRM",
        "SIGPROF",
        "SIGWINCH",
        "SIGINFO",
        "SIGUSR1",
        "SIGUSR2",
        "SIGLOST",
    ];

    /// The name of a signal.
    pub const fn name(number: i32) -> &'static str {
        if number >= 1 && number as usize <= NAMES.len() {
            NAMES[number as usize - 1]
        } else {
            "a signal without a name"
        }
    }

    /// The terminal has gone.
    pub const HUP: i32 = 1;
    /// Ctrl-C.
    pub const INT: i32 = 2;
    /// Ctrl-backslash.
    pub const QUIT: i32 = 3;
    /// Ended for good.
    pub const KILL: i32 = 9;
    /// Asked to end.
    pub const TERM: i32 = 15;
    /// Ctrl-Z.
    pub const TSTP: i32 = 18;
    /// A child has ended.
    pub const CHLD: i32 = 20;
    /// The window's size is another.
    pub const WINCH: i32 = 28;
}

/// Longest name of a file in a message, its NUL included.
pub const NAME_MAX: usize = 1024;

/// An offset that stands for the file pointer.
pub const AT_FILE_POINTER: i64 = -1;
