// SPDX-License-Identifier: GPL-2.0-or-later
//! Does what a configuration file says: variables, conditions, the menu, and at last what an entry loads.

use std::collections::BTreeMap;

use crate::disk::grub::condition::{Question, holds};
use crate::disk::grub::lexer::{Piece, Word};
use crate::disk::grub::parser::{Block, Statement, parse};
use crate::disk::grub::{Drives, FileName, GrubError, Kind, Load, Search};

/// How many commands are done, loops and functions included.
const COMMANDS: usize = 100_000;
/// How deep functions and files may call each other.
const CALLS: usize = 32;
/// How long a word gets.
const WORD: usize = 64 << 10;
/// How many bytes all words together have.
const WORDS: usize = 16 << 20;

/// Commands that load something else than a multiboot kernel and its modules.
const OTHER_LOADERS: [&[u8]; 9] = [
    b"linux",
    b"linux16",
    b"linuxefi",
    b"chainloader",
    b"kfreebsd",
    b"knetbsd",
    b"xen_hypervisor",
    b"ntldr",
    b"multiboot-legacy",
];
/// Features of a GRUB that boots a PC by its BIOS, which configuration files ask for.
const VARIABLES: [(&str, &str); 9] = [
    ("feature_menuentry_id", "y"),
    ("feature_menuentry_options", "y"),
    ("feature_platform_search_hint", "y"),
    ("feature_default_font_path", "y"),
    ("feature_all_video_module", "y"),
    ("feature_timeout_style", "y"),
    ("grub_platform", "pc"),
    ("grub_cpu", "i386"),
    ("?", "0"),
];
/// What GRUB keeps from one start to the next.
const ENVIRONMENT: &[u8] = b"grubenv";

/// An entry of the menu, or a menu below it.
struct Item {
    title: Vec<u8>,
    id: Vec<u8>,
    is_menu: bool,
    block: Block,
}

/// The menu, and everything that is known when it is shown.
pub struct Menu<'a> {
    state: State<'a>,
}

/// What an entry loads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loads {
    /// Its title, with those of the menus above it.
    pub title: String,
    /// The multiboot kernel, if it loads one.
    pub kernel: Option<Load>,
    /// The modules in their order.
    pub modules: Vec<Load>,
    /// The first command that loads something else, and its line.
    pub other: Option<(String, usize)>,
}

/// Does what GRUB does with its configuration, whose text this is, in `/boot/grub` of `device`, up to the menu.
pub fn menu<'a>(text: &[u8], device: &[u8], drives: &'a dyn Drives) -> Result<Menu<'a>, GrubError> {
    let block = parse(text)?;
    let mut variables: BTreeMap<Vec<u8>, Vec<u8>> =
        VARIABLES.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect();
    variables.insert(b"root".to_vec(), device.to_vec());
    variables.insert(b"prefix".to_vec(), [b"(", device, b")/boot/grub"].concat());
    let mut state = State {
        drives,
        variables,
        functions: BTreeMap::new(),
        items: Vec::new(),
        loads: Loads::default(),
        commands: 0,
        calls: 0,
        bytes: 0,
        line: 1,
    };
    state.block(&block)?;
    Ok(Menu { state })
}

