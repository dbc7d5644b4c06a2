// SPDX-License-Identifier: GPL-2.0-or-later
//! What the Hurd's servers answer: errno values as Mach error codes, by name.

use core::fmt;

use mach_abi::KernReturn;

/// The Mach error system of the Hurd: every errno value has these bits.
const SYSTEM: i32 = 0x4000_0000;
/// The bits of the value itself.
const CODE: i32 = 0x3fff;

/// Names the errno values once: as constants, and for [`name`].
macro_rules! errno_values {
    ($($name:ident = $value:literal),* $(,)?) => {
        $(
            #[doc = concat!("`", stringify!($name), "` of errno.h, as servers answer it.")]
            pub const $name: KernReturn = KernReturn(SYSTEM | $value);
        )*

        /// The C name of an errno value in a return value, if it is one.
        pub const fn name(value: KernReturn) -> Option<&'static str> {
            if value.0 & !CODE != SYSTEM {
                return None;
            }
            match value.0 & CODE {
                $($value => Some(stringify!($name)),)*
                _ => None,
            }
        }

        #[cfg(test)]
        const ALL: &[(&str, i32)] = &[$((stringify!($name), SYSTEM | $value)),*];
    };
}

errno_values! {
    EPERM = 1, ENOENT = 2, ESRCH = 3, EINTR = 4, EIO = 5, ENXIO = 6, E2BIG = 7, ENOEXEC = 8, EBADF = 9, ECHILD = 10, EDEADLK = 11,
    ENOMEM = 12, EACCES = 13, EFAULT = 14, ENOTBLK = 15, EBUSY = 16, EEXIST = 17, EXDEV = 18, ENODEV = 19, ENOTDIR = 20, EISDIR = 21,
    EINVAL = 22, ENFILE = 23, EMFILE = 24, ENOTTY = 25, ETXTBSY = 26, EFBIG = 27, ENOSPC = 28, ESPIPE = 29, EROFS = 30, EMLINK = 31,
    EPIPE = 32, EDOM = 33, ERANGE = 34, EAGAIN = 35, EINPROGRESS = 36, EALREADY = 37, ENOTSOCK = 38, EDESTADDRREQ = 39, EMSGSIZE = 40,
    EPROTOTYPE = 41, ENOPROTOOPT = 42, EPROTONOSUPPORT = 43, ESOCKTNOSUPPORT = 44, EOPNOTSUPP = 45, EPFNOSUPPORT = 46, EAFNOSUPPORT =
    47, EADDRINUSE = 48, EADDRNOTAVAIL = 49, ENETDOWN = 50, ENETUNREACH = 51, ENETRESET = 52, ECONNABORTED = 53, ECONNRESET = 54,
    ENOBUFS = 55, EISCONN = 56, ENOTCONN = 57, ESHUTDOWN = 58, ETOOMANYREFS = 59, ETIMEDOUT = 60, ECONNREFUSED = 61, ELOOP = 62,
    ENAMETOOLONG = 63, EHOSTDOWN = 64, EHOSTUNREACH = 65, ENOTEMPTY = 66, EPROCLIM = 67, EUSERS = 68, EDQUOT = 69, ESTALE = 70,
    EREMOTE = 71, EBADRPC = 72, ERPCMISMATCH = 73, EPROGUNAVAIL = 74, EPROGMISMATCH = 75, EPROCUNAVAIL = 76, ENOLCK = 77, ENOSYS = 78,
    EFTYPE = 79, EAUTH = 80, ENEEDAUTH = 81, ELIBEXEC = 83, EBACKGROUND = 100, EDIED = 101, ED = 102, EGREGIOUS = 103, EIEIO = 104,
    EGRATUITOUS = 105, EILSEQ = 106, EBADMSG = 107, EIDRM = 108, EMULTIHOP = 109, ENODATA = 110, ENOLINK = 111, ENOMSG = 112, ENOSR =
    113, ENOSTR = 114, EOVERFLOW = 115, EPROTO = 116, ETIME = 117, ENOTSUP = 118, ECANCELED = 119, EOWNERDEAD = 120, ENOTRECOVERABLE =
    121,
}

/// What a server answered, in words: an errno value or one of the kernel's by its C name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer(pub KernReturn);

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match name(self.0) {
            Some(name) => f.write_str(name),
            None => self.0.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn names_are_those_that_traces_are_decoded_with() {
        let annotations = include_str!("../../../mig-defs/annotations/hurd.txt");
        let rows = annotations.lines().filter_map(|line| line.trim().strip_prefix("0x4000")?.split_once(' '));
        let rows = rows.filter(|(number, _)| number.len() == 4);
        let theirs: std::vec::Vec<_> =
            rows.map(|(number, name)| (name, SYSTEM | i32::from_str_radix(number, 16).unwrap())).collect();
        assert!(theirs.len() > 100, "{} rows", theirs.len());
        assert_eq!(ALL, theirs);
    }

    #[test]
    fn answers_are_said_by_name() {
        assert_eq!(Answer(ENOENT).to_string(), "ENOENT");
        assert_eq!(Answer(KernReturn::MIG_BAD_ID).to_string(), "MIG_BAD_ID");
        assert_eq!(name(KernReturn(2)), None);
        assert_eq!(Answer(KernReturn(SYSTEM | 0x3ff0)).to_string(), "kern_return_t 0x40003ff0");
    }
}
