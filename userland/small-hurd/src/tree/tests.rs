// SPDX-License-Identifier: GPL-2.0-or-later
//! Each way that a name can lead, on a tree that has all of them.

use std::string::String;
use std::{format, vec};

use super::*;
use crate::open_flags::APPEND;

/// A tree with a file, links, translators and magic.
fn tree() -> Tree<()> {
    let mut tree = Tree::new();
    let etc = tree.add_directory(ROOT, "etc", 0o755);
    tree.add(etc, b"motd", Kind::File(()), 0o644);
    tree.add(etc, b"secret", Kind::File(()), 0o600);
    tree.add(etc, b"up", Kind::Link(b"../etc/motd".to_vec()), 0o777);
    tree.add(etc, b"absolute", Kind::Link(b"/etc".to_vec()), 0o777);
    tree.add(etc, b"empty", Kind::Link(vec![]), 0o777);
    tree.add(etc, b"loop", Kind::Link(b"loop".to_vec()), 0o777);
    let mut last = String::from("motd");
    for number in 0..10 {
        let name = format!("chain{number}");
        tree.add(etc, name.as_bytes(), Kind::Link(last.into_bytes()), 0o777);
        last = name;
    }
    tree.add_directory(ROOT, "tmp", 0o777);
    tree.add_directory(ROOT, "closed", 0o700);
    tree.add(ROOT, b"home", Kind::Translator(0), 0o755);
    let dev = tree.add_directory(ROOT, "dev", 0o755);
    tree.add(dev, b"tty", Kind::Magic("tty"), 0o666);
    tree.add(dev, b"fd", Kind::MagicDirectory("fd"), 0o555);
    let proc = tree.add_directory(ROOT, "proc", 0o555);
    let own = tree.make(proc, Kind::Magic("pid"), 0o777);
    let each = tree.make(proc, Kind::Directory(BTreeMap::new()), 0o555);
    tree.node_mut(proc).kind = Kind::Processes { own, each };
    tree
}

fn ask(tree: &mut Tree<()>, name: &str, flags: i32, ids: &Ids) -> Result<Found, Errno> {
    tree.lookup(&Lookup { start: ROOT, name: name.as_bytes(), flags, mode: 0o1640, ids, is_mounted: false })
}

fn found(name: &str, flags: i32) -> Result<Found, Errno> {
    ask(&mut tree(), name, flags, &Ids::root())
}

fn user() -> Ids {
    Ids { uids: vec![7], gids: vec![7] }
}

#[test]
fn names_lead_to_nodes() {
    let motd = found("etc/motd", 0);
    assert!(matches!(motd, Ok(Found::Node(_))), "{motd:?}");
    for name in ["/etc//motd", "etc/./motd", "etc/../etc/motd", "../etc/motd", "etc/up", "etc/chain8"] {
        assert_eq!(found(name, READ), motd, "{name}");
    }
    assert_eq!(found("", 0), Ok(Found::Node(ROOT)));
    assert_eq!(found("etc/empty", 0), found("etc", 0));
    assert_ne!(found("etc/up", NOLINK), motd, "the link itself");
    assert!(matches!(found("proc/17", READ), Ok(Found::Node(_))));
}

#[test]
fn errors_are_the_hurds() {
    for (name, flags, error) in [
        ("none", 0, errno::ENOENT),
        ("none/more", CREAT, errno::ENOENT),
        ("etc/motd/more", 0, errno::ENOTDIR),
        ("etc/motd/", 0, errno::ENOTDIR),
        ("etc/motd", DIRECTORY, errno::ENOTDIR),
        ("etc/loop", 0, errno::ELOOP),
        ("etc/chain9", 0, errno::ELOOP),
        ("etc/up", NOLINK | WRITE, errno::ELOOP),
        ("etc", WRITE, errno::EISDIR),
        ("etc/motd", EXEC, errno::EACCES),
        ("etc/motd", CREAT | EXCL, errno::EEXIST),
        ("tmp/new/", CREAT, errno::ENOENT),
        ("home", NOTRANS | READ, errno::EACCES),
        ("proc/x", 0, errno::ENOENT),
    ] {
        assert_eq!(found(name, flags), Err(error), "{name} {flags:#x}");
    }
    assert_eq!(found(&"x".repeat(256), 0), Err(errno::ENAMETOOLONG));
    for (name, flags) in [("etc/secret", READ), ("closed/x", 0), ("etc/motd", WRITE), ("etc/new", CREAT)] {
        assert_eq!(ask(&mut tree(), name, flags, &user()), Err(errno::EACCES), "{name}");
    }
}

