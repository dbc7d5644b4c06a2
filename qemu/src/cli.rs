// SPDX-License-Identifier: GPL-2.0-or-later
//! The command line: options, verbs, and which function does what.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Parser, Subcommand, ValueEnum};
use qemu::fetch::packages::{Flavour, SUITE};
use qemu::fetch::programs::Consent;
use qemu::link::RECORDER;
use qemu::setup::{Choices, Interfaces};
use qemu::vm::typist::SHELL;

use crate::cmd;

/// Exit status of this tool's own failures, out of the way of what programs use.
pub(crate) const FAILURE: u8 = 125;

/// Memory of the machine in MiB, unless something else is asked for.
const MEMORY: u32 = 512;
/// Memory of a machine with several processors: GNU Mach takes the descriptor tables of all but the first from pages below its boot heap
/// that are free to everybody else (docs/differences.md), which are used late if there are many.
const MEMORY_SMP: u32 = 2048;

/// Fetches, instruments and boots GNU Mach, and traces the Mach messages of programs on it.
#[derive(Debug, Parser)]
#[command(name = "cargo qemu", bin_name = "cargo qemu", version)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    verb: Verb,
}

/// Options of everything that boots a machine; they stand before the verb.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Show what the kernel and the boot server say.
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// A stock GNU Mach kernel file (.gz or not) instead of Debian's.
    #[arg(long, value_name = "FILE")]
    kernel: Option<PathBuf>,
    /// For a kernel without symbols that has no profile in qemu/profiles: the -dbg kernel of the same version, or a profile.
    #[arg(long, value_name = "FILE", requires = "kernel")]
    dbg: Option<PathBuf>,
    /// Debian's kernel built for debugging, with symbols and the kernel's own debugger, instead of the one that people boot.
    #[arg(long, conflicts_with = "kernel")]
    debug_kernel: bool,
    /// The Debian suite the kernel comes from.
    #[arg(long, default_value = SUITE, conflicts_with = "kernel", value_parser = suite)]
    suite: String,
    /// Debian's kernel for one processor or for several (smp is in sid).
    #[arg(long, value_enum, default_value_t = KernelFlavour::Up, conflicts_with = "kernel")]
    flavour: KernelFlavour,
    /// Processors of the machine; a kernel for one processor uses the first.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=255))]
    smp: u32,
    /// Boot the kernel as it is, without instrumenting it.
    #[arg(long)]
    stock: bool,
    /// Build the payload with this feature of its package, for tests of the payload.
    #[arg(long, value_name = "FEATURE", hide = true)]
    payload_feature: Option<String>,
    /// Memory of the machine in MiB (default: 512, or 2048 with several processors).
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(64..=65536))]
    memory: Option<u32>,
    /// Use KVM instead of emulation.
    #[arg(long, conflicts_with = "icount")]
    kvm: bool,
    /// Let guest time follow the instructions executed: every run is the same.
    #[arg(long)]
    icount: bool,
    /// Install what is missing with apt, if this is root, without asking. Nothing is ever removed.
    #[arg(long)]
    yes: bool,
    /// Stop the machine after this time; not for the shell.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
}

/// The `--flavour` option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum KernelFlavour {
    Up,
    Smp,
}

impl From<KernelFlavour> for Flavour {
    fn from(flavour: KernelFlavour) -> Self {
        match flavour {
            KernelFlavour::Up => Self::Up,
            KernelFlavour::Smp => Self::Smp,
        }
    }
}

