// SPDX-License-Identifier: GPL-2.0-or-later
//! The lines, with the kernel's interfaces: each kind beside the bytes of the records it is made of, read here without the decoder.

use std::collections::BTreeMap;
use std::path::PathBuf;

use mach_abi::header::LP64;
use mach_abi::option::MACH_RCV_TIMEOUT;
use mach_abi::{Format, KernReturn};
use mig_defs::annotations::Annotations;
use mig_defs::codegen::table::tables;
use mig_defs::compile::{Options as CompileOptions, compile};
use mig_defs::diag::Diagnostics;
use mig_defs::interfaces::with_directories;
use mig_defs::model::Model;
use mig_defs::source::{Disk, SourceMap};
use mig_defs::table::Tables;
use report::Style;
use rpctrace2::{Options, Trace};
use trace_port::{Direction, EventKind};

use crate::version3::Old;
use crate::{FILES, File, is_shown_as_its_senders};

/// The interfaces of the kernel that occur.
const KERNEL: [&str; 8] = [
    "mach/mach.defs",
    "mach/mach_port.defs",
    "mach/mach_host.defs",
    "mach/gnumach.defs",
    "mach/mach4.defs",
    "mach/exc.defs",
    "mach/notify.defs",
    "mach/x86_64/mach_i386.defs",
];

fn kernel() -> (PathBuf, Vec<u8>) {
    let include = PathBuf::from(std::env::var_os("GNUMACH_DEFS").expect("GNUMACH_DEFS: run cargo qemu test"));
    let options = CompileOptions::lp64(vec![include.clone()]);
    let compiled = KERNEL.map(|file| compile(&include.join(file), &options, &Disk).model.expect("a subsystem"));
    (include, tables(&compiled.each_ref(), &annotations()))
}

fn annotations() -> Annotations {
    Annotations::builtin(Format::Lp64, &mut SourceMap::default(), &mut Diagnostics::default())
}

/// Tables of the kernel's interfaces and of these.
pub(crate) fn kernel_with(others: &[Model]) -> Vec<u8> {
    let include = PathBuf::from(std::env::var_os("GNUMACH_DEFS").expect("GNUMACH_DEFS: run cargo qemu test"));
    let options = CompileOptions::lp64(vec![include.clone()]);
    let compiled = KERNEL.map(|file| compile(&include.join(file), &options, &Disk).model.expect("a subsystem"));
    tables(&compiled.iter().chain(others).collect::<Vec<_>>(), &annotations())
}

fn text(tables: &[u8], file: &File) -> Vec<String> {
    let tables = Tables::parse(tables).expect("the compiler's own tables are sound");
    let options = Options { style: Style { raw: true, ..Style::default() }, ..Options::default() };
    let mut trace = Trace::new(tables, &options, file.name).expect("nothing is selected");
    let mut out = String::new();
    for record in file.records() {
        trace.message(&record.to_today(), &mut out);
    }
    trace.finish(&mut out);
    out.lines().map(String::from).collect()
}

fn count<T: Ord>(found: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    found.for_each(|one| *counts.entry(one).or_default() += 1);
    counts
}

/// What stands in a line after whose it is.
pub(crate) fn rest(line: &str) -> &str {
    line.split_once("] ").map_or(line, |(_, rest)| rest)
}

/// The request that a line begins, by its routine's name or its id.
fn request(line: &str) -> Option<String> {
    let rest = rest(line);
    let rest =
        ["(task) ", "(thread) ", "(task exception) "].iter().find_map(|what| rest.strip_prefix(what)).unwrap_or(rest);
    let rest = ["<- ", "-> "].iter().find_map(|what| rest.strip_prefix(what)).unwrap_or(rest);
    let begins = !["---", "<... ", "mach_msg("].iter().any(|other| rest.starts_with(other));
    let (name, _) = rest.split_once('(').filter(|_| begins && !rest.contains(" reply = "))?;
    Some(name.strip_prefix("msgh_id ").unwrap_or(name).to_string())
}

