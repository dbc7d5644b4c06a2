// SPDX-License-Identifier: GPL-2.0-or-later
//! The screen: a title, the list, a pane, a line that says what is going on.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Clear;

use crate::app::{App, Pane, Typing};
use crate::find::parts;
use crate::panes::{self, Text};
use crate::store::{Row, Store};
use crate::words::clean;

/// Keys and what they do.
pub const KEYS: &[(&str, &str)] = &[
    ("j k, arrows", "one line down, up"),
    ("PageDown, Space, PageUp", "one page"),
    ("g G, Home, End", "to the first, to the last"),
    ("Tab, Shift-Tab", "the part of the screen that the keys above move in"),
    ("1 2 3 4", "the lower part: message, bytes, ports, console"),
    ("Enter", "between the list and the lower part"),
    ("/", "only what matches: as after -e trace=, or text"),
    ("n N", "next, previous match"),
    ("a", "all lines, or only those that match"),
    ("r", "from a request to its answer, and back"),
    ("p", "the same message in the other task's records"),
    ("t", "what it was done for, where that is certain"),
    ("c", "copy the -e trace= that selects this"),
    ("b", "stop at the next such message"),
    ("F", "follow what comes"),
    ("q, Esc", "leave; Esc forgets first what is looked for"),
];

/// What things look like.
#[derive(Clone, Copy)]
struct Theme {
    has_color: bool,
}

impl Theme {
    fn color(self, color: Color, modifier: Modifier) -> Style {
        let style = Style::new().add_modifier(modifier);
        if self.has_color { style.fg(color) } else { style }
    }

    fn wrong(self) -> Style {
        self.color(Color::Red, Modifier::BOLD)
    }

    fn note(self) -> Style {
        self.color(Color::Yellow, Modifier::empty())
    }

    fn head(self) -> Style {
        self.color(Color::Cyan, Modifier::BOLD)
    }

