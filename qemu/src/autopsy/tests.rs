// SPDX-License-Identifier: GPL-2.0-or-later
//! Memory with a recorder, without one, with two, with a damaged one; monitors and stubs that answer, and that do not.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;

use super::*;
use crate::recorder::tests::ring_of_one;

/// Bytes of a machine's memory, and where recorders begin in it.
const MEMORY: usize = 4 << 20;
const PLACE: usize = (1 << 20) + 4096;
const OTHER: usize = 3 << 20;

/// Memory with rings at these places.
fn memory(places: &[usize]) -> Vec<u8> {
    let mut memory = vec![0; MEMORY];
    let ring = ring_of_one();
    places.iter().for_each(|place| memory[*place..][..ring.len()].copy_from_slice(&ring));
    memory
}

/// What is found in these bytes as a file, and what is said instead.
fn look(bytes: &[u8], at: Option<u64>) -> Result<u64, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory");
    fs::write(&path, bytes).unwrap();
    let found = find(&Source::File(path.clone()), at);
    let place = path.display().to_string();
    found.map(|found| found.address).map_err(|error| error.to_string().replace(&place, "FILE"))
}

#[test]
fn the_only_recorder_is_found() {
    assert_eq!(look(&memory(&[PLACE]), None), Ok(PLACE as u64));
    assert_eq!(look(&memory(&[PLACE, OTHER]), Some(OTHER as u64)), Ok(OTHER as u64));
    // Memory that was cut off in it still has what is before.
    assert_eq!(look(&memory(&[PLACE])[..PLACE + HEADER_SIZE + 64], None), Ok(PLACE as u64));
}

#[test]
fn what_is_wrong_is_one_line() {
    let none = "FILE: there is no recorder in 4194304 bytes of memory: was the kernel told `rpctrace2=record` or `rpctrace2=all`?";
    assert_eq!(look(&memory(&[]), None), Err(none.to_owned()));
    assert_eq!(look(&memory(&[PLACE]), Some(OTHER as u64)), Err(none.to_owned()));
    let two = "FILE: 2 recorders, at 0x101000, 0x300000: expected one; --at ADDRESS says which";
    assert_eq!(look(&memory(&[PLACE, OTHER]), None), Err(two.to_owned()));
    for (word, value, why) in [
        (control::VERSION, 77, "the ring of records has layout 77, this reader knows 1 to 2"),
        (control::CAPACITY, 12345, "the ring of records is damaged: its capacity is 0x3039"),
        (control::HEAD, 13, "the ring of records is damaged: its head is 0xd"),
    ] {
        let mut bytes = memory(&[PLACE]);
        bytes[PLACE + word * 8..][..8].copy_from_slice(&u64::to_le_bytes(value));
        assert_eq!(look(&bytes, None), Err(format!("FILE: the recorder at 0x101000 is damaged: {why}")));
    }
    let error = find(&Source::File("/no/such/file".into()), None).unwrap_err().to_string();
    assert_eq!(error, "/no/such/file: No such file or directory (os error 2)");
}

/// What is found behind a socket, where this serves.
fn behind(source: impl Fn(String) -> Source, serve: impl FnOnce(UnixStream) + Send + 'static) -> Result<u64, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || serve(listener.accept().unwrap().0));
    let place = path.display().to_string();
    let found = find(&source(place.clone()), None);
    let found = found.map(|found| found.address).map_err(|error| error.to_string().replace(&place, "SOCKET"));
    server.join().unwrap();
    found
}

/// A monitor for people: echoes what is typed, as a line editor does.
fn hmp(mut stream: UnixStream) {
    stream.write_all(b"QEMU 7.2.0 monitor - type 'help' for more information\r\n(qemu) ").unwrap();
    let mut heard = Vec::new();
    for line in BufReader::new(stream.try_clone().unwrap()).lines() {
        let Ok(line) = line else { break };
        let answer = match line.split(' ').next().unwrap() {
            "pmemsave" => {
                let file = line.split('"').nth(1).unwrap();
                fs::write(file, memory(&[PLACE])).unwrap();
                String::new()
            }
            _ if line == "info status" => "VM status: running\r\n".to_owned(),
            _ if line == "info memory_size_summary" => format!("base memory: {MEMORY}\r\nplugged memory: 0\r\n"),
            _ => String::new(),
        };
        heard.push(line.clone());
        stream.write_all(format!("\x1b[K(qemu) {line}\x1b[D\r\n{answer}(qemu) ").as_bytes()).unwrap();
    }
    let verbs: Vec<&str> = heard.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(verbs, ["info", "info", "stop", "pmemsave", "cont"]);
}