/// The name of a suite, which becomes part of file names and of apt's configuration.
fn suite(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(plain) {
        return Ok(text.to_owned());
    }
    Err("expected letters, digits and hyphens".to_owned())
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run a program: a name from userland/programs, or the path of a static x86-64 GNU Mach ELF file.
    Run {
        /// The program and its arguments.
        #[arg(
            required = true,
            trailing_var_arg = true,
            allow_hyphen_values = true,
            value_name = "PROGRAM [ARGUMENTS]"
        )]
        command: Vec<String>,
    },
    /// Run a program and print every Mach message it sends and receives.
    #[command(disable_help_flag = true)]
    Rpctrace2 {
        /// Options of rpctrace2, the program, its arguments. `-o FILE` writes the trace to a file of the host, `-I DIR`
        /// also decodes with the interfaces in a directory of the host.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS PROGRAM [ARGUMENTS]")]
        command: Vec<String>,
    },
    /// Run a program, and print what the kernel's own recorder has of every task from the first one on: nothing in the machine traces.
    Record(Record),
    /// Look into the memory of a machine that hangs or has died: the last messages that its kernel has recorded, and who waits for whom.
    Autopsy(Autopsy),
    /// Send the requests of a captured client again, and compare the answers with the capture's, up to names of ports and addresses.
    Replay(cmd::replay::Replay),
    /// Say what words of a trace mean: routines, subsystems, msgh_ids, return codes, constants, what ports are called.
    Explain {
        /// As they stand in a line; codes and ids also in hexadecimal.
        #[arg(required = true, allow_hyphen_values = true, value_name = "WORD")]
        words: Vec<String>,
    },
    /// An interactive prompt on the booted system; `exit` or Ctrl-C ends it.
    Shell,
    /// Instrument a kernel file: print the plan, write OUT, OUT.elf32 and OUT.layout.
    Instrument {
        /// A stock GNU Mach kernel, .gz or not: with symbols and DWARF, or without, if there is a profile of it or --dbg.
        kernel: PathBuf,
        /// For a kernel without symbols: the -dbg kernel of the same version, or a profile.
        #[arg(long, value_name = "FILE")]
        dbg: Option<PathBuf>,
        /// The file to write (default: KERNEL.trace without .gz, in the current directory).
        #[arg(short, long)]
        output: Option<PathBuf>,
        /// Bytes for the machine's recorder, with K, M or G: 0 for none, else a power of two.
        #[arg(long, value_name = "SIZE", default_value = "4M", value_parser = bytes)]
        recorder: u64,
    },
    /// Find everything in a kernel without symbols by its -dbg kernel and write it down, so that the -dbg kernel is not needed again.
    Profile {
        /// The kernel without symbols, .gz or not (default: Debian's, and its -dbg kernel, as --suite and --flavour say).
        #[arg(requires = "dbg")]
        kernel: Option<PathBuf>,
        /// The -dbg kernel of the same version.
        #[arg(long, value_name = "FILE", requires = "kernel")]
        dbg: Option<PathBuf>,
        /// The file to write (default: in qemu/profiles, where it is found by everything that needs it).
        #[arg(short, long)]
        output: Option<PathBuf>,
    },
    /// Write a GRUB disk image that boots the instrumented kernel and runs a program; without one, the prompt.
    Image {
        /// The image to write.
        #[arg(short, long)]
        output: PathBuf,
        /// Boot it at once.
        #[arg(long)]
        boot: bool,
        /// Let GRUB use multiboot 2, which kernels of 2026 and later have.
        #[arg(long)]
        multiboot2: bool,
        /// The program and its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "PROGRAM [ARGUMENTS]")]
        command: Vec<String>,
    },
    /// Write Debian packages for a GNU/Hurd: rpctrace2, and the instrumented kernel beside the stock one.
    Deb {
        /// The directory to write them into.
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
    },
    /// Boot the GNU/Hurd on a disk image on its own kernel with a trace port; rpctrace2 is on a second disk.
    Hurd(Hurd),
    /// Show what is here, what is missing, and how to get it.
    Doctor,
    /// Count instructions on the stock and the instrumented kernel and compare with the checked-in ceilings.
    Bench {
        /// Only show which functions of the kernel and of the payload the instructions are in.
        #[arg(long)]
        profile: bool,
    },
    /// Everything at once that can happen to traces, for a while: nothing may stop, and nothing may be left of it.
    Soak(Soak),
    /// Set everything up, check the guest packages and run all tests.
    Test {
        /// Only tests whose names have one of these words in them.
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// Also run the long tests, and those of programs and records on the newest kernels of Debian (suite sid), up and smp, and on the
        /// kernels built for debugging;
        /// pseudo-random calls, traced against untraced: 20 seeds of 100,000 on the default kernel and on both of these.
        #[arg(long)]
        all: bool,
        /// What follows goes to the test programs (after cargo's `--`).
        #[arg(last = true)]
        arguments: Vec<String>,
    },
}

