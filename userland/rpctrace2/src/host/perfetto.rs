// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo rpctrace2 view --perfetto FILE`: a capture in the Perfetto page of a browser, which fetches it from here once.
//!
//! What the page accepts is what Perfetto's own tools/open_trace_in_ui serves: it may connect to port 9001 of 127.0.0.1 alone. Only that page
//! is answered: a request has to be for this machine by its number, and from that page or from no page.

use std::env;
use std::format;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, IsTerminal, Read, Seek, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::string::{String, ToString};
use std::time::Duration;
use std::vec::Vec;

use anyhow::{Context, Result, bail};

use super::out::print;
use super::verbs::VIEW;
use super::{export, show};
use crate::options::{Options, Output};

/// The word that says so.
pub const WORD: &str = "--perfetto";

const PAGE: &str = "https://ui.perfetto.dev";
const PORT: u16 = 9001;
/// How long somebody who has connected may say nothing.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest head of a request.
const HEAD: u64 = 16 * 1024;

/// Hands the capture that the words name to the page; answers the exit status when that has fetched it.
///
/// # Errors
/// If the words are wrong, or the file is no capture that can be read, or the port is taken.
pub fn run(words: &[String]) -> Result<u8> {
    match show::parse(&VIEW, words)? {
        Err(text) => print(&text),
        Ok((options, name)) => hand_over(options, &name),
    }
}

fn hand_over(mut options: Options, name: &str) -> Result<u8> {
    if options.host.to.is_some() || options.host.output != Output::Error {
        bail!("options `--to`, `-o`: `rpctrace2 export` writes files; {WORD} keeps none");
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => anyhow::Error::msg(format!(
            "port {PORT} of 127.0.0.1 is taken, perhaps by trace_processor or another view; the page accepts no other: \
             `rpctrace2 export --to perfetto -o FILE.pftrace {name}` writes what can be opened there"
        )),
        _ => anyhow::Error::new(error).context(format!("cannot listen on port {PORT} of 127.0.0.1")),
    })?;
    // Nothing is left of it, however this ends.
    let file = tempfile::tempfile().context("cannot make a temporary file")?;
    options.host.to = Some("perfetto".into());
    let status = export::write_to(options, name, file.try_clone()?)?;
    let served = Served { file, path: format!("/{}.pftrace", plain(name)) };
    let address = format!("{PAGE}/#!/?url=http://127.0.0.1:{PORT}{}", served.path);
    let mut out = io::stdout();
    writeln!(out, "{address}\nwaiting for the page to fetch it; Ctrl-C ends this")?;
    out.flush()?;
    if out.is_terminal() {
        open(&address);
    }
    for stream in listener.incoming() {
        // Who goes away in the middle may come again.
        if stream.and_then(|stream| served.answer(stream)).unwrap_or(false) {
            break;
        }
    }
    Ok(status)
}

/// The last part of a file's name, of letters that need no escaping.
fn plain(name: &str) -> String {
    let name = Path::new(name).file_stem().unwrap_or_default().to_string_lossy();
    let name: String = name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect();
    if name.is_empty() { "trace".to_string() } else { name }
}

/// Opens the address in a browser where there is a display and something that does that. It is printed, too, so that nothing depends on it.
fn open(address: &str) {
    let has_display = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| env::var_os(name).is_some());
    if has_display {
        let mut command = Command::new("xdg-open");
        let command = command.arg(address).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // That it is not there, or does not work, is no error.
        drop(command.spawn());
    }
}

/// What is served, and where.
struct Served {
    file: File,
    path: String,
}

/// What is answered.
enum Answer {
    /// The file, or, as was asked, only what would be said of it.
    File { is_whole: bool },
    /// What a page may ask, before it does.
    Allowed,
    /// A refusal.
    Refused(&'static str),
}

impl Served {
    /// Answers one request; `true` if the page has all now.
    fn answer(&self, mut stream: TcpStream) -> io::Result<bool> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut lines = BufReader::new(Read::by_ref(&mut stream).take(HEAD)).lines();
        let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
        let mut fields = Vec::new();
        for line in lines {
            let line = line?;
            match line.split_once(':') {
                Some((name, value)) => fields.push((name.to_ascii_lowercase(), value.trim().to_string())),
                None if line.is_empty() => break,
                None => return refuse(&mut stream, "400 Bad Request"),
            }
        }
        match self.decide(&request, &fields) {
            Answer::Refused(why) => refuse(&mut stream, why),
            Answer::Allowed => {
                write!(stream, "{}", head("204 No Content", 0))?;
                Ok(false)
            }
            Answer::File { is_whole } => {
                let (mut file, length) = (&self.file, self.file.metadata()?.len());
                write!(stream, "{}", head("200 OK", length))?;
                if is_whole {
                    file.rewind()?;
                    io::copy(&mut file.take(length), &mut stream)?;
                }
                stream.flush()?;
                Ok(is_whole)
            }
        }
    }

    fn decide(&self, request: &str, fields: &[(String, String)]) -> Answer {
        let field = |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str());
        let words: Vec<&str> = request.split(' ').collect();
        let [method, path, "HTTP/1.0" | "HTTP/1.1"] = words[..] else { return Answer::Refused("400 Bad Request") };
        // Another name for this machine is what a page has that is not meant.
        if field("host") != Some(&format!("127.0.0.1:{PORT}")) || field("origin").is_some_and(|origin| origin != PAGE) {
            return Answer::Refused("403 Forbidden");
        }
        match method {
            _ if path != self.path => Answer::Refused("404 Not Found"),
            "GET" | "HEAD" => Answer::File { is_whole: method == "GET" },
            "OPTIONS" => Answer::Allowed,
            _ => Answer::Refused("405 Method Not Allowed"),
        }
    }
}

fn head(status: &str, length: u64) -> String {
    format!(
        "HTTP/1.1 {status}\r\nAccess-Control-Allow-Origin: {PAGE}\r\nAccess-Control-Allow-Methods: GET, HEAD\r\n\
         Access-Control-Allow-Headers: *\r\nAccess-Control-Allow-Private-Network: true\r\nVary: Origin\r\n\
         Cache-Control: no-store\r\nContent-Type: application/octet-stream\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )
}

fn refuse(stream: &mut TcpStream, why: &str) -> io::Result<bool> {
    write!(stream, "{}", head(why, 0))?;
    Ok(false)
}
