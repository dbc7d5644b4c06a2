// SPDX-License-Identifier: GPL-2.0-or-later
//! Calls about processes: `fork`, `wait4`, `kill`, `execve`.

use super::*;

/// References that a child is given are the child's, and what begins a call ends the one before.
#[test]
fn a_child_is_made_whatever_it_is_given() {
    let child = |message: Message| Sample::sent(message).knows(task(19, 41));
    let pid = [child(asks(24030, PROC).port(COPY_SEND, 19)), Sample::received(answers(24130).int(13))];
    let ours = [child(asks(24012, PROC).port(COPY_SEND, 19)), Sample::received(answers(24112))];
    // The name in the child's space is one that this task has for its root directory.
    let given = [child(asks(7026, 19).name(ROOT as u32).int(0).int(1)), Sample::received(answers(7126))];
    assert_eq!(calls(&[&create(true), &given, &pid, &ours]), ["fork() = 13"]);
    let begun = find("a", 0, 16);
    assert_eq!(calls(&[&begun, &create(true), &pid, &ours]).last().map(String::as_str), Some("fork() = 13"));
}

#[test]
fn processes_are_made_waited_for_and_signalled() {
    let child = |message: Message| Sample::sent(message).knows(task(19, 41));
    let pid = [child(asks(24030, PROC).port(COPY_SEND, 19)), Sample::received(answers(24130).int(13))];
    let ours = [child(asks(24012, PROC).port(COPY_SEND, 19)), Sample::received(answers(24112))];
    assert_eq!(calls(&[&create(true), &pid, &ours]), ["fork() = 13"]);
    let wait = asks(24020, PROC).int(-1).int(1);
    let dead = answers(24120).int(0x300).int(0).words(&[0; 18]).int(13);
    assert_eq!(calls(&[&rpc(wait.clone(), dead)]), ["wait4(-1, exit 3, WNOHANG) = 13"]);
    assert_eq!(calls(&[&fails(wait, 24020, EAGAIN)]), ["wait4(-1, ?, WNOHANG) = 0"]);
    let port = rpc(asks(24019, PROC).int(13), answers(24119).port(MOVE_SEND, 21));
    let task = rpc(asks(24029, PROC).int(13), answers(24129).port(MOVE_SEND, 22));
    let signal = rpc(asks(23000, 21).int(15).int(0).port(COPY_SEND, 22), answers(23100));
    assert_eq!(calls(&[&port, &task, &signal, &give_back(22), &give_back(21)]), ["kill(13, SIGTERM) = 0"]);
    let end = rpc(asks(7021, 22), answers(7121));
    assert_eq!(calls(&[&task, &end, &give_back(22)]), ["kill(13, SIGKILL) = 0"]);
    let nobody = fails(asks(24048, PROC).int(99), 24048, 0x4000_0003);
    assert_eq!(calls(&[&nobody]), ["getpgid(99) = -1 ESRCH (No such process)"]);
    let exit = |status| rpc(asks(24025, PROC).int(status).int(0), answers(24125));
    assert_eq!(calls(&[&exit(0x300)]), ["_exit(3) = ?"]);
    // Who dies of a signal has not called it.
    assert_eq!(calls(&[&exit(11)]), ["proc_mark_exit(process: proc, status: killed by SIGSEGV, sigcode: 0) = 0"]);
}

#[test]
fn a_program_that_becomes_another_calls_execve() {
    let exec = |task: u64| {
        let paths = string(string(asks(20034, 16).port(COPY_SEND, task).int(0), "/bin/ls"), "/bin/ls");
        let words = paths.chars(b"ls\0-l\0").chars(b"A=1\0B=2\0");
        let names = rights(rights(words, &[]), &[]).ints(&[]);
        rpc(
            names.item(mach_abi::type_name::PORT_NAME, 32, 0, b"").item(mach_abi::type_name::PORT_NAME, 32, 0, b""),
            answers(20134),
        )
    };
    let file = find("bin/ls", EXEC, 16);
    assert_eq!(calls(&[&file, &exec(SELF)]), ["execve(\"/bin/ls\", [\"ls\", \"-l\"], /* 2 vars */) = 0"]);
    // Of another task it is somebody else's.
    let lines = calls(&[&file, &exec(30)]);
    assert!(lines[1].starts_with("file_exec_paths("), "{lines:?}");
}
