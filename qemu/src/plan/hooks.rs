//! Finds the places that are redirected: trap-table entries and `call rel32` sites.

use std::path::Path;

use iced_x86::{Code, Decoder, DecoderOptions};

use crate::error::{InstrumentError, Miss};
use crate::kernel::Layouts;
use crate::kernel::code::functions;
use crate::kernel::elf::KernelElf;
use crate::kernel::facts::{TRAP_FUNCTION, TRAP_TYPE};
use crate::payload_abi::{Hook, Site};
use crate::plan::Patch;

/// Symbol of the trap table.
const TRAP_TABLE: &str = "mach_trap_table";

/// Length of `call rel32`.
const CALL: u64 = 5;

/// A place in the stock kernel that one hook takes over.
#[derive(Clone, Debug)]
pub struct FoundSite {
    /// The hook.
    pub hook: Hook,
    address: u64,
    file_offset: u64,
    old: Vec<u8>,
    call: bool,
    evidence: String,
}

impl FoundSite {
    /// The patch that sends this place to `target`.
    pub fn patch(&self, target: u64, archive: &Path) -> Result<Patch, InstrumentError> {
        let new = if self.call {
            let distance = target.wrapping_sub(self.address + CALL).cast_signed();
            let rel32 = i32::try_from(distance).map_err(|_| InstrumentError::Payload {
                path: archive.to_owned(),
                why: format!("{} at {target:#x} is too far from {:#x} for a call", self.hook.symbol, self.address),
            })?;
            [&[0xe8][..], &rel32.to_le_bytes()].concat()
        } else {
            target.to_le_bytes().to_vec()
        };
        Ok(Patch {
            purpose: format!("{} = {target:#x}", self.hook.symbol),
            address: self.address,
            file_offset: self.file_offset,
            old: self.old.clone(),
            new,
            evidence: self.evidence.clone(),
        })
    }
}

/// Finds the sites of `hooks`; what is not found as expected is added to `misses`.
pub fn find(hooks: &[Hook], kernel: &KernelElf, layouts: &Layouts, misses: &mut Vec<Miss>) -> Vec<FoundSite> {
    let calls = Calls::scan(kernel);
    let mut sites = Vec::new();
    for hook in hooks {
        let found = match hook.site {
            Site::Trap { number, original } => trap(hook, number, original, kernel, layouts).map(|site| vec![site]),
            Site::Calls { target, count } => calls.to(hook, target, count, kernel),
        };
        match found {
            Ok(found) => sites.extend(found),
            Err(miss) if !misses.contains(&miss) => misses.push(miss),
            Err(_) => {}
        }
    }
    sites
}

fn trap(hook: &Hook, number: u32, original: &str, kernel: &KernelElf, layouts: &Layouts) -> Result<FoundSite, Miss> {
    let table = kernel.symbol(TRAP_TABLE, hook.symbol)?;
    let layout = layouts.layout(TRAP_TYPE, TRAP_TABLE)?;
    let function = layout.field(TRAP_FUNCTION, TRAP_TABLE)?.bit_offset / 8;
    let expected = kernel.symbol(original, hook.symbol)?.address;
    let place = u64::from(number) * layout.size + function;
    let address = table.address + place;
    let miss = |found: String| Miss::Trap {
        number,
        wanted_by: hook.symbol.to_owned(),
        expected: format!("{original} ({expected:#x})"),
        found,
    };
    if place + 8 > table.size {
        return Err(miss(format!("the end of the table after {} bytes", table.size)));
    }
    let old = kernel.read(address, 8).ok_or_else(|| miss("no bytes in the file".to_owned()))?;
    let found = u64::from_le_bytes(old.try_into().unwrap_or_default());
    if found != expected {
        return Err(miss(format!("{} ({found:#x})", kernel.describe(found))));
    }
    let file_offset = kernel.file_offset(address, 8).ok_or_else(|| miss("no bytes in the file".to_owned()))?;
    Ok(FoundSite {
        hook: *hook,
        address,
        file_offset,
        old: old.to_vec(),
        call: false,
        evidence: format!("{TRAP_TABLE}[{number}].{TRAP_FUNCTION} = {original}"),
    })
}

/// Every direct near call in the kernel's functions.
struct Calls {
    /// Site and target.
    sites: Vec<(u64, u64)>,
}

impl Calls {
    fn scan(kernel: &KernelElf) -> Self {
        let mut sites = Vec::new();
        for (address, code) in functions(kernel) {
            for instruction in Decoder::with_ip(64, code, address, DecoderOptions::NONE) {
                if instruction.code() == Code::Call_rel32_64 {
                    sites.push((instruction.ip(), instruction.near_branch_target()));
                }
            }
        }
        Self { sites }
    }

    fn to(&self, hook: &Hook, target: &str, count: usize, kernel: &KernelElf) -> Result<Vec<FoundSite>, Miss> {
        let address = kernel.symbol(target, hook.symbol)?.address;
        let sites: Vec<u64> = self.sites.iter().filter(|&&(_, to)| to == address).map(|&(site, _)| site).collect();
        let wrong = || Miss::CallCount {
            target: target.to_owned(),
            wanted_by: hook.symbol.to_owned(),
            expected: count,
            sites: sites.iter().map(|&site| kernel.describe(site)).collect(),
        };
        if sites.len() != count {
            return Err(wrong());
        }
        let found = sites.iter().map(|&site| {
            Some(FoundSite {
                hook: *hook,
                address: site,
                file_offset: kernel.file_offset(site, CALL)?,
                old: kernel.read(site, CALL)?.to_vec(),
                call: true,
                evidence: format!("call {target} in {}", kernel.describe(site)),
            })
        });
        found.collect::<Option<Vec<_>>>().ok_or_else(wrong)
    }
}