/// `cargo qemu record`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Record {
    /// Write a capture to this file, of which `cargo rpctrace2 show` makes text, instead of text to standard error.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Record only the header of each message.
    #[arg(long)]
    pub(crate) headers: bool,
    /// Let the kernel wait until what it has recorded is read, rather than overwrite it.
    #[arg(long)]
    pub(crate) wait: bool,
    /// Bytes of the recorder, with K, M or G: a power of two.
    #[arg(long, value_name = "SIZE", default_value = "4M", value_parser = bytes)]
    pub(crate) recorder: u64,
    /// Let this file be the machine's memory, and keep it: `cargo qemu autopsy FILE` looks into it.
    #[arg(long, value_name = "FILE")]
    pub(crate) memory_file: Option<PathBuf>,
    /// The program and its arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "PROGRAM [ARGUMENTS]")]
    pub(crate) command: Vec<String>,
}

/// `cargo qemu autopsy`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Autopsy {
    /// The machine's memory from physical address 0 on, as QEMU's `pmemsave` writes it (default: that of the machine that `cargo qemu record` runs).
    #[arg(value_name = "FILE", conflicts_with_all = ["monitor", "gdb"])]
    pub(crate) file: Option<PathBuf>,
    /// A monitor of QEMU's, HMP or QMP: the path of its socket, or HOST:PORT. The machine stands still while its memory is saved.
    #[arg(long, value_name = "SOCKET", conflicts_with = "gdb")]
    pub(crate) monitor: Option<String>,
    /// A gdb socket of QEMU's: its path, or HOST:PORT. The machine runs on afterwards, even if it was stopped; --memory says how much it has.
    #[arg(long, value_name = "SOCKET")]
    pub(crate) gdb: Option<String>,
    /// Write all there is as a capture to this file, too.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Print so many lines of the last messages.
    #[arg(long, value_name = "N", default_value_t = 40)]
    pub(crate) last: usize,
    /// The recorder at this physical address, in hexadecimal.
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) at: Option<u64>,
}

/// An address in hexadecimal.
fn address(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u64::from_str_radix(digits, 16).map_err(|_| "expected a hexadecimal address".to_owned())
}

/// A number of bytes, with K, M or G.
fn bytes(text: &str) -> Result<u64, String> {
    let units = [(['K', 'k'], 10), (['M', 'm'], 20), (['G', 'g'], 30)];
    let with_unit = units.iter().find_map(|(unit, shift)| Some((text.strip_suffix(*unit)?, 1u64 << shift)));
    let (digits, unit) = with_unit.unwrap_or((text, 1));
    let number: Option<u64> = digits.parse().ok();
    number
        .and_then(|number| number.checked_mul(unit))
        .ok_or_else(|| "expected a number, with K, M or G behind it".to_owned())
}

/// `cargo qemu soak`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Soak {
    /// How long, by the guest's clock, which on a busy host may go faster than the host's.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=1440))]
    pub(crate) minutes: u32,
    /// Processors, as the option before the verb.
    #[arg(long = "smp", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=255))]
    processors: Option<u32>,
    /// What all random numbers follow from.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Begin with this round, and make at least three.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) first_round: u64,
    /// Leave a kind of operation out; a wrong word lists them.
    #[arg(long, value_name = "WORD")]
    pub(crate) without: Vec<String>,
}

