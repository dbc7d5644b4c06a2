// SPDX-License-Identifier: GPL-2.0-or-later
//! Where options are followed: rpctrace2 itself knows what to trace and how to show it, files and processes take somebody else.

/// Where an option is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// By rpctrace2 itself.
    Everywhere,
    /// By the host tool alone, which has a terminal and compiles .defs.
    Host,
    /// Where there are files: by the host tool, and by rpctrace2 on a Hurd.
    Files,
    /// By rpctrace2 on a Hurd alone, where there are processes.
    Hurd,
    /// By rpctrace2 on Linux alone, which shows a capture.
    Show,
}

/// Who reads options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Here {
    /// The host tool, before anything boots.
    Host,
    /// rpctrace2 in our own small system.
    Guest,
    /// rpctrace2 on a Hurd.
    Hurd,
    /// rpctrace2 on Linux, with a capture.
    Show,
}

impl Here {
    /// Whether an option with this place can be followed.
    pub const fn follows(self, place: Place) -> bool {
        match place {
            Place::Everywhere => true,
            Place::Host => matches!(self, Self::Host | Self::Show),
            Place::Files => matches!(self, Self::Host | Self::Hurd | Self::Show),
            Place::Hurd => matches!(self, Self::Hurd),
            Place::Show => matches!(self, Self::Show),
        }
    }
}
