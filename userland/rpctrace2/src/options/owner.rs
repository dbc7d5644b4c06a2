// SPDX-License-Identifier: GPL-2.0-or-later
//! `rpctrace2 owner`: whose the system trace is, and who is to have it.

use alloc::string::ToString;

use super::near::Suggestion;
use super::{OptionsError, Request};

/// The word that stands before all others. A program that is called so is traced by `rpctrace2 -- owner`.
pub const OWNER: &str = "owner";

/// What is to become of the system trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Nothing: whose it is is printed.
    Show,
    /// It is owned in the foreground until the user wants that to end.
    Claim,
    /// What nobody owns who lives, or the background, ends.
    Release,
    /// It is owned in the background, whenever nobody else wants it, until the user wants that to end.
    Background,
}

impl Owner {
    /// Each with the word for it, and what that does.
    pub const ALL: [(Option<&'static str>, Self, &'static str); 4] = [
        (None, Self::Show, "print whose the system trace is: that of all tasks, of which there is one. Everybody may"),
        (Some("claim"), Self::Claim, "own it in the foreground until Ctrl-C: nobody else traces all tasks meanwhile"),
        (
            Some("release"),
            Self::Release,
            "end what an owner that has died, or the background, has configured; an owner that lives in the foreground keeps it",
        ),
        (
            Some("background"),
            Self::Background,
            "until Ctrl-C: own it in the background whenever it is free; whoever claims it takes it over",
        ),
    ];

    /// What these words ask for.
    ///
    /// # Errors
    /// If they are no more than one that is known.
    pub(super) fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Request, OptionsError> {
        let mut words = words.into_iter();
        let word = words.next();
        if matches!(word, Some("-h" | "--help")) {
            return Ok(Request::Help);
        }
        let found = Self::ALL.iter().find(|(known, ..)| *known == word);
        match (found, word, words.next()) {
            (Some((_, owner, _)), _, None) => Ok(Request::Owner(*owner)),
            (Some(_), _, Some(more)) => Err(OptionsError::Owner { found: more.to_string(), near: Suggestion::none() }),
            (None, found, _) => {
                let found = found.unwrap_or_default();
                let near = Suggestion::of(found, Self::ALL.iter().filter_map(|(word, ..)| *word), "");
                Err(OptionsError::Owner { found: found.to_string(), near })
            }
        }
    }

    /// The words that say the same.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        let word = Self::ALL.iter().find(|(_, owner, _)| *owner == self).and_then(|(word, ..)| *word);
        [OWNER].into_iter().chain(word)
    }
}
