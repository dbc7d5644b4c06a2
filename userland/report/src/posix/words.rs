// SPDX-License-Identifier: GPL-2.0-or-later
//! Numbers of calls by the names that a programmer has for them, where no annotation of an interface has them.
//!
//! Values of the GNU C library's headers for the Hurd: bits/socket.h, sys/mman.h.

use super::recipe::Names;

/// `PF_*`, which are the names of the servers in /servers/socket.
pub(super) const DOMAIN: &[(i64, &str)] = &[(1, "PF_LOCAL"), (2, "PF_INET"), (26, "PF_INET6")];

/// `AF_INET` and `AF_INET6`.
pub(super) const INET: i64 = 2;
pub(super) const INET6: i64 = 26;

/// `PROT_*`, as the kernel has them: `VM_PROT_*`.
pub(super) const PROTECTION: Names = &[(1, "PROT_READ"), (2, "PROT_WRITE"), (4, "PROT_EXEC")];

/// What `select` and `poll` wait for, as the Hurd's hurd/hurd_types.h has it.
pub(super) const SELECT: Names = &[(1, "SELECT_READ"), (2, "SELECT_WRITE"), (4, "SELECT_URG")];
