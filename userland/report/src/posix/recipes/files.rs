// SPDX-License-Identifier: GPL-2.0-or-later
//! Calls on what is open.

use crate::posix::errno::{EINVAL, ENODEV, ENOTTY};
use crate::posix::recipe::Argument::{Bytes, In, Ioctl, Members, Mode, Named, Out, Text, To};
use crate::posix::recipe::Gives::{Bits, Field, Length, Number};
use crate::posix::recipe::When::{Is, Port};
use crate::posix::recipe::{Gives, ROW, Recipe, Step};
use crate::posix::words::{PROTECTION, SELECT};

use super::{STAT, cleans, must};

/// All of them.
pub(super) const ROWS: &[Recipe] = &[
    Recipe {
        call: "read",
        steps: &[must("io_read").when(&[Is("offset", -1)])],
        arguments: &[To(0), Out(0, "data"), In(0, "amount")],
        gives: Length(0, "data"),
        ..ROW
    },
    Recipe {
        call: "pread",
        steps: &[must("io_read")],
        arguments: &[To(0), Out(0, "data"), In(0, "amount"), In(0, "offset")],
        gives: Length(0, "data"),
        ..ROW
    },
    Recipe {
        call: "write",
        steps: &[must("io_write").when(&[Is("offset", -1)])],
        arguments: &[To(0), In(0, "data"), Bytes(0, "data")],
        gives: Number(0, "amount"),
        ..ROW
    },
    Recipe {
        call: "pwrite",
        steps: &[must("io_write")],
        arguments: &[To(0), In(0, "data"), Bytes(0, "data"), In(0, "offset")],
        gives: Number(0, "amount"),
        ..ROW
    },
    Recipe {
        call: "lseek",
        steps: &[must("io_seek")],
        arguments: &[To(0), In(0, "offset"), In(0, "whence")],
        gives: Number(0, "newp"),
        ..ROW
    },
    Recipe {
        call: "select",
        steps: &[must("io_select")],
        arguments: &[To(0), Named(0, "select_type", SELECT)],
        gives: Bits(0, "select_type", SELECT),
        ..ROW
    },
    Recipe {
        call: "select",
        steps: &[must("io_select_timeout")],
        arguments: &[To(0), Named(0, "select_type", SELECT), In(0, "timeout")],
        gives: Bits(0, "select_type", SELECT),
        ..ROW
    },
    Recipe { call: "fstat", steps: &[must("io_stat")], arguments: &[To(0), Members(0, "stat_info", STAT)], ..ROW },
    Recipe {
        call: "readdir",
        steps: &[must("dir_readdir")],
        arguments: &[To(0), In(0, "entry")],
        gives: Number(0, "amount"),
        ..ROW
    },
    Recipe { call: "fchmod", steps: &[must("file_chmod")], arguments: &[To(0), Mode(0, "new_mode")], ..ROW },
    Recipe {
        call: "fchown",
        steps: &[must("file_chown")],
        arguments: &[To(0), In(0, "new_owner"), In(0, "new_group")],
        ..ROW
    },
    Recipe { call: "ftruncate", steps: &[must("file_set_size")], arguments: &[To(0), In(0, "new_size")], ..ROW },
    Recipe {
        call: "futimens",
        steps: &[must("file_utimens")],
        arguments: &[To(0), In(0, "new_atime"), In(0, "new_mtime")],
        ..ROW
    },
    Recipe {
        call: "fstatfs",
        steps: &[must("file_statfs")],
        arguments: &[To(0), Members(0, "info", &["f_type", "f_blocks", "f_bfree"])],
        ..ROW
    },
    Recipe {
        call: "fdatasync",
        steps: &[must("file_sync").when(&[Is("omit_metadata", 1)])],
        arguments: &[To(0)],
        unknown: EINVAL,
        ..ROW
    },
    Recipe { call: "fsync", steps: &[must("file_sync")], arguments: &[To(0)], unknown: EINVAL, ..ROW },
    Recipe { call: "flock", steps: &[must("file_lock")], arguments: &[To(0), In(0, "flags")], ..ROW },
    Recipe {
        call: "fcntl",
        steps: &[must("file_record_lock")],
        arguments: &[To(0), In(0, "cmd"), In(0, "flock64")],
        ..ROW
    },
    Recipe {
        call: "fcntl",
        steps: &[must("io_get_openmodes")],
        arguments: &[To(0), Text("F_GETFL")],
        gives: Field(0, "bits"),
        ..ROW
    },
    Recipe {
        call: "fcntl",
        steps: &[must("io_set_all_openmodes")],
        arguments: &[To(0), Text("F_SETFL"), In(0, "newbits")],
        ..ROW
    },
    Recipe {
        call: "fcntl",
        steps: &[must("io_get_owner")],
        arguments: &[To(0), Text("F_GETOWN")],
        gives: Number(0, "owner"),
        ..ROW
    },
    Recipe {
        call: "fcntl",
        steps: &[must("io_mod_owner")],
        arguments: &[To(0), Text("F_SETOWN"), In(0, "owner")],
        ..ROW
    },
    Recipe {
        call: "isatty",
        steps: &[must("term_getctty"), cleans(&[Port("name", &[0])])],
        arguments: &[To(0)],
        gives: Gives::One,
        unknown: ENOTTY,
        ..ROW
    },
    Recipe { call: "ioctl", steps: &[must("tioctl_*")], arguments: &[To(0), Ioctl(0)], unknown: ENOTTY, ..ROW },
    Recipe { call: "ioctl", steps: &[must("iioctl_*")], arguments: &[To(0), Ioctl(0)], unknown: ENOTTY, ..ROW },
    Recipe {
        call: "mmap",
        steps: &[
            must("io_map"),
            cleans(&[Port("name", &[0])]),
            Step::tries("vm_map").when(&[Port("memory_object", &[0])]),
            Step::tries("vm_deallocate"),
            must("vm_map").when(&[Port("memory_object", &[0])]),
            cleans(&[Port("name", &[0])]),
        ],
        arguments: &[In(4, "address"), In(4, "size"), Named(4, "cur_protection", PROTECTION), To(0), In(4, "offset")],
        gives: Gives::Address(4, "address"),
        unknown: ENODEV,
        ..ROW
    },
];
