// SPDX-License-Identifier: GPL-2.0-or-later
//! Errors by errno, and by the names that a command says them by.

pub use hurd::errno::*;

/// An error by its number in errno.h.
pub type Errno = mach_abi::KernReturn;

/// Those that a command can name.
const NAMED: [Errno; 13] =
    [EPERM, ENOENT, ESRCH, EINTR, EIO, ENXIO, EBADF, ENOMEM, EACCES, EBUSY, EINVAL, EAGAIN, EOPNOTSUPP];

/// An error by its C name.
pub fn by_name(text: &str) -> Option<Errno> {
    NAMED.into_iter().find(|error| name(*error) == Some(text))
}
