// SPDX-License-Identifier: GPL-2.0-or-later
//! What is shown and what keys do with it. Nothing here knows a terminal.

use std::cell::RefCell;
use std::rc::Rc;

use mig_defs::table::Tables;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::find::{Filter, Parse};
use crate::store::Store;

/// Rows that are looked at in a step of a search.
pub const STEP: usize = 2000;

/// What the lower part shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pane {
    /// The message decoded.
    Message,
    /// Its bytes.
    Bytes,
    /// The names that the task has.
    Ports,
    /// What was written to the console.
    Console,
}

impl Pane {
    pub(crate) const ALL: [Self; 4] = [Self::Message, Self::Bytes, Self::Ports, Self::Console];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Message => "1 message",
            Self::Bytes => "2 bytes",
            Self::Ports => "3 ports",
            Self::Console => "4 console",
        }
    }
}

/// What is being typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Typing {
    Filter,
    Break,
}

/// What a key asks the terminal for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    None,
    /// To end.
    Quit,
    /// To put this into the clipboard.
    Copy(String),
}

/// What is known before the first record.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// Of what the trace is.
    pub title: String,
    /// Whether more may come.
    pub follows: bool,
    /// Whether the options select only some messages.
    pub is_partial: bool,
    /// Whether there are colours.
    pub has_color: bool,
}

/// All of it.
pub struct App<'t> {
    pub(crate) store: Rc<RefCell<Store>>,
    tables: Tables<'t>,
    parse: Parse<'t>,
    pub(crate) about: About,
    /// The row that is selected.
    pub(crate) cursor: u32,
    /// The place in the list of the first row on the screen.
    pub(crate) top: usize,
    /// Rows of the list on the screen.
    pub(crate) height: usize,
    pub(crate) pane: Pane,
    /// Whether keys move in the lower part.
    pub(crate) is_below: bool,
    /// The first line of the lower part that is shown, and how many there are, and how many have room.
    pub(crate) scroll: usize,
    pub(crate) below: (usize, usize),
    pub(crate) typing: Option<(Typing, String)>,
    pub(crate) filter: Option<Filter<'t>>,
    /// The rows that the filter means, of the first so many.
    pub(crate) matches: Vec<u32>,
    pub(crate) looked_at: usize,
    /// Rows of which alone the filter can mean some, of the first so many: what a shorter text meant.
    narrowed: (Vec<u32>, usize),
    /// Whether the others are shown, too.
    pub(crate) shows_all: bool,
    stop_at: Option<Filter<'t>>,
    /// Rows at which it was looked whether to stop.
    stopped_to: u32,
    /// Whether the last row is selected, whatever comes.
    pub(crate) follows: bool,
    pub(crate) has_help: bool,
    /// Why there is no more, if not all is there.
    pub(crate) reason: Option<String>,
    pub(crate) said: String,
}

impl std::fmt::Debug for App<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("App").field("cursor", &self.cursor).field("filter", &self.filter).finish_non_exhaustive()
    }
}

impl<'t> App<'t> {
    /// Shows what is kept there.
    pub fn new(store: Rc<RefCell<Store>>, tables: Tables<'t>, parse: Parse<'t>, about: About) -> Self {
        let follows = about.follows;
        Self {
            store,
            tables,
            parse,
            about,
            cursor: 0,
            top: 0,
            height: 1,
            pane: Pane::Message,
            is_below: false,
            scroll: 0,
            below: (0, 0),
            typing: None,
            filter: None,
            matches: Vec::new(),
            looked_at: 0,
            narrowed: Default::default(),
            shows_all: false,
            stop_at: None,
            stopped_to: 0,
            follows,
            has_help: false,
            reason: None,
            said: String::new(),
        }
    }

    /// Nothing comes any more; why, if not all is there.
    pub fn end(&mut self, reason: Option<String>) {
        if let Some(reason) = &reason {
            self.store.borrow_mut().cut(reason);
        }
        self.reason = reason;
        self.about.follows = false;
        // What became of calls is known only now.
        (self.looked_at, self.follows) = (0, false);
        (self.matches, self.narrowed) = Default::default();
    }

