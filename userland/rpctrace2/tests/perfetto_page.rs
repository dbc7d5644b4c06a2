// SPDX-License-Identifier: GPL-2.0-or-later
//! `rpctrace2 view --perfetto`: who is answered, and with what, by requests as a browser makes them.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

/// What is in the repository of captures.
const CAPTURE: &str = "../../tests/captures/version1.mtrc";
const PLACE: &str = "127.0.0.1:9001";
const PATH: &str = "/version1.pftrace";
const PAGE: &str = "Origin: https://ui.perfetto.dev\r\n";

/// One that waits for the page, and does so no longer when the test has ended, however it ends.
struct Waiting(Child);

impl Drop for Waiting {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn rpctrace2(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rpctrace2"));
    command.args(words).stdin(Stdio::null()).env_remove("DISPLAY").env_remove("WAYLAND_DISPLAY");
    command
}

/// The answer to a request: its head, and what follows.
fn ask(request: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(PLACE).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    (String::from_utf8(answer[..end].to_vec()).unwrap(), answer[end..].to_vec())
}

fn request(method: &str, path: &str, host: &str, more: &str) -> (String, Vec<u8>) {
    ask(&format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n"))
}

/// One test: there is one port.
#[test]
fn the_page_of_perfetto_fetches_a_trace_once() {
    let taken = TcpListener::bind(PLACE).unwrap();
    let refused = rpctrace2(&["view", "--perfetto", CAPTURE]).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.starts_with("rpctrace2: port 9001 of 127.0.0.1 is taken") && said.lines().count() == 1, "{said}");
    assert_eq!((refused.status.code(), refused.stdout.as_slice()), (Some(125), &b""[..]));
    drop(taken);

    let mut view = Waiting(rpctrace2(&["view", "--perfetto", CAPTURE]).stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(view.0.stdout.take().unwrap()).lines();
    let address = lines.next().unwrap().unwrap();
    assert_eq!(address, format!("https://ui.perfetto.dev/#!/?url=http://{PLACE}{PATH}"));
    let status = |answer: (String, Vec<u8>)| answer.0.split(' ').nth(1).unwrap().to_owned();

    // Nobody else is told anything, and it waits on.
    assert_eq!(status(request("GET", "/", PLACE, PAGE)), "404");
    assert_eq!(status(request("GET", "/../etc/passwd", PLACE, PAGE)), "404");
    assert_eq!(status(request("GET", PATH, "elsewhere.example:9001", PAGE)), "403");
    assert_eq!(status(request("GET", PATH, PLACE, "Origin: https://elsewhere.example\r\n")), "403");
    assert_eq!(status(request("POST", PATH, PLACE, PAGE)), "405");
    assert_eq!(status(ask("nothing\r\n\r\n")), "400");
    assert_eq!(status(ask(&format!("GET {PATH} HTTP/1.1\r\nHost\r\n\r\n"))), "400");
    let gone = TcpStream::connect(PLACE).unwrap();
    gone.shutdown(Shutdown::Both).unwrap();
    // A page asks whether it may, of this network, too.
    let (allowed, body) =
        request("OPTIONS", PATH, PLACE, &format!("{PAGE}Access-Control-Request-Private-Network: true\r\n"));
    assert!(allowed.starts_with("HTTP/1.1 204 ") && body.is_empty(), "{allowed}");
    for field in
        ["Access-Control-Allow-Origin: https://ui.perfetto.dev\r\n", "Access-Control-Allow-Private-Network: true\r\n"]
    {
        assert!(allowed.contains(field), "{allowed}");
    }
    let (head, body) = request("HEAD", PATH, PLACE, PAGE);
    assert!(head.starts_with("HTTP/1.1 200 ") && body.is_empty(), "{head}");

    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("trace");
    let exported = rpctrace2(&["export", "--to", "perfetto", "-o", file.to_str().unwrap(), CAPTURE]).status().unwrap();
    assert!(exported.success());
    let (head, body) = request("GET", PATH, PLACE, PAGE);
    assert!(head.contains("Access-Control-Allow-Origin: https://ui.perfetto.dev\r\n"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    assert!(body == fs::read(&file).unwrap(), "{} bytes", body.len());
    // That was all.
    assert_eq!(view.0.wait().unwrap().code(), Some(0));
    assert!(TcpStream::connect(PLACE).is_err());
}
