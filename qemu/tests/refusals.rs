//! A complete synthetic kernel is instrumented; every way of damaging it gives one clear error.

#[expect(unreachable_pub, reason = "shared by the test files, which are crates of their own")]
mod synthetic;

use std::fs;
use std::path::Path;

use qemu::error::InstrumentError;
use qemu::instrument::{self, Outputs};
use qemu::kernel::KernelElf;
use qemu::link::Linker;
use qemu::plan::{self, Plan};
use qemu::{rewrite, verify};
use synthetic::{Kernel, Member, payload};

/// Instruments `bytes` into a directory of its own.
fn instrument(bytes: Vec<u8>) -> Result<(Plan, Vec<u8>), InstrumentError> {
    let directory = tempfile::tempdir().unwrap();
    let payload = payload::write(directory.path(), None, None);
    let outputs = Outputs::beside(&directory.path().join("out"));
    let plan = instrument::instrument(bytes, &payload, &Linker::find().unwrap(), &outputs)?;
    Ok((plan, fs::read(&outputs.elf64).unwrap()))
}

/// The error that damaging the kernel with `damage` gives.
fn refusal(damage: impl FnOnce(&mut Kernel)) -> String {
    let mut kernel = Kernel::complete();
    damage(&mut kernel);
    instrument(kernel.build()).expect_err("the damaged kernel was instrumented").to_string()
}

/// The only line after the heading of a list of misses.
fn only_miss(text: &str) -> &str {
    let (heading, miss) = text.split_once("\n  ").unwrap_or_else(|| panic!("no list: {text}"));
    assert!(heading.ends_with("(1 misses):"), "{text}");
    miss
}

#[test]
fn a_complete_kernel_is_instrumented_and_the_plan_says_how() {
    let kernel = Kernel::complete();
    let stock = kernel.build();
    let (plan, out) = instrument(stock.clone()).unwrap();
    assert_eq!(plan.payload.vaddr, kernel.end().next_multiple_of(0x1000));
    assert_eq!(plan.payload.offset % 0x1000, plan.payload.vaddr % 0x1000);
    assert_eq!(plan.slots.len(), qemu::payload_abi::SLOTS.len());
    for patch in &plan.patches {
        let at = usize::try_from(patch.file_offset).unwrap();
        assert_eq!(stock[at..at + patch.old.len()], patch.old);
        assert_eq!(out[at..at + patch.new.len()], patch.new);
        assert_ne!(patch.old, patch.new, "{}", patch.purpose);
    }
    let text = plan.to_string();
    assert!(text.contains("GNU Mach synthetic") && text.contains("end of the boot data"), "{text}");
}

#[test]
fn every_padding_slot_of_a_struct_has_a_hole_of_its_own() {
    let (plan, _) = instrument(Kernel::complete().build()).unwrap();
    let padding = |of: &str| {
        let spec = |slot: &&qemu::kernel::facts::SlotValue| {
            qemu::payload_abi::SLOTS.iter().any(|spec| {
                spec.name == slot.name && matches!(spec.need, qemu::payload_abi::Need::Padding { of: s } if s == of)
            })
        };
        plan.slots.iter().filter(spec).map(|slot| slot.value).collect::<Vec<_>>()
    };
    for of in ["task", "thread"] {
        let mut holes = padding(of);
        let count = holes.len();
        assert_ne!(count, 0, "no padding slot of struct {of}");
        holes.sort_unstable();
        holes.dedup();
        assert_eq!(holes.len(), count, "struct {of}");
    }
}

#[test]
fn what_is_not_a_kernel() {
    let error = |bytes: &[u8]| instrument(bytes.to_vec()).unwrap_err().to_string();
    assert_eq!(error(b"#!/bin/sh\n"), "not an ELF file (the first bytes are not 7f 45 4c 46)");
    assert_eq!(error(b""), "not an ELF file (the first bytes are not 7f 45 4c 46)");
    let mut other = Kernel::complete().build();
    other[18] = 183;
    assert_eq!(
        error(&other),
        "not a kernel this tool knows: expected an x86-64 ELF64 executable, found machine 183, type 2"
    );
    let cut = &Kernel::complete().build()[..0x2000];
    assert!(error(cut).starts_with("damaged ELF file: "), "{}", error(cut));
    let foreign = refusal(|kernel| kernel.symbols.retain(|symbol| symbol.name == "_end"));
    assert_eq!(foreign, "not a GNU Mach kernel: it lacks the symbols mach_trap_table, ipc_kmsg_get, mach_msg_trap");
}