impl Menu<'_> {
    /// What the entry loads that is started if nobody chooses, or the one that `choice` names: numbers, titles or identifiers, with `>`
    /// between those of a menu and of the entry in it. As in GRUB, what does not name an entry means the first, unless it was chosen.
    /// `None` if the menu has no such entry.
    pub fn entry(mut self, choice: Option<&str>) -> Result<Option<Loads>, GrubError> {
        let state = &mut self.state;
        let wanted = choice.map_or_else(|| state.value(b"default").to_vec(), |choice| choice.as_bytes().to_vec());
        let mut levels = wanted.split(|byte| *byte == b'>');
        let mut title = String::new();
        loop {
            let level = levels.next().unwrap_or_default();
            let items = std::mem::take(&mut state.items);
            let found = match position(&items, level) {
                None if choice.is_some() && !level.is_empty() => None,
                other => other.or_else(|| (!items.is_empty()).then_some(0)),
            };
            let Some(item) = found.and_then(|at| items.into_iter().nth(at)) else { return Ok(None) };
            let above = if title.is_empty() { "" } else { " > " };
            title = format!("{title}{above}{}", String::from_utf8_lossy(&item.title));
            state.variables.insert(b"chosen".to_vec(), item.title.clone());
            state.loads = Loads { title: title.clone(), ..Loads::default() };
            state.block(&item.block)?;
            if !item.is_menu {
                return Ok(Some(std::mem::take(&mut state.loads)));
            }
        }
    }

    /// Titles of the entries, those of menus with `>` behind them.
    pub fn titles(&self) -> Vec<String> {
        let title =
            |item: &Item| format!("{}{}", String::from_utf8_lossy(&item.title), if item.is_menu { " >" } else { "" });
        self.state.items.iter().map(title).collect()
    }
}

/// Which entry a word names.
fn position(items: &[Item], name: &[u8]) -> Option<usize> {
    let named = || items.iter().position(|item| item.title == name || (!name.is_empty() && item.id == name));
    let number = std::str::from_utf8(name).ok().and_then(|name| name.parse::<usize>().ok());
    named().or_else(|| number.filter(|number| *number < items.len()))
}

struct State<'a> {
    drives: &'a dyn Drives,
    variables: BTreeMap<Vec<u8>, Vec<u8>>,
    functions: BTreeMap<Vec<u8>, Block>,
    items: Vec<Item>,
    loads: Loads,
    commands: usize,
    calls: usize,
    bytes: usize,
    line: usize,
}

