// SPDX-License-Identifier: GPL-2.0-or-later
//! Calls on sockets. Their addresses are ports, which are made before and given back after.

use crate::posix::errno::{EAFNOSUPPORT, ENOTSOCK};
use crate::posix::recipe::Argument::{Address, Domain, Entry, In, Out, Path, Text, To};
use crate::posix::recipe::Gives::{Length, Number, Pair, Port as Brought};
use crate::posix::recipe::When::{Begins, Is, Null, Port, Same};
use crate::posix::recipe::{LOOKUP, ROW, Recipe};

use super::{cleans, find, find_directory, may, must, refer};

/// `S_IFIFO`, by which libc asks for a pair of sockets that is a pipe.
const FIFO: i64 = 0x1000;

/// All of them.
pub(super) const ROWS: &[Recipe] = &[
    Recipe {
        call: "pipe",
        steps: &[
            may(LOOKUP),
            must("socket_create").on(&[0]).when(&[Is("protocol", FIFO)]),
            may("io_set_some_openmodes").on(&[1]),
            must("socket_create").when(&[Same(1), Is("protocol", FIFO)]),
            may("io_set_some_openmodes").on(&[3]),
            must("socket_connect2").when(&[Port("sock2", &[3, 1])]),
            cleans(&[Port("name", &[1, 3])]),
            cleans(&[Port("name", &[1, 3])]),
        ],
        arguments: &[],
        gives: Pair(1, 3),
        unknown: EAFNOSUPPORT,
        ..ROW
    },
    Recipe {
        call: "socketpair",
        steps: &[
            may(LOOKUP),
            must("socket_create").on(&[0]),
            may("io_set_some_openmodes").on(&[1]),
            must("socket_create").when(&[Same(1)]),
            may("io_set_some_openmodes").on(&[3]),
            must("socket_connect2").when(&[Port("sock2", &[3, 1])]),
            cleans(&[Port("name", &[1, 3])]),
            cleans(&[Port("name", &[1, 3])]),
        ],
        arguments: &[Domain(1), In(1, "sock_type"), In(1, "protocol")],
        gives: Pair(1, 3),
        unknown: EAFNOSUPPORT,
        ..ROW
    },
    Recipe {
        call: "socket",
        steps: &[may(LOOKUP), must("socket_create").on(&[0]), may("io_set_some_openmodes").on(&[1])],
        arguments: &[Domain(1), In(1, "sock_type"), In(1, "protocol")],
        gives: Brought(1),
        unknown: EAFNOSUPPORT,
        ..ROW
    },
    Recipe {
        call: "bind",
        steps: &[
            must("socket_create_address"),
            must("socket_bind").when(&[Port("addr", &[0])]),
            cleans(&[Port("name", &[0])]),
        ],
        arguments: &[To(1), Address(0, "sockaddr")],
        ..ROW
    },
    Recipe {
        call: "bind",
        steps: &[
            find_directory(),
            refer(),
            must("dir_mkfile").on(&[0, 1]),
            must("file_set_translator").on(&[2]).when(&[Begins("passive", b"/hurd/ifsock\0")]),
            must(LOOKUP).on(&[2]),
            must("ifsock_getsockaddr").on(&[4]),
            must("dir_link").on(&[0, 1]).when(&[Port("file", &[2])]),
            cleans(&[Port("name", &[4, 5])]),
            cleans(&[Port("name", &[2])]),
            cleans(&[Port("name", &[0, 1])]),
            must("socket_bind").when(&[Port("addr", &[5])]),
            cleans(&[Port("name", &[5])]),
        ],
        arguments: &[To(10), Text("AF_LOCAL"), Entry(0, 6, "name")],
        ..ROW
    },
    Recipe {
        call: "connect",
        steps: &[
            must("socket_create_address"),
            must("socket_connect").when(&[Port("addr", &[0])]),
            cleans(&[Port("name", &[0])]),
        ],
        arguments: &[To(1), Address(0, "sockaddr")],
        ..ROW
    },
    Recipe {
        call: "connect",
        steps: &[
            find(),
            must("ifsock_getsockaddr").on(&[0]),
            cleans(&[Port("name", &[0])]),
            must("socket_connect").when(&[Port("addr", &[1])]),
            cleans(&[Port("name", &[1])]),
        ],
        arguments: &[To(3), Text("AF_LOCAL"), Path(0)],
        unknown: ENOTSOCK,
        ..ROW
    },
    Recipe { call: "listen", steps: &[must("socket_listen")], arguments: &[To(0), In(0, "queue_limit")], ..ROW },
    Recipe {
        call: "accept",
        steps: &[
            must("socket_accept"),
            may("socket_whatis_address").on(&[0]),
            cleans(&[Port("name", &[0])]),
            may("io_set_some_openmodes").on(&[0]),
        ],
        arguments: &[To(0)],
        gives: Brought(0),
        ..ROW
    },
    Recipe {
        call: "sendto",
        steps: &[
            must("socket_create_address"),
            must("socket_send").when(&[Port("addr", &[0])]),
            cleans(&[Port("name", &[0])]),
        ],
        arguments: &[To(1), In(1, "data"), In(1, "flags"), Address(0, "sockaddr")],
        gives: Number(1, "amount"),
        unknown: ENOTSOCK,
        ..ROW
    },
    Recipe {
        call: "sendto",
        steps: &[
            find(),
            must("ifsock_getsockaddr").on(&[0]),
            cleans(&[Port("name", &[0])]),
            must("socket_send").when(&[Port("addr", &[1])]),
            cleans(&[Port("name", &[1])]),
        ],
        arguments: &[To(3), In(3, "data"), In(3, "flags"), Text("AF_LOCAL"), Path(0)],
        gives: Number(3, "amount"),
        unknown: ENOTSOCK,
        ..ROW
    },
    Recipe {
        call: "send",
        steps: &[must("socket_send").when(&[Null("addr")])],
        arguments: &[To(0), In(0, "data"), In(0, "flags")],
        gives: Number(0, "amount"),
        unknown: ENOTSOCK,
        ..ROW
    },
    Recipe {
        call: "recv",
        steps: &[must("socket_recv"), may("socket_whatis_address").on(&[0]), cleans(&[Port("name", &[0])])],
        arguments: &[To(0), Out(0, "data"), In(0, "amount"), In(0, "flags")],
        gives: Length(0, "data"),
        unknown: ENOTSOCK,
        ..ROW
    },
    Recipe {
        call: "getsockopt",
        steps: &[must("socket_getopt")],
        arguments: &[To(0), In(0, "level"), In(0, "option"), Out(0, "optval")],
        ..ROW
    },
    Recipe {
        call: "setsockopt",
        steps: &[must("socket_setopt")],
        arguments: &[To(0), In(0, "level"), In(0, "option"), In(0, "optval")],
        ..ROW
    },
    Recipe {
        call: "getsockname",
        steps: &[must("socket_name"), must("socket_whatis_address").on(&[0]), cleans(&[Port("name", &[0])])],
        arguments: &[To(0), Out(1, "sockaddr")],
        ..ROW
    },
    Recipe {
        call: "getpeername",
        steps: &[must("socket_peername"), must("socket_whatis_address").on(&[0]), cleans(&[Port("name", &[0])])],
        arguments: &[To(0), Out(1, "sockaddr")],
        ..ROW
    },
    Recipe { call: "shutdown", steps: &[must("socket_shutdown")], arguments: &[To(0), In(0, "direction")], ..ROW },
];
