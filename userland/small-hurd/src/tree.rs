// SPDX-License-Identifier: GPL-2.0-or-later
//! The files of a filesystem in memory, and how a name leads to one of them: by the rules of the Hurd's libdiskfs.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use crate::errno::{self, Errno};
use crate::ids::{self, Ids, allowed};
use crate::open_flags::{CREAT, DIRECTORY, EXCL, EXEC, NOLINK, NOTRANS, READ, WRITE};

/// A node's place in its tree.
pub type NodeId = usize;

/// The root directory.
pub const ROOT: NodeId = 0;

/// `diskfs_maxsymlinks` of libdiskfs, which refuses a link after more than so many.
const LINKS_MAX: usize = 8;

/// The longest name of a file.
const NAME_MAX: usize = 255;

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind<F> {
    /// A file and its contents.
    File(F),
    /// A directory.
    Directory(BTreeMap<Vec<u8>, NodeId>),
    /// A symbolic link and where it leads.
    Link(Vec<u8>),
    /// Another server answers for it.
    Translator(usize),
    /// Only who looks it up knows what it is; the word says how to find it.
    Magic(&'static str),
    /// A directory of such things, below this word.
    MagicDirectory(&'static str),
    /// A directory of processes by their numbers, which are all alike here, and of who looks it up.
    Processes {
        /// What `self` leads to.
        own: NodeId,
        /// What each number leads to.
        each: NodeId,
    },
}

/// A file or directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node<F> {
    /// What it is.
    pub kind: Kind<F>,
    /// Permissions and set-id bits.
    pub mode: u32,
    /// User and group.
    pub owner: (u32, u32),
    /// The directory that it is in.
    pub parent: NodeId,
}

impl<F> Node<F> {
    /// Whether it is looked into like a directory.
    pub fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Directory(_) | Kind::MagicDirectory(_) | Kind::Processes { .. })
    }

    /// Refuses what its mode does not let `ids` do.
    pub fn check(&self, ids: &Ids, what: u32) -> Result<(), Errno> {
        let is_file = matches!(self.kind, Kind::File(_));
        if allowed(self.mode, self.owner, is_file, ids, what) { Ok(()) } else { Err(errno::EACCES) }
    }
}

/// A tree of files.
#[derive(Clone, Debug)]
pub struct Tree<F> {
    nodes: Vec<Node<F>>,
}

/// What is asked of [`Tree::lookup`].
#[derive(Clone, Debug)]
pub struct Lookup<'a> {
    /// Where it starts.
    pub start: NodeId,
    /// The name.
    pub name: &'a [u8],
    /// Open flags.
    pub flags: i32,
    /// The mode of a file that is created.
    pub mode: u32,
    /// Who asks.
    pub ids: &'a Ids,
    /// The root directory hangs below another filesystem.
    pub is_mounted: bool,
}

/// What a name leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A node of this tree, which may be opened so.
    Node(NodeId),
    /// Up out of this tree through its root, or to this directory out of one that is no ordinary one, with this left to look up there.
    Up(Vec<u8>, Option<NodeId>),
    /// To another server's root.
    Translator {
        /// Which one.
        translator: usize,
        /// The directory that it hangs in.
        directory: NodeId,
        /// What is left to look up there.
        rest: Vec<u8>,
        /// Flags to open its root with.
        flags: i32,
    },
    /// To a directory that looks up the rest itself.
    Handover(NodeId, Vec<u8>),
    /// Somewhere that only who asks can find; below this directory, if it is one of this tree.
    Magical(Vec<u8>, Option<NodeId>),
}

/// The first component of a name, and what follows it.
struct Step<'a> {
    name: &'a [u8],
    /// What comes after the slashes; nothing at the end.
    rest: &'a [u8],
    /// A slash follows, but no name: it must be a directory.
    must_be_directory: bool,
}

