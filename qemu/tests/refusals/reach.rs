// SPDX-License-Identifier: GPL-2.0-or-later
//! Every way past the places that are redirected is refused.

use crate::synthetic::Kernel;
use crate::{instrument, only_miss, refusal};

/// Where `function` is for an instruction that follows at `from`.
fn distance(kernel: &Kernel, from: u64, function: &str) -> [u8; 4] {
    i32::try_from(kernel.address(function).wrapping_sub(from).cast_signed()).unwrap().to_le_bytes()
}

/// Adds `name`, whose code is `opcode` and the distance to `function`.
fn leading(kernel: &mut Kernel, name: &str, opcode: &[u8], function: &str) {
    let from = kernel.next_function() + opcode.len() as u64 + 4;
    let distance = distance(kernel, from, function);
    kernel.function(name, &[opcode, &distance, &[0xc3]].concat());
}

#[test]
fn jumps() {
    // jmp and jne, of which the review made two that nobody saw.
    for opcode in [&[0xe9][..], &[0x0f, 0x85]] {
        let text = refusal(|kernel| leading(kernel, "vm_object_print", opcode, "ipc_task_terminate"));
        assert_eq!(
            only_miss(&text),
            "ipc_task_terminate (for hook_ipc_task_terminate): expected no jumps, found 1 (vm_object_print+0x0)"
        );
    }
    let text = refusal(|kernel| leading(kernel, "other", &[0xe9], "mach_msg_trap"));
    assert_eq!(only_miss(&text), "mach_msg_trap (for rpctrace2_mach_msg_trap): expected no jumps, found 1 (other+0x0)");
}

#[test]
fn a_short_jump_from_the_function_before() {
    let text = refusal(|kernel| {
        // The functions of the synthetic kernel end with a return and three bytes of padding.
        let before = kernel.before("ipc_task_terminate");
        kernel.patch(before, &[0xeb, (kernel.address("ipc_task_terminate") - before - 2) as u8]);
    });
    let miss = only_miss(&text);
    assert!(
        miss.starts_with("ipc_task_terminate (for hook_ipc_task_terminate): expected no jumps, found 1 ("),
        "{text}"
    );
}

#[test]
fn a_function_that_goes_on_into_a_hooked_one() {
    let text = refusal(|kernel| {
        let before = kernel.before("ipc_task_terminate");
        // xor eax, eax instead of ret
        kernel.patch(before, &[0x31, 0xc0]);
    });
    let miss = only_miss(&text);
    assert!(miss.contains(": expected no functions that go on into it, found 1 ("), "{text}");
}

#[test]
fn a_loop_within_the_function_is_none() {
    let mut kernel = Kernel::complete();
    let start = kernel.address("ipc_task_terminate");
    // jmp to itself
    kernel.patch(start, &[0xeb, 0xfe]);
    instrument(kernel.build()).unwrap();
}

#[test]
fn addresses_in_instructions() {
    let address = |kernel: &Kernel| kernel.address("task_set_special_port").to_le_bytes();
    let refused = |code: &dyn Fn(&Kernel) -> Vec<u8>| {
        let text = refusal(|kernel| {
            let code = code(kernel);
            kernel.function("other", &code);
        });
        assert_eq!(
            only_miss(&text),
            "task_set_special_port (for hook_task_set_special_port): \
             expected no instructions with its address, found 1 (other+0x0)"
        );
    };
    // mov $imm32, %rdi; movabs $imm64, %rax; push $imm32; call *disp32
    refused(&|kernel| [&[0x48, 0xc7, 0xc7][..], &address(kernel)[..4]].concat());
    refused(&|kernel| [&[0x48, 0xb8][..], &address(kernel)].concat());
    refused(&|kernel| [&[0x68][..], &address(kernel)[..4]].concat());
    let text = refusal(|kernel| leading(kernel, "other", &[0x48, 0x8d, 0x05], "task_set_special_port"));
    assert!(only_miss(&text).ends_with("expected no instructions with its address, found 1 (other+0x0)"), "{text}");
}

