// SPDX-License-Identifier: GPL-2.0-or-later
//! Gets what comes from Debian: the stock kernel, its interface files, QEMU. Once with the network, then from the cache.

pub mod apt;
pub mod own;
pub mod packages;
pub mod programs;

pub use apt::AptRoot;
pub use packages::{Package, fetch, fetched};

/// Why something could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The machine has no Debian mirror configured.
    #[error(
        "no Debian mirror in this machine's apt configuration (apt-get indextargets): add one to /etc/apt/sources.list.d"
    )]
    NoMirror,
    /// Packages cannot be checked.
    #[error("no Debian archive keyring in /usr/share/keyrings: install the package debian-archive-keyring")]
    NoKeyring,
    /// A program failed.
    #[error("{command} failed ({status})\n{output}")]
    Command {
        /// The command line.
        command: String,
        /// Its exit status.
        status: String,
        /// What it wrote.
        output: String,
    },
    /// apt failed.
    #[error("{what}: {reason}")]
    Apt {
        /// What was asked of it.
        what: String,
        /// Why it could not, in one line.
        reason: String,
    },
    /// A version that is not there.
    #[error("package {package}: expected a version {wanted}, found {found}")]
    Version {
        /// The package.
        package: String,
        /// What is wanted.
        wanted: String,
        /// What the archive has.
        found: String,
    },
    /// A program that is missing, with the line that installs it.
    #[error("{program} is missing; install it with: {install}")]
    Missing {
        /// The program.
        program: String,
        /// How to get it.
        install: String,
    },
    /// A program that is missing, and to install it would remove what is there.
    #[error("{program} is missing, and is not installed: apt-get would remove {removed}")]
    WouldRemove {
        /// The program.
        program: String,
        /// The packages that would go.
        removed: String,
        /// The packages that it takes.
        needed: Vec<own::Needed>,
    },
    /// A program that is missing and that is not to be installed.
    #[error("{program} is missing and is not installed without a yes; to install it: {install}")]
    NotAllowed {
        /// The program.
        program: String,
        /// How to get it.
        install: String,
    },
    /// A file of the cache.
    #[error("cache: {0}")]
    Io(#[from] std::io::Error),
}