#[test]
#[ignore = "needs Debian's gnumach-dev: set GNUMACH_DEFS, as `cargo qemu test` does"]
fn requests_of_a_hurd_are_called_by_their_ids() {
    let (_, tables) = kernel();
    let parsed = Tables::parse(&tables).expect("sound tables");
    for file in FILES {
        let records = file.records();
        let asks = |old: &&Old| {
            let id = old.mach_header().filter(|_| old.header.retval.get() == 0)?.id;
            let control = matches!(old.kind(), EventKind::Task | EventKind::Thread);
            // By MIG's convention: the replies of a subsystem follow in the next hundred. glibc's wake-ups are of none.
            let is_reply = match id {
                8_675_309 => false,
                30_500..30_700 => id >= 30_600,
                _ => id / 100 % 2 == 1,
            } || control && old.direction() == Direction::Send;
            let name = parsed.request(id).map_or(id.to_string(), |routine| routine.name().to_string());
            (!is_reply).then_some(name)
        };
        let own = records.iter().filter(|old| !is_shown_as_its_senders(old, &records));
        let expected = count(own.filter_map(|old| asks(&old)));
        let lines = text(&tables, &file);
        assert_eq!(count(lines.iter().filter_map(|line| request(line))), expected, "{}", file.name);
    }
}

#[test]
#[ignore = "needs Debian's gnumach-dev: set GNUMACH_DEFS, as `cargo qemu test` does"]
fn calls_of_a_hurd_that_failed_are_told_with_their_codes() {
    let (_, tables) = kernel();
    for file in FILES {
        let named = |code: u32| KernReturn::from_mach_msg(code).name().expect("a code of mach_msg");
        let records = file.records();
        let failed = records.iter().filter(|old| old.header.retval.get() != 0);
        let expected = failed.map(|old| {
            assert_eq!(old.direction(), Direction::Receive);
            let port = match old.header.rcv_name.get() {
                u32::MAX => "MACH_PORT_DEAD".to_string(),
                name => format!("name {name}"),
            };
            let waits = old.header.options.get() & MACH_RCV_TIMEOUT != 0;
            let wait = if waits { format!(", time_out: {}", old.header.time_out) } else { String::new() };
            format!("mach_msg(receive, {port}{wait}) = {}", named(old.header.retval.get()))
        });
        let lines = text(&tables, &file);
        let found = lines.iter().map(|line| rest(line)).filter(|rest| rest.starts_with("mach_msg("));
        assert_eq!(count(found.map(String::from)), count(expected), "{}", file.name);
    }
}

#[test]
#[ignore = "needs Debian's gnumach-dev: set GNUMACH_DEFS, as `cargo qemu test` does"]
fn what_others_ask_of_a_hurds_task_is_about_itself() {
    let (_, tables) = kernel();
    let lines: Vec<String> = FILES.iter().flat_map(|file| text(&tables, file)).collect();
    for line in lines.iter().filter(|line| line.contains(" (task) <- ")) {
        let (_, arguments) = line.split_once('(').and_then(|(_, rest)| rest.split_once('(')).expect("arguments");
        let (_, first) = arguments.split_once(": ").expect("an argument");
        assert!(first.starts_with("self"), "{line}");
    }
    for line in lines.iter().filter(|line| line.contains(" (thread) <- ")) {
        assert!(line.contains("thread: thread-self"), "{line}");
    }
    // Rights that were made in the kernel have a number, which is no name.
    let thread_create = lines.iter().filter(|line| line.contains("(task) -> thread_create reply"));
    assert!(thread_create.clone().count() >= 3);
    for line in thread_create {
        assert!(line.contains("= KERN_SUCCESS {child_thread: move-send port "), "{line}");
    }
}