/// `cargo qemu hurd`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Hurd {
    /// The image of a disk, as it is (raw).
    #[arg(value_name = "DISK.img")]
    pub(crate) image: PathBuf,
    /// The -dbg kernel of the same version as the image's, for one without symbols (default: Debian's).
    #[arg(long, value_name = "FILE")]
    pub(crate) dbg: Option<PathBuf>,
    /// Boot this entry of GRUB's menu instead of the default one: number, title or identifier, `>` between a menu and its entry.
    #[arg(long, value_name = "ENTRY")]
    pub(crate) entry: Option<String>,
    /// Let the system write to the image; otherwise what it writes is gone at the end.
    #[arg(long)]
    pub(crate) write: bool,
    /// Print QEMU's command line, a word a line, and boot nothing.
    #[arg(long)]
    pub(crate) show: bool,
    /// What the prompt of root's shell looks like, at the end of a line (with CMD).
    #[arg(long, value_name = "REGEX", default_value = SHELL, hide_default_value = true)]
    pub(crate) prompt: String,
    /// The file with root's password, which is its first line (with CMD; without it root has none).
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// How long each step before and after CMD may take; otherwise ten minutes until the first prompt, and two for each other one.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) step_timeout: Option<u64>,
    /// Log in as root, mount the second disk, run this with its directory in PATH, print what it prints and end with its status.
    #[arg(last = true, value_name = "CMD")]
    pub(crate) command: Vec<String>,
}

impl Options {
    /// Memory in MiB: what was asked for, else this.
    pub(crate) fn memory_or(&self, other: u32) -> u32 {
        self.memory.unwrap_or(other)
    }

    /// The options that choose kernel and machine, as words.
    pub(crate) fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = self.kernel.iter().map(|file| format!("--kernel {}", file.display())).collect();
        words.extend(self.dbg.iter().map(|file| format!("--dbg {}", file.display())));
        let mut add = |wanted: bool, word: &str| words.extend(wanted.then(|| word.to_owned()));
        add(self.debug_kernel, "--debug-kernel");
        add(self.suite != SUITE, &format!("--suite {}", self.suite));
        add(self.flavour == KernelFlavour::Smp, "--flavour smp");
        add(self.smp != 1, &format!("--smp {}", self.smp));
        add(self.stock, "--stock");
        add(self.memory.is_some(), &format!("--memory {}", self.memory.unwrap_or_default()));
        add(self.kvm, "--kvm");
        add(self.icount, "--icount");
        words
    }

    /// These options with as many processors as `soak` says, if it does.
    fn for_soak(&self, soak: &Soak) -> Self {
        Self { smp: soak.processors.unwrap_or(self.smp), ..self.clone() }
    }

    /// Whether the kernel stays as it is.
    pub(crate) const fn is_stock(&self) -> bool {
        self.stock
    }

    /// What may be installed.
    pub(crate) const fn consent(&self) -> Consent {
        if self.yes { Consent::Yes } else { Consent::Ask }
    }

    /// What the library wants to know.
    pub(crate) fn choices(&self) -> Choices {
        Choices {
            kernel: self.kernel.clone(),
            dbg: self.dbg.clone(),
            debug: self.debug_kernel,
            suite: self.suite.clone(),
            flavour: self.flavour.into(),
            processors: self.smp,
            stock: self.stock,
            payload_feature: self.payload_feature.clone(),
            memory: self.memory.unwrap_or(if self.smp > 1 { MEMORY_SMP } else { MEMORY }),
            kvm: self.kvm,
            icount: self.icount,
            timeout: Some(Duration::from_secs(self.timeout)),
            interfaces: Interfaces::default(),
            environment: Vec::new(),
            consent: self.consent(),
            words: String::new(),
            memory_file: None,
            recorder: RECORDER,
        }
    }
}