impl<'a> Step<'a> {
    fn first_of(name: &'a [u8]) -> Self {
        let end = name.iter().position(|byte| *byte == b'/');
        let (first, rest) = name.split_at(end.unwrap_or(name.len()));
        let rest = without_slashes(rest);
        Self { name: first, rest, must_be_directory: end.is_some() && rest.is_empty() }
    }

    fn is_last(&self) -> bool {
        self.rest.is_empty()
    }

    /// What a server elsewhere has to look up, after `start`.
    fn retry(&self, start: &[u8]) -> Vec<u8> {
        let mut retry = start.to_vec();
        if self.must_be_directory || !self.is_last() && !retry.is_empty() {
            retry.push(b'/');
        }
        retry.extend_from_slice(self.rest);
        retry
    }
}

/// A name without the slashes that it starts with.
fn without_slashes(name: &[u8]) -> &[u8] {
    let start = name.iter().position(|byte| *byte != b'/').unwrap_or(name.len());
    name.get(start..).unwrap_or_default()
}

impl<F: Default> Tree<F> {
    /// A root directory with nothing in it.
    pub fn new() -> Self {
        Self { nodes: vec![Node { kind: Kind::Directory(BTreeMap::new()), mode: 0o755, owner: (0, 0), parent: ROOT }] }
    }

    /// A node of this tree.
    pub fn node(&self, id: NodeId) -> &Node<F> {
        &self.nodes[id]
    }

    /// A node of this tree, to change it.
    pub fn node_mut(&mut self, id: NodeId) -> &mut Node<F> {
        &mut self.nodes[id]
    }

    /// Adds a node to a directory; what has its name there goes. Root owns it.
    pub fn add(&mut self, directory: NodeId, name: &[u8], kind: Kind<F>, mode: u32) -> NodeId {
        let id = self.make(directory, kind, mode);
        if let Kind::Directory(entries) = &mut self.nodes[directory].kind {
            entries.insert(name.to_vec(), id);
        }
        id
    }

    /// Makes a node that has no name in the directory that it is said to be in.
    pub fn make(&mut self, directory: NodeId, kind: Kind<F>, mode: u32) -> NodeId {
        self.nodes.push(Node { kind, mode, owner: (0, 0), parent: directory });
        self.nodes.len() - 1
    }

    /// Takes a name out of a directory; the node stays for whoever has it open.
    fn forget(&mut self, directory: NodeId, name: &[u8]) {
        if let Kind::Directory(entries) = &mut self.nodes[directory].kind {
            entries.remove(name);
        }
    }

    /// `dir_unlink`: takes the name of what is no directory away.
    ///
    /// # Errors
    /// By errno.
    pub fn unlink(&mut self, directory: NodeId, name: &[u8], ids: &Ids) -> Result<(), Errno> {
        let node = self.entry(directory, name, ids).map_err(|error| match error {
            errno::EAGAIN => errno::EPERM,
            error => error,
        })?;
        self.nodes[directory].check(ids, ids::WRITE)?;
        if self.nodes[node].is_directory() {
            return Err(errno::EPERM);
        }
        self.forget(directory, name);
        Ok(())
    }

    /// `dir_mkdir`: makes a directory.
    ///
    /// # Errors
    /// By errno.
    pub fn make_directory(&mut self, directory: NodeId, name: &[u8], mode: u32, ids: &Ids) -> Result<(), Errno> {
        match self.entry(directory, name, ids) {
            Err(errno::ENOENT) => {}
            Ok(_) | Err(errno::EAGAIN) => return Err(errno::EEXIST),
            Err(error) => return Err(error),
        }
        self.nodes[directory].check(ids, ids::WRITE)?;
        let new = self.add(directory, name, Kind::Directory(BTreeMap::new()), mode & 0o7777);
        self.nodes[new].owner = first_of(ids);
        Ok(())
    }

    /// Adds an empty directory.
    pub fn add_directory(&mut self, directory: NodeId, name: &str, mode: u32) -> NodeId {
        self.add(directory, name.as_bytes(), Kind::Directory(BTreeMap::new()), mode)
    }

