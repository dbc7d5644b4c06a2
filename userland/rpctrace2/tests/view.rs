// SPDX-License-Identifier: GPL-2.0-or-later
//! `rpctrace2 view` in a real terminal, tmux's: screens after keys, the clipboard, a file that grows, and a terminal that is as it was afterwards.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// What nobody should have to wait for.
const LIMIT: Duration = Duration::from_secs(60);
/// What is in the repository of captures.
const CAPTURE: &str = "../../tests/captures/version1.mtrc";

/// A terminal of 80 columns and 24 lines, with a server of its own.
struct Tmux {
    place: TempDir,
}

impl Tmux {
    /// Runs the words in it, and then a shell's `echo` of the exit status.
    fn run(words: &str, environment: &str) -> Self {
        let tmux = Self { place: tempfile::tempdir().unwrap() };
        fs::write(tmux.place.path().join("conf"), "set -g set-clipboard on\nset -g default-terminal screen-256color\n")
            .unwrap();
        let program = env!("CARGO_BIN_EXE_rpctrace2");
        let shell = format!(
            "echo before; {environment} '{program}' {words}; echo status $?; stty -a | grep -o -w -e '-\\?echo'; sleep 600"
        );
        tmux.ask(&["new-session", "-d", "-x", "80", "-y", "24", "sh", "-c", &shell]);
        tmux
    }

    fn command(&self, words: &[&str]) -> Output {
        let (socket, conf) = (self.place.path().join("socket"), self.place.path().join("conf"));
        let mut command = Command::new("tmux");
        command.arg("-S").arg(socket).arg("-f").arg(conf).args(words).env_remove("TMUX").env("LC_ALL", "C");
        command.output().expect("tmux is needed: apt-get install tmux")
    }

