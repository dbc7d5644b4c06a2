// SPDX-License-Identifier: GPL-2.0-or-later
//! What is the same in two traces, and what is not.

use compare::told::{Collect, Told};
use compare::{Differences, Renaming, compare};
use export::Format;
use export::model::{Call, Code, Contents, Field, Half, Port, Task, Value};

fn field(name: &str, ty: &str, value: Value) -> Field {
    Field { name: name.into(), ty: ty.into(), value }
}

fn port(number: u32) -> Value {
    let label = format!("port {number}");
    Value::Port(Port { label, name: Some(number + 5), number: Some(number), kind: Some("port"), right: None })
}

fn half(arguments: Vec<Field>) -> Half {
    Half {
        time: 1,
        sequence: 1,
        correlation: 0,
        is_sent: true,
        thread: 7,
        size: 32,
        missing: 0,
        then_receives: true,
        port: None,
        code: None,
        arguments,
        record: None,
    }
}

/// A call of thread 7 of a task.
fn call(index: usize, name: &str, arguments: Vec<Field>) -> Call {
    Call {
        id: 1,
        task: Task { index, number: 40, name: "one".into() },
        thread: 7,
        label: "one[1]".into(),
        role: "client",
        asker: None,
        name: name.into(),
        routine: Some(name.into()),
        subsystem: None,
        msgh_id: Some(1),
        request: Some(half(arguments)),
        reply: None,
        outcome: "answered",
        has_failed: false,
        result: Some(Code { number: 0, name: "KERN_SUCCESS".into() }),
        split: None,
        closed_at: 1,
    }
}

fn compared(first: &[Call], second: &[Call]) -> Differences {
    let told = |calls: &[Call]| -> Told {
        let mut collect = Collect::default();
        calls.iter().try_for_each(|call| collect.closed(call)).expect("nothing is written");
        collect.told().take()
    };
    compare(&told(first), &told(second))
}

#[test]
fn names_of_ports_addresses_and_times_are_no_difference() {
    let trace = |number: u32, address: u64, time: i64| {
        let time = vec![field("seconds", "", Value::Signed(time, None))];
        [
            call(1, "make", vec![field("name", "mach_port_name_t", port(number))]),
            call(1, "map", vec![field("address", "vm_address_t", Value::Unsigned(address, None))]),
            call(1, "clock", vec![field("now", "time_value_t", Value::Struct(time))]),
            call(1, "use", vec![field("name", "mach_port_name_t", port(number))]),
        ]
    };
    assert_eq!(compared(&trace(3, 0x1000, 5), &trace(900, 0x7000, 6)), Differences::default());
}

#[test]
fn numbers_and_missing_calls_are() {
    let size = |size: u64| call(1, "map", vec![field("size", "vm_size_t", Value::Unsigned(size, None))]);
    let found = compared(&[size(1), size(2), size(3)], &[size(1), size(3), size(4)]);
    assert_eq!(found.calls, 2);
    let expected = "@@ one, thread 1 @@\n map(size: 1) = KERN_SUCCESS\n-map(size: 2) = KERN_SUCCESS\n map(size: 3) = KERN_SUCCESS\n\
                    +map(size: 4) = KERN_SUCCESS\n";
    assert_eq!(found.text, expected);
}

#[test]
fn where_an_address_is_none_is_a_difference() {
    let at = |address| [call(1, "map", vec![field("address", "vm_address_t", Value::Unsigned(address, None))])];
    assert_eq!(compared(&at(0), &at(0x1000)).calls, 2);
    assert_eq!(compared(&at(0x2000), &at(0x1000)).calls, 0);
}

#[test]
fn one_port_is_one_port() {
    let trace = |numbers: [u32; 3]| numbers.map(|number| call(1, "use", vec![field("name", "", port(number))]));
    assert_eq!(compared(&trace([3, 4, 3]), &trace([8, 9, 8])), Differences::default());
    let found = compared(&trace([3, 4, 3]), &trace([8, 9, 9]));
    assert_eq!((found.calls, found.ports), (0, 1));
    assert!(found.text.ends_with(
        "~use(name: port 3) = KERN_SUCCESS\n~  (port 3 of the first is port 9 of the second here, port 8 before)\n"
    ));
    let found = compared(&trace([3, 4, 5]), &trace([8, 9, 8]));
    assert!(found.text.contains("port 8 of the second is port 5 of the first here, port 3 before"), "{}", found.text);
}

#[test]
fn tasks_are_known_by_their_names() {
    let calls = |index: usize| call(index, "ask", Vec::new());
    // The second of that name, whatever its number.
    assert_eq!(compared(&[calls(1), calls(2)], &[calls(4), calls(9)]), Differences::default());
    let found = compared(&[calls(1), calls(2)], &[calls(1)]);
    assert_eq!(found.text, "@@ one (2), thread 1 @@\n-ask() = KERN_SUCCESS\n");
}

#[test]
fn what_is_alike_is_left_out_but_for_a_little() {
    let calls = |last: &str| -> Vec<Call> {
        let names = (0..20).map(|number| format!("call{number}"));
        names.chain([last.to_owned()]).map(|name| call(1, &name, Vec::new())).collect()
    };
    let found = compared(&calls("old"), &calls("new"));
    let lines: Vec<&str> = found.text.lines().collect();
    assert_eq!(lines.first(), Some(&"@@ one, thread 1, after 17 that are alike @@"));
    assert_eq!(lines.len(), 6);
}

#[test]
fn of_long_data_all_counts() {
    let data = |last: u8| {
        let bytes = vec![1; 200].into_iter().chain([last]).collect();
        [call(1, "write", vec![field("data", "", Value::Bytes(bytes))])]
    };
    let found = compared(&data(1), &data(2));
    assert_eq!(found.calls, 2);
    assert!(found.text.contains("..."));
}

/// What memory out of line held counts where both have it and that is asked for, and is shown; else only its size does.
#[test]
fn memory_out_of_line_is_compared_where_both_have_it() {
    let answered = |address: u64, contents: Contents| {
        let memory = Value::Memory { address: Some(address), size: 4, contents };
        Call { reply: Some(half(vec![field("data", "", memory)])), ..call(1, "boot_list", vec![]) }
    };
    let read = |bytes: &[u8]| Contents::Read { when: "read before the return", bytes: bytes.to_vec() };
    let one = answered(0x1000, read(b"abcd"));
    let answers = |other: &Call, has_contents| compare::answers(&one, other, &mut Renaming::default(), has_contents);
    assert_eq!(answers(&answered(0x5000, read(b"abcd")), true), None);
    let said = answers(&answered(0x5000, read(b"abce")), true).expect("another byte");
    let line =
        |address: &str, bytes: &str| format!("boot_list() = KERN_SUCCESS {{data: memory {address}[4] <{bytes}>}}\n");
    assert_eq!(said, format!("-{}+{}", line("0x1000", "61626364"), line("0x5000", "61626365")));
    assert_eq!(answers(&answered(0x5000, read(b"abce")), false), None);
    assert_eq!(answers(&answered(0x5000, Contents::Unknown), false), None);
    for (contents, known) in [
        (read(b"abcd"), Some(true)),
        (read(b"abc"), Some(false)),
        (Contents::Unknown, Some(false)),
        (Contents::NotRead("given away".into()), Some(false)),
    ] {
        assert_eq!(compare::memory(&answered(0, contents)), known);
    }
    assert_eq!(compare::memory(&call(1, "boot_list", vec![])), None);
}
