// SPDX-License-Identifier: GPL-2.0-or-later
//! QEMU's gdb stub, as far as following a program needs it: one breakpoint, single steps, registers.

use std::io::{self, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::vm::socket;

/// Name of the stub's socket in the directory that QEMU runs in.
pub const SOCKET: &str = "gdb.socket";

/// The longest wait for an answer: a machine that sleeps while it is followed never wakes, as it gets no interrupts.
const PATIENCE: Duration = Duration::from_secs(60);

/// Bytes of a general register, and numbers of those of interest, in the order of a `g` packet for x86-64.
const WORD: usize = 8;
const RSI: usize = 4;
const RDI: usize = 5;
const RSP: usize = 7;
const RIP: usize = 16;

/// A stopped machine.
#[derive(Debug)]
pub struct Debugger {
    stub: BufReader<UnixStream>,
}

/// The registers of interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    /// First argument of a function that is entered.
    pub rdi: u64,
    /// Its second one.
    pub rsi: u64,
    /// Stack pointer.
    pub rsp: u64,
    /// Instruction that comes next.
    pub rip: u64,
}

impl Debugger {
    /// Connects to the stub of a QEMU that was started in `directory`.
    pub fn connect(directory: &Path) -> io::Result<Self> {
        let stream = socket::connect(&directory.join(SOCKET), || true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stub: BufReader::new(stream) })
    }

    /// Stops the machine whenever the instruction at `address` comes next.
    pub fn set_breakpoint(&mut self, address: u64) -> io::Result<()> {
        self.expect_ok(&format!("Z1,{address:x},1"))
    }

    /// The opposite.
    pub fn clear_breakpoint(&mut self, address: u64) -> io::Result<()> {
        self.expect_ok(&format!("z1,{address:x},1"))
    }

    /// Lets the machine run until a breakpoint; `false` if it ended.
    pub fn resume(&mut self) -> io::Result<bool> {
        let gone = [io::ErrorKind::UnexpectedEof, io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset];
        match self.ask("c") {
            Ok(answer) => Ok(answer.starts_with('T')),
            Err(error) if gone.contains(&error.kind()) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// One instruction, without interrupts.
    pub fn step(&mut self) -> io::Result<()> {
        let answer = self.ask("s")?;
        if answer.starts_with('T') { Ok(()) } else { Err(unexpected("s", "T…", &answer)) }
    }

    /// Lets go of the machine, which runs on.
    pub fn detach(mut self) -> io::Result<()> {
        self.expect_ok("D")
    }

    /// The registers now.
    pub fn registers(&mut self) -> io::Result<Registers> {
        let answer = self.ask("g")?;
        let word = |number: usize| {
            let digits = answer.get(number * WORD * 2..(number + 1) * WORD * 2)?;
            u64::from_str_radix(digits, 16).ok().map(u64::swap_bytes)
        };
        let all = || Some(Registers { rdi: word(RDI)?, rsi: word(RSI)?, rsp: word(RSP)?, rip: word(RIP)? });
        all().ok_or_else(|| unexpected("g", "the registers of an x86-64 processor", &answer))
    }

    /// The word at a virtual address of the machine.
    pub fn word(&mut self, address: u64) -> io::Result<u64> {
        let answer = self.ask(&format!("m{address:x},{WORD:x}"))?;
        let word = u64::from_str_radix(&answer, 16).map(u64::swap_bytes);
        word.map_err(|_| unexpected("m", "eight bytes", &answer))
    }

    fn expect_ok(&mut self, command: &str) -> io::Result<()> {
        let answer = self.ask(command)?;
        if answer == "OK" { Ok(()) } else { Err(unexpected(command, "OK", &answer)) }
    }

    fn ask(&mut self, command: &str) -> io::Result<String> {
        self.send(command)?;
        self.receive()
    }

    fn send(&mut self, command: &str) -> io::Result<()> {
        let packet = format!("${command}#{:02x}", checksum(command.as_bytes()));
        self.stub.get_mut().write_all(packet.as_bytes())
    }

    /// The next packet; acknowledgements before it are skipped, and the next command acknowledges it.
    fn receive(&mut self) -> io::Result<String> {
        let mut byte = [0];
        while byte[0] != b'$' {
            self.stub.read_exact(&mut byte)?;
        }
        let mut text = Vec::new();
        loop {
            self.stub.read_exact(&mut byte)?;
            if byte[0] == b'#' {
                break;
            }
            text.push(byte[0]);
        }
        let mut sum = [0; 2];
        self.stub.read_exact(&mut sum)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
}

fn unexpected(command: &str, expected: &str, found: &str) -> io::Error {
    io::Error::other(format!("QEMU's gdb stub answers `{command}`: expected {expected}, found `{found}`"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;

    /// A stub that answers each command with the next of `answers`, and returns the commands.
    fn talk(answers: &'static [&str], client: impl FnOnce(&mut Debugger)) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join(SOCKET)).unwrap();
        let stub = thread::spawn(move || {
            let mut side = Debugger { stub: BufReader::new(listener.accept().unwrap().0) };
            let answer = |answer: &&str| {
                let command = side.receive().unwrap();
                side.stub.get_mut().write_all(b"+").unwrap();
                side.send(answer).unwrap();
                command
            };
            answers.iter().map(answer).collect()
        });
        client(&mut Debugger::connect(directory.path()).unwrap());
        stub.join().unwrap()
    }

    #[test]
    fn registers_and_words_are_little_endian() {
        let registers: String = (0..24).map(|number| format!("{number:02x}00000000000080")).collect();
        let registers: &'static str = registers.leak();
        let answers = vec![registers, "efbe000000000000"].leak();
        let commands = talk(answers, |debugger| {
            let found = debugger.registers().unwrap();
            let word = |number: u64| number | 0x80 << 56;
            assert_eq!(found, Registers { rdi: word(5), rsi: word(4), rsp: word(7), rip: word(16) });
            assert_eq!(debugger.word(0xffff_ffff_8000_0000).unwrap(), 0xbeef);
        });
        assert_eq!(commands, ["g", "mffffffff80000000,8"]);
    }

    #[test]
    fn a_refusal_and_the_end_of_the_machine_are_told() {
        let commands = talk(&["E22", "T05thread:01;"], |debugger| {
            let error = debugger.set_breakpoint(0x1234).unwrap_err().to_string();
            assert_eq!(error, "QEMU's gdb stub answers `Z1,1234,1`: expected OK, found `E22`");
            assert!(debugger.resume().unwrap());
            assert!(!debugger.resume().unwrap());
        });
        assert_eq!(commands, ["Z1,1234,1", "c"]);
    }
}