/// Lines that were read beside the bytes of their records.
const PIPES: [&str; 20] = [
    "pipes[1] (task) <- task_get_special_port(task: self, which_port: TASK_BOOTSTRAP_PORT)",
    "pipes[1] (task) -> task_get_special_port reply = KERN_SUCCESS {special_port: MACH_PORT_NULL}",
    "pipes[1] (task) -> vm_read reply = KERN_SUCCESS {data: ool [4096 bytes]}",
    "pipes[1] (task) <- task_set_name(task: self, name: \"/bin/pipes(11)\")",
    "/bin/pipes(11)[1] (task) -> thread_create reply = KERN_SUCCESS {child_thread: move-send port 3}",
    "/bin/pipes(11)[1] thread_set_state(target_thread: name 3, flavor: i386_FSGS_BASE_STATE, new_state: {fs_base: 0x500920, gs_base: 0x0}) = KERN_SUCCESS",
    "/bin/pipes(11)[1] mach_port_insert_right(task: name 1, name: 3, poly: make-send name 3) = KERN_SUCCESS",
    "/bin/pipes(11)[1] msgh_id 20018(to name 9, 1096 bytes: \"dev/urandom\", 9, 0) = ENOENT",
    "/bin/pipes(11)[1/1] <... msgh_id 20018 resumed> = KERN_SUCCESS {1, \"\", name 16}",
    "/bin/pipes(11)[1/2] (thread) <- thread_suspend(target_thread: thread-self)",
    "/bin/pipes(11)[1/1] task_create(target_task: name 1, inherit_memory: true) = KERN_SUCCESS {child_task: name 19}",
    "/bin/pipes(11)[1/1] mach_port_names(task: name 1) = KERN_SUCCESS {names: ool 0x12000[19 names], types: ool 0x13000[19 int32]}",
    "/bin/pipes(11)[1/1] mach_port_allocate_name(task: name 19, right: MACH_PORT_RIGHT_RECEIVE, name: 3) = KERN_SUCCESS",
    "[2/2] <- msgh_id 23001(on name 3, 96 bytes: name 1, 11, 1, 1)",
    "[2/2] gsync_wake(task: name 1, addr: 0x5017b0, val: 0, flags: GSYNC_BROADCAST) = MACH_MSG_SUCCESS",
    "[2/1] task_terminate(target_task: name 1) <unfinished ...>",
    "/bin/pipes(11)[1/2] -> msgh_id 23000 reply = KERN_SUCCESS",
    "/bin/pipes(11)[1/3] <... msgh_id 23000 resumed> = KERN_SUCCESS <time_out 1000>",
    "/bin/pipes(11)[1/1] mach_port_mod_refs(task: name 1, name: 25, right: MACH_PORT_RIGHT_RECEIVE, delta: -1) = MACH_MSG_SUCCESS",
    "[4] (task exception) -> exception_raise(exception_port: name 3, thread: move-send name 12, task: move-send name 1, exception: EXC_BAD_ACCESS, code: KERN_PROTECTION_FAILURE, subcode: 0x0)",
];
const SERVER: [&str; 4] = [
    "server[1] <- msgh_id 30500(on a port with the protected payload 0x4000b70, 32 bytes) <time_out 120000>",
    "server[1] <- mach_notify_no_senders(notify: a port with the protected payload 0x4000b70, mscount: 1) <time_out 120000>",
    "server[1] -> msgh_id 30004 reply = KERN_SUCCESS",
    "server[1] task_threads(target_task: name 39) = KERN_SUCCESS {thread_list: ool 0x23000[2 ports]}",
];
const STRESS: [&str; 6] = [
    "--- 1 record lost ---",
    "--- 2 records lost ---",
    "[4] (task) <- mach_port_destroy(task: self, name: self)",
    "[4] (task) <- mach_port_destroy(task: self, name: 2)",
    "hello(16)[4/4] mach_msg(receive, name 23) = MACH_RCV_INTERRUPTED",
    "[3/3] thread_terminate_release(thread: name 23, task: name 1, thread_name: 23, reply_port: 24, address: 0x1d1a000, size: 8392704) = MACH_MSG_SUCCESS",
];

