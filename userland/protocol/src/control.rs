// SPDX-License-Identifier: GPL-2.0-or-later
//! Control lines: what the boot server tells the host tool, one line each on [`crate::channel::Channel::Control`].

use core::fmt;

/// One control line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// The boot server has read the archive; the command starts now.
    Ready,
    /// The host tool has asked whether the boot server still runs, with [`ARE_YOU_THERE`].
    Here,
    /// The command ended with this status; the system goes down now.
    Exit(i32),
}

/// What the host tool says to the boot server, a byte each, on [`LINE`]: are you there?
pub const ARE_YOU_THERE: u8 = b'?';

/// What it says there when the user wants the trace to end.
pub const INTERRUPT: u8 = b'i';

/// The serial line that the boot server listens to, as a device of the kernel's.
pub const LINE: &str = "com1";

impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::Here => f.write_str("here"),
            Self::Exit(status) => write!(f, "exit {status}"),
        }
    }
}

/// A control line that is none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlError<'a> {
    /// What was found.
    pub line: &'a str,
}

impl fmt::Display for ControlError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "control line: expected \"ready\", \"here\" or \"exit N\", found {:?}", self.line)
    }
}

impl core::error::Error for ControlError<'_> {}

/// Reads one line, without its line end.
pub fn parse(line: &str) -> Result<Control, ControlError<'_>> {
    match line.split_once(' ') {
        None if line == "ready" => Ok(Control::Ready),
        None if line == "here" => Ok(Control::Here),
        Some(("exit", status)) => status.parse().map(Control::Exit).map_err(|_| ControlError { line }),
        _ => Err(ControlError { line }),
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn lines_survive() {
        for control in [Control::Ready, Control::Here, Control::Exit(0), Control::Exit(139), Control::Exit(i32::MIN)] {
            assert_eq!(parse(&control.to_string()), Ok(control));
        }
        assert_eq!(Control::Exit(3).to_string(), "exit 3");
    }

    #[test]
    fn anything_else_is_refused() {
        for line in ["", "exit", "exit ", "exit one", "exit 1 2", "ready now", "exit 99999999999"] {
            assert_eq!(parse(line), Err(ControlError { line }));
        }
    }
}
