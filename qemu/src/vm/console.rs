// SPDX-License-Identifier: GPL-2.0-or-later
//! Takes the console apart: programs' output and trace to their sinks, control lines and kernel trouble to the caller.

use std::collections::VecDeque;
use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::channel::{Channel, Demultiplexer, Key};
use protocol::control::{self, Control};

use crate::vm::Paint;

/// Lines of the console that an error shows.
const TAIL_LINES: usize = 30;

/// What a kernel says when it enters its debugger; the prompt that follows means that it stays there.
const DEBUGGER_MARKS: [&str; 4] = ["panic", "Debugger invoked", "trap, eip", "Stopped"];

/// What a kernel's last line begins with when it gives up; one that has no debugger restarts the machine then.
const PANIC: &str = "panic ";

/// Where the channels go.
pub struct Sinks<'a> {
    /// The programs' own output.
    pub console: &'a mut dyn Write,
    /// Trace text, in whole lines; `None` if it goes where the programs' own output goes. There each line of it begins a line.
    pub trace: Option<&'a mut dyn Write>,
    /// A trace as it is kept; `None` if it is not.
    pub capture: Option<&'a mut dyn Write>,
    /// Kernel chatter.
    pub kernel: &'a mut dyn Write,
    /// How the lines of the trace are changed.
    pub paint: Paint,
}

/// Something the caller has to act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The boot server is up.
    Ready,
    /// The boot server has answered that it is there.
    Here,
    /// The command ended.
    Exit(i32),
    /// The kernel waits in its debugger; the text says why.
    Debugger(String),
    /// A control line that is none.
    Nonsense(String),
}

/// The console's state between reads.
#[derive(Debug, Default)]
pub struct Console {
    demultiplexer: Demultiplexer,
    line_ended: bool,
    /// The last line that has ended did so as the kernel's do.
    is_kernels: bool,
    control: String,
    /// The beginning of a line of the trace as it is kept.
    capture: String,
    /// The current line of everything that is not control, as the kernel's own messages come on any channel.
    line: String,
    tail: VecDeque<String>,
    cause: Option<String>,
    /// The beginning of a line of the trace, which waits for its end.
    trace: Vec<u8>,
    /// The programs' output has ended in the middle of a line.
    is_within_line: bool,
}

impl Console {
    /// The console of a machine whose marks have this key.
    pub fn new(key: Key) -> Self {
        Self { demultiplexer: Demultiplexer::new(key), ..Self::default() }
    }

    /// Somebody else has ended the line that the programs' output has begun.
    pub fn line_has_ended(&mut self) {
        self.is_within_line = false;
    }

    /// Takes what QEMU wrote.
    pub fn feed(&mut self, input: &[u8], sinks: &mut Sinks<'_>) -> io::Result<Vec<Notice>> {
        let input = self.without_kernel_returns(input);
        let mut output: Vec<(Channel, Vec<u8>)> = Vec::new();
        self.demultiplexer.feed(&input, |channel, byte| match output.last_mut() {
            Some((last, bytes)) if *last == channel => bytes.push(byte),
            _ => output.push((channel, vec![byte])),
        });
        let mut notices = Vec::new();
        for (channel, bytes) in output {
            match channel {
                Channel::Kernel => write(sinks.kernel, &bytes)?,
                Channel::Console => {
                    self.is_within_line = bytes.last() != Some(&b'\n');
                    write(sinks.console, &bytes)?;
                }
                Channel::Trace => self.trace_bytes(&bytes, sinks)?,
                Channel::Capture => {
                    self.capture_bytes(&bytes, sinks)?;
                    continue;
                }
                Channel::Control => {
                    self.control_bytes(&bytes, &mut notices);
                    continue;
                }
            }
            self.text(&bytes);
        }
        // The prompt has no line end, so it is what stays in the current line.
        if self.line.starts_with("db")
            && self.line.ends_with("> ")
            && let Some(cause) = self.cause.take()
        {
            notices.push(Notice::Debugger(cause));
        }
        Ok(notices)
    }

    /// Puts whole lines of the trace where it goes.
    fn trace_bytes(&mut self, bytes: &[u8], sinks: &mut Sinks<'_>) -> io::Result<()> {
        self.trace.extend(bytes);
        let Some(end) = self.trace.iter().rposition(|byte| *byte == b'\n') else { return Ok(()) };
        let lines = sinks.paint.apply(self.trace.drain(..=end).collect());
        if let Some(trace) = &mut sinks.trace {
            return write(*trace, &lines);
        }
        // Wherever the cursor is: what ends in a return, a backspace or an escape sequence is no line either.
        if std::mem::take(&mut self.is_within_line) {
            sinks.console.write_all(b"\n")?;
        }
        write(sinks.console, &lines)
    }

