// SPDX-License-Identifier: GPL-2.0-or-later
//! Who has the system trace: a machine without memory of its own, locks or ports, which the kernel runs under one lock.
//!
//! One *tool* at a time owns the trace of the whole system. It is off, in the foreground, or in the background. In the foreground its owner
//! alone configures it, while the owner lives; in the background whoever comes takes it over. A tool that has registered for the background
//! is told when the trace is free, and owns it in the background if it configures it then.
//!
//! A tool is known by its number, which no other tool gets: that of one that has died means nobody.
//!
//! Each method is one step, and says in its [`Effects`] what is to be done for it, after the lock has been given back.

pub mod wire;

use super::Name;

/// What an owner can configure: bits.
pub mod part {
    /// The engine of all tasks.
    pub const TASKS: u32 = 1;
    /// The recorder of the machine, which the kernel begins at boot if its command line asks for it. It ends with this part.
    pub const RECORDER: u32 = 2;
    /// All of them.
    pub const ALL: u32 = TASKS | RECORDER;
}

/// Whether the system is traced, and who may change that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Nobody has configured it: whoever comes may.
    #[default]
    Off = 0,
    /// While its owner lives nobody else may.
    Foreground = 1,
    /// It is the background tool's until another one comes.
    Background = 2,
}

/// Who asks: a number from 1 on, which no other tool gets, and a name for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tool {
    /// Its number.
    pub number: u32,
    /// Its name.
    pub name: Name,
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is another's, who lives.
    Owned,
    /// The background tool waits until the foreground is over, also where its owner has died.
    Foreground,
    /// The one who asks is not the owner.
    NotOwner,
    /// Only while the system starts.
    Started,
}

/// What a step asks for.
#[must_use]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Parts whose configuration ends: bits of [`part`].
    pub ended: u32,
    /// The number of the background tool, if it is to be told that it may; else 0. Who cannot tell it says so by [`Ownership::not_told`].
    pub tell: u32,
}

/// The machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ownership {
    mode: Mode,
    /// 0 without one.
    owner: u32,
    /// The tool that has registered for the background; 0 without one.
    background: u32,
    /// Which tool has been told since the trace was free last; 0 if none was.
    told: u32,
    /// What is configured.
    parts: u32,
    /// A reset does not free it.
    keeps: bool,
    /// It is the kernel's.
    is_kernels: bool,
    /// Who does not own it may make another the owner, too.
    anyone: bool,
    /// The system has started.
    has_started: bool,
    configured_by: Name,
}

/// What the kernel is called where it has configured the trace.
pub const KERNEL: Name = Name::of("kernel");

impl Default for Ownership {
    fn default() -> Self {
        Self::new()
    }
}

impl Ownership {
    /// Off, since boot. All zero bytes.
    pub const fn new() -> Self {
        Self {
            mode: Mode::Off,
            owner: 0,
            background: 0,
            told: 0,
            parts: 0,
            keeps: false,
            is_kernels: false,
            anyone: false,
            has_started: false,
            configured_by: Name([0; 32]),
        }
    }

    /// A tool configures these parts, and owns the trace if nobody does.
    ///
    /// # Errors
    /// [`Refused::Owned`], [`Refused::Foreground`].
    pub fn configure(&mut self, tool: Tool, parts: u32) -> Result<Effects, Refused> {
        if tool.number == self.owner {
            self.parts |= parts;
            return Ok(Effects::default());
        }
        if tool.number == self.background && self.mode == Mode::Foreground {
            return Err(Refused::Foreground);
        }
        if self.owner != 0 && self.mode != Mode::Background {
            return Err(Refused::Owned);
        }
        let effects = self.own(tool);
        // It was another's that was to keep it.
        self.keeps = false;
        self.parts |= parts;
        Ok(effects)
    }

    /// Its owner ends the configuration of these parts. When none is left the trace is free.
    ///
    /// # Errors
    /// [`Refused::NotOwner`].
    pub fn reset(&mut self, number: u32, parts: u32) -> Result<Effects, Refused> {
        if number != self.owner {
            return Err(Refused::NotOwner);
        }
        // An owner that keeps it may have configured nothing yet.
        Ok(if self.parts == 0 { Effects::default() } else { self.end(parts) })
    }

