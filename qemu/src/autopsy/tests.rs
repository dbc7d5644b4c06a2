// SPDX-License-Identifier: GPL-2.0-or-later
//! Memory with a recorder, without one, with two, with a damaged one; monitors and stubs that answer, and that do not.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};
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
    for there in [0x30_0000, 1 << 40] {
        let line = format!("FILE: there is no recorder at {there:#x}, where --at says, of 4194304 bytes of memory");
        assert_eq!(look(&memory(&[PLACE]), Some(there)), Err(line));
    }
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

/// What a monitor has heard.
type Heard = Arc<Mutex<Vec<String>>>;

/// A monitor for people: echoes what is typed, as a line editor does. Its machine runs unless it is told to stop, and what it says of `pmemsave` is this.
fn hmp(mut stream: UnixStream, heard: &Heard, said: &str) {
    stream.write_all(b"QEMU 7.2.0 monitor - type 'help' for more information\r\n(qemu) ").unwrap();
    let mut runs = true;
    for line in BufReader::new(stream.try_clone().unwrap()).lines() {
        let Ok(line) = line else { break };
        let verb = line.split(' ').next().unwrap();
        let answer = match verb {
            "pmemsave" if said.is_empty() => {
                let words: Vec<&str> = line.splitn(4, ' ').collect();
                let [at, size] = [words[1], words[2]].map(|number| number.parse::<usize>().unwrap());
                let file = words[3].strip_prefix('"').unwrap().strip_suffix('"').unwrap();
                fs::write(file, &memory(&[PLACE])[at..][..size]).unwrap();
                String::new()
            }
            "pmemsave" => said.to_owned(),
            _ if line == "info status" => format!("VM status: {}\r\n", if runs { "running" } else { "paused" }),
            _ if line == "info memory_size_summary" => format!("base memory: {MEMORY}\r\nplugged memory: 0\r\n"),
            _ => String::new(),
        };
        runs = verb == "cont" || runs && verb != "stop";
        heard.lock().unwrap().push(verb.to_owned());
        stream.write_all(format!("\x1b[K(qemu) {line}\x1b[D\r\n{answer}(qemu) ").as_bytes()).unwrap();
    }
}

/// What is found behind a monitor for people that says this of `pmemsave`, and what it has heard.
fn behind_hmp(said: &'static str) -> (Result<u64, String>, Vec<String>) {
    let heard = Heard::default();
    let kept = Arc::clone(&heard);
    let found = behind(Source::Monitor, move |stream| hmp(stream, &kept, said));
    let heard = heard.lock().unwrap().clone();
    (found, heard)
}

/// A monitor for programs, with an event and an answer to somebody else's question between answers.
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
                let arguments = &request["arguments"];
                let [at, size] = ["val", "size"].map(|name| arguments[name].as_u64().unwrap() as usize);
                fs::write(arguments["filename"].as_str().unwrap(), &memory(&[PLACE])[at..][..size]).unwrap();
                "{}".to_owned()
            }
            _ => "{}".to_owned(),
        };
        heard.push(verb);
        let late = "{\"event\": \"X\"}\r\n{\"return\": {\"running\": 1}, \"id\": 0}\r\n";
        let id = &request["id"];
        stream.write_all(format!("{late}{{\"return\": {answer}, \"id\": {id}}}\r\n").as_bytes()).unwrap();
    }
    assert_eq!(heard, ["qmp_capabilities", "query-status", "query-memory-size-summary", "pmemsave", "pmemsave"]);
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
    let (found, heard) = behind_hmp("");
    assert_eq!(found, Ok(PLACE as u64));
    assert_eq!(heard, ["info", "info", "stop", "pmemsave", "pmemsave", "cont"]);
    assert_eq!(behind(Source::Monitor, qmp), Ok(PLACE as u64));
    assert_eq!(behind(|socket| Source::Gdb(socket, MEMORY as u64), gdb), Ok(PLACE as u64));
}

