// SPDX-License-Identifier: GPL-2.0-or-later
//! Which files there are: one of each kind that a name can lead to.

use alloc::collections::BTreeMap;
use alloc::string::String;

use mach::boot;
use mach::error::Result;
use protocol::archive::{INTERFACES, PROGRAMS};
use small_hurd::tiny;
use small_hurd::tree::{Kind, NodeId, ROOT, Tree};

use super::contents::Contents;

/// Who hangs in the root filesystem, in the order of its translators.
pub(crate) const HOME: usize = 0;
pub(crate) const TERM: usize = 1;
pub(crate) const EXEC: usize = 2;

/// A set-id file's mode.
const SET_ID: u32 = 0o4755;

/// The program that files other than those of `/bin` are copies of.
const HELLO: &str = "programs/hurd-hello";

/// Lists of routines as `mig -list` writes them: one that every tracer reads, with an id that is known better already, and one for who asks.
const LIST: &str = "nobody 6400 unheard_of 0 6400 0\nio 21000 known_better 0 21000 21100\n";
const OTHER_LIST: &str = "# of the user's own\nmine 21000 my_write 0 21000 21100\n";

/// A user of whom some files are.
const USER: u32 = 1000;

fn add(tree: &mut Tree<Contents>, directory: NodeId, name: &str, contents: Contents, mode: u32) -> NodeId {
    tree.add(directory, name.as_bytes(), Kind::File(contents), mode)
}

fn text(text: &str) -> Contents {
    Contents::Bytes(text.as_bytes().to_vec())
}

fn link(tree: &mut Tree<Contents>, directory: NodeId, name: &str, target: &str) {
    tree.add(directory, name.as_bytes(), Kind::Link(target.as_bytes().to_vec()), 0o777);
}

/// The root filesystem.
///
/// # Errors
/// If the boot server does not say what is in its archive.
pub(crate) fn root() -> Result<Tree<Contents>> {
    let mut tree = Tree::new();
    let bin = tree.add_directory(ROOT, "bin", 0o755);
    for member in boot::directory()? {
        // The names are as many as the archive has, and stay.
        let member: &'static str = String::leak(member);
        if let Some(name) = member.strip_prefix(PROGRAMS) {
            add(&mut tree, bin, name, Contents::Member(member), 0o555);
        }
    }
    let usr = tree.add_directory(ROOT, "usr", 0o755);
    let share = tree.add_directory(usr, "share", 0o755);
    let own = tree.add_directory(share, "rpctrace2", 0o755);
    add(&mut tree, own, "interfaces.mdt", Contents::Member(INTERFACES), 0o444);
    let lists = tree.add_directory(share, "msgids", 0o755);
    add(&mut tree, lists, "none.msgids", text(LIST), 0o644);
    let sources = tree.add_directory(usr, "include", 0o755);
    add(&mut tree, sources, "io.defs", text("subsystem io 21000;\n"), 0o644);
    etc(&mut tree);
    tree.add_directory(ROOT, "tmp", 0o1777);
    let dev = tree.add_directory(ROOT, "dev", 0o755);
    tree.add(dev, b"console", Kind::Translator(TERM), 0o666);
    tree.add(dev, b"tty", Kind::Magic("tty"), 0o666);
    tree.add(dev, b"fd", Kind::MagicDirectory("fd"), 0o555);
    let proc = tree.add_directory(ROOT, "proc", 0o555);
    let own = tree.make(proc, Kind::Magic("pid"), 0o777);
    let each = tree.make(proc, Kind::Directory(BTreeMap::new()), 0o555);
    tree.node_mut(proc).kind = Kind::Processes { own, each };
    let servers = tree.add_directory(ROOT, "servers", 0o755);
    tree.add(servers, b"exec", Kind::Translator(EXEC), 0o555);
    tree.add(ROOT, b"home", Kind::Translator(HOME), 0o755);
    Ok(tree)
}

/// Files that are in some way special.
fn etc(tree: &mut Tree<Contents>) {
    let etc = tree.add_directory(ROOT, "etc", 0o755);
    add(tree, etc, "motd", text("This is a small Hurd.\n"), 0o644);
    add(tree, etc, "secret", text("for root alone\n"), 0o600);
    let note = add(tree, etc, "note", text("a user's\n"), 0o600);
    tree.node_mut(note).owner = (USER, USER);
    add(tree, etc, "script", text("#!/bin/hurd-hello by a script\n"), 0o755);
    add(tree, etc, "orphan-script", text("#!/bin/none\n"), 0o755);
    add(tree, etc, "set-id", Contents::Member(HELLO), SET_ID);
    add(tree, etc, "plain", Contents::Member(HELLO), 0o644);
    add(tree, etc, "cut", Contents::Cut(HELLO), 0o755);
    add(tree, etc, "text", text("no program\n"), 0o755);
    add(tree, etc, "empty", text(""), 0o755);
    add(tree, etc, "routines", text(OTHER_LIST), 0o644);
    for (name, interpreter, code) in [
        ("dynamic", Some("/bin/hurd-interpreter"), tiny::ANSWERS),
        ("pie", None, tiny::ENDS),
        ("by-pie", Some("/etc/pie"), tiny::ANSWERS),
        ("lost", Some("/lib/none"), tiny::ANSWERS),
        ("by-text", Some("/etc/motd"), tiny::ANSWERS),
        ("library", None, &[]),
    ] {
        add(tree, etc, name, Contents::Bytes(tiny::program(interpreter, code)), 0o755);
    }
    link(tree, etc, "message", "motd");
    link(tree, etc, "up", "../etc/motd");
    link(tree, etc, "absolute", "/etc/motd");
    link(tree, etc, "programs", "/bin");
    link(tree, etc, "loop", "loop");
    link(tree, etc, "nowhere", "none");
    tree.add_directory(etc, "closed", 0o700);
}

/// The filesystem that hangs in it.
pub(crate) fn home() -> Tree<Contents> {
    let mut tree = Tree::new();
    let user = tree.add_directory(ROOT, "user", 0o755);
    tree.node_mut(user).owner = (USER, USER);
    add(&mut tree, user, "letter", text("from home\n"), 0o644);
    add(&mut tree, user, "hello", Contents::Member(HELLO), 0o755);
    link(&mut tree, user, "out", "../../etc/motd");
    link(&mut tree, user, "absolute", "/etc/motd");
    tree
}