#[test]
#[ignore = "needs Debian's gnumach-dev: set GNUMACH_DEFS, as `cargo qemu test` does"]
fn each_kind_of_line_of_a_hurd_is_there() {
    let (_, tables) = kernel();
    for (file, expected) in FILES.iter().zip([&PIPES[..], &SERVER, &STRESS]) {
        let lines = text(&tables, file);
        for line in expected {
            assert!(lines.iter().any(|found| found == line), "{}: not there: {line}", file.name);
        }
        for line in &lines {
            check_sound(line);
        }
    }
}

/// Nothing that the decoder found not to be what the .defs say, no number that is called a name, no answer to nothing.
fn check_sound(line: &str) {
    for bad in [" | ", "<message ", "expected ", "name 2147483", "not captured", "<msgh_id "] {
        assert!(!line.contains(bad), "{line}");
    }
    assert!(line.is_ascii() && line.matches('(').count() >= line.matches(')').count(), "{line}");
}

#[test]
#[ignore = "needs the Hurd's .defs besides Debian's packages: set HURD_DEFS, as README.md says"]
fn a_hurds_own_messages_decode() {
    let Some(hurd) = std::env::var_os("HURD_DEFS").map(|hurd| PathBuf::from(hurd).join("hurd")) else {
        println!("HURD_DEFS is not set: messages of the Hurd's own interfaces are not decoded");
        return;
    };
    let (include, builtin) = kernel();
    let tables = with_directories(&[hurd], &[include], &builtin).expect("the Hurd's interfaces");
    for file in FILES {
        for line in text(&tables, &file) {
            check_sound(&line);
            let unknown = line.split_once("msgh_id ").and_then(|(_, rest)| rest.split_once('(')).map(|(id, _)| id);
            // Wake-ups of glibc's threads have no interface.
            assert!(unknown.is_none_or(|id| ["0", "8675309"].contains(&id)), "{line}");
        }
    }
}

#[test]
#[ignore = "needs the Hurd's .defs besides Debian's packages: set HURD_DEFS, as README.md says"]
fn errors_of_all_routines_of_a_hurd_have_names() {
    let Some(hurd) = std::env::var_os("HURD_DEFS").map(|hurd| PathBuf::from(hurd).join("hurd")) else {
        println!("HURD_DEFS is not set: errors of the Hurd's own interfaces are not looked at");
        return;
    };
    let (include, builtin) = kernel();
    let tables = with_directories(&[hurd], &[include], &builtin).expect("the Hurd's interfaces");
    let parsed = Tables::parse(&tables).expect("sound tables");
    // An answer of a real Hurd, with another routine's id and an error.
    let records = FILES[0].records();
    let answer = records.iter().find(|old| {
        old.direction() == Direction::Receive && old.mach_header().is_some_and(|header| header.id == 20_118)
    });
    let answer = answer.expect("dir_lookup's");
    let mut count = 0;
    for routine in parsed.routines() {
        let Some(reply) = routine.reply_id().filter(|reply| parsed.request(*reply).is_none()) else { continue };
        let mut wire = answer.to_today().to_vec();
        let start = wire.len() - answer.message.len().next_multiple_of(8);
        wire[start + LP64.id..start + LP64.id + 4].copy_from_slice(&reply.to_le_bytes());
        wire[start + LP64.end + 8..start + LP64.end + 12].copy_from_slice(&0x4000_0002_u32.to_le_bytes());
        let mut trace = Trace::new(parsed, &Options::default(), "hurd").expect("nothing is selected");
        let mut out = String::new();
        trace.message(&wire.into(), &mut out);
        trace.finish(&mut out);
        assert!(out.contains(" = ENOENT"), "{}: {out}", routine.name());
        count += 1;
    }
    assert!(count > 300, "{count}");
}