#[test]
fn a_stripped_kernel_names_the_package_that_is_not() {
    let package = "use the kernel of a -dbg package such as Debian's gnumach-image-1.8-amd64-up-dbg";
    let text = refusal(|kernel| kernel.symtab = false);
    assert_eq!(text, format!("stripped kernel: no symbol table (.symtab); {package}"));
    let text = refusal(|kernel| kernel.dwarf = false);
    assert_eq!(text, format!("stripped kernel: no debugging information (.debug_info); {package}"));
}

#[test]
fn an_instrumented_kernel_is_not_instrumented_again() {
    let (_, out) = instrument(Kernel::complete().build()).unwrap();
    let text = instrument(out).unwrap_err().to_string();
    assert_eq!(text, "already instrumented: the file holds a slot table of this tool; give the stock kernel instead");
}

#[test]
fn a_missing_symbol() {
    let text = refusal(|kernel| "renamed".clone_into(&mut kernel.symbol_mut("ipc_task_init").name));
    // The call sites and the payload both need it; both say so in one error.
    assert!(text.contains("\n  symbol ipc_task_init (for hook_ipc_task_init): missing"), "{text}");
    assert!(
        text.contains("\n  symbol ipc_task_init (used by the payload in .text.hook_ipc_task_init): missing"),
        "{text}"
    );
    assert!(text.contains("(2 misses):"), "{text}");
}

#[test]
fn an_ambiguous_symbol() {
    let text = refusal(|kernel| {
        let symbol = kernel.symbol_mut("mach_trap_table");
        symbol.global = false;
        let mut twin = symbol.clone();
        twin.address += 0x100;
        kernel.symbols.push(twin);
    });
    assert!(text.contains("symbol mach_trap_table (for hook_mach_msg_trap): ambiguous, found at 0x"), "{text}");
}

#[test]
fn a_missing_and_an_ambiguous_struct() {
    let text = refusal(|kernel| kernel.structs.retain(|s| s.tag != "ipc_kmsg"));
    assert_eq!(only_miss(&text), "struct ipc_kmsg (for slot kmsg_size): missing in the debugging information");
    let text = refusal(|kernel| {
        let mut twin = kernel.struct_mut("ipc_kmsg").clone();
        twin.size += 8;
        kernel.structs.push(twin);
    });
    assert!(
        only_miss(&text).contains("struct ipc_kmsg (for slot kmsg_size): ambiguous, two definitions differ in size"),
        "{text}"
    );
}

#[test]
fn equal_definitions_in_two_units_are_one() {
    let mut kernel = Kernel::complete();
    let twin = kernel.struct_mut("ipc_kmsg").clone();
    kernel.structs.push(twin);
    instrument(kernel.build()).unwrap();
}

#[test]
fn a_missing_and_an_ambiguous_member() {
    let text = refusal(|kernel| {
        let members = &mut kernel.struct_mut("task").members;
        members.iter_mut().find(|member| member.name.as_deref() == Some("map")).unwrap().name = Some("mop".to_owned());
    });
    assert_eq!(only_miss(&text), "struct task, member map (for slot task_map): missing");
    let text = refusal(|kernel| {
        let place = kernel.struct_mut("task");
        place.members.push(Member::plain("map", place.size, 8));
        place.size += 8;
    });
    assert!(only_miss(&text).starts_with("struct task, member map (for slot task_map): ambiguous, at bits "), "{text}");
}

#[test]
fn a_struct_without_a_hole() {
    let text = refusal(|kernel| {
        let place = kernel.struct_mut("task");
        place.members.push(Member::plain("all_of_it", 0, place.size));
    });
    assert_eq!(only_miss(&text), "struct task (for slot task_entry): no aligned 4-byte hole left between its members");
}

#[test]
fn another_number_of_call_sites_names_them() {
    let text = refusal(|kernel| kernel.function_calling("other_caller", "ipc_task_init"));
    let miss = only_miss(&text);
    assert!(miss.starts_with("calls to ipc_task_init (for hook_ipc_task_init): expected 1, found 2 ("), "{text}");
    assert!(miss.contains("c_boot_entry+") && miss.ends_with("other_caller+0x0)"), "{text}");
}

#[test]
fn a_trap_entry_that_points_elsewhere() {
    let text = refusal(|kernel| {
        let other = kernel.address("ipc_task_init");
        kernel.set_trap(25, other);
    });
    let miss = only_miss(&text);
    assert!(miss.starts_with("mach_trap_table[25] (for hook_mach_msg_trap): expected mach_msg_trap (0x"), "{text}");
    assert!(miss.contains("found ipc_task_init+0x0 (0x"), "{text}");
}

