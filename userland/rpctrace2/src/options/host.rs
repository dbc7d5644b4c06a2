// SPDX-License-Identifier: GPL-2.0-or-later
//! Options of the host tool: where the trace goes, and what it looks like there.

use alloc::string::String;
use alloc::vec::Vec;

/// `-o`: where the trace goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// Standard error.
    #[default]
    Error,
    /// `-o -`: standard output.
    Standard,
    /// `-o FILE`.
    File(String),
    /// `-o '|COMMAND'`: the standard input of a command of the host's shell.
    Command(String),
}

/// `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Color {
    /// On a terminal.
    #[default]
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

/// What needs files or a terminal: the host tool has both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// `-o`.
    pub output: Output,
    /// `-A`.
    pub append: bool,
    /// `--capture`: a file in which the trace is kept.
    pub capture: Option<String>,
    /// `--follow`: a capture that is being written.
    pub follow: bool,
    /// `--to`: the form that a capture is written in.
    pub to: Option<String>,
    /// `-I`, in the order given.
    pub directories: Vec<String>,
    /// `-i`, in the order given.
    pub rpc_lists: Vec<String>,
    /// `--nostdinc`.
    pub nostdinc: bool,
    /// `-E`, in the order given.
    pub environment: Vec<String>,
    /// `--color`.
    pub color: Color,
    /// `-a`: the column that results are moved to; 0 is none.
    pub column: usize,
}