impl State<'_> {
    fn value(&self, name: &[u8]) -> &[u8] {
        self.variables.get(name).map_or(&[], Vec::as_slice)
    }

    fn error(&self, expected: &'static str, found: impl Into<String>) -> GrubError {
        GrubError { line: self.line, expected, found: found.into() }
    }

    /// Does the statements; answers whether the last command succeeded.
    fn block(&mut self, block: &Block) -> Result<bool, GrubError> {
        let mut succeeded = true;
        for statement in block.iter() {
            succeeded = self.statement(statement)?;
        }
        Ok(succeeded)
    }

    fn count(&mut self) -> Result<(), GrubError> {
        self.commands += 1;
        match self.commands > COMMANDS {
            true => Err(self.error("an end of the commands", format!("more than {COMMANDS} of them"))),
            false => Ok(()),
        }
    }

    fn statement(&mut self, statement: &Statement) -> Result<bool, GrubError> {
        match statement {
            Statement::Command { line, words, block } => {
                self.line = *line;
                self.count()?;
                let words = self.expand(words)?;
                let succeeded = self.command(&words, block.as_ref())?;
                self.variables.insert(b"?".to_vec(), if succeeded { b"0".to_vec() } else { b"1".to_vec() });
                Ok(succeeded)
            }
            Statement::If { arms, otherwise } => {
                for (condition, body) in arms {
                    if self.block(condition)? {
                        return self.block(body);
                    }
                }
                self.block(otherwise)
            }
            Statement::For { line, name, words, body } => {
                self.line = *line;
                let mut succeeded = true;
                for word in self.expand(words)? {
                    self.count()?;
                    self.variables.insert(name.clone(), word);
                    succeeded = self.block(body)?;
                }
                Ok(succeeded)
            }
            Statement::Loop { line, condition, until, body } => {
                let mut succeeded = true;
                while self.block(condition)? != *until {
                    self.line = *line;
                    self.count()?;
                    succeeded = self.block(body)?;
                }
                Ok(succeeded)
            }
            Statement::Function { name, body } => {
                self.functions.insert(name.clone(), body.clone());
                Ok(true)
            }
        }
    }

    /// The words with the values of their variables.
    fn expand(&mut self, words: &[Word]) -> Result<Vec<Vec<u8>>, GrubError> {
        let mut expanded = Vec::new();
        for word in words {
            // A word that is nothing but variables without a value is none.
            let mut current: Option<Vec<u8>> = word.is_quoted.then(Vec::new);
            for piece in &word.pieces {
                let (value, is_split): (&[u8], bool) = match piece {
                    Piece::Text(text) => (text, false),
                    Piece::Variable { name, is_quoted } => {
                        (self.variables.get(name).map_or(&[], Vec::as_slice), !is_quoted)
                    }
                };
                self.bytes += value.len();
                let length = current.as_ref().map_or(0, Vec::len) + value.len();
                if length > WORD || self.bytes > WORDS {
                    return Err(
                        self.error("words that end", format!("more than {WORD} bytes in one or {WORDS} in all"))
                    );
                }
                if !is_split {
                    current.get_or_insert_default().extend(value);
                    continue;
                }
                for (at, part) in value.split(|byte| matches!(byte, b' ' | b'\t' | b'\n')).enumerate() {
                    if at > 0 {
                        expanded.extend(current.take());
                    }
                    if !part.is_empty() {
                        current.get_or_insert_default().extend(part);
                    }
                }
            }
            expanded.extend(current);
        }
        Ok(expanded)
    }

    fn command(&mut self, words: &[Vec<u8>], block: Option<&Block>) -> Result<bool, GrubError> {
        let Some((name, rest)) = words.split_first() else { return Ok(true) };
        match name.as_slice() {
            b"menuentry" | b"submenu" => self.item(name == b"submenu", rest, block),
            b"[" => Ok(self.test(rest.strip_suffix(&[b"]".to_vec()]).unwrap_or(rest))),
            b"test" => Ok(self.test(rest)),
            b"true" => Ok(true),
            b"false" => Ok(false),
            b"set" => Ok(rest.first().is_none_or(|word| self.assign(word))),
            b"unset" => {
                rest.iter().for_each(|name| drop(self.variables.remove(name)));
                Ok(true)
            }
            b"load_env" => Ok(self.load_environment(rest)),
            b"search" => Ok(self.search(rest)),
            b"source" | b"configfile" | b"." => self.source(rest),
            b"multiboot" | b"multiboot2" => {
                self.loads.kernel = Some(self.load(rest)?);
                self.loads.modules.clear();
                Ok(true)
            }
            b"module" | b"module2" => {
                let module = self.load(rest)?;
                if self.loads.kernel.is_none() {
                    return Err(
                        self.error("a kernel before its modules", format!("`{}`", String::from_utf8_lossy(name)))
                    );
                }
                self.loads.modules.push(module);
                Ok(true)
            }
            other if OTHER_LOADERS.contains(&other) => {
                let text = words.iter().map(|word| String::from_utf8_lossy(word)).take(2).collect::<Vec<_>>().join(" ");
                self.loads.other.get_or_insert((text, self.line));
                Ok(true)
            }
            other => match self.functions.get(other).cloned() {
                Some(body) => self.call(|state| state.block(&body)),
                // Screens, modules of GRUB's own and the like are not asked whether they are there.
                None => Ok(self.assign(name) || !other.contains(&b'=')),
            },
        }
    }

    fn call(&mut self, what: impl FnOnce(&mut Self) -> Result<bool, GrubError>) -> Result<bool, GrubError> {
        self.calls += 1;
        if self.calls > CALLS {
            return Err(
                self.error("functions and files that call each other less deeply", format!("more than {CALLS}"))
            );
        }
        let result = what(self);
        self.calls -= 1;
        result
    }

    /// `name=value`.
    fn assign(&mut self, word: &[u8]) -> bool {
        let Some(at) = word.iter().position(|byte| *byte == b'=').filter(|at| *at > 0) else { return false };
        let (name, value) = (&word[..at], &word[at + 1..]);
        // GRUB takes the brackets of this one away.
        let bare = value.strip_prefix(b"(").and_then(|value| value.strip_suffix(b")")).filter(|_| name == b"root");
        self.variables.insert(name.to_vec(), bare.unwrap_or(value).to_vec());
        true
    }

    fn item(&mut self, is_menu: bool, words: &[Vec<u8>], block: Option<&Block>) -> Result<bool, GrubError> {
        let Some(block) = block else { return Err(self.error("`{` on the line of a menu's entry", "none")) };
        let mut words = words.iter();
        let (mut title, mut id) = (Vec::new(), Vec::new());
        while let Some(word) = words.next() {
            match word.as_slice() {
                b"--id" => id = words.next().cloned().unwrap_or_default(),
                b"--class" | b"--users" | b"--hotkey" | b"--source" => drop(words.next()),
                option if option.starts_with(b"--") => {
                    id = option.strip_prefix(b"--id=").map_or(id, <[u8]>::to_vec);
                }
                // What follows the title are words for the block.
                _ if title.is_empty() => title.clone_from(word),
                _ => {}
            }
        }
        self.items.push(Item { title, id, is_menu, block: block.clone() });
        Ok(true)
    }

    fn file(&self, name: &[u8]) -> FileName {
        FileName::of(name, self.value(b"root"))
    }

    fn test(&self, words: &[Vec<u8>]) -> bool {
        holds(words, &|question, name| {
            let FileName { device, path } = self.file(name);
            match (question, self.drives.kind(&device, &path)) {
                (Question::There, kind) => kind.is_some(),
                (Question::File, kind) => matches!(kind, Some(Kind::File(_))),
                (Question::Directory, kind) => kind == Some(Kind::Directory),
                (Question::NotEmpty, kind) => matches!(kind, Some(Kind::File(1..))),
            }
        })
    }

    fn load_environment(&mut self, words: &[Vec<u8>]) -> bool {
        let named = words.iter().skip_while(|word| *word != b"-f" && *word != b"--file").nth(1);
        let name = named.cloned().unwrap_or_else(|| [self.value(b"prefix"), b"/", ENVIRONMENT].concat());
        let FileName { device, path } = self.file(&name);
        let Some(text) = self.drives.text(&device, &path) else { return false };
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"#")) {
            self.assign(line);
        }
        true
    }

    /// Finds a file system of the disk. One that is not there leaves the variable as it is.
    fn search(&mut self, words: &[Vec<u8>]) -> bool {
        let (mut by, mut variable, mut what) = (Search::File, b"root".to_vec(), None);
        for word in words {
            match word.as_slice() {
                b"--fs-uuid" | b"-u" => by = Search::Uuid,
                b"--label" | b"-l" => by = Search::Label,
                b"--file" | b"-f" => by = Search::File,
                option if option.starts_with(b"--set=") => variable = option[b"--set=".len()..].to_vec(),
                // The others say where to look first.
                option if option.starts_with(b"-") => {}
                other => what = Some(other),
            }
        }
        match what.and_then(|what| self.drives.search(by, what)) {
            Some(device) => {
                self.variables.insert(variable, device);
                true
            }
            None => false,
        }
    }

    fn source(&mut self, words: &[Vec<u8>]) -> Result<bool, GrubError> {
        let file = words.first().map(|name| self.file(name));
        match file.and_then(|file| self.drives.text(&file.device, &file.path)) {
            Some(text) => {
                self.bytes += text.len();
                if self.bytes > WORDS {
                    return Err(self.error("files that end", format!("more than {WORDS} bytes in all")));
                }
                let block = parse(&text)?;
                self.call(|state| state.block(&block))
            }
            None => Ok(false),
        }
    }

    /// The words of a command that loads a file.
    fn load(&self, words: &[Vec<u8>]) -> Result<Load, GrubError> {
        let options = words.iter().take_while(|word| word.starts_with(b"--")).count();
        let is_raw = words[..options].iter().any(|option| option == b"--nounzip");
        let Some((name, rest)) = words[options..].split_first() else {
            return Err(self.error("the name of a file to load", "none"));
        };
        Ok(Load { line: self.line, file: self.file(name), words: rest.to_vec(), is_raw })
    }
}
