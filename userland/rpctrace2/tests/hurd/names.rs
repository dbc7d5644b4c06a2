// SPDX-License-Identifier: GPL-2.0-or-later
//! What ports are called in traces of a real Hurd, with the identities that today's kernel would have put into its records.

use std::path::{Path, PathBuf};

use mig_defs::compile::{Options as CompileOptions, compile};
use mig_defs::model::Model;
use mig_defs::source::Disk;
use mig_defs::table::Tables;
use report::Style;
use rpctrace2::{Options, Trace};

use crate::identities::Spaces;
use crate::lines::{kernel_with, rest};
use crate::{FILES, File};

/// Interfaces of the Hurd, as far as names depend on them, in this project's own words.
const HURD: [&str; 6] = ["exec_startup", "fs", "io", "auth", "process", "term"];

fn hurd() -> [Model; 6] {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/defs/hurd");
    let model = |file: PathBuf| compile(&file, &CompileOptions::lp64(Vec::new()), &Disk).model.expect("a subsystem");
    HURD.map(|name| model(folder.join(name).with_extension("defs")))
}

fn text(file: &File, style: Style) -> Vec<String> {
    lines_of(file, &hurd(), &Options { style, ..Options::default() })
}

/// The lines of a file of records with the kernel's definitions and these.
pub(crate) fn lines_of(file: &File, models: &[Model], options: &Options) -> Vec<String> {
    let tables = kernel_with(models);
    let tables = Tables::parse(&tables).expect("the compiler's own tables are sound");
    let mut trace = Trace::new(tables, options, file.name).expect("nothing is selected");
    let (mut out, records) = (String::new(), file.records());
    let mut spaces = Spaces::of(&records);
    for record in &records {
        let ports = spaces.ports(record);
        trace.message(&record.with(&ports), &mut out);
    }
    trace.finish(&mut out);
    out.lines().map(String::from).collect()
}

fn raw(file: &File) -> Vec<String> {
    text(file, Style { raw: true, ..Style::default() })
}

/// The lines are there, whoever's they are.
fn check(lines: &[String], expected: &[&str]) {
    for expected in expected {
        assert!(lines.iter().any(|line| rest(line) == *expected), "not there: {expected}\n{}", lines.join("\n"));
    }
}

#[test]
#[ignore = "needs Debian's gnumach-dev: set GNUMACH_DEFS, as `cargo qemu test` does"]
fn ports_of_a_hurd_are_called_by_what_programs_hold_them_for() {
    let pipes = raw(&FILES[0]);
    check(
        &pipes,
        &[
            "io_write(io_object: fd 0-2, data: \"pipes: select 1\\n\", offset: -1) = KERN_SUCCESS {amount: 16}",
            "dir_lookup(start_dir: cwd and root, file_name: \"dev/urandom\", flags: O_READ|O_NONBLOCK, mode: 0) = ENOENT",
            // The command, and two of its forks, which are given their parent's ports and a process of their own.
            "proc_getpids(process: proc) = KERN_SUCCESS {pid: 11, ppid: 10, orphaned: true}",
            "proc_getpids(process: proc) = KERN_SUCCESS {pid: 13, ppid: 11, orphaned: true}",
            "proc_getpids(process: proc) = KERN_SUCCESS {pid: 14, ppid: 11, orphaned: true}",
            "proc_task2proc(process: proc, task: task (/bin/pipes(11))[2]) = KERN_SUCCESS {proc: proc of (/bin/pipes(11))[2]}",
            "mach_port_insert_right(task: task (/bin/pipes(11))[2], name: 11, poly: proc of (/bin/pipes(11))[2]) = KERN_SUCCESS",
            "mach_port_insert_right(task: task (/bin/pipes(11))[4], name: 9, poly: cwd and root) = KERN_SUCCESS",
            // One that crashes looks the crash server up from what it holds, and gives the directory back later.
            "dir_lookup(start_dir: cwd and root, file_name: \"servers/crash\", flags: O_NORW, mode: 0) = KERN_SUCCESS \
             {do_retry: FS_RETRY_NORMAL, retry_name: \"\", result: file \"servers/crash\"}",
        ],
    );
    for line in &pipes {
        // What is written is written to the terminal, or to one end of the two pairs of sockets, which have no name.
        let is_write = line.contains(" io_write(");
        assert!(!is_write || line.contains("(io_object: fd 0-2,") || line.contains("(io_object: port "), "{line}");
        let is_process = line.contains("(process: ") && !line.contains("msg_");
        assert!(!is_process || line.contains("(process: proc"), "{line}");
        assert!(!line.contains("thread: message port"), "{line}");
    }
}

#[test]
#[ignore = "needs Debian's gnumach-dev: set GNUMACH_DEFS, as `cargo qemu test` does"]
fn files_of_a_hurd_are_called_by_their_names_while_they_are_open() {
    let lines = raw(&FILES[2]);
    for file in ["tmp/s13.0", "tmp/s13.1", "tmp/s14.0", "tmp/s14.1", "tmp/s14.2"] {
        let written = format!("io_write(io_object: file \"{file}\", data: ool ");
        assert_eq!(lines.iter().filter(|line| rest(line).starts_with(&written)).count(), 8, "{file}");
    }
}

#[test]
#[ignore = "needs Debian's gnumach-dev: set GNUMACH_DEFS, as `cargo qemu test` does"]
fn what_exec_asks_of_a_hurds_task_is_one_line() {
    let lines = text(&FILES[0], Style::default());
    assert_eq!(
        lines[0],
        "/bin/pipes(11)[1] (task) <- exec: 11 RPCs of other tasks, none of its own between: task_get_special_port, task_threads, vm_read, \
         vm_write, task_set_name, thread_create, vm_protect 2, thread_set_state, thread_resume, task_resume"
    );
    assert!(lines[1].starts_with("/bin/pipes(11)[1] thread_set_state("), "{}", lines[1]);
    // Later ones are not exec's.
    assert!(lines.iter().any(|line| line.starts_with("/bin/pipes(11)[1] (task) <- task_info(flavor: TASK_BASIC_INFO")));
}
