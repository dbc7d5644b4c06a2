// SPDX-License-Identifier: GPL-2.0-or-later
//! The calls of a programmer, of the messages that the C library of a Hurd makes of each: sysdeps/mach/hurd of glibc.
//!
//! Each message is made by hand as libc sends it; each line is what the program has called.

mod processes;

use crate::common::*;
use crate::hurd::{
    MAGICAL, NORMAL, REAUTH, answers, asks, create, reauthenticate, rights, starts, string, told, usual,
};

/// What servers answer: the Hurd's errno values, and what MIG's server code says of an id that it does not know.
const EPERM: i32 = 0x4000_0001;
const ENOENT: i32 = 0x4000_0002;
const EACCES: i32 = 0x4000_000d;
const EAGAIN: i32 = 0x4000_0023;
const ENOPROTOOPT: i32 = 0x4000_002a;
const EOPNOTSUPP: i32 = 0x4000_002d;
const BAD_ID: i32 = mach_abi::KernReturn::MIG_BAD_ID.0;

/// Flags of a lookup.
const READ: i32 = 1;
const WRITE: i32 = 2;
const EXEC: i32 = 4;
const CREAT: i32 = 0x10;
const NOLINK: i32 = 0x40;
const TRUNC: i32 = 0x1_0000;

/// Ports of [`usual`]: descriptors 0 to 2 and 3, the current directory, which is the root, proc.
const FD: u64 = 5;
const FD3: u64 = 6;
const ROOT: u64 = 9;
const PROC: u64 = 11;

/// The lines of calls, without what is said at the end of messages that are none.
fn calls(samples: &[&[Sample]]) -> Vec<String> {
    with(&["-q"], samples)
}

fn with(arguments: &[&str], samples: &[&[Sample]]) -> Vec<String> {
    let all = [&usual()[..], &samples.concat()].concat();
    let lines = told(&[&["--posix"], arguments].concat(), &all);
    lines.iter().map(|line| line.strip_prefix("hello[1] ").unwrap_or(line).to_owned()).collect()
}

fn rpc(request: Message, reply: Message) -> Vec<Sample> {
    vec![Sample::sent(request), Sample::received(reply)]
}

/// A request that is answered with an error.
fn fails(request: Message, id: u32, code: i32) -> Vec<Sample> {
    rpc(request, Message::reply(id + 100, REPLY).int(code))
}

fn look_up(from: u64, name: &str, flags: i32, mode: i32) -> Message {
    string(asks(20018, from), name).int(flags).int(mode)
}

fn finds((retry, rest): (i32, &str), result: u64) -> Message {
    string(answers(20118).int(retry), rest).port(MOVE_SEND, result)
}

/// A name is looked up from the root, and this port is the file.
fn find(name: &str, flags: i32, result: u64) -> Vec<Sample> {
    rpc(look_up(ROOT, name, flags, 0), finds((NORMAL, ""), result))
}

fn give_back(port: u32) -> Vec<Sample> {
    rpc(asks(7005, SELF).name(port), answers(7105))
}

fn refer(port: u32) -> Vec<Sample> {
    rpc(asks(7026, SELF).name(port).int(0).int(1), answers(7126))
}

/// What is known of a file: an `io_statbuf_t`, in which these stand at 40 and 64.
fn state(message: Message, mode: u32, size: u64) -> Message {
    let mut data = [0; 176];
    data[40..44].copy_from_slice(&mode.to_le_bytes());
    data[64..72].copy_from_slice(&size.to_le_bytes());
    message.item(mach_abi::type_name::CHAR, 8, data.len(), &data)
}

fn stat(port: u64) -> Vec<Sample> {
    rpc(asks(21013, port), state(answers(21113), 0x8000 | 0o644, 22))
}

