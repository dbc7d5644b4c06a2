// SPDX-License-Identifier: GPL-2.0-or-later
//! What the payload takes for granted is compared with the kernel: prototypes, places, traps, the template of threads, headers.

use qemu::payload_abi::{PROTOTYPES, Value};

use crate::synthetic::routines::Prototype;
use crate::synthetic::{Kernel, payload};
use crate::{instrument, only_miss, refusal};
use qemu::kernel::KernelElf;
use qemu::link::Linker;
use qemu::plan;

/// The miss that a changed prototype of `name` gives.
fn prototype(name: &str, change: impl FnOnce(&mut Prototype)) -> String {
    let text = refusal(|kernel| change(kernel.prototypes.get_mut(name).unwrap()));
    let miss = only_miss(&text).to_owned();
    // The offset of the entry in the debugging information ends the line.
    miss.rsplit_once(" at DIE ").unwrap_or_else(|| panic!("{text}")).0.to_owned()
}

#[test]
fn prototypes_that_differ() {
    let expected = "prototype of task_set_special_port: expected (pointer, i32, pointer) -> i32, found";
    let found = |change: &dyn Fn(&mut Prototype)| prototype("task_set_special_port", change);
    assert_eq!(
        found(&|p| p.parameters.push(Value::Pointer)),
        format!("{expected} (pointer, i32, pointer, pointer) -> i32")
    );
    assert_eq!(found(&|p| p.parameters.truncate(1)), format!("{expected} (pointer) -> i32"));
    assert_eq!(found(&|p| p.parameters[1] = Value::Signed(8)), format!("{expected} (pointer, i64, pointer) -> i32"));
    assert_eq!(found(&|p| p.parameters[1] = Value::Unsigned(4)), format!("{expected} (pointer, u32, pointer) -> i32"));
    assert_eq!(found(&|p| p.parameters[2] = Value::Unsigned(8)), format!("{expected} (pointer, i32, u64) -> i32"));
    assert_eq!(found(&|p| p.result = Value::Nothing), format!("{expected} (pointer, i32, pointer) -> nothing"));
    assert_eq!(found(&|p| p.variadic = true), format!("{expected} (pointer, i32, pointer, ...) -> i32"));
    // A function in assembly is known by its declarations.
    let miss = prototype("copyout", |p| p.parameters[2] = Value::Unsigned(4));
    assert_eq!(
        miss,
        "prototype of copyout: expected (pointer, pointer, u64) -> i32, found (pointer, pointer, u32) -> i32"
    );
}

/// The misses of a payload that calls `name`, in a kernel that has it.
fn calling(name: &str, change: impl FnOnce(&mut Kernel)) -> String {
    let mut kernel = Kernel::complete();
    kernel.function(name, &[0xc3]);
    change(&mut kernel);
    let directory = tempfile::tempdir().unwrap();
    let library = payload::write(directory.path(), None, Some(name));
    let kernel = KernelElf::parse(kernel.build()).unwrap();
    let planned = plan::plan(&kernel, &library, &Linker::find().unwrap());
    planned.map_or_else(|error| error.to_string(), |_| String::new())
}

#[test]
fn what_the_payload_calls_is_compared_too() {
    assert_eq!(calling("kalloc", |_| {}), "");
    let text = calling("kalloc", |kernel| kernel.prototypes.get_mut("kalloc").unwrap().result = Value::Signed(4));
    assert!(
        only_miss(&text).starts_with("prototype of kalloc: expected (u64) -> u64, found (u64) -> i32 at DIE 0x"),
        "{text}"
    );
    let text = calling("vm_page_grab", |_| {});
    assert_eq!(
        only_miss(&text),
        "prototype of vm_page_grab: expected an entry in PROTOTYPES of payload_abi, found none"
    );
}

#[test]
fn the_table_of_prototypes_has_each_name_once() {
    let mut names: Vec<&str> = PROTOTYPES.iter().map(|known| known.name).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
}

#[test]
fn places_of_which_symbols_and_debugging_information_say_different_things() {
    let text = refusal(|kernel| kernel.moved.push(("ipc_kmsg_put".to_owned(), 1)));
    let line = "place of ipc_kmsg_put: expected 0x";
    let miss = text.lines().find(|miss| miss.trim_start().starts_with(line)).unwrap_or_else(|| panic!("{text}"));
    assert!(miss.contains(", as in .symtab, found 0x") && miss.ends_with(" in the debugging information"), "{text}");
    let text = refusal(|kernel| kernel.moved.push(("thread_template".to_owned(), 8)));
    assert!(only_miss(&text).starts_with("place of thread_template: expected 0x"), "{text}");
}

