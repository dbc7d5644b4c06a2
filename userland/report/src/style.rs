// SPDX-License-Identifier: GPL-2.0-or-later
//! How a report is written, as its reader wants it.

/// How a time is shown before each line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stamp {
    /// Not at all.
    #[default]
    None,
    /// Hours, minutes and seconds of the day (UTC).
    Day,
    /// With microseconds.
    DayMicroseconds,
    /// Seconds since the epoch, with microseconds.
    Epoch,
    /// Since the line before.
    Relative,
}

/// How strings are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strings {
    /// What is not printable ASCII is escaped.
    #[default]
    Escaped,
    /// A string with other bytes than ASCII text has is all in hexadecimal.
    OtherHexadecimal,
    /// All strings are in hexadecimal.
    Hexadecimal,
}

impl Strings {
    /// Whether this string is written in hexadecimal.
    pub(crate) fn are_hexadecimal(self, text: &[u8]) -> bool {
        let is_text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
        match self {
            Self::Escaped => false,
            Self::OtherHexadecimal => !text.iter().all(is_text),
            Self::Hexadecimal => true,
        }
    }
}

/// What lines look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Most bytes of a string that are printed.
    pub string_size: usize,
    /// The time before each line.
    pub stamp: Stamp,
    /// How long each RPC took.
    pub durations: bool,
    /// The bytes of each message below its line.
    pub dump: bool,
    /// How strings are written.
    pub strings: Strings,
    /// Nothing is abbreviated.
    pub verbose: bool,
    /// What repeats itself in most lines stands in each: the caller's own port, the name of success, each call of a run.
    pub raw: bool,
    /// No lines about exits.
    pub quiet: bool,
}

impl Style {
    /// Whether lines say what repeats itself.
    pub(crate) fn repeats(&self) -> bool {
        self.raw || self.verbose
    }

    /// Whether a run of calls may be one line, which has one time and one duration.
    pub(crate) fn folds(&self) -> bool {
        !self.repeats() && !self.durations && !self.dump && self.stamp == Stamp::None
    }
}

impl Default for Style {
    fn default() -> Self {
        Self {
            string_size: 80,
            stamp: Stamp::None,
            durations: false,
            dump: false,
            strings: Strings::Escaped,
            verbose: false,
            raw: false,
            quiet: false,
        }
    }
}