    /// A tool registers for the background, in the place of the one that was, and of the owner in the background.
    pub fn register(&mut self, tool: Tool) -> Effects {
        self.background = tool.number;
        if self.told != tool.number {
            self.told = 0;
        }
        let mut effects = Effects::default();
        match self.mode {
            Mode::Off if self.told == 0 => {
                self.told = tool.number;
                effects.tell = tool.number;
            }
            // Nothing ends: it goes on with what is configured.
            Mode::Background => effects = self.own(tool),
            _ => {}
        }
        effects
    }

    /// Makes a tool the owner, which keeps the trace over its resets; without a tool, ends such keeping and all that is configured. `by` is the
    /// tool that asks; none is somebody without a tool.
    ///
    /// # Errors
    /// [`Refused::NotOwner`], unless [`Ownership::let_anyone`] has allowed it.
    pub fn set_owner(&mut self, by: Option<u32>, to: Option<Tool>) -> Result<Effects, Refused> {
        let is_owner = self.owner != 0 && by == Some(self.owner);
        let is_let = is_owner || self.anyone && by.is_none();
        if !is_let {
            return Err(Refused::NotOwner);
        }
        let Some(tool) = to else {
            let kept = core::mem::replace(&mut self.keeps, false);
            return Ok(if kept { self.end(self.parts) } else { Effects::default() });
        };
        let effects = self.own(tool);
        self.keeps = true;
        Ok(effects)
    }

    /// Who may make owners: anyone who may ask at all, or only the owner.
    pub fn let_anyone(&mut self, anyone: bool) {
        self.anyone = anyone;
    }

    /// The kernel itself configures these parts, before anything else runs. Nobody has to be asked, and there is nobody to lock out.
    ///
    /// # Errors
    /// [`Refused::Started`].
    pub fn configure_kernel(&mut self, parts: u32) -> Result<Effects, Refused> {
        if self.has_started {
            return Err(Refused::Started);
        }
        // What is configured twice begins again.
        let ended = if self.is_kernels || self.mode == Mode::Off { 0 } else { self.parts & parts };
        self.parts |= parts;
        if !self.is_kernels {
            self.is_kernels = true;
            self.mode = Mode::Foreground;
            self.owner = 0;
            self.keeps = false;
            self.configured_by = KERNEL;
        }
        Ok(Effects { ended, tell: 0 })
    }

    /// The system has started: from now on others run at the same time.
    pub fn started(&mut self) {
        self.has_started = true;
    }

    /// A tool has died. What it has configured goes on, and may be claimed.
    pub fn died(&mut self, number: u32) {
        for known in [&mut self.owner, &mut self.background, &mut self.told] {
            if *known == number {
                *known = 0;
            }
        }
    }

    /// A tool could not be told.
    pub fn not_told(&mut self, number: u32) {
        if self.told == number {
            self.told = 0;
        }
    }

    /// Off, in the foreground, or in the background.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The owner's number; 0 without one.
    pub const fn owner(&self) -> u32 {
        self.owner
    }

    /// The number of the tool that has registered for the background; 0 without one.
    pub const fn background(&self) -> u32 {
        self.background
    }

    /// What is configured: bits of [`part`].
    pub const fn parts(&self) -> u32 {
        self.parts
    }

    /// The owner's name, or that of the last one.
    pub const fn configured_by(&self) -> Name {
        self.configured_by
    }

    fn own(&mut self, tool: Tool) -> Effects {
        let mut effects = Effects::default();
        if self.mode != Mode::Foreground {
            if tool.number == self.background {
                self.mode = Mode::Background;
            } else {
                if self.mode == Mode::Background {
                    effects.ended = core::mem::take(&mut self.parts);
                }
                self.mode = Mode::Foreground;
            }
        }
        self.is_kernels = false;
        self.owner = tool.number;
        self.configured_by = tool.name;
        effects
    }

    fn end(&mut self, parts: u32) -> Effects {
        let mut effects = Effects { ended: self.parts & parts, tell: 0 };
        if !self.keeps {
            self.parts &= !parts;
        }
        if self.parts != 0 {
            return effects;
        }
        match self.mode {
            Mode::Off => {}
            Mode::Foreground => {
                effects.tell = self.background;
                self.told = self.background;
            }
            // It has ended it itself: it is told when it registers again.
            Mode::Background => self.told = 0,
        }
        self.owner = 0;
        self.mode = Mode::Off;
        effects
    }
}

#[cfg(test)]
mod tests;