#[test]
fn calls_are_told_of_the_messages_that_libc_makes() {
    let motd = find("etc/motd", READ, 16);
    // Whether it is the terminal is asked of each file that is opened.
    let terminal = fails(asks(28000, 16), 28000, BAD_ID);
    let read = rpc(asks(21001, 16).long(u64::MAX).long(100), answers(21101).chars(b"This is a small Hurd.\n"));
    let end = rpc(asks(21001, 16).long(u64::MAX).long(100), answers(21101).chars(b""));
    let write = rpc(asks(21000, FD).chars(b"hi\n").long(u64::MAX), answers(21100).long(3));
    assert_eq!(
        calls(&[&motd, &terminal, &stat(16), &read, &end, &give_back(16), &write]),
        [
            "open(\"/etc/motd\", O_RDONLY) = file \"etc/motd\"",
            "fstat(file \"etc/motd\", {st_mode=S_IFREG|0644, st_size=22}) = 0",
            "read(file \"etc/motd\", \"This is a small Hurd.\\n\", 100) = 22",
            "read(file \"etc/motd\", \"\", 100) = 0",
            "close(file \"etc/motd\") = 0",
            "write(fd 0-2, \"hi\\n\", 3) = 3",
        ]
    );
}

#[test]
fn each_reference_to_what_is_open_is_closed() {
    let (open, close) = ("open(\"/a\", O_RDONLY) = file \"a\"", "close(file \"a\") = 0");
    let file = find("a", READ, 16);
    let gone = give_back(16);
    // The second one is dup's, of which no message says more.
    assert_eq!(calls(&[&file, &refer(16), &gone, &gone, &gone]), [open, close, close]);
    // A call on a name in an open directory has a reference of its own.
    let made = rpc(string(asks(20020, 16), "d").int(0o755), answers(20120));
    let there = "mkdirat(file \"a\", \"d\", 0755) = 0";
    assert_eq!(calls(&[&file, &refer(16), &made, &gone, &gone, &gone]), [open, there, close]);
}

#[test]
fn what_a_name_is_looked_up_for_is_the_call() {
    let found = |flags| find("etc/motd", flags, 16);
    let gone = give_back(16);
    assert_eq!(calls(&[&found(0), &stat(16), &gone]), ["stat(\"/etc/motd\", {st_mode=S_IFREG|0644, st_size=22}) = 0"]);
    assert_eq!(
        calls(&[&found(NOLINK), &stat(16), &gone]),
        ["lstat(\"/etc/motd\", {st_mode=S_IFREG|0644, st_size=22}) = 0"]
    );
    let changed = rpc(asks(20003, 16).int(0o600), answers(20103));
    assert_eq!(calls(&[&found(0), &changed, &gone]), ["chmod(\"/etc/motd\", 0600) = 0"]);
    let refused = fails(asks(20003, 16).int(0o600), 20003, EPERM);
    assert_eq!(
        calls(&[&found(0), &refused, &gone]),
        ["chmod(\"/etc/motd\", 0600) = -1 EPERM (Operation not permitted)"]
    );
    let cut = rpc(asks(20006, 16).long(10), answers(20106));
    assert_eq!(calls(&[&found(WRITE), &cut, &gone]), ["truncate(\"/etc/motd\", 10) = 0"]);
    // A reference that somebody takes before is another matter.
    assert_eq!(
        calls(&[&refer(9), &found(0), &stat(16), &gone]),
        ["stat(\"/etc/motd\", {st_mode=S_IFREG|0644, st_size=22}) = 0"]
    );
    // What is kept was opened, and what is asked of it then is a call of its own.
    assert_eq!(
        calls(&[&found(WRITE), &cut]),
        ["open(\"/etc/motd\", O_WRONLY) = file \"etc/motd\"", "ftruncate(file \"etc/motd\", 10) = 0"]
    );
    assert_eq!(
        calls(&[&found(0), &stat(16)]),
        [
            "file_name_lookup(\"/etc/motd\", 0) = file \"etc/motd\"",
            "fstat(file \"etc/motd\", {st_mode=S_IFREG|0644, st_size=22}) = 0",
        ]
    );
}

