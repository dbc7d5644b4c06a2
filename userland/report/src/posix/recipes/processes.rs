// SPDX-License-Identifier: GPL-2.0-or-later
//! Calls about processes.

use crate::posix::errno::EAGAIN;
use crate::posix::recipe::Argument::{Count, In, Out, Status, Text, Vector};
use crate::posix::recipe::Gives::{Nothing, Number};
use crate::posix::recipe::When::{Has, Is, Lacks, Own, Port};
use crate::posix::recipe::{LOOKUP, ROW, Recipe, Step};

use super::{EXEC, cleans, may, must};

/// The signal that no message port is asked for.
const KILL: &str = "SIGKILL";

/// All of them.
pub(super) const ROWS: &[Recipe] = &[
    Recipe {
        call: "fork",
        steps: &[
            must("task_create").when(&[Is("inherit_memory", 1)]),
            may("proc_task2proc"),
            Step::tries("proc_setmsgport"),
            Step::tries("proc_get_arg_locations"),
            Step::tries("proc_set_arg_locations"),
            must("proc_task2pid").when(&[Port("task", &[0])]),
            must("proc_child").when(&[Port("child", &[0])]),
        ],
        arguments: &[],
        gives: Number(5, "pid"),
        ..ROW
    },
    Recipe {
        call: "execve",
        steps: &[may(LOOKUP).when(&[Has("flags", EXEC)]), must("file_exec_paths").on(&[0]).when(&[Own("exec_task")])],
        arguments: &[In(1, "path"), Vector(1, "argv"), Count(1, "envp")],
        ..ROW
    },
    Recipe {
        call: "wait4",
        steps: &[must("proc_wait")],
        arguments: &[In(0, "pid"), Out(0, "status"), In(0, "options")],
        gives: Number(0, "pid_status"),
        zero: EAGAIN,
        ..ROW
    },
    Recipe {
        call: "waitid",
        steps: &[must("proc_waitid")],
        arguments: &[In(0, "pid"), Out(0, "status"), In(0, "options")],
        zero: EAGAIN,
        ..ROW
    },
    Recipe {
        call: "kill",
        steps: &[
            must("proc_getmsgport"),
            may("proc_pid2task"),
            may("proc_getsidport"),
            must("msg_sig_post").on(&[0]),
            cleans(&[Port("name", &[0, 1, 2])]),
            cleans(&[Port("name", &[0, 1, 2])]),
        ],
        arguments: &[In(0, "pid"), In(3, "signal")],
        ..ROW
    },
    Recipe {
        call: "kill",
        steps: &[must("proc_pid2task"), must("task_terminate").on(&[0]), cleans(&[Port("name", &[0])])],
        arguments: &[In(0, "pid"), Text(KILL)],
        ..ROW
    },
    Recipe {
        call: "getpgid",
        steps: &[must("proc_getpgrp")],
        arguments: &[In(0, "pid")],
        gives: Number(0, "pgrp"),
        ..ROW
    },
    Recipe { call: "setpgid", steps: &[must("proc_setpgrp")], arguments: &[In(0, "pid"), In(0, "pgrp")], ..ROW },
    Recipe {
        call: "getsid",
        steps: &[must("proc_getsid")],
        arguments: &[In(0, "pid")],
        gives: Number(0, "sid"),
        ..ROW
    },
    Recipe { call: "setsid", steps: &[must("proc_setsid")], ..ROW },
    Recipe { call: "uname", steps: &[must("proc_uname")], ..ROW },
    Recipe {
        call: "_exit",
        steps: &[must("proc_mark_exit").when(&[Lacks("status", 0x7f)])],
        arguments: &[Status(0)],
        gives: Nothing,
        ..ROW
    },
];