#[test]
fn a_trap_that_nobody_knows() {
    let text = refusal(|kernel| {
        kernel.function("syscall_vm_protect", &[0xc3]);
        let new = kernel.address("syscall_vm_protect");
        kernel.set_trap(67, new);
    });
    assert_eq!(
        only_miss(&text),
        "mach_trap_table[67]: expected kern_invalid, found syscall_vm_protect+0x0, which is not known: \
         it may stand in for an RPC"
    );
    let text = refusal(|kernel| {
        let moved = kernel.address("swtch");
        kernel.set_trap(59, moved);
    });
    assert!(only_miss(&text).starts_with("mach_trap_table[59]: expected swtch_pri, found swtch+0x0"), "{text}");
    // A kernel may lack a local one.
    let mut kernel = Kernel::complete();
    let none = kernel.address("null_port");
    kernel.set_trap(77, none);
    instrument(kernel.build()).unwrap();
    let text = refusal(|kernel| kernel.symbol_mut("mach_trap_table").size -= 4);
    assert_eq!(only_miss(&text), "mach_trap_table: expected entries of 32 bytes, found 4156 bytes in all");
}

/// The miss that other code of `thread_create` gives.
fn thread_create(change: impl FnOnce(&mut Kernel, u64)) -> String {
    let text = refusal(|kernel| {
        let at = kernel.address("thread_create");
        change(kernel, at);
    });
    only_miss(&text).to_owned()
}

#[test]
fn a_template_that_is_not_copied_whole() {
    let size = Kernel::complete().struct_mut("thread").size;
    let expected = format!("thread_create: expected one copy of the {size} bytes of thread_template, found");
    // The size is the operand of the second instruction, the template that of the first.
    let half = u32::try_from(size / 2).unwrap();
    let miss = thread_create(|kernel, at| kernel.patch(at + 8, &half.to_le_bytes()));
    assert_eq!(miss, format!("{expected} copies of [{half}] bytes"));
    let miss = thread_create(|kernel, at| kernel.patch(at + 3, &[0]));
    assert_eq!(miss, format!("{expected} no copy by rep movs or memcpy"));
    // mov %rdi, %rsi: the source is another one in the end.
    let miss = thread_create(|kernel, at| kernel.patch(at + 7, &[0x48, 0x89, 0xfe, 0x90, 0x90]));
    assert_eq!(miss, format!("{expected} no copy by rep movs or memcpy"));
    let text = refusal(|kernel| kernel.symbol_mut("thread_template").size -= 8);
    assert_eq!(only_miss(&text), format!("{expected} a template of {} bytes", size - 8));
}

#[test]
fn a_template_that_is_copied_with_rep_movs() {
    let mut kernel = Kernel::complete();
    let (at, size) = (kernel.address("thread_create"), kernel.struct_mut("thread").size);
    // mov $words, %ecx; rep movsq
    let words = u32::try_from(size / 8).unwrap().to_le_bytes();
    kernel.calls.retain(|&(site, _)| site != at + 12);
    kernel.patch(at + 7, &[&[0xb9][..], &words, &[0xf3, 0x48, 0xa5, 0xc3, 0x90, 0x90]].concat());
    instrument(kernel.build()).unwrap();
}

#[test]
fn a_kernel_for_32_bit_programs() {
    for symbol in ["copyoutmsg", "msg_usize"] {
        let text = refusal(|kernel| kernel.function(symbol, &[0xc3]));
        assert!(text.starts_with(&format!("a kernel for 32-bit user programs (USER32): it has {symbol}, ")), "{text}");
    }
}

#[test]
fn headers_that_say_something_else_than_the_sections() {
    let refused = |at: usize, value: u64, expected: &str| {
        let mut stock = Kernel::complete().build();
        stock[at..at + 8].copy_from_slice(&value.to_le_bytes());
        let text = instrument(stock).unwrap_err().to_string();
        assert!(text.starts_with("damaged ELF file: ") && text.contains(expected), "{text}");
    };
    // The entry, then fields of the second segment.
    refused(24, 0xff_0004, "the entry 0xff0004 is no function of the kernel");
    let second = 64 + 56;
    refused(second + 8, 0x1000, "has section .text elsewhere in the file than in memory");
    refused(second + 24, 0x200_0000, "is loaded at 0x2000000, expected 0x1000000");
    refused(second + 32, 0, "has 0x0 bytes in the file and 0x");
    refused(second + 40, u64::MAX, "bytes in the file and 0xffffffffffffffff in memory");
}