#[test]
fn names_begin_at_the_current_directory_and_the_root() {
    let open = |from| rpc(look_up(from, "x", READ, 0), finds((NORMAL, ""), 17));
    let (at_root, here) = ("open(\"/x\", O_RDONLY) = file \"x\"", "open(\"x\", O_RDONLY) = file \"x\"");
    // libc has taken another reference, and has given it back.
    assert_eq!(calls(&[&refer(9), &give_back(9), &open(ROOT)]), [at_root]);
    // Of two references to one port that one is given back that is not needed any more.
    let chdir = [find("etc/.", 0, 16), give_back(9)].concat();
    assert_eq!(calls(&[&chdir, &open(16), &open(ROOT)]), ["chdir(\"/etc\") = 0", here, at_root]);
    let failed = fails(look_up(ROOT, "none/.", 0, 0), 20018, ENOENT);
    assert_eq!(calls(&[&failed, &open(ROOT)]), ["chdir(\"/none\") = -1 ENOENT (No such file or directory)", at_root]);
    // Nobody can tell what is left.
    assert_eq!(calls(&[&give_back(9), &open(ROOT)]), ["openat(port 9, \"x\", O_RDONLY) = file \"x\""]);
}

#[test]
fn flags_of_open_are_a_programmers() {
    let opened = |flags, mode| rpc(look_up(ROOT, "tmp/x", flags, mode), finds((NORMAL, ""), 16));
    assert_eq!(calls(&[&opened(WRITE | CREAT, 0o644)]), ["open(\"/tmp/x\", O_WRONLY|O_CREAT, 0644) = file \"tmp/x\""]);
    assert_eq!(calls(&[&opened(READ | WRITE, 0)]), ["open(\"/tmp/x\", O_RDWR) = file \"tmp/x\""]);
    // libc cuts the file itself.
    let cut = rpc(asks(20006, 16).long(0), answers(20106));
    assert_eq!(
        calls(&[&opened(WRITE | CREAT | TRUNC, 0o600), &cut, &give_back(16)]),
        ["open(\"/tmp/x\", O_WRONLY|O_CREAT|O_TRUNC, 0600) = file \"tmp/x\"", "close(file \"tmp/x\") = 0"]
    );
}

#[test]
fn what_is_not_found_is_what_was_looked_up() {
    let none = |flags| fails(look_up(ROOT, "etc/none", flags, 0), 20018, ENOENT);
    assert_eq!(calls(&[&none(READ)]), ["open(\"/etc/none\", O_RDONLY) = -1 ENOENT (No such file or directory)"]);
    // stat, chmod, connect and others begin so.
    assert_eq!(calls(&[&none(0)]), ["file_name_lookup(\"/etc/none\", 0) = -1 ENOENT (No such file or directory)"]);
    // A server that does not know the request is no directory's.
    let odd = fails(look_up(ROOT, "dev/null/x", READ, 0), 20018, BAD_ID);
    assert_eq!(
        calls(&[&odd]),
        ["open(\"/dev/null/x\", O_RDONLY) = -1 ENOTDIR (Not a directory) [answered MIG_BAD_ID]"]
    );
}

#[test]
fn a_name_is_said_from_where_it_was_looked_up() {
    let said = |from: u64| {
        let samples =
            [&starts(&[5, 6], &[8, ROOT, 10, 11])[..], &rpc(look_up(from, "a/b", READ, 0), finds((NORMAL, ""), 16))];
        told(&["--posix", "-q"], &samples.concat())
    };
    assert_eq!(said(8), ["hello[1] open(\"a/b\", O_RDONLY) = file \"a/b\""]);
    assert_eq!(said(ROOT), ["hello[1] open(\"/a/b\", O_RDONLY) = file \"a/b\""]);
    assert_eq!(said(6), ["hello[1] openat(fd 1, \"a/b\", O_RDONLY) = file \"a/b\""]);
    assert_eq!(said(30), ["hello[1] openat(port 30, \"a/b\", O_RDONLY) = file \"a/b\""]);
}