    /// Writes whole lines of the trace as it is kept. A line that is none of it is the kernel's.
    fn capture_bytes(&mut self, bytes: &[u8], sinks: &mut Sinks<'_>) -> io::Result<()> {
        for &byte in bytes {
            self.capture.push(char::from(byte));
            if byte != b'\n' {
                continue;
            }
            let line = std::mem::take(&mut self.capture);
            match (STANDARD.decode(line.trim_end()), &mut sinks.capture) {
                (Ok(bytes), Some(capture)) => write(*capture, &bytes)?,
                (Ok(_), None) => {}
                (Err(_), _) => {
                    write(sinks.kernel, line.as_bytes())?;
                    self.text(line.as_bytes());
                }
            }
        }
        Ok(())
    }

    /// The last lines of the console.
    pub fn tail(&self) -> String {
        let mut text = String::from("--- end of the console");
        for line in self.tail.iter().chain((!self.line.is_empty()).then_some(&self.line)) {
            text.push_str("\n  ");
            text.push_str(line);
        }
        text
    }

    /// What the kernel has said last, if it gave up with it.
    pub fn panic(&self) -> Option<&str> {
        let last = self.tail.back().filter(|_| self.is_kernels && self.line.is_empty())?;
        last.starts_with(PANIC).then_some(last)
    }

    /// What the kernel prints itself, `mach_print` included, has a return after each line end and not only before it.
    fn without_kernel_returns(&mut self, input: &[u8]) -> Vec<u8> {
        let keep = |&byte: &u8| {
            let after_line_end = std::mem::replace(&mut self.line_ended, byte == b'\n');
            self.is_kernels = byte != b'\n' && (self.is_kernels || after_line_end && byte == b'\r');
            !(after_line_end && byte == b'\r')
        };
        input.iter().copied().filter(keep).collect()
    }

    fn control_bytes(&mut self, bytes: &[u8], notices: &mut Vec<Notice>) {
        for &byte in bytes {
            if byte != b'\n' {
                self.control.push(char::from(byte));
                continue;
            }
            let line = std::mem::take(&mut self.control);
            notices.push(match control::parse(&line) {
                Ok(Control::Ready) => Notice::Ready,
                Ok(Control::Here) => Notice::Here,
                Ok(Control::Exit(status)) => Notice::Exit(status),
                Err(error) => Notice::Nonsense(error.to_string()),
            });
        }
    }

    fn text(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            match byte {
                b'\n' => {}
                b'\r' => continue,
                _ => {
                    self.line.push(char::from(byte));
                    continue;
                }
            }
            let line = std::mem::take(&mut self.line);
            if self.cause.is_none() && DEBUGGER_MARKS.iter().any(|mark| line.contains(mark)) {
                self.cause = Some(line.clone());
            }
            if self.tail.len() == TAIL_LINES {
                self.tail.pop_front();
            }
            self.tail.push_back(line);
        }
    }
}

