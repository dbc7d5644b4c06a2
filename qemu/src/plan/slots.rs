// SPDX-License-Identifier: GPL-2.0-or-later
//! Writes the answers into the slot table of a linked payload, after checking that the table is the one expected.

use std::path::Path;

use crate::error::InstrumentError;
use crate::kernel::facts::SlotValue;
use crate::payload_abi::{HEADER_WORDS, MAGIC, SLOT_WORDS, SLOTS, UNFILLED, VERSION};

/// Fills the table at `offset` of `image`.
pub fn fill_table(image: &mut [u8], offset: u64, values: &[SlotValue], archive: &Path) -> Result<(), InstrumentError> {
    let refuse = |why: String| InstrumentError::Payload { path: archive.to_owned(), why };
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    let table = image.get_mut(start..).unwrap_or_default();
    let (words, _) = table.as_chunks_mut::<8>();
    // Before the length: a stale library is recognised by its header, whatever follows it.
    let expected = [MAGIC, VERSION, SLOTS.len() as u64];
    for (index, expected) in expected.into_iter().enumerate() {
        let found = words.get(index).copied().map(u64::from_le_bytes);
        if found != Some(expected) {
            let found = found.map_or_else(|| "the end of the image".to_owned(), |found| format!("{found:#x}"));
            return Err(refuse(format!("slot table word {index}: expected {expected:#x}, found {found}")));
        }
    }
    if words.len() < SLOT_WORDS {
        return Err(refuse(format!("slot table: expected {SLOT_WORDS} words, found {} before the end", words.len())));
    }
    for (word, slot) in words[HEADER_WORDS..].iter_mut().zip(values) {
        let found = u64::from_le_bytes(*word);
        if found != UNFILLED {
            return Err(refuse(format!("slot {}: expected unfilled, found {found:#x}", slot.name)));
        }
        *word = slot.value.to_le_bytes();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(words: &[u64]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn refusal(words: &[u64]) -> String {
        fill_table(&mut table(words), 0, &[], Path::new("l.a")).unwrap_err().to_string()
    }

    #[test]
    fn a_stale_library_is_refused_by_its_header() {
        let count = SLOTS.len() as u64;
        let line = |index, expected: u64, found| {
            format!("payload library l.a: slot table word {index}: expected {expected:#x}, found {found}")
        };
        assert_eq!(refusal(&[MAGIC + 1]), line(0, MAGIC, format!("{:#x}", MAGIC + 1)));
        assert_eq!(refusal(&[MAGIC, VERSION + 1]), line(1, VERSION, format!("{:#x}", VERSION + 1)));
        assert_eq!(refusal(&[MAGIC, VERSION]), line(2, count, "the end of the image".to_owned()));
        assert_eq!(
            refusal(&[MAGIC, VERSION, count]),
            format!("payload library l.a: slot table: expected {SLOT_WORDS} words, found 3 before the end")
        );
    }

    #[test]
    fn a_slot_is_filled_once() {
        let mut image = table(&[UNFILLED; SLOT_WORDS]);
        image[..24].copy_from_slice(&table(&[MAGIC, VERSION, SLOTS.len() as u64]));
        let values = [SlotValue { name: SLOTS[0].name, value: 0x18, evidence: String::new() }];
        fill_table(&mut image, 0, &values, Path::new("l.a")).unwrap();
        assert_eq!(image[HEADER_WORDS * 8..][..8], 0x18u64.to_le_bytes());
        let error = fill_table(&mut image, 0, &values, Path::new("l.a")).unwrap_err().to_string();
        assert!(error.ends_with("expected unfilled, found 0x18"), "{error}");
    }
}