#[test]
fn a_lookup_of_several_messages_is_one_call() {
    let first = rpc(look_up(ROOT, "home/a", READ, 0), finds((REAUTH, "a"), 14));
    let last = |result: Message| rpc(look_up(15, "a", READ, 0), result);
    let open = "open(\"/home/a\", O_RDONLY) = ";
    let between = [reauthenticate(14, 30, 15), give_back(14)].concat();
    assert_eq!(calls(&[&first, &between, &last(finds((NORMAL, ""), 16))]), [format!("{open}file \"home/a\"")]);
    let refused = Message::reply(20118, REPLY).int(EACCES);
    assert_eq!(calls(&[&first, &between, &last(refused)]), [format!("{open}-1 EACCES (Permission denied)")]);
    // An absolute link goes on from the root.
    let link = rpc(look_up(ROOT, "l", READ, 0), finds((MAGICAL, "/etc/motd"), 0));
    let on = rpc(look_up(ROOT, "etc/motd", READ, 0), finds((NORMAL, ""), 16));
    assert_eq!(calls(&[&link, &on])[0].split(" = ").next(), Some("open(\"/l\", O_RDONLY)"));
    // What does not go on is told as it is.
    let other = stat(6);
    let lines = calls(&[&first, &other]);
    assert!(lines[0].starts_with("dir_lookup(start_dir: cwd and root, file_name: \"home/a\", "), "{lines:?}");
    assert_eq!(lines[1..], ["fstat(fd 3, {st_mode=S_IFREG|0644, st_size=22}) = 0"]);
    let odd = rpc(look_up(ROOT, "dev/fd/1", READ, 0), finds((MAGICAL, "fd/1"), 0));
    let lines = calls(&[&odd]);
    assert!(lines.len() == 1 && lines[0].starts_with("dir_lookup("), "{lines:?}");
}

#[test]
fn names_in_directories_are_whole() {
    let directory = find("tmp", 0, 16);
    let unlink = |of: u64| rpc(string(asks(20022, of), "x"), answers(20122));
    assert_eq!(calls(&[&directory, &unlink(16), &give_back(16)]), ["unlink(\"/tmp/x\") = 0"]);
    assert_eq!(calls(&[&refer(9), &unlink(ROOT), &give_back(9)]), ["unlink(\"/x\") = 0"]);
    let failed = fails(string(asks(20022, 16), "x"), 20022, ENOENT);
    assert_eq!(
        calls(&[&directory, &failed, &give_back(16), &stat(FD3)]),
        [
            "unlink(\"/tmp/x\") = -1 ENOENT (No such file or directory)",
            "fstat(fd 3, {st_mode=S_IFREG|0644, st_size=22}) = 0",
        ]
    );
    let made = rpc(string(asks(20020, 16), "d").int(0o755), answers(20120));
    assert_eq!(calls(&[&directory, &made, &give_back(16)]), ["mkdir(\"/tmp/d\", 0755) = 0"]);
    let removed = rpc(string(asks(20021, 16), "d"), answers(20121));
    assert_eq!(calls(&[&directory, &removed, &give_back(16)]), ["rmdir(\"/tmp/d\") = 0"]);
    let renamed = rpc(string(string(asks(20024, 16), "a").port(COPY_SEND, ROOT), "b").int(0), answers(20124));
    assert_eq!(
        calls(&[&directory, &refer(9), &renamed, &give_back(16), &give_back(9)]),
        ["rename(\"/tmp/a\", \"/b\") = 0"]
    );
    let node = rpc(asks(20016, 17), answers(20116).port(MOVE_SEND, 18));
    let linked = rpc(string(asks(20023, 16).port(COPY_SEND, 18), "l").int(1), answers(20123));
    assert_eq!(
        calls(&[&find("a", NOLINK, 17), &node, &give_back(17), &directory, &linked, &give_back(16), &give_back(18)]),
        ["link(\"/a\", \"/tmp/l\") = 0"]
    );
    let file = rpc(asks(20025, 16).int(WRITE).int(0o777), answers(20125).port(MOVE_SEND, 19));
    let translator = asks(20027, 19).int(6).int(6).int(0).chars(b"/hurd/symlink\0../a\0").port(COPY_SEND, 0);
    let linked = rpc(string(asks(20023, 16).port(COPY_SEND, 19), "s").int(1), answers(20123));
    assert_eq!(
        calls(&[&directory, &file, &rpc(translator, answers(20127)), &linked, &give_back(19), &give_back(16)]),
        ["symlink(\"../a\", \"/tmp/s\") = 0"]
    );
}