    /// Whether only rows that the filter means are in the list.
    pub(crate) fn hides(&self) -> bool {
        self.filter.as_ref().is_some_and(|filter| filter.wrong().is_none()) && !self.shows_all
    }

    /// How many lines the list has.
    pub(crate) fn len(&self) -> usize {
        if self.hides() { self.matches.len() } else { self.store.borrow().rows.len() }
    }

    /// The row at a place of the list.
    pub(crate) fn row_at(&self, place: usize) -> Option<u32> {
        if self.hides() { self.matches.get(place).copied() } else { (place < self.len()).then_some(place as u32) }
    }

    /// The place in the list of the selected row.
    pub(crate) fn place(&self) -> usize {
        if !self.hides() {
            return self.cursor as usize;
        }
        self.matches.partition_point(|row| *row < self.cursor).min(self.matches.len().saturating_sub(1))
    }

    /// The row that is selected and shown.
    pub(crate) fn selected(&self) -> Option<u32> {
        self.row_at(self.place())
    }

    /// Looks at some more rows; whether there are others still.
    pub fn work(&mut self, rows: usize) -> bool {
        let store = Rc::clone(&self.store);
        let store = &mut *store.borrow_mut();
        if let Some(changed) = store.changed.take() {
            self.looked_at = self.looked_at.min(changed as usize);
            self.matches.truncate(self.matches.partition_point(|row| *row < changed));
            self.narrowed.1 = self.narrowed.1.min(changed as usize);
        }
        let store = &*store;
        if let Some(filter) = &mut self.filter {
            let (some, until) = &self.narrowed;
            let first = some.partition_point(|row| (*row as usize) < self.looked_at);
            let last = some.partition_point(|row| (*row as usize) < *until).min(first.saturating_add(rows));
            let known = some.get(first..last).unwrap_or_default();
            self.matches.extend(known.iter().filter(|row| filter.has(store, **row)));
            self.looked_at = match known.last() {
                Some(row) if known.len() == rows => *row as usize + 1,
                _ => self.looked_at.max(*until),
            };
            let rows = rows - known.len();
            let end = store.rows.len().min(self.looked_at.saturating_add(rows));
            let new = (self.looked_at as u32..end as u32).filter(|row| filter.has(store, *row));
            self.matches.extend(new);
            self.looked_at = end;
        } else {
            self.looked_at = store.rows.len();
        }
        self.stop(store);
        if self.follows {
            self.cursor = store.rows.len().saturating_sub(1) as u32;
        }
        self.looked_at < store.rows.len()
    }

    /// Stops at the first new row that is waited for.
    fn stop(&mut self, store: &Store) {
        let Some(stop_at) = &mut self.stop_at else { return };
        let mut new = self.stopped_to..store.rows.len() as u32;
        let found = new.find(|row| stop_at.has(store, *row));
        self.stopped_to = found.map_or(store.rows.len() as u32, |row| row + 1);
        if let Some(row) = found {
            self.said = format!("stopped at {}; F follows again", stop_at.typed);
            (self.cursor, self.follows, self.stop_at, self.scroll) = (row, false, None, 0);
            self.shows_all |= self.filter.is_some();
        }
    }

