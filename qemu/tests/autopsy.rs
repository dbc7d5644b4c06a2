// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo qemu autopsy` of somebody else's machine, ended by a signal: the machine runs on, and no copy of its memory stays.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// The tool, which looks behind this kind of socket, and the connection that it makes.
fn looks(folder: &Path, kind: &str) -> (Child, UnixStream) {
    let socket = folder.join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_qemu"));
    command.args(["autopsy", kind]).arg(&socket).env("TMPDIR", folder.join("tmp")).stdin(Stdio::null());
    fs::create_dir(folder.join("tmp")).unwrap();
    let tool = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    (tool, listener.accept().unwrap().0)
}

fn signal(tool: &Child, signal: Signal) {
    kill_process(Pid::from_raw(tool.id().try_into().unwrap()).unwrap(), signal).unwrap();
}

/// It has ended as one that this signal ends, silently, and left nothing.
fn is_ended(tool: Child, folder: &Path, signal: Signal) {
    let output = tool.wait_with_output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), text.as_str()), (Some(128 + signal.as_raw()), ""));
    assert_eq!(fs::read_dir(folder.join("tmp")).unwrap().count(), 0, "a copy stays");
}

#[test]
fn a_signal_lets_the_machine_behind_a_monitor_run_on() {
    for with in [Signal::INT, Signal::TERM, Signal::HUP] {
        let place = tempfile::tempdir().unwrap();
        let (tool, mut stream) = looks(place.path(), "--monitor");
        stream.write_all(b"QEMU monitor\r\n(qemu) ").unwrap();
        let mut heard = Vec::new();
        for line in BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok) {
            let verb = line.split(' ').next().unwrap().to_owned();
            let answer = match verb.as_str() {
                "pmemsave" => {
                    let piece = Path::new(line.split('"').nth(1).unwrap());
                    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
                    assert_eq!([piece.parent().unwrap(), piece].map(mode), [0o700, 0o600]);
                    signal(&tool, with);
                    fs::OpenOptions::new().write(true).open(piece).unwrap().set_len(256 << 20).unwrap();
                    ""
                }
                _ if line == "info status" => "VM status: running\r\n",
                _ if line == "info memory_size_summary" => "base memory: 4294967296\r\n",
                _ => "",
            };
            heard.push(verb);
            stream.write_all(format!("{line}\r\n{answer}(qemu) ").as_bytes()).unwrap();
        }
        assert_eq!(heard, ["info", "info", "stop", "pmemsave", "cont", "info"]);
        is_ended(tool, place.path(), with);
    }
}

#[test]
fn a_signal_lets_the_machine_behind_a_gdb_socket_run_on() {
    let place = tempfile::tempdir().unwrap();
    let (tool, mut stream) = looks(place.path(), "--gdb");
    stream.write_all(b"$T02thread:01;#04").unwrap();
    let mut packet = Vec::new();
    let (mut bytes, mut asked) = (BufReader::new(stream.try_clone().unwrap()), 0);
    while bytes.read_until(b'#', &mut packet).unwrap() > 0 {
        bytes.read_exact(&mut [0; 2]).unwrap();
        asked += 1;
        let is_let_go = packet.ends_with(b"$D#");
        match () {
            () if is_let_go => stream.write_all(b"+$OK#9a").unwrap(),
            () if asked == 1 => stream.write_all(b"+$OK#9a").unwrap(),
            () if asked == 100 => signal(&tool, Signal::TERM),
            () => stream.write_all(b"+$0000000000000000#00").unwrap(),
        }
        packet.clear();
        if is_let_go {
            // What was asked before has its answer, too.
            stream.write_all(b"$0000000000000000#00").unwrap();
            is_ended(tool, place.path(), Signal::TERM);
            return;
        }
    }
    panic!("the machine was not let go");
}
