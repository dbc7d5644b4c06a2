//! Writes the answers into the slot table of a linked payload, after checking that the table is the one expected.

use std::path::Path;

use crate::error::InstrumentError;
use crate::kernel::facts::SlotValue;
use crate::payload_abi::{HEADER_WORDS, MAGIC, SLOT_WORDS, SLOTS, UNFILLED, VERSION};

/// Fills the table at `offset` of `image`.
pub fn fill_table(image: &mut [u8], offset: u64, values: &[SlotValue], archive: &Path) -> Result<(), InstrumentError> {
    let refuse = |why: String| InstrumentError::Payload { path: archive.to_owned(), why };
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    let table = start
        .checked_add(SLOT_WORDS * 8)
        .and_then(|end| image.get_mut(start..end))
        .ok_or_else(|| refuse("the slot table is not in initialised memory".to_owned()))?;
    let (words, _) = table.as_chunks_mut::<8>();
    let expected = [MAGIC, VERSION, SLOTS.len() as u64];
    for (index, expected) in expected.into_iter().enumerate() {
        let found = u64::from_le_bytes(words[index]);
        if found != expected {
            return Err(refuse(format!("slot table word {index}: expected {expected:#x}, found {found:#x}")));
        }
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