    /// What a key does.
    pub fn key(&mut self, key: KeyEvent) -> Effect {
        self.said.clear();
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return Effect::Quit;
        }
        if core::mem::take(&mut self.has_help) {
            return Effect::None;
        }
        if self.typing.is_some() {
            self.typed(key.code);
            return Effect::None;
        }
        match key.code {
            KeyCode::Esc if self.filter.is_some() => self.look_for(""),
            KeyCode::Char('q') | KeyCode::Esc => return Effect::Quit,
            KeyCode::Char('?') => self.has_help = true,
            KeyCode::Char('/') => self.typing = Some((Typing::Filter, String::new())),
            KeyCode::Char('b') => self.typing = Some((Typing::Break, String::new())),
            KeyCode::Char('n') => self.next_match(true),
            KeyCode::Char('N') => self.next_match(false),
            KeyCode::Char('a') => {
                self.settle();
                self.shows_all = !self.shows_all;
            }
            KeyCode::Char('F') => self.follow(),
            KeyCode::Char('r') => self.jump(Store::answer_of),
            KeyCode::Char('p') => self.jump(Store::peer_of),
            KeyCode::Char('t') => self.jump(Store::cause_of),
            KeyCode::Char('c') => return self.copy(),
            KeyCode::Char(digit @ '1'..='4') => self.show(Pane::ALL[digit as usize - '1' as usize]),
            KeyCode::Enter => self.is_below = !self.is_below,
            KeyCode::Tab => self.next_pane(true),
            KeyCode::BackTab => self.next_pane(false),
            code => self.go(code),
        }
        Effect::None
    }

    /// To the next part of the screen: the list, then each pane.
    fn next_pane(&mut self, is_on: bool) {
        let count = Pane::ALL.len() + 1;
        let now = if self.is_below { Pane::ALL.iter().position(|pane| *pane == self.pane).unwrap_or(0) + 1 } else { 0 };
        let next = (now + if is_on { 1 } else { count - 1 }) % count;
        self.is_below = next > 0;
        if let Some(pane) = next.checked_sub(1).and_then(|next| Pane::ALL.get(next)) {
            self.show(*pane);
        }
    }

    fn show(&mut self, pane: Pane) {
        if self.pane != pane {
            (self.pane, self.scroll) = (pane, 0);
        }
    }

    /// Moves.
    fn go(&mut self, code: KeyCode) {
        let (page, end) = if self.is_below {
            (self.below.1.max(1), self.below.0)
        } else {
            (self.height.saturating_sub(1).max(1), self.len())
        };
        let now = if self.is_below { self.scroll } else { self.place() };
        let to = match code {
            KeyCode::Down | KeyCode::Char('j') => now + 1,
            KeyCode::Up | KeyCode::Char('k') => now.saturating_sub(1),
            KeyCode::PageDown | KeyCode::Char(' ') => now + page,
            KeyCode::PageUp => now.saturating_sub(page),
            KeyCode::Home | KeyCode::Char('g') => 0,
            KeyCode::End | KeyCode::Char('G') => end,
            _ => return,
        };
        if self.is_below {
            self.scroll = to.min(end.saturating_sub(self.below.1));
            return;
        }
        self.select(to.min(end.saturating_sub(1)));
        if self.about.follows && matches!(code, KeyCode::End | KeyCode::Char('G')) {
            self.follow();
        }
    }

    /// Selects what is at a place of the list.
    fn select(&mut self, place: usize) {
        if let Some(row) = self.row_at(place) {
            self.go_to(row);
        }
    }

    /// What is shown as selected is selected, whatever was before the filter.
    fn settle(&mut self) {
        if let Some(row) = self.selected() {
            self.cursor = row;
        }
    }

    fn go_to(&mut self, row: u32) {
        if row != self.cursor {
            self.scroll = 0;
        }
        (self.cursor, self.follows) = (row, false);
    }

    fn follow(&mut self) {
        if self.about.follows {
            self.follows = true;
            self.cursor = self.store.borrow().rows.len().saturating_sub(1) as u32;
        } else {
            self.said = "nothing more comes".into();
        }
    }

    fn jump(&mut self, to: fn(&Store, u32) -> crate::jumps::Jump) {
        let Some(row) = self.selected() else { return };
        let jump = to(&self.store.borrow(), row);
        match jump {
            Ok((row, what)) => {
                self.said = what;
                if self.hides() && self.matches.binary_search(&row).is_err() {
                    self.shows_all = true;
                    self.said.push_str("; it is not what the filter means, so all is shown");
                }
                self.go_to(row);
            }
            Err(why) => self.said = why.into(),
        }
    }

    fn next_match(&mut self, is_on: bool) {
        let Some(filter) = &self.filter else {
            self.said = "nothing is looked for: type / and what".into();
            return;
        };
        let first = self.matches.partition_point(|row| *row <= self.cursor);
        let before = self.matches.partition_point(|row| *row < self.cursor);
        let place = if is_on { Some(first) } else { before.checked_sub(1) };
        match place.and_then(|place| self.matches.get(place).copied()) {
            Some(row) => self.go_to(row),
            None => self.said = format!("no {} match of {}", if is_on { "later" } else { "earlier" }, filter.typed),
        }
    }

    /// A key while something is typed.
    fn typed(&mut self, code: KeyCode) {
        let Some((typing, text)) = &mut self.typing else { return };
        let typing = *typing;
        match code {
            KeyCode::Char(letter) => text.push(letter),
            KeyCode::Backspace if text.is_empty() => {
                self.typing = None;
                return;
            }
            KeyCode::Backspace => drop(text.pop()),
            KeyCode::Enter => {
                let text = core::mem::take(text);
                self.typing = None;
                match typing {
                    Typing::Break => self.break_at(&text),
                    // As it was, or nothing where nothing was typed.
                    Typing::Filter if text.is_empty() => self.look_for(""),
                    Typing::Filter => self.settle(),
                }
                return;
            }
            KeyCode::Esc => {
                self.typing = None;
                if typing == Typing::Filter {
                    self.look_for("");
                }
                return;
            }
            _ => return,
        }
        if typing == Typing::Filter {
            let text = text.clone();
            self.look_for(&text);
        }
    }

    /// Looks for what is typed.
    pub(crate) fn look_for(&mut self, typed: &str) {
        let before = core::mem::replace(&mut self.filter, Filter::new(typed, &self.parse, self.tables));
        let narrows = before.zip(self.filter.as_ref()).is_some_and(|(before, filter)| filter.narrows(&before));
        self.narrowed = if narrows { self.meant() } else { Default::default() };
        (self.looked_at, self.scroll, self.shows_all) = (0, 0, false);
        self.matches.clear();
    }

    /// Of which rows some can be meant, of the first so many, as far as the search has come.
    fn meant(&mut self) -> (Vec<u32>, usize) {
        let (mut rows, until) = (core::mem::take(&mut self.matches), self.narrowed.1.max(self.looked_at));
        let rest = self.narrowed.0.partition_point(|row| (*row as usize) < self.looked_at);
        rows.extend_from_slice(self.narrowed.0.get(rest..).unwrap_or_default());
        (rows, until)
    }

    /// Stops at the next such message: one that comes, or one behind the selected one.
    fn break_at(&mut self, typed: &str) {
        self.stop_at = Filter::new(typed, &self.parse, self.tables);
        let Some(filter) = &self.stop_at else { return };
        if let Some(why) = filter.wrong() {
            self.said = why.to_owned();
            self.stop_at = None;
            return;
        }
        let store = Rc::clone(&self.store);
        let store = store.borrow();
        let is_live = self.about.follows && self.follows;
        self.stopped_to = if is_live { store.rows.len() as u32 } else { self.cursor + 1 };
        self.said = format!("stops at {typed}");
        self.stop(&store);
        if self.stop_at.is_some() && !self.about.follows {
            self.stop_at = None;
            self.said = format!("nothing behind this is {typed}");
        }
    }

    /// The expression that selects what the selected row is of.
    fn copy(&mut self) -> Effect {
        let store = self.store.borrow();
        let Some((call, _)) = self.selected().and_then(|row| store.of_row(row)) else { return Effect::None };
        let what = match call.msgh_id {
            Some(_) if call.is_known() => store.name_of(call).to_owned(),
            Some(id) => id.to_string(),
            None => "mach_msg".into(),
        };
        let text = format!("-e trace={what}");
        self.said = format!("copied: {text}");
        Effect::Copy(text)
    }
}
