// SPDX-License-Identifier: GPL-2.0-or-later
//! Numbers to text: most of a trace is numbers, and `core::fmt` costs several times as much.

use alloc::string::String;

/// Nanoseconds.
pub(crate) const SECOND: u64 = 1_000_000_000;

/// Appends a number in decimal.
pub(crate) fn decimal(out: &mut String, number: impl itoa::Integer) {
    out.push_str(itoa::Buffer::new().format(number));
}

/// Appends a number in decimal, with zeros in front up to `digits`.
pub(crate) fn padded(out: &mut String, number: u64, digits: usize) {
    let mut buffer = itoa::Buffer::new();
    let text = buffer.format(number);
    (text.len()..digits).for_each(|_| out.push('0'));
    out.push_str(text);
}

/// Appends the time of the day that so many seconds since the epoch are.
pub(crate) fn of_day(out: &mut String, seconds: u64) {
    for (at, part) in [seconds / 3600 % 24, seconds / 60 % 60, seconds % 60].into_iter().enumerate() {
        out.push_str(if at > 0 { ":" } else { "" });
        padded(out, part, 2);
    }
}

/// Appends a number in hexadecimal, after `0x`.
pub(crate) fn hexadecimal(out: &mut String, number: u64) {
    out.push_str("0x");
    let digits = (64 - number.leading_zeros()).div_ceil(4).max(1);
    for digit in (0..digits).rev() {
        push_digit(out, (number >> (4 * digit)) as u8);
    }
}

/// Appends a byte as two hexadecimal digits.
pub(crate) fn byte(out: &mut String, byte: u8) {
    push_digit(out, byte >> 4);
    push_digit(out, byte);
}

fn push_digit(out: &mut String, value: u8) {
    out.push(char::from_digit(u32::from(value & 15), 16).unwrap_or('?'));
}

/// Appends nanoseconds as seconds with microseconds, the seconds in at least so many columns.
pub(crate) fn seconds(out: &mut String, nanoseconds: u64, columns: usize) {
    let whole = nanoseconds / SECOND;
    let digits = whole.checked_ilog10().map_or(1, |log| log as usize + 1);
    (digits..columns).for_each(|_| out.push(' '));
    decimal(out, whole);
    out.push('.');
    padded(out, nanoseconds % SECOND / 1000, 6);
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn numbers_are_written_as_fmt_writes_them() {
        for number in [0, 1, 9, 10, 15, 16, 255, 256, 0xdead_beef, u64::MAX, 1 << 63] {
            let mut out = String::new();
            hexadecimal(&mut out, number);
            assert_eq!(out, format!("{number:#x}"));
            out.clear();
            padded(&mut out, number, 6);
            assert_eq!(out, format!("{number:06}"));
            out.clear();
            byte(&mut out, number as u8);
            assert_eq!(out, format!("{:02x}", number as u8));
        }
    }
}