fn write(sink: &mut dyn Write, bytes: &[u8]) -> io::Result<()> {
    sink.write_all(bytes)?;
    sink.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(console: &mut Console, input: &[u8]) -> (Vec<Notice>, [String; 3]) {
        let (mut programs, mut trace, mut kernel) = (Vec::new(), Vec::new(), Vec::new());
        let mut sinks = Sinks {
            console: &mut programs,
            trace: Some(&mut trace),
            capture: None,
            kernel: &mut kernel,
            paint: Paint::default(),
        };
        let notices = console.feed(input, &mut sinks).unwrap();
        (notices, [programs, trace, kernel].map(|bytes| String::from_utf8(bytes).unwrap()))
    }

    #[test]
    fn channels_go_to_their_sinks_and_control_lines_to_the_caller() {
        let input = b"GNU Mach\r\n\x01xready\r\n\x01chi\r\n\x01t1 call\r\n\x01c\x01xexit 3\r\n";
        let (notices, text) = feed(&mut Console::default(), input);
        assert_eq!(notices, [Notice::Ready, Notice::Exit(3)]);
        assert_eq!(text, ["hi\n", "1 call\n", "GNU Mach\n"].map(str::to_owned));
    }

    #[test]
    fn a_trace_that_is_kept_is_in_lines_and_the_kernels_are_not_of_it() {
        let (mut nothing, mut kernel, mut kept) = (io::sink(), Vec::new(), Vec::new());
        let mut console = Console::default();
        let input = b"\x01dAAEC\r\nrtc: no clock\n\r/w==\r\n\x01chi\r\n\x01dDQ";
        for piece in input.chunks(3) {
            let capture: &mut dyn Write = &mut kept;
            let mut sinks = Sinks {
                console: &mut nothing,
                trace: None,
                capture: Some(capture),
                kernel: &mut kernel,
                paint: Paint::default(),
            };
            assert_eq!(console.feed(piece, &mut sinks).unwrap(), []);
        }
        assert_eq!((kept, kernel), (vec![0, 1, 2, 0xff], b"rtc: no clock\n".to_vec()));
        assert!(console.tail().contains("rtc: no clock"));
    }

    #[test]
    fn each_line_of_a_trace_among_other_output_is_whole_and_begins_a_line() {
        let half =
            ["abc", "50%\r", "12345\x08\x08", "\x1b[2A", "\x1b["].map(|text| format!("\x01c{text}\x01t1 call\r\n"));
        for input in [half.concat(), "\x01ca\x01t1 ca\x01cb\x01tll\r\n2\r\n\x01cc\r\n\x01t3\r\n".to_owned()] {
            for cut in 0..=input.len() {
                let (head, tail) = input.as_bytes().split_at(cut);
                let (mut console, mut output, mut kernel) = (Console::default(), Vec::new(), Vec::new());
                for input in [head, tail] {
                    let mut sinks = Sinks {
                        console: &mut output,
                        trace: None,
                        capture: None,
                        kernel: &mut kernel,
                        paint: Paint::default(),
                    };
                    console.feed(input, &mut sinks).unwrap();
                }
                let text = String::from_utf8(output).unwrap();
                let expected = match input.contains('%') {
                    true => "abc\n1 call\n50%\r\n1 call\n12345\x08\x08\n1 call\n\x1b[2A\n1 call\n\x1b[\n1 call\n",
                    false => "ab\n1 call\n2\nc\n3\n",
                };
                assert_eq!(text, expected, "cut at {cut}");
            }
        }
    }

    #[test]
    fn a_file_gets_whole_lines_only() {
        let mut console = Console::default();
        let (_, text) = feed(&mut console, b"\x01t1 call\r\n2 ca");
        assert_eq!(text[1], "1 call\n");
        assert_eq!(feed(&mut console, b"\x01cout\x01tll\r\n3").1, ["out", "2 call\n", ""].map(str::to_owned));
    }

    #[test]
    fn the_text_of_a_program_is_no_word_of_the_boot_servers() {
        let mut console = Console::new(Key::new(b"a1b2d").unwrap());
        let (notices, text) = feed(&mut console, b"\x01a1b2dxready\n\x01cmine\x01xexit 0\n\x01tforged\n");
        assert_eq!(notices, [Notice::Ready]);
        assert_eq!(text, ["mine\x01xexit 0\n\x01tforged\n", "", ""].map(str::to_owned));
    }

    #[test]
    fn the_debugger_prompt_after_a_panic_is_reported_with_the_kernels_line() {
        let mut console = Console::default();
        let (notices, _) = feed(&mut console, b"\x01cpanic ../kern/x.c:1: f: no\r\nDebugger invoked: panic\r\n");
        assert_eq!(notices, []);
        let (notices, _) = feed(&mut console, b"db> ");
        assert_eq!(notices, [Notice::Debugger("panic ../kern/x.c:1: f: no".to_owned())]);
        assert!(console.tail().ends_with("\n  Debugger invoked: panic\n  db> "), "{}", console.tail());
    }

    #[test]
    fn the_last_line_of_a_kernel_without_a_debugger_is_why_it_gave_up() {
        let panic = "panic ../kern/x.c:1: f: no";
        for (input, expected) in [
            (format!("\x01chi\r\n{panic}\n\r"), Some(panic)),
            // A program's line, and one after which somebody else spoke.
            (format!("\x01c{panic}\r\n"), None),
            (format!("GNU Mach\n\r\x01c{panic}\r\n"), None),
            (format!("\x01c{panic}\n\rit goes on\r\n"), None),
            (format!("\x01c{panic}\n\rhalf"), None),
        ] {
            let mut console = Console::default();
            feed(&mut console, input.as_bytes());
            assert_eq!(console.panic(), expected, "{input:?}");
        }
    }

    #[test]
    fn a_program_that_prints_a_prompt_is_not_a_stopped_kernel() {
        let (notices, _) = feed(&mut Console::default(), b"\x01cdb> ");
        assert_eq!(notices, []);
    }

    #[test]
    fn returns_that_the_kernel_puts_after_line_ends_are_dropped_wherever_the_input_is_cut() {
        let input = b"\x01xready\r\n\r\x01ca\r\n\rb\rc\r\n\r\x01xexit 7\r\n\r";
        for cut in 0..=input.len() {
            let (head, tail) = input.split_at(cut);
            let mut console = Console::default();
            let (mut notices, [mut text, ..]) = feed(&mut console, head);
            let (more, [rest, ..]) = feed(&mut console, tail);
            notices.extend(more);
            text.push_str(&rest);
            assert_eq!(notices, [Notice::Ready, Notice::Exit(7)], "cut at {cut}");
            assert_eq!(text, "a\nb\rc\n", "cut at {cut}");
        }
    }

    #[test]
    fn an_unknown_control_line_is_reported() {
        let (notices, _) = feed(&mut Console::default(), b"\x01xexit soon\n");
        assert_eq!(notices, [Notice::Nonsense(control::parse("exit soon").unwrap_err().to_string())]);
    }
}
