// SPDX-License-Identifier: GPL-2.0-or-later
//! Kernels for several processors: how they are known, and what they start the others with.

use qemu::plan;

use crate::synthetic::Kernel;
use crate::{instrument, only_miss, refusal};

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
fn what_other_processors_start_with_is_kept() {
    let lines = |kernel: Kernel| instrument(kernel.build()).unwrap().0.to_string();
    let several = lines(Kernel::several_processors());
    let (start, boot) = (Kernel::start(), 0xff_0000_u64);
    let bytes = |address: u64| plan::hex(&address.to_le_bytes());
    assert!(several.contains(&format!("{} -> {}  movabs", bytes(start), bytes(boot))), "{several}");
    assert!(several.contains("hook_init_alloc_aligned"), "{several}");
    let one = lines(Kernel::complete());
    assert!(!one.contains("start of the boot data") && !one.contains("hook_init_alloc_aligned"), "{one}");

    let mut kernel = Kernel::several_processors();
    let at = kernel.text.windows(8).position(|word| word == start.to_le_bytes()).unwrap();
    kernel.text[at] ^= 1;
    let text = instrument(kernel.build()).unwrap_err().to_string();
    let expected = "start of the boot data: expected one movabs of 0xff0010 (the end of the boot segment) next to that of _end in \
                    c_boot_entry";
    assert!(only_miss(&text).starts_with(expected) && text.ends_with("found 0"), "{text}");
}

#[test]
fn another_processors_descriptors_are_taken_care_of_where_they_have_to_be() {
    // Part of the function may be elsewhere.
    let mut kernel = Kernel::several_processors();
    kernel.function_calling("mp_desc_init.part.0", "init_alloc_aligned");
    let plan = instrument(kernel.build()).unwrap().0.to_string();
    assert!(plan.contains("call init_alloc_aligned in mp_desc_init.part.0+0x0"), "{plan}");
    // A kernel that takes them from elsewhere has not the fault.
    let mut kernel = Kernel::several_processors();
    kernel.remove_calls("init_alloc_aligned", "mp_desc_init");
    let plan = instrument(kernel.build()).unwrap().0.to_string();
    assert!(!plan.contains("call init_alloc_aligned"), "{plan}");
    // One that has no such function is not known.
    let mut kernel = Kernel::several_processors();
    kernel.symbol_mut("mp_desc_init").name = "other_init".to_owned();
    let text = instrument(kernel.build()).unwrap_err().to_string();
    assert_eq!(only_miss(&text), "symbol mp_desc_init (for hook_init_alloc_aligned): missing");
}