#[test]
fn links_to_absolute_names_and_magic_are_the_clients_to_follow() {
    assert_eq!(found("etc/absolute/motd", 0), Ok(Found::Magical(b"/etc/motd".to_vec(), None)));
    assert_eq!(found("etc/absolute/", 0), Ok(Found::Magical(b"/etc/".to_vec(), None)));
    let Ok(Found::Node(dev)) = found("dev", 0) else { panic!("no dev") };
    assert_eq!(found("dev/tty", READ), Ok(Found::Magical(b"tty".to_vec(), Some(dev))));
    assert!(matches!(found("proc/self/stat", 0), Ok(Found::Magical(name, Some(_))) if name == b"pid/stat"));
}

#[test]
fn a_magic_directory_looks_up_the_rest_itself() {
    let mut tree = tree();
    let Ok(Found::Handover(fd, rest)) = ask(&mut tree, "dev/fd/3/x", 0, &Ids::root()) else { panic!("no fd") };
    assert_eq!(rest, b"3/x");
    let ids = Ids::root();
    let mut at =
        |name: &[u8]| tree.lookup(&Lookup { start: fd, name, flags: 0, mode: 0, ids: &ids, is_mounted: false });
    assert_eq!(at(b"3/x"), Ok(Found::Magical(b"fd/3/x".to_vec(), None)));
    assert_eq!(at(b"./"), Ok(Found::Node(fd)));
    assert!(matches!(at(b"../tty"), Ok(Found::Up(rest, Some(_))) if rest == b"tty"));
}

#[test]
fn other_servers_answer_for_their_parts() {
    let home =
        |rest: &[u8], flags| Ok(Found::Translator { translator: 0, directory: ROOT, rest: rest.to_vec(), flags });
    assert_eq!(found("home", READ), home(b"", READ));
    assert_eq!(found("home/user/x", READ), home(b"user/x", 0));
    assert_eq!(found("home/", READ | NOTRANS), home(b"/", READ | NOTRANS));
    assert!(matches!(found("home", NOTRANS), Ok(Found::Node(_))));
    let mut tree = tree();
    let ids = Ids::root();
    let mut up =
        |name: &[u8]| tree.lookup(&Lookup { start: ROOT, name, flags: 0, mode: 0, ids: &ids, is_mounted: true });
    assert_eq!(up(b".."), Ok(Found::Up(vec![], None)));
    assert_eq!(up(b"etc/../../dev/tty"), Ok(Found::Up(b"dev/tty".to_vec(), None)));
    assert_eq!(up(b"../"), Ok(Found::Up(b"/".to_vec(), None)));
}

#[test]
fn files_are_made_with_their_makers_ids() {
    let mut tree = tree();
    let ids = user();
    let Ok(Found::Node(new)) = ask(&mut tree, "tmp/new", CREAT | WRITE | APPEND, &ids) else { panic!("not made") };
    let node = tree.node(new);
    assert_eq!((node.mode, node.owner), (0o1640, (7, 7)));
    assert_eq!(ask(&mut tree, "tmp/new", CREAT, &ids), Ok(Found::Node(new)));
    assert_eq!(ask(&mut tree, "tmp/new", CREAT | EXCL, &ids), Err(errno::EEXIST));
    let Ok(Found::Node(tmp)) = ask(&mut tree, "tmp", 0, &ids) else { panic!("no tmp") };
    let names: Vec<_> = tree.entries(tmp).unwrap().into_iter().map(|entry| entry.0).collect();
    assert_eq!(names, [&b"."[..], b"..", b"new"]);
}
