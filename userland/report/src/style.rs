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
    pub hex: bool,
    /// Nothing is abbreviated.
    pub verbose: bool,
    /// No lines about exits.
    pub quiet: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self { string_size: 80, stamp: Stamp::None, durations: false, hex: false, verbose: false, quiet: false }
    }
}