/// Does what the command line says and returns the exit status.
pub(crate) fn run() -> Result<u8> {
    let Cli { options, verb } = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // To whoever asked for help, or to standard error; a closed one cannot be told.
            let _ = error.print();
            return Ok(if error.use_stderr() { FAILURE } else { 0 });
        }
    };
    match verb {
        Verb::Run { command } => cmd::run::run(&options, &command),
        Verb::Rpctrace2 { command } => cmd::rpctrace2::run(&options, &command),
        Verb::Shell => cmd::shell::run(&options),
        Verb::Instrument { kernel, dbg, output, recorder } => {
            cmd::instrument::run(&kernel, dbg.as_deref(), output, recorder)
        }
        Verb::Record(record) => cmd::record::run(&options, &record),
        Verb::Replay(replay) => cmd::replay::run(&options, &replay),
        Verb::Autopsy(autopsy) => cmd::autopsy::run(&options, &autopsy),
        Verb::Explain { words } => cmd::explain::run(&options, &words),
        Verb::Deb { output } => cmd::deb::run(&options, &output),
        Verb::Hurd(hurd) => cmd::hurd::run(&options, &hurd),
        Verb::Profile { kernel, dbg, output } => cmd::profile::run(&options, kernel.zip(dbg), output),
        Verb::Doctor => cmd::doctor::run(),
        Verb::Image { output, boot, multiboot2, command } => {
            cmd::image::run(&options, &output, boot, multiboot2, &command)
        }
        Verb::Soak(soak) => cmd::soak::run(&options.for_soak(&soak), &soak),
        Verb::Bench { profile } => cmd::bench::run(&options, profile),
        Verb::Test { names, all, arguments } => cmd::test::run(all, options.consent(), &[names, arguments].concat()),
    }
}

#[cfg(test)]
pub(crate) fn soak_of(line: &str) -> (Options, Soak) {
    let cli = Cli::try_parse_from(std::iter::once("qemu").chain(line.split_whitespace())).unwrap();
    let Verb::Soak(soak) = cli.verb else { panic!("{:?}", cli.verb) };
    (cli.options.for_soak(&soak), soak)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn everything_after_rpctrace2_goes_to_the_guest() {
        let line = ["qemu", "-v", "rpctrace2", "-f", "--help", "-v", "--kernel", "x", "ping", "--", "-a"];
        let cli = Cli::try_parse_from(line).unwrap();
        assert!(cli.options.verbose && cli.options.kernel.is_none());
        let Verb::Rpctrace2 { command } = cli.verb else { panic!("{:?}", cli.verb) };
        assert_eq!(command, line[3..]);
    }

    #[test]
    fn a_kernel_is_named_once_and_suites_are_plain_words() {
        let parse = |words: &[&str]| Cli::try_parse_from([&["qemu"], words, &["shell"]].concat());
        let options = parse(&["--suite", "sid", "--flavour", "smp", "--smp", "4"]).unwrap().options.choices();
        assert_eq!((options.suite.as_str(), options.flavour, options.processors), ("sid", Flavour::Smp, 4));
        assert_eq!(options.memory, MEMORY_SMP);
        let options = parse(&[]).unwrap().options.choices();
        assert_eq!(options.memory, MEMORY);
        assert_eq!((options.suite.as_str(), options.flavour, options.processors), (SUITE, Flavour::Up, 1));
        for wrong in [&["--suite", "../x"][..], &["--suite", ""], &["--kernel", "k", "--suite", "sid"], &["--smp", "0"]]
        {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(["7", "512K", "4m", "1G"].map(bytes), [7, 512 << 10, 4 << 20, 1 << 30].map(Ok));
        assert!(["", "K", "1T", "-1", "99999999999G"].into_iter().all(|text| bytes(text).is_err()));
    }

    #[test]
    fn tests_are_chosen_by_name() {
        for line in [&["qemu", "test", "hurd"][..], &["qemu", "test", "--", "hurd"]] {
            let Verb::Test { names, arguments, .. } = Cli::try_parse_from(line).unwrap().verb else {
                panic!("{line:?}")
            };
            assert_eq!([names, arguments].concat(), ["hurd"]);
        }
    }

    #[test]
    fn a_programs_own_options_are_its_own() {
        let cli = Cli::try_parse_from(["qemu", "run", "hello", "--stock", "-v"]).unwrap();
        assert!(!cli.options.stock && !cli.options.verbose);
        let Verb::Run { command } = cli.verb else { panic!("{:?}", cli.verb) };
        assert_eq!(command, ["hello", "--stock", "-v"]);
    }
}