    /// The entries of a directory, `.` and `..` first.
    pub fn entries(&self, directory: NodeId) -> Option<Vec<(Vec<u8>, NodeId)>> {
        let node = &self.nodes[directory];
        let start = [(b".".to_vec(), directory), (b"..".to_vec(), node.parent)];
        match &node.kind {
            Kind::Directory(entries) => {
                Some(start.into_iter().chain(entries.iter().map(|(name, id)| (name.clone(), *id))).collect())
            }
            _ if node.is_directory() => Some(start.to_vec()),
            _ => None,
        }
    }

    /// One component in one directory. `EAGAIN` says that it is `..` of the root.
    fn entry(&self, directory: NodeId, name: &[u8], ids: &Ids) -> Result<NodeId, Errno> {
        let node = &self.nodes[directory];
        if !node.is_directory() {
            return Err(errno::ENOTDIR);
        }
        node.check(ids, ids::EXECUTE)?;
        if name.len() > NAME_MAX {
            return Err(errno::ENAMETOOLONG);
        }
        match name {
            b"." => return Ok(directory),
            b".." if directory == ROOT => return Err(errno::EAGAIN),
            b".." => return Ok(node.parent),
            _ => {}
        }
        match &node.kind {
            Kind::Directory(entries) => entries.get(name).copied().ok_or(errno::ENOENT),
            Kind::Processes { own, .. } if name == b"self" => Ok(*own),
            Kind::Processes { each, .. } if name.iter().all(u8::is_ascii_digit) => Ok(*each),
            _ => Err(errno::ENOENT),
        }
    }

    /// Where a name leads.
    ///
    /// # Errors
    /// By errno, as libdiskfs has them.
    pub fn lookup(&mut self, lookup: &Lookup<'_>) -> Result<Found, Errno> {
        let mut name = without_slashes(lookup.name).to_vec();
        let mut directory = lookup.start;
        let mut links = 0;
        if name.is_empty() {
            return self.opened(directory, lookup, false);
        }
        if let Kind::MagicDirectory(word) = self.nodes[directory].kind {
            return self.in_magic_directory(directory, word, &name, lookup);
        }
        loop {
            let step = Step::first_of(&name);
            let node = match self.step(directory, &step, lookup)? {
                Stepped::There(found) => return Ok(found),
                Stepped::Created(node) => return Ok(Found::Node(node)),
                Stepped::To(node) => node,
            };
            let is_last = step.is_last();
            let follows = !is_last || step.must_be_directory || lookup.flags & (NOLINK | NOTRANS) == 0;
            if let Some(found) = self.translated(directory, node, &step, lookup) {
                return Ok(found);
            }
            match &self.nodes[node].kind {
                Kind::Link(target) if follows => {
                    if links > LINKS_MAX {
                        return Err(errno::ELOOP);
                    }
                    links += 1;
                    if target.is_empty() && is_last {
                        return self.opened(directory, lookup, false);
                    }
                    let next = through(target, &step);
                    if next.starts_with(b"/") {
                        return Ok(Found::Magical(next, None));
                    }
                    name = next;
                }
                _ if is_last => return self.opened(node, lookup, step.must_be_directory),
                _ => {
                    name = step.rest.to_vec();
                    directory = node;
                }
            }
        }
    }

    /// One component: where it leads, or the file that is created there.
    fn step(&mut self, directory: NodeId, step: &Step<'_>, lookup: &Lookup<'_>) -> Result<Stepped, Errno> {
        let creates = lookup.flags & CREAT != 0 && step.is_last() && !step.must_be_directory;
        let entry = self.entry(directory, step.name, lookup.ids);
        match entry {
            Ok(_) | Err(errno::EAGAIN) if creates && lookup.flags & EXCL != 0 => Err(errno::EEXIST),
            Err(errno::EAGAIN) if lookup.is_mounted => Ok(Stepped::There(Found::Up(step.retry(b""), None))),
            Err(errno::EAGAIN) => Ok(Stepped::To(directory)),
            Err(errno::ENOENT) if creates => {
                self.nodes[directory].check(lookup.ids, ids::WRITE)?;
                let file = self.add(directory, step.name, Kind::File(F::default()), lookup.mode & 0o7777);
                self.nodes[file].owner = first_of(lookup.ids);
                Ok(Stepped::Created(file))
            }
            other => other.map(Stepped::To),
        }
    }

