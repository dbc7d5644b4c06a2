// SPDX-License-Identifier: GPL-2.0-or-later
//! What is looked for: an expression as after `-e trace=`, or text in lines; in steps, so that a long trace can be typed at.

use std::collections::HashMap;
use std::fmt;

use exchanges::Subject;
use mig_defs::table::Tables;

use crate::store::{Kept, Row, Store};
use crate::words;

/// Whether a message about this is meant.
pub type Test<'t> = Box<dyn Fn(Subject<'_>) -> bool + 't>;

/// What typed words are.
pub enum Parsed<'t> {
    /// An expression.
    Expression(Test<'t>),
    /// No expression: text.
    Text,
    /// An expression that is wrong in this.
    Wrong(String),
}

/// Who knows expressions.
pub type Parse<'t> = Box<dyn Fn(&str) -> Parsed<'t> + 't>;

enum Way<'t> {
    Expression(Test<'t>, HashMap<(Option<u32>, bool, bool), bool>),
    Text { text: String, is_exact: bool },
    Wrong(String),
}

/// What is looked for.
pub(crate) struct Filter<'t> {
    tables: Tables<'t>,
    /// As it was typed.
    pub(crate) typed: String,
    way: Way<'t>,
}

impl fmt::Debug for Filter<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Filter").field("typed", &self.typed).finish_non_exhaustive()
    }
}

impl<'t> Filter<'t> {
    /// What is typed; none if that is nothing.
    pub(crate) fn new(typed: &str, parse: &Parse<'t>, tables: Tables<'t>) -> Option<Self> {
        if typed.is_empty() {
            return None;
        }
        // What must not be read as an expression.
        let text = typed.strip_prefix('"').map(|text| text.strip_suffix('"').unwrap_or(text));
        let way = match text.map_or_else(|| parse(typed), |_| Parsed::Text) {
            Parsed::Expression(test) => Way::Expression(test, HashMap::new()),
            Parsed::Wrong(why) => Way::Wrong(why),
            Parsed::Text => {
                let text = text.unwrap_or(typed).to_owned();
                let is_exact = text.chars().any(char::is_uppercase);
                Way::Text { text, is_exact }
            }
        };
        Some(Self { tables, typed: typed.to_owned(), way })
    }

    /// How it is read, to the user.
    pub(crate) fn kind(&self) -> &'static str {
        match self.way {
            Way::Expression(..) => "trace=",
            Way::Text { .. } => "text",
            Way::Wrong(_) => "wrong",
        }
    }

    /// What is wrong with it.
    pub(crate) fn wrong(&self) -> Option<&str> {
        match &self.way {
            Way::Wrong(why) => Some(why),
            _ => None,
        }
    }

    /// Whether it means no rows but those that another one means: text with more before or behind it.
    pub(crate) fn narrows(&self, other: &Self) -> bool {
        let (Way::Text { text, is_exact }, Way::Text { text: shorter, is_exact: was_exact }) = (&self.way, &other.way)
        else {
            return false;
        };
        match (is_exact, was_exact) {
            (true, true) | (false, false) => text.contains(&**shorter),
            // Lines of both letters were meant.
            (true, false) => text.to_ascii_lowercase().contains(&**shorter),
            (false, true) => false,
        }
    }

    /// Whether a row is meant.
    pub(crate) fn has(&mut self, store: &Store, row: u32) -> bool {
        let Self { tables, way, .. } = self;
        match (way, store.of_row(row)) {
            (Way::Wrong(_), _) | (Way::Expression(..), None) => false,
            (Way::Expression(test, known), Some((call, _))) => {
                let key = (call.msgh_id, call.is_known(), call.role == "failed");
                *known.entry(key).or_insert_with(|| {
                    let routine = call.msgh_id.filter(|_| call.is_known()).and_then(|id| tables.request(id));
                    test(Subject { msgh_id: call.msgh_id, routine, failed: call.role == "failed" })
                })
            }
            (Way::Text { text, is_exact }, _) => {
                let line = line(store, row);
                if *is_exact { line.contains(&**text) } else { line.to_ascii_lowercase().contains(&**text) }
            }
        }
    }
}

/// The line of a row, without its time.
pub(crate) fn line(store: &Store, row: u32) -> String {
    let (what, result) = parts(store, row);
    what + &result
}

/// The line of a row in two: what was asked, and what came of it.
pub(crate) fn parts(store: &Store, row: u32) -> (String, String) {
    let Some(kind) = store.rows.get(row as usize) else { return Default::default() };
    let label = |call: &Kept| store.label_of(call).to_owned() + " ";
    match (*kind, store.of_row(row)) {
        (Row::Whole(_), Some((kept, _))) => {
            let call = store.call(kept);
            // Of some only the answer was seen.
            let what = if call.request.is_none() { format!("-> {}", call.name) } else { words::request(&call) };
            (label(kept) + &what, words::result(&call))
        }
        (Row::Request(_), Some((kept, _))) => (label(kept) + &words::request(&store.call(kept)), " ...".into()),
        (Row::Reply(_), Some((kept, _))) => {
            let call = store.call(kept);
            let begin = if call.role == "server" { "-> " } else { "<... " };
            (label(kept) + begin + &call.name, words::result(&call))
        }
        (Row::Note(note), _) => {
            let note = store.notes.get(note as usize);
            (note.map_or("", |note| store.text_of(note)).to_owned(), String::new())
        }
        _ => Default::default(),
    }
}