    fn ask(&self, words: &[&str]) -> String {
        let output = self.command(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The numbers of the processes that the shell runs.
    fn children(&self) -> String {
        let shell = self.ask(&["display-message", "-p", "#{pane_pid}"]);
        let shell = shell.trim();
        fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).unwrap()
    }

    fn keys(&self, keys: &[&str]) {
        self.ask(&[&["send-keys"], keys].concat());
    }

    fn screen(&self) -> String {
        self.ask(&["capture-pane", "-p"])
    }

    /// The screen once it has this.
    fn with(&self, text: &str) -> String {
        self.when(|screen| screen.contains(text), text)
    }

    fn when(&self, is_it: impl Fn(&str) -> bool, what: &str) -> String {
        let begin = Instant::now();
        loop {
            let screen = self.screen();
            if is_it(&screen) {
                return screen;
            }
            assert!(begin.elapsed() < LIMIT, "no {what} in:\n{screen}");
            sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.command(&["kill-server"]);
    }
}

fn capture() -> PathBuf {
    fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join(CAPTURE)).unwrap()
}

/// A copy under a short name, which is in the title.
fn copied(place: &TempDir) -> String {
    let file = place.path().join("hello.mtrc");
    fs::copy(capture(), &file).unwrap();
    format!("-- '{}'", file.display())
}

/// The screen that docs/view.md has.
fn documented() -> String {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/view.md")).unwrap();
    let (_, screen) = text.split_once("```screen\n").unwrap();
    screen.split_once("```").unwrap().0.to_owned()
}

#[test]
#[ignore = "needs tmux: run cargo qemu test"]
fn what_the_document_shows_is_on_the_screen() {
    let place = tempfile::tempdir().unwrap();
    copied(&place);
    let tmux = Tmux::run("view hello.mtrc", &format!("cd '{}';", place.path().display()));
    tmux.with("10 calls");
    tmux.keys(&["j", "j", "/"]);
    tmux.keys(&["-l", "vm_"]);
    tmux.with("/vm_");
    tmux.keys(&["Enter", "G"]);
    let screen = tmux.with("record 20,");
    assert_eq!(screen, documented());
}

#[test]
#[ignore = "needs tmux: run cargo qemu test"]
fn the_terminal_is_as_it_was() {
    let place = tempfile::tempdir().unwrap();
    let file = copied(&place);
    for (how, status) in [("q", "status 0"), ("Escape", "status 0"), ("C-c", "status 0")] {
        let tmux = Tmux::run(&format!("view {file}"), "");
        assert!(!tmux.with("calls").contains("before"));
        tmux.keys(&[how]);
        let screen = tmux.with("status");
        let lines: Vec<&str> = screen.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(lines[..2], ["before", status], "{how}: {screen}");
        tmux.when(|screen| screen.lines().any(|line| line == "echo"), "echo");
    }
    // Whoever ends it from outside.
    let tmux = Tmux::run(&format!("view {file}"), "");
    tmux.with("calls");
    let children = tmux.children();
    let killed = Command::new("sh").args(["-c", &format!("kill -TERM {children}")]).status().unwrap();
    assert!(killed.success(), "{children}");
    let screen = tmux.with("status 143");
    assert!(screen.starts_with("before\n"), "{screen}");
    tmux.when(|screen| screen.lines().any(|line| line == "echo"), "echo");
}

#[test]
#[ignore = "needs tmux: run cargo qemu test"]
fn it_ends_with_its_terminal() {
    let place = tempfile::tempdir().unwrap();
    let tmux = Tmux::run(&format!("view {}", copied(&place)), "");
    tmux.with("calls");
    let children = tmux.children();
    let [view] = children.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{children}") };
    tmux.ask(&["kill-server"]);
    let (begin, process) = (Instant::now(), PathBuf::from(format!("/proc/{view}")));
    while process.exists() {
        assert!(begin.elapsed() < LIMIT, "{view} goes on");
        sleep(Duration::from_millis(20));
    }
}

#[test]
#[ignore = "needs tmux: run cargo qemu test"]
fn what_is_copied_is_in_the_clipboard() {
    let place = tempfile::tempdir().unwrap();
    let tmux = Tmux::run(&format!("view {}", copied(&place)), "");
    tmux.with("calls");
    tmux.keys(&["j", "c"]);
    tmux.with("copied: -e trace=echo");
    let begin = Instant::now();
    while tmux.command(&["show-buffer"]).stdout != b"-e trace=echo" {
        assert!(begin.elapsed() < LIMIT);
        sleep(Duration::from_millis(20));
    }
}

#[test]
#[ignore = "needs tmux: run cargo qemu test"]
fn a_file_is_followed_resized_and_cut() {
    let place = tempfile::tempdir().unwrap();
    let all = fs::read(capture()).unwrap();
    let file = place.path().join("growing.mtrc");
    let (first, rest) = all.split_at(all.len() - 400);
    fs::write(&file, first).unwrap();
    let tmux = Tmux::run(&format!("view --follow '{}'", file.display()), "");
    let screen = tmux.with("following");
    assert!(screen.contains("nothing has come yet"), "{screen}");
    fs::OpenOptions::new().append(true).open(&file).unwrap().write_all(rest).unwrap();
    tmux.with("+++ hello[1] exited with 0 +++");
    tmux.ask(&["resize-window", "-x", "60", "-y", "12"]);
    tmux.when(|screen| screen.lines().count() == 12 && screen.contains("exited with 0"), "smaller screen");
    tmux.keys(&["q"]);
    tmux.with("status 0");
    // Not followed, what is missing is said, and by the status.
    fs::write(&file, first).unwrap();
    let tmux = Tmux::run(&format!("view '{}'", file.display()), "");
    let screen = tmux.with("cut in block 2 at offset");
    assert!(screen.lines().last().unwrap().starts_with("cut in block 2 at offset"), "{screen}");
    assert!(
        screen.replace("\n    ", " ").contains("expected 1205 bytes of a block's contents, found 905 ---"),
        "{screen}"
    );
    tmux.keys(&["q"]);
    tmux.with("status 1");
}

#[test]
#[ignore = "needs tmux: run cargo qemu test"]
fn colours_are_the_users_choice() {
    let place = tempfile::tempdir().unwrap();
    let file = copied(&place);
    for (environment, has_color) in [("", true), ("NO_COLOR=1", false)] {
        let tmux = Tmux::run(&format!("view {file}"), environment);
        tmux.with("calls");
        let screen = tmux.ask(&["capture-pane", "-p", "-e"]);
        assert!(screen.contains("\x1b["), "{screen:?}");
        assert_eq!(screen.contains("\x1b[38;5;") || screen.contains("\x1b[31m"), has_color, "{screen:?}");
    }
}

/// `top --follow`: a table that is drawn anew, in the room there is, and the whole answer when the trace has ended.
#[test]
#[ignore = "needs tmux: run cargo qemu test"]
fn figures_are_drawn_while_a_capture_is_written() {
    let place = tempfile::tempdir().unwrap();
    let all = fs::read(capture()).unwrap();
    let file = place.path().join("growing.mtrc");
    let (first, rest) = all.split_at(all.len() - 10);
    fs::write(&file, first).unwrap();
    let tmux = Tmux::run(&format!("top --follow '{}'", file.display()), "");
    let screen = tmux.with("figures so far");
    assert!(!screen.contains("before"), "{screen}");
    tmux.ask(&["resize-window", "-x", "60", "-y", "12"]);
    let screen =
        tmux.when(|screen| screen.lines().count() == 12 && screen.contains("figures so far"), "smaller screen");
    assert!(screen.lines().all(|line| line.len() <= 60), "{screen}");
    fs::OpenOptions::new().append(true).open(&file).unwrap().write_all(rest).unwrap();
    let screen = tmux.with("status 0");
    assert!(!screen.contains("figures so far"), "{screen}");
    // Where nobody looks nothing is drawn.
    let output = Command::new(env!("CARGO_BIN_EXE_rpctrace2")).args(["top", "--follow"]).arg(&file).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && !text.contains(['\x1b', '\r']) && text.contains(" total\n"), "{text}");
}

#[test]
fn it_is_for_a_terminal() {
    let output = Command::new(env!("CARGO_BIN_EXE_rpctrace2")).arg("view").arg(capture()).output().unwrap();
    assert_eq!(output.status.code(), Some(125));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("view is for a terminal") && output.stdout.is_empty(), "{error}");
}