#[test]
fn what_access_asks_is_not_in_its_messages() {
    let begin =
        [reauthenticate(ROOT, 30, 15), rpc(look_up(15, "etc/motd", 0, 0), finds((NORMAL, ""), 16)), give_back(15)];
    let allowed = rpc(asks(20009, 16), answers(20109).int(READ));
    assert_eq!(calls(&[&begin.concat(), &give_back(16)]), ["access(\"/etc/motd\", F_OK) = 0"]);
    assert_eq!(
        calls(&[&begin.concat(), &allowed, &give_back(16)]),
        ["access(\"/etc/motd\", ?) = ? {allowed: 1}".replace("allowed: 1", "allowed: O_READ")]
    );
}

#[test]
fn reading_says_where() {
    let read = |offset: u64| rpc(asks(21001, FD3).long(offset).long(10), answers(21101).chars(b"abc"));
    assert_eq!(calls(&[&read(7)]), ["pread(fd 3, \"abc\", 10, 7) = 3"]);
    let write = rpc(asks(21000, FD3).chars(b"abc").long(7), answers(21100).long(2));
    assert_eq!(calls(&[&write]), ["pwrite(fd 3, \"abc\", 3, 7) = 2"]);
    let seek = rpc(asks(21002, FD3).long(0).int(2), answers(21102).long(22));
    assert_eq!(calls(&[&seek]), ["lseek(fd 3, 0, SEEK_END) = 22"]);
    let entries = rpc(asks(20019, FD3).int(0).int(-1).long(0), answers(20119).chars(b"").int(4));
    assert_eq!(calls(&[&entries]), ["readdir(fd 3, 0) = 4"]);
    let sync = |rest| fails(asks(20013, FD3).int(1).int(rest), 20013, EOPNOTSUPP);
    let said = "(fd 3) = -1 EINVAL (Invalid argument) [answered EOPNOTSUPP]";
    assert_eq!(calls(&[&sync(0), &sync(1)]), [format!("fsync{said}"), format!("fdatasync{said}")]);
    let modes = rpc(asks(21005, FD3), answers(21105).int(READ));
    assert_eq!(calls(&[&modes]), ["fcntl(fd 3, F_GETFL) = O_READ"]);
    let terminal = |port| rpc(asks(28000, port), answers(28100).port(MOVE_SEND, 40));
    assert_eq!(calls(&[&terminal(FD), &give_back(40)]), ["isatty(fd 0-2) = 1"]);
    assert_eq!(
        calls(&[&fails(asks(28000, FD3), 28000, BAD_ID)]),
        ["isatty(fd 3) = -1 ENOTTY (Inappropriate ioctl for device) [answered MIG_BAD_ID]"]
    );
    let objects = rpc(asks(21018, FD3), answers(21118).port(MOVE_SEND, 20).port(MOVE_SEND, 0));
    let place = asks(2089, SELF).long(0).long(4096).long(0).bool(true).port(COPY_SEND, 20).long(8192).bool(true);
    let mapped = rpc(place.int(5).int(7).int(1), answers(2189).long(0x5000));
    assert_eq!(
        calls(&[&objects, &mapped, &give_back(20)]),
        ["mmap(0x0, 4096, PROT_READ|PROT_EXEC, fd 3, 0x2000) = 0x5000"]
    );
}

/// Several are asked before any answers, and not all of them do.
#[test]
fn what_is_waited_for_is_a_line_for_each_descriptor() {
    let until = |message: Message| message.words(&[1_795_637_272, 30_000_000]);
    let request = |port, types| Sample::sent(until(asks(21031, port)).int(types));
    let answer = |types| Sample::received(answers(21131).int(types));
    assert_eq!(
        calls(&[&[request(FD3, 1), answer(1)], &rpc(asks(21012, FD).int(3), answers(21112).int(2))]),
        [
            "select(fd 3, SELECT_READ, 1795637272.030000000s) = SELECT_READ",
            "select(fd 0-2, SELECT_READ|SELECT_WRITE) = SELECT_WRITE"
        ]
    );
    assert_eq!(
        calls(&[&[request(FD3, 5), answer(0)]]),
        ["select(fd 3, SELECT_READ|SELECT_URG, 1795637272.030000000s) = 0"]
    );
    assert_eq!(calls(&[&[request(FD3, 1)]]), ["select(fd 3, SELECT_READ, 1795637272.030000000s) = ?"]);
    assert_eq!(
        calls(&[&[request(FD3, 1), request(FD, 2)]]),
        [
            "select(fd 3, SELECT_READ, 1795637272.030000000s) = ?",
            "select(fd 0-2, SELECT_WRITE, 1795637272.030000000s) = ?"
        ]
    );
}

