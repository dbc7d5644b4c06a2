// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo qemu explain`: what words of a trace mean, by the interfaces of the packages.

use anyhow::Result;
use tests::guest::qemu;

#[test]
#[ignore = "needs the packages: run cargo qemu test"]
fn words_of_a_trace_are_explained() -> Result<()> {
    let run = qemu(&["explain", "vm_allocate", "2021", "-303", "VM_PROT_READ", "io_stat"])?;
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    for part in [
        "vm_allocate: a routine of mach, request 2021, reply 2121\n",
        "    size: vm_size_t (unsigned, 8 bytes)\n",
        "MIG_BAD_ID: -303: the server knows no routine with this id\n",
        "VM_PROT_READ: 0x1 (1), a flag of vm_prot\n",
        "io_stat: a routine of io, request 21013, reply 21113\n",
        "      st_size: loff_t (signed, 8 bytes)\n",
    ] {
        assert!(run.stdout.contains(part), "no {part:?} in\n{}", run.stdout);
    }
    // By name and by id.
    assert_eq!(run.stdout.matches("vm_allocate: a routine of mach").count(), 2, "{}", run.stdout);
    let none = qemu(&["explain", "vm_alocate", "2021"])?;
    assert_eq!(none.status, Some(1));
    assert!(none.stderr.contains("`vm_alocate` is nothing that these tables know; did you mean `vm_allocate`?"));
    assert!(none.stdout.starts_with("vm_allocate: "), "{}", none.stdout);
    Ok(())
}
