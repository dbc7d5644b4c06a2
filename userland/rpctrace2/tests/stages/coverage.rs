// SPDX-License-Identifier: GPL-2.0-or-later
//! What was reached of the interfaces: `--ask=coverage`.

use std::cell::RefCell;
use std::rc::Rc;

use report::{Amount, Coverage, Reach};
use rpctrace2::Options;
use rpctrace2::options::Report;
use trace_port::Direction;

use crate::common::*;

const VM_PROTECT: u32 = 7001;

fn call(id: u32, argument: i32, code: i32) -> [Sample; 2] {
    [
        Sample::sent(Message::request(id, SELF).int(argument)).options(3, 0),
        Sample::received(Message::reply(id + 100, REPLY).int(code)).options(3, 0),
    ]
}

fn has(found: &[String], expected: &[&str]) {
    expected.iter().for_each(|line| assert!(found.iter().any(|one| one == line), "no {line}:\n{}", found.join("\n")));
}

fn asked(samples: &[Sample]) -> Vec<String> {
    lines(&["--ask=coverage"], samples)
}

#[test]
fn routines_codes_and_values_are_told() {
    let calls = [(1, 0), (3, 8), (1, 0)].map(|(protection, code)| call(VM_PROTECT, protection, code));
    let mut samples = calls.concat();
    samples.push(Sample::sent(Message::request_from(7020, 5, 0).int(0)).options(1, 0));
    let found = asked(&samples);
    let routines = sample_tables().routines().count();
    has(
        &found,
        &[
            &format!("reached 2 of {routines} routines, and of 28 in the 1 subsystem that was reached"),
            "sample: reached 2 of 28",
            "  vm_protect: asked 3 (KERN_SUCCESS 2, KERN_NO_ACCESS 1)",
            "    new_protection: VM_PROT_READ, VM_PROT_WRITE; not VM_PROT_NONE, VM_PROT_EXECUTE, VM_PROT_NO_CHANGE, VM_PROT_NOTIFY",
            "  boot_exit: asked 1",
            "nothing reached of: boot (3), trace (1)",
            "mach_msg that sends: MACH_MSG_SUCCESS 4",
            "mach_msg that receives: MACH_MSG_SUCCESS 3",
        ],
    );
    let options = found.last().expect("lines");
    assert!(options.starts_with("options of mach_msg: MACH_SEND_MSG, MACH_RCV_MSG; not "), "{options}");
    let missing = found.iter().find(|line| line.starts_with("  not reached: ")).expect("a list");
    assert!(missing.ends_with(" and 14 more"), "{missing}");
    let full = lines(&["--ask=coverage", "-v"], &samples);
    let missing = full.iter().find(|line| line.starts_with("  not reached: ")).expect("a list");
    assert_eq!(missing.split(", ").count(), 26, "{missing}");
}

#[test]
fn what_a_server_has_not_or_never_got_is_not_reached() {
    let mut samples = call(VM_PROTECT, 1, -303).to_vec();
    let found = asked(&samples);
    has(&found, &["sample: reached 0 of 28", "  vm_protect: asked 1 (MIG_BAD_ID 1): not reached, no server has it"]);
    samples.extend(call(VM_PROTECT, 1, 0));
    has(&asked(&samples), &["  vm_protect: asked 2 (MIG_BAD_ID 1, KERN_SUCCESS 1)"]);
    let unsent = Sample::sent(Message::request(VM_PROTECT, SELF).int(1)).retval(0x1000_0003);
    let found = asked(&[unsent]);
    assert!(found[0].starts_with("reached 0 of "), "{found:?}");
    has(&found, &["mach_msg that sends: MACH_SEND_INVALID_DEST 1"]);
    let unanswered = Sample::sent(Message::request(VM_PROTECT, SELF).int(1));
    has(&asked(&[unanswered]), &["  vm_protect: asked 1 (no answer seen 1)"]);
}

#[test]
fn servers_strangers_and_losses_are_told() {
    let served = [
        Sample::received(Message::incoming(7008, 9, 20).int(5)),
        Sample::sent(Message::answer(7108, 20).int(0).int(6)),
        Sample::sent(Message::request_from(4242, 5, 0)),
        Sample::failed(Direction::Receive, 0x1000_4003).on(9).dropped(3),
    ];
    let found = asked(&served);
    has(
        &found,
        &[
            "  echo: served 1 (KERN_SUCCESS 1)",
            "msgh_ids of no known routine: 4242 (asked 1, served 0)",
            "mach_msg that receives: MACH_MSG_SUCCESS 1, MACH_RCV_TIMED_OUT 1",
            "3 records are lost: more may have been reached, and all counts are at least so much",
        ],
    );
    let cut = call(VM_PROTECT, 1, 0).map(|sample| sample.cut_to(36));
    let found = asked(&cut);
    has(
        &found,
        &[
            "  vm_protect: asked 1 (no code in the answer 1)",
            "1 request of which only the begin is recorded: other values may have been reached",
        ],
    );
}

#[test]
fn several_traces_are_added_up() {
    let reach: Rc<RefCell<Reach>> = Rc::default();
    let told = |amount, samples: &[Sample]| {
        let mut trace = start(Options { report: Report::Nothing, ..Options::default() });
        trace.analyse(Box::new(Coverage::new(sample_tables(), Rc::clone(&reach), amount)));
        lines_of(trace, samples)
    };
    assert_eq!(told(Amount::Nothing, &call(VM_PROTECT, 1, 0)), [""; 0]);
    let found = told(Amount::Begin, &call(VM_PROTECT, 2, 8));
    has(&found, &["  vm_protect: asked 2 (KERN_SUCCESS 1, KERN_NO_ACCESS 1)"]);
    assert!(found[0].starts_with("2 captures together reached 1 of "), "{found:?}");
    assert!(found.iter().any(|line| line.starts_with("    new_protection: VM_PROT_READ, VM_PROT_WRITE; not ")));
}