#[test]
fn an_address_in_data_at_any_place() {
    for place in [0, 3] {
        let mut kernel = Kernel::complete();
        let at = kernel.data.len() + place;
        let word = kernel.address("exception_raise").to_le_bytes();
        kernel.data.resize(at, 0);
        kernel.data.extend_from_slice(&word);
        let text = instrument(kernel.build()).unwrap_err().to_string();
        let line = "exception_raise (for hook_exception_raise): expected no data with its address, found 1 (0x";
        assert!(only_miss(&text).starts_with(line), "{text}");
    }
}

#[test]
fn a_trap_that_is_called_directly() {
    let text = refusal(|kernel| kernel.function_calling("other", "syscall_vm_map"));
    let line = "syscall_vm_map (for hook_syscall_vm_map): expected no direct calls, found 1 (other+0x0)";
    assert_eq!(only_miss(&text), line);
}

#[test]
fn bodies_and_copies() {
    let text = refusal(|kernel| kernel.inlined.push(("exception_raise".to_owned(), "mach_msg".to_owned())));
    let line = "exception_raise (for hook_exception_raise): expected no bodies inlined in other functions, found 1 (mach_msg at 0x";
    assert!(only_miss(&text).starts_with(line), "{text}");
    for copy in ["exception_raise.constprop.0", "exception_raise.part.0"] {
        let text = refusal(|kernel| kernel.function(copy, &[0xc3]));
        let line =
            format!("exception_raise (for hook_exception_raise): expected no copies of it, found 1 ({copy}+0x0)");
        assert_eq!(only_miss(&text), line);
    }
    // Its seldom executed part is no copy.
    let mut kernel = Kernel::complete();
    kernel.function("exception_raise.cold", &[0xc3]);
    instrument(kernel.build()).unwrap();
}

#[test]
fn where_others_may_only_the_callers_may_not() {
    let mut kernel = Kernel::complete();
    leading(&mut kernel, "other", &[0xe9], "copyout");
    leading(&mut kernel, "another", &[0x48, 0x8d, 0x05], "copyout");
    kernel.inlined.push(("ipc_kmsg_copyout_body".to_owned(), "other".to_owned()));
    instrument(kernel.build()).unwrap();
    let text = refusal(|kernel| {
        let at = kernel.address("exception_raise");
        let distance = distance(kernel, at + 5, "copyout");
        kernel.calls.retain(|&(site, _)| site != at);
        kernel.patch(at, &[&[0xe9][..], &distance].concat());
    });
    assert!(text.contains("copyout (for hook_copyout): expected no jumps, found 1 (exception_raise+0x0)"), "{text}");
    let text = refusal(|kernel| {
        kernel.inlined.push(("ipc_kmsg_copyout_body".to_owned(), "mach_msg_trap".to_owned()));
    });
    let line = "ipc_kmsg_copyout_body (for hook_ipc_kmsg_copyout_body): expected no bodies inlined in other functions, found 1";
    assert!(only_miss(&text).starts_with(line), "{text}");
    let text = refusal(|kernel| leading(kernel, "ipc_kmsg_put.cold", &[0xe9], "copyout"));
    assert_eq!(only_miss(&text), "copyout (for hook_copyout): expected no jumps, found 1 (ipc_kmsg_put.cold+0x0)");
}

#[test]
fn calls_that_only_the_compiler_or_only_the_text_knows() {
    let text = refusal(|kernel| {
        let (thread_halt, target) = (kernel.address("thread_halt"), kernel.address("mach_msg_interrupt"));
        kernel.calls.retain(|&(site, to)| to != target || site != thread_halt);
    });
    let site = "found 1 (thread_halt+0x0)";
    let line = "mach_msg_interrupt (for hook_mach_msg_interrupt): expected no calls that the compiler has not noted,";
    assert_eq!(only_miss(&text), format!("{line} {site}"));
    let text = refusal(|kernel| {
        let (mach_msg, target) = (kernel.address("mach_msg"), kernel.address("ipc_mqueue_copyin"));
        kernel.calls.push((mach_msg + 1, target));
    });
    let line =
        "ipc_mqueue_copyin (for hook_ipc_mqueue_copyin): expected no noted calls that are none in the text, found 1";
    assert!(text.contains(&format!("\n  {line} (mach_msg+0x1)")), "{text}");
}
