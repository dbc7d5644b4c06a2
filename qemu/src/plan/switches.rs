// SPDX-License-Identifier: GPL-2.0-or-later
//! The places that the payload redirects itself, and the table in it that says which these are.

use std::path::Path;

use crate::error::InstrumentError;
use crate::payload_abi::{KERNEL_BASE, SWITCH_WORDS, SWITCHES, SWITCHES_SYMBOL};

/// Bytes of the kernel that the payload replaces in memory while somebody is traced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switch {
    /// Where they lead then.
    pub what: String,
    /// Virtual address of the first byte.
    pub address: u64,
    /// Place of the stock bytes in the file.
    pub file_offset: u64,
    /// The stock bytes.
    pub stock: Vec<u8>,
    /// What replaces them.
    pub traced: Vec<u8>,
    /// Why this is the place.
    pub evidence: String,
    /// What it is seen for.
    pub purpose: String,
}

impl Switch {
    /// The row of the table, in the order of [`crate::payload_abi::SwitchWord`], or what does not fit into it.
    pub fn row(&self) -> Result<[u32; SWITCH_WORDS], String> {
        let row = [address(self.address)?, value(&self.stock)?, value(&self.traced)?, self.stock.len() as u32];
        Ok(row)
    }
}

/// The lower half of an address of the kernel.
fn address(address: u64) -> Result<u32, String> {
    match address >= KERNEL_BASE {
        true => Ok(address as u32),
        false => Err(format!("expected an address of the kernel, found {address:#x}")),
    }
}

/// Four bytes of a call, or a pointer.
fn value(bytes: &[u8]) -> Result<u32, String> {
    if let Ok(bytes) = bytes.try_into() {
        return Ok(u32::from_le_bytes(bytes));
    }
    match bytes.try_into() {
        Ok(bytes) => address(u64::from_le_bytes(bytes)),
        Err(_) => Err(format!("expected 4 or 8 bytes, found {}", bytes.len())),
    }
}

/// Writes the rows into the table at `offset` of `image`, after checking that it is there and empty.
pub fn fill_table(image: &mut [u8], offset: u64, switches: &[Switch], archive: &Path) -> Result<(), InstrumentError> {
    let refuse = |why: String| InstrumentError::Payload { path: archive.to_owned(), why };
    if switches.len() > SWITCHES {
        let why = format!("{SWITCHES_SYMBOL}: expected at most {SWITCHES} places to switch, found {}", switches.len());
        return Err(refuse(why));
    }
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    let (words, _) = image.get_mut(start..).unwrap_or_default().as_chunks_mut::<4>();
    let expected = SWITCHES * SWITCH_WORDS;
    let found = words.len();
    let Some(table) = words.get_mut(..expected) else {
        // A table of zeros that is not in a section of its own goes to .bss, which is not in the file.
        let why = format!("{SWITCHES_SYMBOL}: expected {expected} words, found {found} before the end of the image");
        return Err(refuse(why));
    };
    if let Some(index) = table.iter().position(|word| *word != [0; 4]) {
        let found = u32::from_le_bytes(table[index]);
        return Err(refuse(format!("{SWITCHES_SYMBOL} word {index}: expected 0, found {found:#x}")));
    }
    for (row, switch) in table.chunks_mut(SWITCH_WORDS).zip(switches) {
        let values = switch.row().map_err(|why| refuse(format!("{SWITCHES_SYMBOL}: {}: {why}", switch.what)))?;
        for (word, value) in row.iter_mut().zip(values) {
            *word = value.to_le_bytes();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: usize = SWITCHES * SWITCH_WORDS * 4;

    fn call() -> Switch {
        Switch {
            what: String::new(),
            address: 0xffff_ffff_8100_0001,
            file_offset: 0,
            stock: vec![1, 2, 3, 0xf4],
            traced: vec![5, 6, 7, 8],
            evidence: String::new(),
            purpose: String::new(),
        }
    }

    fn refusal(image: &mut [u8], switches: &[Switch]) -> String {
        fill_table(image, 8, switches, Path::new("l.a")).unwrap_err().to_string()
    }

    #[test]
    fn rows_come_first_and_zeros_last() {
        let pointer = Switch {
            address: 0xffff_ffff_8100_0010,
            stock: 0xffff_ffff_8123_4567u64.to_le_bytes().to_vec(),
            traced: 0xffff_ffff_8200_0000u64.to_le_bytes().to_vec(),
            ..call()
        };
        let mut image = vec![0; TABLE + 8];
        fill_table(&mut image, 8, &[call(), pointer], Path::new("l.a")).unwrap();
        let words: Vec<u32> = image[8..].as_chunks().0.iter().map(|&word| u32::from_le_bytes(word)).collect();
        assert_eq!(words[..4], [0x8100_0001, 0xf403_0201, 0x0807_0605, 4]);
        assert_eq!(words[4..8], [0x8100_0010, 0x8123_4567, 0x8200_0000, 8]);
        assert!(words[8..].iter().all(|&word| word == 0));
        assert_eq!(image[..8], [0; 8]);
    }

    #[test]
    fn what_is_not_of_the_kernel_has_no_row() {
        let user = Switch { address: 8, ..call() };
        assert_eq!(user.row().unwrap_err(), "expected an address of the kernel, found 0x8");
        let user = Switch { stock: vec![1; 8], ..call() };
        assert_eq!(user.row().unwrap_err(), "expected an address of the kernel, found 0x101010101010101");
        let odd = Switch { traced: vec![1; 5], ..call() };
        assert_eq!(odd.row().unwrap_err(), "expected 4 or 8 bytes, found 5");
    }

    #[test]
    fn a_full_table_has_no_room_for_another_row() {
        fill_table(&mut vec![0; TABLE], 0, &vec![call(); SWITCHES], Path::new("l.a")).unwrap();
        assert_eq!(
            refusal(&mut vec![0; TABLE + 8], &vec![call(); SWITCHES + 1]),
            "payload library l.a: rpctrace2_switches: expected at most 72 places to switch, found 73"
        );
    }

    #[test]
    fn a_table_that_is_not_there_or_not_empty() {
        assert_eq!(
            refusal(&mut vec![0; TABLE], &[]),
            "payload library l.a: rpctrace2_switches: expected 288 words, found 286 before the end of the image"
        );
        let mut image = vec![0; TABLE + 8];
        image[8 + 3 * 4] = 7;
        assert_eq!(
            refusal(&mut image, &[call()]),
            "payload library l.a: rpctrace2_switches word 3: expected 0, found 0x7"
        );
    }
}