    fn bar(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    fn quiet(self) -> Style {
        self.color(Color::DarkGray, Modifier::DIM)
    }
}

/// Draws all of it.
pub fn draw(app: &mut App<'_>, frame: &mut Frame<'_>) {
    let theme = Theme { has_color: app.about.has_color };
    let parts = Layout::vertical([
        Constraint::Length(1),
        Constraint::Fill(4),
        Constraint::Length(1),
        Constraint::Fill(3),
        Constraint::Length(1),
    ]);
    let [title, list, tabs, pane, status] = parts.areas(frame.area());
    app.height = list.height as usize;
    self::title(app, frame, title, theme);
    if app.has_help {
        help(frame, list.union(pane), theme);
    } else {
        self::list(app, frame, list, theme);
        self::tabs(app, frame, tabs, theme);
        self::pane(app, frame, pane, theme);
    }
    self::status(app, frame, status, theme);
}

/// Text at both ends of a line; what is at the right wins.
fn bar(frame: &mut Frame<'_>, area: Rect, left: &str, right: &str, style: Style) {
    let width = area.width as usize;
    let (left, right) = (clean(left), clean(right));
    let room = width.saturating_sub(right.len() + 2);
    let left = cut(&left, room);
    let text = format!(" {left:room$} {right}", room = room.saturating_sub(1));
    frame.render_widget(Line::styled(format!("{text:width$}"), style), area);
}

/// The beginning of ASCII text that has room, with a sign if it is not all.
fn cut(text: &str, room: usize) -> String {
    match text.get(..room.saturating_sub(1)) {
        Some(_) if room == 0 => String::new(),
        Some(begin) if text.len() > room => format!("{begin}>"),
        _ => text.to_owned(),
    }
}

/// What was asked and what came of it, of which the latter is seldom what may be left out.
fn fitted(what: &str, result: &str, room: usize) -> String {
    if what.len() + result.len() <= room {
        return format!("{what}{result}");
    }
    let result = cut(result, room / 2);
    format!("{}{result}", cut(what, room.saturating_sub(result.len())))
}

fn title(app: &App<'_>, frame: &mut Frame<'_>, area: Rect, theme: Theme) {
    let store = app.store.borrow();
    let mut right = match &app.filter {
        Some(filter) if filter.wrong().is_none() => {
            let is_all = app.looked_at == store.rows.len();
            let count = match (app.matches.len(), is_all) {
                (0, true) => "nothing matches".into(),
                (count, true) => format!("{count} of {} lines", store.rows.len()),
                (count, false) => format!("{count} so far, {}%", app.looked_at * 100 / store.rows.len().max(1)),
            };
            format!("{} {}: {count}", filter.kind(), filter.typed)
        }
        _ => format!("{} calls, {} lines", store.calls.len(), store.rows.len()),
    };
    if store.lost > 0 {
        right.push_str(&format!(", {} records lost", store.lost));
    }
    if app.follows {
        right.push_str(", following");
    }
    bar(frame, area, &app.about.title, &right, theme.bar());
}

fn list(app: &mut App<'_>, frame: &mut Frame<'_>, area: Rect, theme: Theme) {
    let (height, place) = (app.height, app.place());
    if place < app.top || app.top + height <= place {
        // A jump shows what is around it.
        let is_near = place + 1 == app.top || app.top + height == place;
        app.top = match (is_near, place < app.top) {
            (true, true) => place,
            (true, false) => place + 1 - height,
            (false, _) => place.saturating_sub(height / 2),
        };
    }
    app.top = app.top.min(app.len().saturating_sub(height));
    let store = app.store.borrow();
    for (index, area) in area.rows().enumerate() {
        let Some(row) = app.row_at(app.top + index) else { break };
        let is_match = app.shows_all && app.matches.binary_search(&row).is_ok();
        let is_selected = app.top + index == place;
        let mut line = one(&store, row, is_match, area.width as usize, theme);
        if is_selected {
            line = line.patch_style(if app.is_below { Modifier::UNDERLINED } else { Modifier::REVERSED });
        }
        frame.render_widget(line, area);
    }
    if app.len() == 0 {
        let text = match &app.filter {
            Some(filter) if app.hides() && app.looked_at == store.rows.len() => {
                format!("nothing matches {}", filter.typed)
            }
            Some(_) => "looking ...".into(),
            None if store.is_finished => "there is nothing in it".into(),
            None => "nothing has come yet".into(),
        };
        frame.render_widget(Line::styled(format!("  {}", clean(&text)), theme.quiet()), area);
    }
}

/// A line of the list: what became of it, the time since the first one in seconds, whose it is and what.
fn one(store: &Store, row: u32, is_match: bool, width: usize, theme: Theme) -> Line<'static> {
    let (what, result) = parts(store, row);
    let (sign, style) = match (store.rows.get(row as usize), store.of_row(row)) {
        (Some(Row::Note(note)), _) if store.notes.get(*note as usize).is_some_and(|note| note.is_loss) => {
            ('!', theme.wrong())
        }
        (Some(Row::Note(_)), _) => ('-', theme.note()),
        (Some(kind), Some((call, _))) => {
            let is_end = !matches!(kind, Row::Request(_)) || call.reply_row.is_none();
            match (call.has_failed && is_end, call.outcome) {
                (true, _) => ('!', theme.wrong()),
                (false, "unanswered" | "open") => ('?', theme.note()),
                _ => (' ', Style::new()),
            }
        }
        _ => (' ', Style::new()),
    };
    let time = store.time_of(row).unwrap_or(0);
    let time = time.saturating_sub(store.begin.unwrap_or(0)) / 1000;
    let stamp = format!("{:>4}.{:06} ", time / 1_000_000, time % 1_000_000);
    let begin = format!("{sign}{}", if is_match { '*' } else { ' ' });
    let room = width.saturating_sub(begin.len() + stamp.len());
    let text = format!("{:room$}", fitted(&clean(&what), &clean(&result), room));
    Line::from(vec![Span::styled(begin, style), Span::styled(stamp, theme.quiet()), Span::styled(text, style)])
}

