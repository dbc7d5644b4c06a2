// SPDX-License-Identifier: GPL-2.0-or-later
//! A complete synthetic kernel is instrumented; every way of damaging it gives one clear error.

mod files;
mod reach;
mod several;
#[expect(unreachable_pub, reason = "shared by the test files, which are crates of their own")]
mod synthetic;
mod trusted;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use qemu::error::InstrumentError;
use qemu::instrument::{self, Outputs};
use qemu::kernel::KernelElf;
use qemu::link::Linker;
use qemu::payload_abi::{HOOKS, Hook, SWITCH_WORDS, SWITCHES, SWITCHES_SYMBOL, Site, When};
use qemu::plan::switches::Switch;
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
        assert_ne!(patch.old, patch.new, "{}", patch.what);
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
    let package = "and no profile of it in qemu/profiles; name the kernel of the -dbg package of its version, such as \
                   Debian's gnumach-image-1.8-amd64-up-dbg, or a profile, with --dbg beside it";
    let text = refusal(|kernel| kernel.symtab = false);
    assert_eq!(text, format!("stripped kernel: no symbol table (.symtab), {package}"));
    let text = refusal(|kernel| kernel.dwarf = false);
    assert_eq!(text, format!("stripped kernel: no debugging information (.debug_info), {package}"));
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
    assert!(text.contains("symbol mach_trap_table (for rpctrace2_mach_msg_trap): ambiguous, found at 0x"), "{text}");
}

#[test]
fn a_missing_and_an_ambiguous_struct() {
    let text = refusal(|kernel| kernel.structs.retain(|s| s.tag != "ipc_kmsg"));
    assert_eq!(only_miss(&text), "struct ipc_kmsg (for slot kmsg_size): no definition found");
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
        members.iter_mut().find(|member| member.name.as_deref() == Some("thread_list")).unwrap().name =
            Some("thread_lost".to_owned());
    });
    assert_eq!(only_miss(&text), "struct task, member thread_list (for slot task_thread_list): missing");
    let text = refusal(|kernel| {
        let place = kernel.struct_mut("task");
        place.members.push(Member::plain("thread_list", place.size, 8));
        place.size += 8;
    });
    assert!(
        only_miss(&text)
            .starts_with("struct task, member thread_list (for slot task_thread_list): ambiguous, at bits "),
        "{text}"
    );
}

#[test]
fn a_struct_without_a_hole() {
    let text = refusal(|kernel| {
        let place = kernel.struct_mut("task");
        place.members.push(Member::plain("all_of_it", 0, place.size));
    });
    let (heading, misses) = text.split_once("\n  ").expect("a list");
    assert!(heading.ends_with("(2 misses):"), "{text}");
    let miss = |slot| format!("struct task (for slot {slot}): no aligned 4-byte hole left between its members");
    assert_eq!(misses, [miss("task_entry"), miss("task_number")].join("\n  "));
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
    assert!(
        text.contains("\n  mach_trap_table[25] (for rpctrace2_mach_msg_trap): expected mach_msg_trap (0x"),
        "{text}"
    );
    assert!(text.contains("found ipc_task_init+0x0 (0x"), "{text}");
    // A trap would get there past the call that is hooked.
    assert!(
        text.contains("\n  ipc_task_init (for hook_ipc_task_init): expected no data with its address, found 1"),
        "{text}"
    );
}

#[test]
fn a_trap_table_that_is_not_in_the_file_or_not_aligned() {
    let text = refusal(|kernel| {
        let bss = kernel.end() - 8;
        kernel.symbol_mut("mach_trap_table").address = bss;
    });
    let entry = Kernel::complete().end() - 8 + 25 * 32 + 8;
    let place = format!("place {entry:#x} (for rpctrace2_mach_msg_trap): expected 8 bytes of a segment in the file");
    assert!(text.contains(&place), "{text}");
    let text = refusal(|kernel| kernel.symbol_mut("mach_trap_table").address += 1);
    assert!(text.contains("found a pointer at 0x") && text.contains(", which is not aligned"), "{text}");
}

/// How many places lead to the payload for `hook`.
fn places(hook: &Hook) -> usize {
    match hook.site {
        Site::Trap { .. } => 1,
        Site::Calls { count, .. } => count,
        // In the synthetic kernel the first caller makes the call twice.
        Site::CallsIn { callers, .. } => callers.len() + 1,
    }
}