#[test]
fn what_a_monitor_says_that_failed_is_told_and_the_machine_runs_on() {
    let said = "'pmemsave' has failed: \x1b[31minteger is for 32-bit values\r\nTry \"help pmemsave\"\r\n";
    let (found, heard) = behind_hmp(said);
    let shown = "'pmemsave' has failed: \\u{1b}[31minteger is for 32-bit values\\r\\nTry \"help pmemsave\"";
    assert_eq!(found, Err(format!("SOCKET: QEMU's pmemsave: {shown}")));
    assert_eq!(heard, ["info", "info", "stop", "pmemsave", "cont", "info"]);
    // Where it says nothing and there is nothing, it has written elsewhere, which is said of the folder that was named.
    let (found, heard) = behind_hmp(" ");
    let elsewhere = "SOCKET: QEMU has written the memory elsewhere: it has to run on this machine, and see its ";
    assert_eq!(found, Err(format!("{elsewhere}{}", std::env::temp_dir().display())));
    assert_eq!(heard, ["info", "info", "stop", "pmemsave", "cont", "info"]);
}

#[test]
fn what_is_no_memory_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let (pipe, socket) = (folder.path().join("pipe"), folder.path().join("socket"));
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let _listener = UnixListener::bind(&socket).unwrap();
    let null = Path::new("/dev/null");
    for (path, kind) in
        [(folder.path(), "a directory"), (&pipe, "a pipe"), (&socket, "a socket"), (null, "a character device")]
    {
        let error = find(&Source::File(path.to_owned()), None).unwrap_err().to_string();
        let expected = "expected a file or a block device with a machine's memory, found";
        assert_eq!(error, format!("{}: {expected} {kind}", path.display()));
    }
}

#[test]
fn an_answer_without_end_is_given_up() {
    let gdb = |socket| Source::Gdb(socket, MEMORY as u64);
    let long = "SOCKET: expected an answer of at most 1048576 bytes, found more".to_owned();
    let without_end = |bytes: &'static [u8]| {
        move |mut stream: UnixStream| {
            let greeting = if bytes.starts_with(b"{") { &b"{\"QMP\": {}}\n"[..] } else { b"" };
            let _ = stream.write_all(greeting);
            let mut asked = stream.try_clone().unwrap();
            thread::spawn(move || std::io::copy(&mut asked, &mut std::io::sink()));
            while stream.write_all(bytes).is_ok() {}
        }
    };
    for bytes in [&b"no packet"[..], b"$T05#b9"] {
        assert_eq!(behind(gdb, without_end(bytes)), Err(long.clone()));
    }
    assert_eq!(behind(Source::Monitor, without_end(b"{\"event\": \"X\"}\n")), Err(long.clone()));
    assert_eq!(behind(Source::Monitor, without_end(b"x")), Err(long));
    // A byte now and then keeps nobody waiting: the limit is the whole answer's.
    let drop_by_drop = |mut stream: UnixStream| {
        stream.set_read_timeout(Some(std::time::Duration::from_millis(300))).unwrap();
        while stream.write_all(b"x").is_ok() && !matches!(stream.read(&mut [0; 64]), Ok(0)) {}
    };
    let slow = Err("SOCKET: expected a whole answer in 2 seconds, found a part".to_owned());
    assert_eq!(behind(Source::Monitor, drop_by_drop), slow);
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
    let gone = Err("SOCKET: QEMU's gdb stub: expected an answer, found `the end of the connection`".to_owned());
    let asked = |mut stream: UnixStream| drop(stream.read(&mut [0; 64]));
    assert_eq!(behind(|socket| Source::Gdb(socket, MEMORY as u64), asked), gone);
    let wrong =
        |mut stream: UnixStream| stream.write_all(b"220 mail.example ESMTP\r\n(qemu) \n(qemu) \n(qemu) \n").unwrap();
    assert!(behind(Source::Monitor, wrong).is_err());
    let error = find(&Source::Monitor("/no/such/socket".to_owned()), None).unwrap_err().to_string();
    assert_eq!(error, "/no/such/socket: No such file or directory (os error 2)");
}
