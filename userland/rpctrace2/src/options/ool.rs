// SPDX-License-Identifier: GPL-2.0-or-later
//! `--ool`: what memory out of line holds.

use alloc::string::ToString;

use super::place::Place;
use super::row::{Action, Row};
use super::values::bad_value;
use super::{Options, OptionsError};

/// Its row.
pub(super) const OOL: Row = Row {
    letter: None,
    longs: &["ool"],
    action: Action::Value("SIZE", set),
    place: Place::Everywhere,
    help: "what memory out of line holds, the first SIZE bytes of each, such as 4096, 64k: read from who sends it after the kernel's copy, \
           and from who receives it before mach_msg returns, while the thread is stopped; a line says which, for other threads may write there \
           meanwhile. Needs engines; makes one called rpctrace2 without --as",
    others: ["none: it follows every pointer", "none", "none: it has none"],
    test: "memory_out_of_line_is_read",
    words: |options| match options.memory {
        0 => alloc::vec![],
        size => alloc::vec!["--ool".into(), size.to_string()],
    },
};

fn set(options: &mut Options, value: &str) -> Result<(), OptionsError> {
    const EXPECTED: &str = "a number of bytes from 1 to 512k, such as 4096 or 64k";
    let (digits, unit) = value.strip_suffix('k').map_or((value, 1), |digits| (digits, 1024));
    let size = digits.parse::<usize>().ok().and_then(|size| size.checked_mul(unit));
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let size = size.filter(|size| is_number && (1..=capture::MAX_READ).contains(size));
    options.memory = size.ok_or_else(|| bad_value("--ool", EXPECTED, value))?;
    Ok(())
}
