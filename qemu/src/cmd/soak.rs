// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo qemu soak`: everything at once that can happen to traces, for as long as one likes.

use std::time::Duration;

use anyhow::Result;
use qemu::setup::Choices;
use qemu::ui::say;

use crate::cli::{Options, Soak};
use crate::cmd::{Launch, boot};

/// The guest program.
const PROGRAM: &str = "soak";
/// What the machine may take to start, and the last round to end.
const MARGIN: Duration = Duration::from_secs(180);

pub(crate) fn run(options: &Options, soak: &Soak) -> Result<u8> {
    let seconds = 60 * u64::from(soak.minutes);
    let choices = Choices { timeout: Some(Duration::from_secs(seconds) + MARGIN), ..options.choices() };
    let mut command = vec![PROGRAM.to_owned(), "${host-port}".to_owned(), "${device-port}".to_owned()];
    command.extend([soak.seed, seconds, soak.first_round].map(|number| number.to_string()));
    command.extend(soak.without.iter().map(|word| format!("-{word}")));
    let status = boot(options, &choices, Launch::of(command))?;
    if status != 0 {
        say(format_args!("soak failed. To repeat it from its first round on: cargo qemu {}", repeat(options, soak)));
        say("what it does in a round follows from seed and round; `--first-round N` begins later");
    }
    Ok(status)
}

/// The arguments that do the same again.
fn repeat(options: &Options, soak: &Soak) -> String {
    let mut words = options.words();
    words.extend(["soak".to_owned(), format!("--minutes {}", soak.minutes), format!("--seed {}", soak.seed)]);
    if soak.first_round != 0 {
        words.push(format!("--first-round {}", soak.first_round));
    }
    words.extend(soak.without.iter().map(|word| format!("--without {word}")));
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::soak_of;

    #[test]
    fn a_failure_is_repeated_by_one_command() {
        let line =
            "--suite sid --flavour smp --smp 4 --icount soak --minutes 2 --seed 7 --first-round 3 --without kill";
        let (options, soak) = soak_of(line);
        assert_eq!(repeat(&options, &soak), line);
        let (options, soak) = soak_of("soak --seed 7 --smp 2 --minutes 1 --without kill --without mail");
        assert_eq!(repeat(&options, &soak), "--smp 2 soak --minutes 1 --seed 7 --without kill --without mail");
    }
}
