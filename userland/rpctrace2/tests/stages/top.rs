// SPDX-License-Identifier: GPL-2.0-or-later
//! Figures of calls: the table of `-c` with other columns and orders, and `--ask=top`.

use trace_port::Direction;

use crate::common::*;
use rpctrace2::options::place::Here;
use rpctrace2::options::{self, Request};

/// An RPC from `time` that takes `took`; times in microseconds.
fn call(id: u32, from: u64, time: u64, took: u64, code: i32) -> [Sample; 2] {
    [
        Sample::sent(Message::request(id, SELF).int(1)).sequence(from).time(1000 * time),
        Sample::received(Message::reply(id + 100, REPLY).int(code)).sequence(from + 1).time(1000 * (time + took)),
    ]
}

/// Five calls that take 1, 2, 3, 4 and 100 microseconds, of which two fail, one that takes 10, and a receive that fails.
fn calls() -> Vec<Sample> {
    let times = [(1, 0), (2, 0), (3, 5), (4, 15), (100, 0)];
    let protects = times.into_iter().enumerate().flat_map(|(place, (took, code))| {
        let place = place as u64;
        call(7001, 2 * place + 1, 1000 * place, took, code)
    });
    let receive = Sample::failed(Direction::Receive, 0x1000_4003).on(9).sequence(13);
    protects.chain(call(7021, 11, 8000, 10, 0)).chain([receive]).collect()
}

#[test]
fn the_table_has_the_columns_and_the_order_that_are_asked_for() {
    let table = |arguments: &[&str]| lines(&[&["-c"], arguments].concat(), &calls());
    assert_eq!(
        table(&["-U", "name,calls,min-time,p50,p99,max-time"]),
        [
            "routine              calls    shortest         p50         p99     longest",
            "---------------- --------- ----------- ----------- ----------- -----------",
            "vm_protect               5    0.000001    0.000003    0.000100    0.000100",
            "task_terminate           1    0.000010    0.000010    0.000010    0.000010",
            "mach_msg                 1    0.000000    0.000000    0.000000    0.000000",
            "---------------- --------- ----------- ----------- ----------- -----------",
            "total                    7    0.000001    0.000003    0.000100    0.000100",
        ]
    );
    // As strace, the name comes last if nobody says where.
    let by_calls = table(&["-w", "-U", "errors,avg-time", "-S", "avg-time"]);
    assert_eq!(
        by_calls[..3],
        ["   errors  usecs/call routine", "--------- ----------- ----------------", "                   22 vm_protect"]
            .map(|line| line.replace("                   22", "        2          22"))
    );
    let names = |sort: &str| {
        let rows = table(&["-U", "name", "-S", sort]);
        rows[2..5].to_vec()
    };
    assert_eq!(names("name"), ["mach_msg", "task_terminate", "vm_protect"]);
    assert_eq!(names("min-time"), ["task_terminate", "vm_protect", "mach_msg"]);
    assert_eq!(names("errors"), ["vm_protect", "mach_msg", "task_terminate"]);
    assert_eq!(names("none"), ["mach_msg", "vm_protect", "task_terminate"]);
    // What is only counted has the same figures as what is told.
    let told = lines(&["-C", "-U", "p50,p99"], &calls());
    assert!(told.ends_with(&table(&["-U", "p50,p99"])), "{told:?}");
}

#[test]
fn top_has_figures_by_task_subsystem_and_routine() {
    let found = lines(&["--ask=top"], &calls()).join("\n");
    let parts = [
        "100.00    0.000120    0.000001    0.000003    0.000100    0.000100          17         7         3 hello[1]",
        "100.00    0.000120    0.000001    0.000003    0.000100    0.000100          20         6         2 sample",
        "  0.00    0.000000    0.000000    0.000000    0.000000    0.000000           0         1         1 unknown",
        " 91.66    0.000110    0.000001    0.000003    0.000100    0.000100          22         5         2 vm_protect",
        "vm_protect: 5 answers",
        "  0.000000512 to 0.000001024         1 ####################",
        "  0.000001024 to 0.000002048         1 ####################",
        "  0.000002048 to 0.000004096         2 ########################################",
        "  0.000004096 to 0.000008192         0",
        "  0.000065536 to 0.000131072         1 ####################",
        "errors of mach_msg: MACH_RCV_TIMED_OUT 1",
        "errors of vm_protect: KERN_FAILURE 1, KERN_INVALID_NAME 1",
    ];
    for part in parts {
        assert!(found.lines().any(|line| line == part), "no {part}:\n{found}");
    }
    assert_eq!(lines(&["--ask=top"], &[]), ["no call is recorded"]);
}

/// On a terminal, whose width the host knows: what matters least goes, and names are shortened.
#[test]
fn top_fits_a_terminal() {
    let told = |width: usize| {
        let Ok(Request::Trace { mut options, .. }) = options::parse(["--ask=top", "hello"], Here::Guest) else {
            panic!("must be taken")
        };
        options.table.width = width;
        let (mut trace, mut out) = (start(*options), String::new());
        for (index, sample) in calls().iter().enumerate() {
            sample.clone().sequence(index as u64 + 1).feed(&mut trace, &mut out);
        }
        trace.finish(&mut out);
        out
    };
    for (width, head) in [
        (
            130,
            "% time     seconds    shortest         p50         p99     longest  usecs/call     calls    errors task",
        ),
        (80, "    seconds         p50         p99     calls    errors task"),
        (47, "    seconds     calls    errors task"),
    ] {
        let text = told(width);
        assert!(text.lines().next() == Some(head) && text.contains(" vm_protect\n"), "{text}");
        let is_short = |line: &&str| line.len() <= width || line.starts_with("errors of ");
        assert!(text.lines().all(|line| is_short(&line)), "{width}: {text}");
    }
    assert_eq!(told(0), told(130));
    assert!(told(40).contains(" vm_pr...\n"), "{}", told(40));
}

/// As many rows as there is room for, and the sums of all.
#[test]
fn figures_so_far_fit_the_room_that_there_is() {
    let mut trace = trace(&["--ask=top"]);
    let mut out = String::new();
    for (index, sample) in calls().iter().enumerate() {
        sample.clone().sequence(index as u64 + 1).feed(&mut trace, &mut out);
    }
    let so_far = |lines: usize| {
        let mut text = String::new();
        trace.so_far(lines, &mut text);
        text
    };
    let whole = so_far(100);
    for row in [" hello[1]\n", " vm_protect\n", " task_terminate\n", " mach_msg\n"] {
        assert!(whole.contains(row), "{whole}");
    }
    assert_eq!(whole.matches(" total\n").count(), 2, "{whole}");
    let small = so_far(13);
    assert!(small.lines().count() <= 13 && small.contains(" vm_protect\n"), "{small}");
    assert!(small.contains("total with 2 more\n") && !small.contains("mach_msg"), "{small}");
    let total = |text: &str| text.lines().rfind(|line| line.contains(" total")).map(|line| line[..47].to_owned());
    assert_eq!(total(&small), total(&whole));
}

#[test]
fn a_question_about_everything_is_not_asked_of_a_part() {
    let parsed = |words: &[&str]| options::parse(words.iter().copied(), Here::Guest).map_err(|error| error.to_string());
    let refusal = "option `--ask=leaks`: needs all messages; `-e trace=` leaves some out";
    assert_eq!(parsed(&["--ask=leaks", "-e", "trace=vm_map", "hello"]), Err(refusal.to_owned()));
    assert!(parsed(&["--ask=top", "-e", "trace=vm_map", "hello"]).is_ok());
}
