// SPDX-License-Identifier: GPL-2.0-or-later
//! What a row of the table of calls can say: which messages a call is made of, and how its line is made of them.

/// A call as a programmer makes it, and the messages that libc makes of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recipe {
    /// Its name.
    pub(super) call: &'static str,
    /// Its name where a name is looked up from a directory that is neither the current one nor the root; empty if there is none.
    pub(super) at: &'static str,
    /// Its messages, in their order.
    pub(super) steps: &'static [Step],
    /// What stands in the parentheses.
    pub(super) arguments: &'static [Argument],
    /// What stands behind the equals sign where it has not failed.
    pub(super) gives: Gives,
    /// What libc makes of an answer that the server does not know what it was asked, if it makes something else of it.
    pub(super) unknown: Option<i32>,
    /// An error that is none to the caller, who gets 0.
    pub(super) zero: Option<i32>,
}

/// What rows leave as it is.
pub(super) const ROW: Recipe =
    Recipe { call: "", at: "", steps: &[], arguments: &[], gives: Gives::Zero, unknown: None, zero: None };

/// One message of a call: a request of a routine, with its answer. [`LOOKUP`] is a whole chain of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// The routine's name; one that ends with `*` stands for all that begin so.
    pub(super) routine: &'static str,
    /// Steps of which one brought the port that is asked; if none of them was there, any port.
    pub(super) on: &'static [usize],
    /// What the request has to say.
    pub(super) when: &'static [When],
    /// Whether it is always there, and what its failure means.
    pub(super) need: Need,
}

/// A name that is looked up, with all retries that the answers ask for.
pub(super) const LOOKUP: &str = "dir_lookup";

/// Whether a step is always there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Without it, it is another call. If it fails, the call does.
    Must,
    /// It may be left out. If it fails, the call does.
    May,
    /// It may be left out, and nobody cares whether it fails.
    Tries,
    /// It gives back what the call does not need any more, after a failure, too.
    Cleans,
}

/// What a request has to say.
#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    /// A field is this number.
    Is(&'static str, i64),
    /// A field has one of these bits.
    Has(&'static str, i64),
    /// A field has none of these bits.
    Lacks(&'static str, i64),
    /// A text ends so.
    Ends(&'static str, &'static [u8]),
    /// Data begins so.
    Begins(&'static str, &'static [u8]),
    /// A field is a port that one of these steps brought.
    Port(&'static str, &'static [usize]),
    /// A field is the port of the task itself.
    Own(&'static str),
    /// A field is no port.
    Null(&'static str),
    /// The port that is asked is the one that the request of a step asked, too.
    Same(usize),
}

impl Step {
    /// A step that is always there.
    pub(super) const fn must(routine: &'static str) -> Self {
        Self { routine, on: &[], when: &[], need: Need::Must }
    }

    /// One that may be left out.
    pub(super) const fn may(routine: &'static str) -> Self {
        Self { need: Need::May, ..Self::must(routine) }
    }

    /// One that may be left out, and fail.
    pub(super) const fn tries(routine: &'static str) -> Self {
        Self { need: Need::Tries, ..Self::must(routine) }
    }

    /// A port that one of these steps brought is given back, if one of them did.
    pub(super) const fn cleans(when: &'static [When]) -> Self {
        Self { need: Need::Cleans, when, ..Self::must("mach_port_deallocate") }
    }

    /// A port is given back, without which it is another call.
    pub(super) const fn gives_back(when: &'static [When]) -> Self {
        Self { when, ..Self::must("mach_port_deallocate") }
    }

    /// It asks a port that one of these steps brought.
    pub(super) const fn on(self, on: &'static [usize]) -> Self {
        Self { on, ..self }
    }

    /// Its request says this.
    pub(super) const fn when(self, when: &'static [When]) -> Self {
        Self { when, ..self }
    }
}

/// Something in the parentheses of a line. The first number is the place of a step in [`Recipe::steps`].
#[derive(Clone, Copy, Debug)]
pub(super) enum Argument {
    /// Words.
    Text(&'static str),
    /// The port that is asked.
    To(usize),
    /// A field of the request.
    In(usize, &'static str),
    /// A field of the request that is the bits of a file's mode.
    Mode(usize, &'static str),
    /// A field of the answer.
    Out(usize, &'static str),
    /// Some members of a struct in the answer.
    Members(usize, &'static str, &'static [&'static str]),
    /// The name that was looked up.
    Path(usize),
    /// The name that was looked up from the port that a step had authenticated anew.
    PathFrom(usize, usize),
    /// A name in a directory, which was looked up by the first step, or is the port that the second one asks.
    Entry(usize, usize, &'static str),
    /// A name in a directory, which was looked up by the first step, or is in the first field of the second one's request.
    EntryIn(usize, usize, &'static str, &'static str),
    /// The name that was looked up, without this end.
    PathBefore(usize, &'static [u8]),
    /// How a name was opened, and with which mode it was to be created.
    Open(usize),
    /// Bits by these names.
    Named(usize, &'static str, Names),
    /// The domain of sockets, which is the last part of the name of their server.
    Domain(usize),
    /// The address of a socket.
    Address(usize, &'static str),
    /// How many bytes a field of the request has.
    Bytes(usize, &'static str),
    /// Strings with a NUL behind each.
    Vector(usize, &'static str),
    /// How many of these there are.
    Count(usize, &'static str),
    /// What a symbolic link leads to.
    LinkTarget(usize),
    /// The part of a routine's name that is an ioctl's.
    Ioctl(usize),
    /// The status of a process that ends.
    Status(usize),
}

/// Bits that have names.
pub(super) type Names = &'static [(i64, &'static str)];

/// What stands behind the equals sign.
#[derive(Clone, Copy, Debug)]
pub(super) enum Gives {
    /// 0.
    Zero,
    /// 1.
    One,
    /// A number in the answer of a step.
    Number(usize, &'static str),
    /// An address in the answer of a step.
    Address(usize, &'static str),
    /// How many bytes are in the answer of a step.
    Length(usize, &'static str),
    /// Field of an answer, by names.
    Field(usize, &'static str),
    /// Bits in an answer, by these names.
    Bits(usize, &'static str, Names),
    /// The port that a step brought.
    Port(usize),
    /// Two of them.
    Pair(usize, usize),
    /// What the caller gets is not in any message; a field of an answer says what it depends on.
    Depends(usize, &'static str),
    /// The call does not return.
    Nothing,
}
