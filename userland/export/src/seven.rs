// SPDX-License-Identifier: GPL-2.0-or-later
//! Numbers of seven bits a byte, lowest first, as Protocol Buffers and what is packed have them.

/// Appends a number.
pub fn number(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a number whose sign is in the lowest bit, so that small ones of either sign are short.
pub fn signed(out: &mut Vec<u8>, value: i64) {
    number(out, ((value << 1) ^ (value >> 63)) as u64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_seven_bits_a_byte_and_signs_are_lowest() {
        let of = |value| {
            let mut out = Vec::new();
            number(&mut out, value);
            out
        };
        assert_eq!(of(0), [0]);
        assert_eq!(of(127), [127]);
        assert_eq!(of(128), [0x80, 1]);
        assert_eq!(of(u64::MAX), [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
        let of = |value| {
            let mut out = Vec::new();
            signed(&mut out, value);
            out
        };
        assert_eq!((of(0), of(-1), of(1), of(-64)), (vec![0], vec![1], vec![2], vec![127]));
    }
}
