// SPDX-License-Identifier: GPL-2.0-or-later
//! Calls with a name in them: libc looks it up, does something, and gives the port back.

use crate::posix::recipe::Argument::{
    Entry, EntryIn, In, LinkTarget, Members, Mode, Open, Out, Path, PathBefore, PathFrom, Text,
};
use crate::posix::recipe::Gives::{Depends, Length, Port as Brought};
use crate::posix::recipe::When::{Begins, Ends, Has, Is, Lacks, Port};
use crate::posix::recipe::{LOOKUP, ROW, Recipe, Step};

use super::{
    EXEC, NOLINK, READ_WRITE, STAT, TRUNCATE, WRITE, cleans, destroys, find, find_directory, gives_back, must, refer,
};

/// What libc puts behind the name of a directory that is to be the current one.
const HERE: &[u8] = b"/.";

/// All of them.
pub(super) const ROWS: &[Recipe] = &[
    Recipe {
        call: "open",
        at: "openat",
        steps: &[
            must(LOOKUP).when(&[Has("flags", READ_WRITE)]),
            Step::tries("term_getctty").on(&[0]),
            cleans(&[Port("name", &[1])]),
            Step::tries("term_open_ctty").on(&[0]),
        ],
        arguments: &[Path(0), Open(0)],
        gives: Brought(0),
        ..ROW
    },
    Recipe {
        call: "open",
        at: "openat",
        steps: &[
            must(LOOKUP).when(&[Has("flags", TRUNCATE)]),
            must("file_set_size").on(&[0]).when(&[Is("new_size", 0)]),
            Step::tries("file_utimens").on(&[0]),
            Step::tries("term_getctty").on(&[0]),
            cleans(&[Port("name", &[3])]),
            Step::tries("term_open_ctty").on(&[0]),
        ],
        arguments: &[Path(0), Open(0)],
        gives: Brought(0),
        ..ROW
    },
    Recipe {
        call: "truncate",
        steps: &[
            must(LOOKUP).when(&[Has("flags", WRITE), Lacks("flags", TRUNCATE)]),
            must("file_set_size").on(&[0]),
            gives_back(&[Port("name", &[0])]),
        ],
        arguments: &[Path(0), In(1, "new_size")],
        ..ROW
    },
    Recipe {
        call: "stat",
        at: "fstatat",
        steps: &[
            must(LOOKUP).when(&[Lacks("flags", READ_WRITE | EXEC | NOLINK)]),
            must("io_stat").on(&[0]),
            gives_back(&[Port("name", &[0])]),
        ],
        arguments: &[Path(0), Members(1, "stat_info", STAT)],
        ..ROW
    },
    Recipe {
        call: "lstat",
        at: "fstatat",
        steps: &[
            must(LOOKUP).when(&[Lacks("flags", READ_WRITE | EXEC), Has("flags", NOLINK)]),
            must("io_stat").on(&[0]),
            gives_back(&[Port("name", &[0])]),
        ],
        arguments: &[Path(0), Members(1, "stat_info", STAT)],
        ..ROW
    },
    Recipe {
        call: "readlink",
        at: "readlinkat",
        steps: &[
            must(LOOKUP).when(&[Lacks("flags", READ_WRITE | EXEC), Has("flags", NOLINK)]),
            must("io_stat").on(&[0]),
            must(LOOKUP).on(&[0]).when(&[Has("flags", NOLINK), Is("flags", NOLINK | 1)]),
            must("io_read").on(&[2]),
            cleans(&[Port("name", &[2])]),
            cleans(&[Port("name", &[0])]),
        ],
        arguments: &[Path(0), Out(3, "data"), In(3, "amount")],
        gives: Length(3, "data"),
        ..ROW
    },
    Recipe {
        call: "access",
        at: "faccessat",
        steps: &[
            must("io_reauthenticate"),
            must("auth_user_authenticate"),
            destroys(),
            must(LOOKUP).on(&[1]).when(&[Lacks("flags", READ_WRITE | EXEC)]),
            cleans(&[Port("name", &[1])]),
            must("file_check_access").on(&[3]),
            cleans(&[Port("name", &[3])]),
        ],
        arguments: &[PathFrom(0, 3), Text("?")],
        gives: Depends(5, "allowed"),
        ..ROW
    },
    Recipe {
        call: "access",
        at: "faccessat",
        steps: &[
            must("io_reauthenticate"),
            must("auth_user_authenticate"),
            destroys(),
            must(LOOKUP).on(&[1]).when(&[Lacks("flags", READ_WRITE | EXEC)]),
            cleans(&[Port("name", &[1])]),
            gives_back(&[Port("name", &[3])]),
        ],
        arguments: &[PathFrom(0, 3), Text("F_OK")],
        ..ROW
    },
    Recipe {
        call: "eaccess",
        at: "faccessat",
        steps: &[find(), must("file_check_access").on(&[0]), gives_back(&[Port("name", &[0])])],
        arguments: &[Path(0), Text("?")],
        gives: Depends(1, "allowed"),
        ..ROW
    },
    Recipe {
        call: "chmod",
        at: "fchmodat",
        steps: &[find(), must("file_chmod").on(&[0]), gives_back(&[Port("name", &[0])])],
        arguments: &[Path(0), Mode(1, "new_mode")],
        ..ROW
    },
    Recipe {
        call: "chown",
        at: "fchownat",
        steps: &[find(), must("file_chown").on(&[0]), gives_back(&[Port("name", &[0])])],
        arguments: &[Path(0), In(1, "new_owner"), In(1, "new_group")],
        ..ROW
    },
    Recipe {
        call: "utimensat",
        at: "utimensat",
        steps: &[find(), must("file_utimens").on(&[0]), gives_back(&[Port("name", &[0])])],
        arguments: &[Path(0), In(1, "new_atime"), In(1, "new_mtime")],
        ..ROW
    },
    Recipe {
        call: "statfs",
        steps: &[find(), must("file_statfs").on(&[0]), gives_back(&[Port("name", &[0])])],
        arguments: &[Path(0), Members(1, "info", &["f_type", "f_blocks", "f_bfree"])],
        ..ROW
    },
    Recipe {
        call: "chdir",
        steps: &[must(LOOKUP).when(&[Is("flags", 0), Ends("file_name", HERE)])],
        arguments: &[PathBefore(0, HERE)],
        ..ROW
    },
    Recipe {
        call: "mkdir",
        at: "mkdirat",
        steps: &[find_directory(), refer(), must("dir_mkdir").on(&[0, 1]), cleans(&[Port("name", &[0, 1])])],
        arguments: &[Entry(0, 2, "name"), Mode(2, "mode")],
        ..ROW
    },
    Recipe {
        call: "rmdir",
        at: "unlinkat",
        steps: &[find_directory(), refer(), must("dir_rmdir").on(&[0, 1]), cleans(&[Port("name", &[0, 1])])],
        arguments: &[Entry(0, 2, "name")],
        ..ROW
    },
    Recipe {
        call: "unlink",
        at: "unlinkat",
        steps: &[find_directory(), refer(), must("dir_unlink").on(&[0, 1]), cleans(&[Port("name", &[0, 1])])],
        arguments: &[Entry(0, 2, "name")],
        ..ROW
    },
    Recipe {
        call: "rename",
        at: "renameat",
        steps: &[
            find_directory(),
            refer(),
            find_directory(),
            refer(),
            must("dir_rename").on(&[0, 1]).when(&[Port("newdirectory", &[2, 3])]),
            cleans(&[Port("name", &[0, 1])]),
            cleans(&[Port("name", &[2, 3])]),
        ],
        arguments: &[Entry(0, 4, "oldname"), EntryIn(2, 4, "newdirectory", "newname")],
        ..ROW
    },
    Recipe {
        call: "link",
        at: "linkat",
        steps: &[
            find(),
            must("file_getlinknode").on(&[0]),
            cleans(&[Port("name", &[0])]),
            find_directory(),
            refer(),
            must("dir_link").on(&[3, 4]).when(&[Port("file", &[1])]),
            cleans(&[Port("name", &[3, 4])]),
            cleans(&[Port("name", &[1])]),
        ],
        arguments: &[Path(0), Entry(3, 5, "name")],
        ..ROW
    },
    Recipe {
        call: "symlink",
        at: "symlinkat",
        steps: &[
            find_directory(),
            refer(),
            must("dir_mkfile").on(&[0, 1]),
            must("file_set_translator").on(&[2]).when(&[Begins("passive", b"/hurd/symlink\0")]),
            must("dir_link").on(&[0, 1]).when(&[Port("file", &[2])]),
            cleans(&[Port("name", &[2])]),
            cleans(&[Port("name", &[0, 1])]),
        ],
        arguments: &[LinkTarget(3), Entry(0, 4, "name")],
        ..ROW
    },
];
