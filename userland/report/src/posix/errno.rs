// SPDX-License-Identifier: GPL-2.0-or-later
//! What a call fails with to a programmer: libc's `errno` of what a server answered, and what `strerror` says of it.

use alloc::string::String;

use mach_abi::KernReturn;
use mig_defs::table::Tables;

use crate::number::decimal;
use crate::pieces;

/// The Hurd's error system: an errno value has these bits, and itself in the lower ones.
const SYSTEM: i32 = 0x4000_0000;
const VALUE: i32 = 0x3fff;

const fn errno(value: i32) -> Option<i32> {
    Some(SYSTEM | value)
}

pub(super) const ENODEV: Option<i32> = errno(19);
pub(super) const ENOTDIR: Option<i32> = errno(20);
pub(super) const EINVAL: Option<i32> = errno(22);
pub(super) const ENOTTY: Option<i32> = errno(25);
pub(super) const EAGAIN: Option<i32> = errno(35);
pub(super) const ENOTSOCK: Option<i32> = errno(38);
pub(super) const EAFNOSUPPORT: Option<i32> = errno(47);

/// Errno values and what `strerror` of the GNU C library says of each (its sysdeps/gnu/errlist.h).
const TEXTS: &[(i32, &str)] = &[
    (1, "Operation not permitted"),
    (2, "No such file or directory"),
    (3, "No such process"),
    (4, "Interrupted system call"),
    (5, "Input/output error"),
    (6, "No such device or address"),
    (7, "Argument list too long"),
    (8, "Exec format error"),
    (9, "Bad file descriptor"),
    (10, "No child processes"),
    (11, "Resource deadlock avoided"),
    (12, "Cannot allocate memory"),
    (13, "Permission denied"),
    (14, "Bad address"),
    (15, "Block device required"),
    (16, "Device or resource busy"),
    (17, "File exists"),
    (18, "Invalid cross-device link"),
    (19, "No such device"),
    (20, "Not a directory"),
    (21, "Is a directory"),
    (22, "Invalid argument"),
    (23, "Too many open files in system"),
    (24, "Too many open files"),
    (25, "Inappropriate ioctl for device"),
    (26, "Text file busy"),
    (27, "File too large"),
    (28, "No space left on device"),
    (29, "Illegal seek"),
    (30, "Read-only file system"),
    (31, "Too many links"),
    (32, "Broken pipe"),
    (33, "Numerical argument out of domain"),
    (34, "Numerical result out of range"),
    (35, "Resource temporarily unavailable"),
    (36, "Operation now in progress"),
    (37, "Operation already in progress"),
    (38, "Socket operation on non-socket"),
    (39, "Destination address required"),
    (40, "Message too long"),
    (41, "Protocol wrong type for socket"),
    (42, "Protocol not available"),
    (43, "Protocol not supported"),
    (44, "Socket type not supported"),
    (45, "Operation not supported"),
    (46, "Protocol family not supported"),
    (47, "Address family not supported by protocol"),
    (48, "Address already in use"),
    (49, "Cannot assign requested address"),
    (50, "Network is down"),
    (51, "Network is unreachable"),
    (52, "Network dropped connection on reset"),
    (53, "Software caused connection abort"),
    (54, "Connection reset by peer"),
    (55, "No buffer space available"),
    (56, "Transport endpoint is already connected"),
    (57, "Transport endpoint is not connected"),
    (58, "Cannot send after transport endpoint shutdown"),
    (59, "Too many references: cannot splice"),
    (60, "Connection timed out"),
    (61, "Connection refused"),
    (62, "Too many levels of symbolic links"),
    (63, "File name too long"),
    (64, "Host is down"),
    (65, "No route to host"),
    (66, "Directory not empty"),
    (67, "Too many processes"),
    (68, "Too many users"),
    (69, "Disk quota exceeded"),
    (70, "Stale file handle"),
    (71, "Object is remote"),
    (72, "RPC struct is bad"),
    (73, "RPC version wrong"),
    (74, "RPC program not available"),
    (75, "RPC program version wrong"),
    (76, "RPC bad procedure for program"),
    (77, "No locks available"),
    (78, "Function not implemented"),
    (79, "Inappropriate file type or format"),
    (80, "Authentication error"),
    (81, "Need authenticator"),
    (83, "Cannot exec a shared library directly"),
    (100, "Inappropriate operation for background process"),
    (101, "Translator died"),
    (102, "?"),
    (103, "You really blew it this time"),
    (104, "Computer bought the farm"),
    (105, "Gratuitous error"),
    (106, "Invalid or incomplete multibyte or wide character"),
    (107, "Bad message"),
    (108, "Identifier removed"),
    (109, "Multihop attempted"),
    (110, "No data available"),
    (111, "Link has been severed"),
    (112, "No message of desired type"),
    (113, "Out of streams resources"),
    (114, "Device not a stream"),
    (115, "Value too large for defined data type"),
    (116, "Protocol error"),
    (117, "Timer expired"),
    (118, "Not supported"),
    (119, "Operation canceled"),
    (120, "Owner died"),
    (121, "State not recoverable"),
];

/// What `strerror` of the GNU C library says of a return code that is an errno value of the Hurd's; `None` of all others.
pub fn strerror(code: i32) -> Option<&'static str> {
    let is_errno = code & !VALUE == SYSTEM;
    TEXTS.iter().find(|(number, _)| is_errno && *number == code & VALUE).map(|(_, text)| *text)
}

/// What libc makes of an answer, where no call makes anything else of it: `__hurd_fail` of glibc's hurd/hurd.h.
fn usual(answer: KernReturn) -> i32 {
    match answer {
        KernReturn::MACH_SEND_INVALID_DEST | KernReturn::MIG_SERVER_DIED => SYSTEM | 104,
        KernReturn::KERN_NO_SPACE => SYSTEM | 12,
        KernReturn::KERN_INVALID_ADDRESS | KernReturn::KERN_INVALID_ARGUMENT => SYSTEM | 22,
        KernReturn(other) => other,
    }
}

/// What a call fails with if this was answered. `unknown` is what it makes of an answer that the server does not know what it was asked.
fn of(answer: i32, unknown: Option<i32>) -> i32 {
    match unknown {
        Some(errno) if answer == KernReturn::MIG_BAD_ID.0 || answer == SYSTEM | 45 => errno,
        _ => usual(KernReturn(answer)),
    }
}

/// Appends `-1 ENOENT (No such file or directory)`, and what was answered if that is something else.
pub(super) fn write(out: &mut String, tables: Tables<'_>, answer: i32, unknown: Option<i32>) {
    let errno = of(answer, unknown);
    out.push_str("-1 ");
    let value = errno & VALUE;
    match tables.error_name(errno) {
        Some(name) => out.push_str(name),
        None if errno & !VALUE == SYSTEM => {
            out.push_str("errno ");
            decimal(out, value);
        }
        None => pieces::code(out, tables, errno),
    }
    if let Some(text) = strerror(errno) {
        out.push_str(" (");
        out.push_str(text);
        out.push(')');
    }
    if answer != errno {
        out.push_str(" [answered ");
        pieces::code(out, tables, answer);
        out.push(']');
    }
}