#[test]
fn what_is_switched_is_left_alone_in_the_file_and_has_a_row() {
    for (kernel, several) in [(Kernel::complete(), false), (Kernel::several_processors(), true)] {
        let stock = kernel.build();
        let (plan, out) = instrument(stock.clone()).unwrap();
        // The kernel's end, and its start.
        let (mut patched, mut switched) = (if several { 2 } else { 1 }, 0);
        for hook in HOOKS.iter().filter(|hook| hook.kernels.has(!several)) {
            match (hook.when, hook.site) {
                (When::Traced { .. }, Site::Trap { .. }) => switched += 1,
                (When::Traced { .. }, _) if !several => switched += places(hook),
                (When::Traced { .. } | When::Always, _) => patched += places(hook),
            }
        }
        assert_eq!((plan.patches.len(), plan.switches.len()), (patched, switched), "several: {several}");
        let table = plan.payload.offset + (plan.switches_address - plan.payload.vaddr);
        for (index, switch) in plan.switches.iter().enumerate() {
            let at = usize::try_from(switch.file_offset).unwrap();
            assert_eq!(out[at..at + switch.stock.len()], stock[at..at + switch.stock.len()], "{}", switch.what);
            assert_eq!(out[at..at + switch.stock.len()], switch.stock);
            let row = usize::try_from(table).unwrap() + index * SWITCH_WORDS * 4;
            assert_eq!(out[row..row + 4], switch.address.to_le_bytes()[..4]);
        }
        // No place is changed twice.
        let mut changed: Vec<(u64, usize)> =
            plan.patches.iter().map(|patch| (patch.address, patch.old.len())).collect();
        changed.extend(plan.switches.iter().map(|switch| (switch.address, switch.stock.len())));
        changed.sort_unstable();
        assert!(changed.windows(2).all(|pair| pair[0].0 + pair[0].1 as u64 <= pair[1].0), "{changed:x?}");
    }
}

#[test]
fn a_call_leads_to_the_traced_symbol_on_one_processor_and_to_the_hook_on_several() {
    let (plan, _) = instrument(Kernel::complete().build()).unwrap();
    let text = plan.to_string();
    let calls: Vec<&Switch> = plan.switches.iter().filter(|s| s.what.starts_with("rpctrace2_copyinmsg = ")).collect();
    assert_eq!(calls.len(), 3);
    for Switch { what, address, stock, traced, .. } in calls {
        let target = |bytes: &[u8]| {
            let rel32 = i32::from_le_bytes(bytes.try_into().unwrap());
            format!("{:#x}", (address + 4).wrapping_add_signed(rel32.into()))
        };
        assert_eq!(target(stock), format!("{:#x}", Kernel::complete().address("copyinmsg")));
        assert_eq!(*what, format!("rpctrace2_copyinmsg = {}", target(traced)));
        let line = format!("switch   {address:#x} (4 bytes) {what}\n         {}", plan::hex(stock));
        assert!(text.contains(&line), "{text}");
    }
    assert!(text.contains("; a message is copied in: what the task sends\n"), "{text}");
    assert!(text.contains(&format!("switches {} of {SWITCHES} at 0x", plan.switches.len())), "{text}");

    let (plan, _) = instrument(Kernel::several_processors().build()).unwrap();
    assert_eq!(plan.patches.iter().filter(|patch| patch.what.starts_with("hook_copyinmsg = ")).count(), 3);
    assert!(plan.switches.iter().all(|switch| switch.stock.len() == 8));
}

#[test]
fn a_caller_that_does_not_call() {
    let text = refusal(|kernel| kernel.remove_calls("copyinmsg", "ipc_kmsg_get"));
    let expected = "calls to copyinmsg in ipc_kmsg_get (for hook_copyinmsg): expected at least one, found none";
    assert_eq!(only_miss(&text), expected);
    let text = refusal(|kernel| kernel.remove_calls("ipc_mqueue_copyin", "mach_msg"));
    let expected =
        "calls to ipc_mqueue_copyin in mach_msg (for hook_ipc_mqueue_copyin): expected at least one, found none";
    assert_eq!(only_miss(&text), expected);
}

#[test]
fn a_caller_that_nobody_knows() {
    let text = refusal(|kernel| kernel.function_calling("other_caller", "copyinmsg"));
    assert_eq!(
        only_miss(&text),
        "calls to copyinmsg in other_caller (for hook_copyinmsg): expected none, found 1 (other_caller+0x0)"
    );
    // Much else is copied out.
    let mut kernel = Kernel::complete();
    kernel.function_calling("other_caller", "copyout");
    let (plan, _) = instrument(kernel.build()).unwrap();
    assert!(!plan.to_string().contains("other_caller"));
    let text = refusal(|kernel| kernel.function_calling("ipc_kmsg_put.part.0", "copyout"));
    let miss = only_miss(&text);
    assert!(miss.starts_with("calls to copyout in ipc_kmsg_put.part.0 (for hook_copyout): expected none"), "{text}");
}