#[test]
fn sockets_are_made_of_their_servers() {
    let server = find("servers/socket/1", 0, 30);
    let made = |result| rpc(asks(26000, 30).int(1).int(0), answers(26100).port(MOVE_SEND, result));
    assert_eq!(calls(&[&server, &made(31)]), ["socket(PF_LOCAL, SOCK_STREAM, 0) = port 31"]);
    let joined = rpc(asks(26007, 31).port(COPY_SEND, 32), answers(26107));
    assert_eq!(
        calls(&[&server, &made(31), &made(32), &joined]),
        ["socketpair(PF_LOCAL, SOCK_STREAM, 0) = [port 31, port 32]"]
    );
    let pipe = |result| rpc(asks(26000, 30).int(1).int(0x1000), answers(26100).port(MOVE_SEND, result));
    assert_eq!(calls(&[&pipe(31), &pipe(32), &joined]), ["pipe() = [port 31, port 32]"]);
    assert_eq!(
        calls(&[&server, &fails(asks(26000, 30).int(3).int(0), 26000, EOPNOTSUPP)]),
        [
            "socket(PF_LOCAL, SOCK_RAW, 0) = -1 EAFNOSUPPORT (Address family not supported by protocol) [answered EOPNOTSUPP]"
        ]
    );
}

#[test]
fn addresses_of_sockets_are_part_of_the_call() {
    let bytes = [16, 2, 0, 80, 10, 0, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0];
    let address = rpc(asks(26008, 31).int(2).chars(&bytes), answers(26108).port(MOVE_SEND, 33));
    let with = |id: u32| asks(id, 31).port(COPY_SEND, 33);
    assert_eq!(
        calls(&[&address, &rpc(with(26003), answers(26103)), &give_back(33)]),
        ["connect(port 31, {AF_INET, 10.0.2.2:80}) = 0"]
    );
    assert_eq!(
        calls(&[&address, &rpc(with(26004), answers(26104)), &give_back(33)]),
        ["bind(port 31, {AF_INET, 10.0.2.2:80}) = 0"]
    );
    assert_eq!(
        calls(&[&address, &fails(with(26003), 26003, 0x4000_003d), &give_back(33)]),
        ["connect(port 31, {AF_INET, 10.0.2.2:80}) = -1 ECONNREFUSED (Connection refused)"]
    );
    let none = fails(asks(34000, 17), 34000, EOPNOTSUPP);
    let lines = calls(&[&find("run/x", 0, 17), &none, &give_back(17)]);
    assert!(lines.len() == 2 && lines[1].starts_with("ifsock_getsockaddr("), "{lines:?}");
    // Which of them it would have been nobody knows.
    let lines = calls(&[&fails(asks(26008, 31).int(2).chars(&bytes), 26008, EPERM)]);
    assert!(lines.len() == 1 && lines[0].starts_with("socket_create_address(server: port 31, "), "{lines:?}");
    let node = rpc(asks(34000, 17), answers(34100).port(MOVE_SEND, 33));
    assert_eq!(
        calls(&[&find("run/x", 0, 17), &node, &give_back(17), &rpc(with(26003), answers(26103)), &give_back(33)]),
        ["connect(port 31, AF_LOCAL, \"/run/x\") = 0"]
    );
    let accepted = rpc(asks(26002, 31), answers(26102).port(MOVE_SEND, 34).port(MOVE_SEND, 35));
    let who = rpc(asks(26010, 35), answers(26110).int(1).chars(b""));
    assert_eq!(
        calls(&[&accepted, &who, &give_back(35), &give_back(34)]),
        ["accept(port 31) = port 34", "close(port 34) = 0"]
    );
}