    /// Where the lookup goes on, if that is not in this tree.
    fn translated(&self, directory: NodeId, node: NodeId, step: &Step<'_>, lookup: &Lookup<'_>) -> Option<Found> {
        let is_last = step.is_last();
        if is_last && !step.must_be_directory && lookup.flags & NOTRANS != 0 {
            return None;
        }
        match self.nodes[node].kind {
            Kind::Translator(translator) => Some(Found::Translator {
                translator,
                directory,
                rest: step.retry(b""),
                flags: if is_last { lookup.flags } else { 0 },
            }),
            Kind::Magic(word) => Some(Found::Magical(step.retry(word.as_bytes()), Some(directory))),
            Kind::MagicDirectory(_) if !is_last => Some(Found::Handover(node, step.retry(b""))),
            _ => None,
        }
    }

    /// A lookup that starts in a directory of magic: it knows itself and the way up.
    fn in_magic_directory(
        &self,
        directory: NodeId,
        word: &str,
        name: &[u8],
        lookup: &Lookup<'_>,
    ) -> Result<Found, Errno> {
        let step = Step::first_of(name);
        match step.name {
            b"." if step.is_last() => self.opened(directory, lookup, false),
            b"." => self.in_magic_directory(directory, word, step.rest, lookup),
            b".." => Ok(Found::Up(step.rest.to_vec(), Some(self.nodes[directory].parent))),
            _ => Ok(Found::Magical([word.as_bytes(), b"/", name].concat(), None)),
        }
    }

    /// A node that may be opened as the flags say.
    fn opened(&self, id: NodeId, lookup: &Lookup<'_>, must_be_directory: bool) -> Result<Found, Errno> {
        let node = &self.nodes[id];
        if (must_be_directory || lookup.flags & DIRECTORY != 0) && !node.is_directory() {
            return Err(errno::ENOTDIR);
        }
        match node.kind {
            Kind::Link(_) if lookup.flags & (WRITE | EXEC) != 0 => return Err(errno::ELOOP),
            Kind::Translator(_) | Kind::Magic(_) if lookup.flags & (READ | WRITE | EXEC) != 0 => {
                return Err(errno::EACCES);
            }
            _ => {}
        }
        for (flag, what) in [(READ, ids::READ), (EXEC, ids::EXECUTE)] {
            if lookup.flags & flag != 0 {
                node.check(lookup.ids, what)?;
            }
        }
        if lookup.flags & WRITE != 0 {
            if node.is_directory() {
                return Err(errno::EISDIR);
            }
            node.check(lookup.ids, ids::WRITE)?;
        }
        Ok(Found::Node(id))
    }
}

impl<F: Default> Default for Tree<F> {
    fn default() -> Self {
        Self::new()
    }
}

/// What one component leads to.
enum Stepped {
    /// The end of this server's part.
    There(Found),
    /// A new file, which needs no permission to be opened.
    Created(NodeId),
    /// A node.
    To(NodeId),
}

/// Whose a file is that these ids make.
fn first_of(ids: &Ids) -> (u32, u32) {
    let first = |ids: &[u32]| ids.first().copied().unwrap_or_default();
    (first(&ids.uids), first(&ids.gids))
}

/// What is left to look up where a link stands: its target, and what follows the link.
fn through(target: &[u8], step: &Step<'_>) -> Vec<u8> {
    if target.is_empty() {
        return step.rest.to_vec();
    }
    let mut name = target.to_vec();
    if step.must_be_directory || !step.is_last() {
        name.push(b'/');
    }
    name.extend_from_slice(step.rest);
    name
}

#[cfg(test)]
mod tests;