/// A monitor for programs, with an event between answers.
fn qmp(mut stream: UnixStream) {
    stream.write_all(b"{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n").unwrap();
    let mut heard = Vec::new();
    for line in BufReader::new(stream.try_clone().unwrap()).lines() {
        let Ok(line) = line else { break };
        let request: serde_json::Value = serde_json::from_str(&line).unwrap();
        let verb = request["execute"].as_str().unwrap().to_owned();
        let answer = match verb.as_str() {
            "query-status" => "{\"running\": false, \"status\": \"internal-error\"}".to_owned(),
            "query-memory-size-summary" => format!("{{\"base-memory\": {MEMORY}, \"plugged-memory\": 0}}"),
            "pmemsave" => {
                fs::write(request["arguments"]["filename"].as_str().unwrap(), memory(&[PLACE])).unwrap();
                "{}".to_owned()
            }
            _ => "{}".to_owned(),
        };
        heard.push(verb);
        stream.write_all(format!("{{\"event\": \"X\"}}\r\n{{\"return\": {answer}}}\r\n").as_bytes()).unwrap();
    }
    assert_eq!(heard, ["qmp_capabilities", "query-status", "query-memory-size-summary", "pmemsave"]);
}

/// A gdb stub.
fn gdb(mut stream: UnixStream) {
    let memory = memory(&[PLACE]);
    let mut reader = stream.try_clone().unwrap();
    let mut byte = [0];
    // As QEMU says of a machine that ran until somebody connected.
    stream.write_all(b"$T02thread:01;#04").unwrap();
    loop {
        let mut packet = String::new();
        while byte != *b"$" {
            if reader.read(&mut byte).unwrap() == 0 {
                return;
            }
        }
        loop {
            reader.read_exact(&mut byte).unwrap();
            if byte == *b"#" {
                break;
            }
            packet.push(char::from(byte[0]));
        }
        let answer = match packet.strip_prefix('m').and_then(|rest| rest.split_once(',')) {
            Some((address, count)) => {
                let [address, count] = [address, count].map(|digits| usize::from_str_radix(digits, 16).unwrap());
                memory[address..][..count].iter().map(|byte| format!("{byte:02x}")).collect()
            }
            None => "OK".to_owned(),
        };
        stream.write_all(format!("+${answer}#00").as_bytes()).unwrap();
    }
}

#[test]
fn a_monitor_or_a_stub_has_the_memory() {
    assert_eq!(behind(Source::Monitor, hmp), Ok(PLACE as u64));
    assert_eq!(behind(Source::Monitor, qmp), Ok(PLACE as u64));
    assert_eq!(behind(|socket| Source::Gdb(socket, MEMORY as u64), gdb), Ok(PLACE as u64));
}

#[test]
fn who_does_not_answer_is_said() {
    let silent = |stream: UnixStream| {
        let _ = (&stream).read_to_end(&mut Vec::new());
    };
    let said = Err("SOCKET: it does not answer".to_owned());
    assert_eq!(behind(Source::Monitor, silent), said);
    assert_eq!(behind(|socket| Source::Gdb(socket, MEMORY as u64), silent), said);
    let gone = Err("SOCKET: expected an answer of QEMU's monitor, found `the end of the connection`".to_owned());
    assert_eq!(behind(Source::Monitor, drop), gone);
    let wrong =
        |mut stream: UnixStream| stream.write_all(b"220 mail.example ESMTP\r\n(qemu) \n(qemu) \n(qemu) \n").unwrap();
    assert!(behind(Source::Monitor, wrong).is_err());
    let error = find(&Source::Monitor("/no/such/socket".to_owned()), None).unwrap_err().to_string();
    assert_eq!(error, "/no/such/socket: No such file or directory (os error 2)");
}