fn tabs(app: &App<'_>, frame: &mut Frame<'_>, area: Rect, theme: Theme) {
    let mut spans = Vec::new();
    for pane in Pane::ALL {
        let is_here = pane == app.pane && app.is_below;
        let text = match (pane == app.pane, is_here) {
            (_, true) => format!(">{}<", pane.title()),
            (true, false) => format!("[{}]", pane.title()),
            _ => format!(" {} ", pane.title()),
        };
        spans.push(Span::styled(text, if is_here { theme.bar() } else { theme.head() }));
    }
    let (count, room) = app.below;
    if count > room {
        let last = (app.scroll + room).min(count);
        spans.push(Span::styled(format!("  {}-{last} of {count}", app.scroll + 1), theme.quiet()));
    }
    let rest = (area.width as usize).saturating_sub(spans.iter().map(Span::width).sum::<usize>() + 1);
    spans.push(Span::styled(format!(" {}", "-".repeat(rest)), theme.quiet()));
    frame.render_widget(Line::from(spans), area);
}

fn pane(app: &mut App<'_>, frame: &mut Frame<'_>, area: Rect, theme: Theme) {
    let room = area.height as usize;
    let lines = panes::lines(app, area.width as usize, room);
    app.below = (lines.len(), room);
    app.scroll = app.scroll.min(lines.len().saturating_sub(room));
    for (text, area) in lines.iter().skip(app.scroll).zip(area.rows()) {
        let (text, style) = match text {
            Text::Head(text) => (text, theme.head()),
            Text::Wrong(text) => (text, theme.wrong()),
            Text::Quiet(text) => (text, theme.quiet()),
            Text::Plain(text) => (text, Style::new()),
        };
        frame.render_widget(Line::styled(clean(text), style), area);
    }
}

fn status(app: &App<'_>, frame: &mut Frame<'_>, area: Rect, theme: Theme) {
    let wrong = app.filter.as_ref().and_then(|filter| filter.wrong());
    if let Some((typing, text)) = &app.typing {
        let begin = if *typing == Typing::Filter { "/" } else { "stop at: " };
        let left = format!("{begin}{}", clean(text));
        frame.set_cursor_position((area.x + (left.len() as u16).min(area.width.saturating_sub(1)), area.y));
        let line =
            vec![Span::raw(format!("{left}   ")), Span::styled(clean(wrong.unwrap_or("")).into_owned(), theme.wrong())];
        return frame.render_widget(Line::from(line), area);
    }
    let (text, style) = match (app.said.is_empty(), wrong, &app.reason) {
        (false, _, _) => (app.said.clone(), Style::new().add_modifier(Modifier::BOLD)),
        (true, Some(wrong), _) => (wrong.to_owned(), theme.wrong()),
        (true, None, Some(reason)) => (reason.clone(), theme.wrong()),
        _ => ("? help  / filter  n N match  r answer  p peer  t cause  b stop  c copy  q leave".into(), theme.quiet()),
    };
    frame.render_widget(Line::styled(cut(&clean(&text), area.width as usize), style), area);
}

fn help(frame: &mut Frame<'_>, area: Rect, theme: Theme) {
    frame.render_widget(Clear, area);
    let mut areas = area.rows();
    for (key, what) in KEYS {
        let Some(area) = areas.next() else { return };
        let key = Span::styled(format!("  {key:<25}"), theme.head());
        frame.render_widget(Line::from(vec![key, Span::raw(*what)]), area);
    }
    let signs = "  ! error or loss   ? no answer   - about the trace   * match   any key: back";
    if let Some(area) = areas.nth(1) {
        frame.render_widget(Line::styled(signs, theme.quiet()), area);
    }
}