#[test]
fn an_option_that_is_refused_is_one_line() {
    let asked = |code| fails(asks(26012, 31).int(0xffff).int(17), 26012, code);
    let line = "getsockopt(port 31, SOL_SOCKET, 17, ?) = -1 ENOPROTOOPT (Protocol not available)";
    assert_eq!(with(&["-Z", "-q"], &[&stat(FD3), &asked(ENOPROTOOPT), &stat(FD)]), [line]);
    let known = rpc(asks(26012, 31).int(0xffff).int(0x1007), answers(26112).chars(b"\0\0\0\0"));
    assert_eq!(calls(&[&known]), ["getsockopt(port 31, SOL_SOCKET, SO_ERROR, \"\\0\\0\\0\\0\") = 0"]);
}

#[test]
fn messages_of_no_call_are_counted() {
    let lines = with(&[], &[&give_back(30), &give_back(31), &refer(9)]);
    assert_eq!(
        lines,
        [
            "--- left out, as no call of a program's: mach_port_deallocate 2, exec_startup_get_info 1, mach_port_mod_refs 1 ---"
        ]
    );
    // What fails has its line.
    let failed = fails(asks(7005, SELF).name(30), 7005, 15);
    assert_eq!(calls(&[&failed]), ["mach_port_deallocate(name: port 30) = KERN_INVALID_NAME"]);
}

#[test]
fn calls_are_counted_by_their_names() {
    let table = with(
        &["-c", "-U", "calls,errors,name", "-S", "name"],
        &[&find("a", 0, 16), &stat(16), &give_back(16), &fails(look_up(ROOT, "b", READ, 0), 20018, ENOENT), &stat(FD3)],
    );
    let rows: Vec<Vec<&str>> = table.iter().map(|row| row.split_whitespace().collect()).collect();
    for row in [&["1", "fstat"][..], &["1", "1", "open"], &["1", "stat"], &["3", "1", "total"]] {
        assert!(rows.iter().any(|found| found == row), "{row:?} in {table:?}");
    }
}

#[test]
fn a_call_takes_the_time_of_its_messages() {
    let timed = |samples: Vec<Sample>, from: u64| -> Vec<Sample> {
        let one = |(place, sample): (usize, Sample)| sample.time(from + place as u64 * 1_000_000);
        samples.into_iter().enumerate().map(one).collect()
    };
    let run = timed([find("a", 0, 16), stat(16), give_back(16)].concat(), 5_000_000_000);
    let lines = with(&["-T", "-ttt", "-q"], &[&run]);
    assert_eq!(lines, ["5.000000 hello[1] stat(\"/a\", {st_mode=S_IFREG|0644, st_size=22}) = 0 <0.005000>"]);
}

#[test]
fn each_thread_has_its_own_calls() {
    let [first, second] = [&find("a", 0, 16)[..], &stat(16)].map(<[Sample]>::to_vec);
    let other = rpc(asks(21013, FD3), state(answers(21113), 0x4000 | 0o755, 0));
    let other: Vec<Sample> = other.into_iter().map(|sample| sample.thread(71)).collect();
    let lines = calls(&[&first, &other, &second, &give_back(16)]);
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].ends_with("fstat(fd 3, {st_mode=S_IFDIR|0755, st_size=0}) = 0"), "{lines:?}");
    assert!(lines[1].ends_with("stat(\"/a\", {st_mode=S_IFREG|0644, st_size=22}) = 0"), "{lines:?}");
}

#[test]
fn a_call_that_never_returns_has_no_result() {
    let waits = [Sample::sent(asks(21001, FD).long(u64::MAX).long(1))];
    assert_eq!(calls(&[&waits]), ["read(fd 0-2, ?, 1) = ?"]);
    // What was lost may have been in the middle of a call.
    let lines = calls(&[&find("a", 0, 16), &stat(16)[..1], &stat(16)[1..]]);
    assert_eq!(lines.len(), 2);
}

#[test]
fn options_that_leave_messages_out_are_refused() {
    let refused =
        |words: &[&str]| match rpctrace2::options::parse(words.iter().copied(), rpctrace2::options::place::Here::Guest)
        {
            Err(error) => error.to_string(),
            Ok(other) => panic!("{other:?}"),
        };
    assert_eq!(
        refused(&["--posix", "-e", "io_read", "x"]),
        "option `--posix`: needs all messages; `-e trace=` leaves some out"
    );
    assert!(refused(&["--posix", "--ask=top", "x"]).contains("`--ask=top` has neither"));
}