#[test]
fn a_kernel_for_several_processors() {
    let text = refusal(|kernel| kernel.symbol_mut("percpu_array").size *= 8);
    assert_eq!(only_miss(&text), "slot current_thread: expected instructions that load %gs:0x0, found none");
    let text = refusal(|kernel| kernel.symbol_mut("percpu_array").size += 1);
    assert_eq!(only_miss(&text), "percpu_array: expected a multiple of 8 bytes, found 9");
}

#[test]
fn a_kernel_for_several_processors_that_lacks_locks() {
    let text = refusal(|kernel| {
        kernel.symbol_mut("percpu_array").size *= 8;
        // mov %gs:0, %rax
        kernel.function("current", &[0x65, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0]);
    });
    for lock in ["thread_lock", "task_lock", "port_lock"] {
        let line = format!("slot {lock}: expected a lock on a kernel for several processors, found none");
        assert!(text.contains(&line), "{text}");
    }
}

#[test]
fn a_kernel_whose_end_is_not_registered() {
    let text = refusal(|kernel| {
        let end = (kernel.end() - 0xffff_ffff_8000_0000).to_le_bytes();
        let at = kernel.text.windows(8).position(|word| word == end).unwrap();
        kernel.text[at] ^= 1;
    });
    assert!(only_miss(&text).starts_with("end of the boot data: expected a movabs of 0x"), "{text}");
}

#[test]
fn all_misses_are_in_one_error() {
    let text = refusal(|kernel| {
        kernel.structs.retain(|s| s.tag != "ipc_kmsg");
        kernel.function_calling("other_caller", "ipc_task_terminate");
        kernel.set_trap(64, 0);
    });
    assert!(text.contains("(3 misses):"), "{text}");
}

#[test]
fn a_payload_that_needs_what_the_kernel_lacks_or_lacks_a_hook() {
    let misses = |without, calls| {
        let directory = tempfile::tempdir().unwrap();
        let library = payload::write(directory.path(), without, calls);
        let kernel = KernelElf::parse(Kernel::complete().build()).unwrap();
        plan::plan(&kernel, &library, &Linker::find().unwrap()).unwrap_err().to_string()
    };
    let text = misses(None, Some("ipc_no_such_function"));
    let expected =
        "symbol ipc_no_such_function (used by the payload in .text.hook_mach_msg_trap): missing in the kernel";
    assert_eq!(only_miss(&text), expected);
    let text = misses(Some("hook_ipc_task_init"), None);
    assert_eq!(only_miss(&text), "symbol hook_ipc_task_init: missing in the payload library");
}

#[test]
fn an_output_that_cannot_be_written() {
    let directory = tempfile::tempdir().unwrap();
    let payload = payload::write(directory.path(), None, None);
    let outputs = Outputs::beside(Path::new("/nonexistent/out"));
    let linker = Linker::find().unwrap();
    let error = instrument::instrument(Kernel::complete().build(), &payload, &linker, &outputs).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("cannot write /nonexistent/out: No such file or directory"), "{text}");
}

#[test]
fn program_headers_without_room_for_one_more() {
    let mut stock = Kernel::complete().build();
    stock[64 + 3 * 56] = 1;
    let text = instrument(stock).unwrap_err().to_string();
    assert_eq!(text, "no place for the payload: the bytes after the 3 program headers are in use");
}

#[test]
fn a_damaged_output_does_not_pass_verification() {
    let directory = tempfile::tempdir().unwrap();
    let library = payload::write(directory.path(), None, None);
    let kernel = KernelElf::parse(Kernel::complete().build()).unwrap();
    let planned = plan::plan(&kernel, &library, &Linker::find().unwrap()).unwrap();
    let (large, small) = instrument::render(&kernel, &planned).unwrap();
    verify::verify(kernel.bytes(), &large, &small, &planned).unwrap();
    let patch = usize::try_from(planned.plan.patches[0].file_offset).unwrap();
    let payload = usize::try_from(planned.plan.payload.offset).unwrap();
    let text = usize::try_from(planned.plan.kernel_segments[1].offset).unwrap();
    for place in [patch, payload, text, 24, 64 + 3 * 56 + 16] {
        let mut damaged = large.clone();
        damaged[place] ^= 0x10;
        verify::verify(kernel.bytes(), &damaged, &small, &planned).expect_err(&format!("byte {place:#x}"));
    }
    let mut damaged = small.clone();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    verify::verify(kernel.bytes(), &large, &damaged, &planned).unwrap_err();
    // A rewrite for another kernel than the planned one is refused, too.
    let mut other = kernel.bytes().to_vec();
    other[patch] ^= 1;
    rewrite::elf64(&other, &planned).unwrap_err();
}
