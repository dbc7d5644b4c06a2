// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo qemu replay FILE`: the requests of a captured client, sent again to this kernel and this boot server.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;

use ::rpctrace2::host::outputs::{self, Named, Role, keep_apart};
use ::rpctrace2::host::replay::Replay as Planned;
use ::rpctrace2::options;
use anyhow::{Context, Result, bail};
use clap::Args;
use protocol::{DEVICE_PORT_ARGUMENT, HOST_PORT_ARGUMENT};
use qemu::guest::RPCTRACE2;
use qemu::ui::say;

use crate::cli;
use crate::cmd::{Launch, attend, inputs, prepare};

/// `cargo qemu replay`.
#[derive(Clone, Debug, Args)]
pub(crate) struct Replay {
    /// The capture.
    pub(crate) file: PathBuf,
    /// The client: the number in brackets of its lines.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) task: usize,
    /// Keep a capture of the replay in this file.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// The program that sends the requests.
const PROGRAM: &str = "replay";

/// Exit status where an answer is another, and where nothing could be sent again.
const DIFFERENT: u8 = 1;
const NOTHING: u8 = 2;

pub(crate) fn run(machine: &cli::Options, replay: &Replay) -> Result<u8> {
    if machine.is_stock() {
        bail!("--stock: what is answered is known by a trace, which the kernel as it is has not");
    }
    let choices = machine.choices();
    if let Some(path) = &replay.output {
        let read = Role { role: outputs::CAPTURE, path: &replay.file };
        keep_apart(&[Role { role: "the capture", path }], &[vec![read], inputs(&choices, None)].concat())?;
    }
    let planned = Planned::of(&replay.file.to_string_lossy(), replay.task)?;
    if planned.is_empty() {
        write!(io::stdout(), "{}", planned.unsent().text)?;
        return Ok(NOTHING);
    }
    let before = [RPCTRACE2, options::APART, options::CAPTURED, "-etrace=none"];
    let after = ["--", PROGRAM, HOST_PORT_ARGUMENT, DEVICE_PORT_ARGUMENT];
    let memory = planned.has_memory().then(options::all_memory);
    let words = before.map(String::from).into_iter().chain(memory).chain(after.map(String::from));
    // The boot server takes the escape away: the rights are for the program's task, not for rpctrace2's.
    let words = words.map(|word| word.replace("${", "$${")).collect();
    let prepared = prepare(&choices, None)?;
    let place = tempfile::tempdir()?;
    let again = replay.output.clone().unwrap_or_else(|| -> PathBuf { place.path().join("capture") });
    let capture = File::create(&again).with_context(|| format!("cannot write {}", again.display()))?;
    let mut capture = Named::new(again.display(), capture);
    let mut nowhere = io::sink();
    let launch = Launch {
        script: Some(planned.script()),
        trace: Some(&mut nowhere),
        capture: Some(&mut capture),
        ..Launch::of(words)
    };
    let status = attend(machine, &choices, &prepared, launch)?;
    if status != 0 {
        say(format_args!("{PROGRAM} ended with {status}"));
    }
    let found = planned.judge(&again.to_string_lossy())?;
    write!(io::stdout(), "{}", found.text)?;
    Ok(match (found.replayed, found.differ) {
        (0, _) => NOTHING,
        // What did not run to its end is no success, whatever was answered until then.
        (_, 0) if status == 0 => 0,
        _ => DIFFERENT,
    })
}