#[test]
fn a_function_whose_symbol_has_no_size() {
    let mut kernel = Kernel::complete();
    let caller = kernel.symbol_mut("ipc_kmsg_get");
    let (address, size) = (caller.address, u32::try_from(caller.size).unwrap());
    caller.size = 0;
    let text = instrument(kernel.build()).unwrap_err().to_string();
    assert_eq!(
        only_miss(&text),
        format!(
            "end of ipc_kmsg_get at {address:#x} (for hook_copyinmsg): \
             expected a size in .symtab or an entry of .eh_frame, found none"
        )
    );
    kernel.unwind = vec![(kernel.address("c_boot_entry"), 1), (address, size)];
    instrument(kernel.build()).unwrap();
}

#[test]
fn a_state_that_is_not_half_a_word() {
    let half = |bits, why: &str| {
        let text = refusal(|kernel| {
            let members = kernel.struct_mut("thread").members.iter_mut();
            let mut inner = members.flat_map(|member| &mut member.inner);
            inner.find(|member| member.name.as_deref() == Some("state")).unwrap().bits = bits;
        });
        let line = "struct thread, member state (for slot thread_state): \
                    expected a bit-field of 16 bits on a 2-byte boundary, found a ";
        let found = only_miss(&text).strip_prefix(line).unwrap_or_else(|| panic!("{text}"));
        assert!(found.starts_with(why), "{text}");
    };
    half(Some((8, 16)), "bit-field of 16 bits at byte ");
    half(Some((16, 8)), "bit-field of 8 bits at byte ");
    half(None, "member of 32 bits at byte ");
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
    let planned = |kernel: Kernel, without, calls| {
        let directory = tempfile::tempdir().unwrap();
        let library = payload::write(directory.path(), without, calls);
        let kernel = KernelElf::parse(kernel.build()).unwrap();
        plan::plan(&kernel, &library, &Linker::find().unwrap())
    };
    let misses = |without, calls| planned(Kernel::complete(), without, calls).unwrap_err().to_string();
    let text = misses(None, Some("ipc_no_such_function"));
    let expected =
        "symbol ipc_no_such_function (used by the payload in .text.hook_task_get_special_port): missing in the kernel";
    assert_eq!(only_miss(&text), expected);
    let text = misses(Some("hook_ipc_task_init"), None);
    assert_eq!(only_miss(&text), "symbol hook_ipc_task_init: missing in the payload library");
    for symbol in ["rpctrace2_copyinmsg", SWITCHES_SYMBOL] {
        let text = misses(Some(symbol), None);
        assert_eq!(only_miss(&text), format!("symbol {symbol}: missing in the payload library"));
    }
    // What a call is patched to where there are several processors is not asked for where there is one.
    let without = Some("hook_copyinmsg");
    planned(Kernel::complete(), without, None).unwrap();
    let text = planned(Kernel::several_processors(), without, None).unwrap_err().to_string();
    assert_eq!(only_miss(&text), "symbol hook_copyinmsg: missing in the payload library");
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
    // So is a table that the payload would go by, if the plan says something else.
    let mut other =
        plan::Planned { plan: planned.plan.clone(), image: planned.image.clone(), symbols: BTreeMap::new() };
    let row = other.plan.switches.len() - 1;
    other.plan.switches.pop();
    let text = verify::verify(kernel.bytes(), &large, &small, &other).unwrap_err().to_string();
    assert!(text.contains(&format!("the plan: rpctrace2_switches row {row}: expected \"00 00")), "{text}");
    // So is every byte of both headers and of what is added to the file.
    let last = kernel.bytes().len()..payload;
    for place in (0..0x200).chain(last) {
        let mut damaged = large.clone();
        damaged[place] ^= 1;
        verify::verify(kernel.bytes(), &damaged, &small, &planned).expect_err(&format!("byte {place:#x}"));
    }
    for place in (0..0x200).chain([0x1000 - 1, small.len() - 1]) {
        let mut damaged = small.clone();
        damaged[place] ^= 1;
        verify::verify(kernel.bytes(), &large, &damaged, &planned).expect_err(&format!("byte {place:#x} of ELF32"));
    }
    // A rewrite for another kernel than the planned one is refused, too.
    let mut other = kernel.bytes().to_vec();
    other[patch] ^= 1;
    rewrite::elf64(&other, &planned).unwrap_err();
}
