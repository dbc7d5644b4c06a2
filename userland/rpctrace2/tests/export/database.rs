// SPDX-License-Identifier: GPL-2.0-or-later
//! `--to sqlite`, read with sqlite3.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{captured, exported, json, made_of_nothing, text};

/// What sqlite3 answers.
fn answer(file: &Path, options: &[&str], question: &str) -> String {
    let place = tempfile::NamedTempFile::new().unwrap();
    fs::write(place.path(), exported(file, "sqlite", options)).unwrap();
    let output = Command::new("sqlite3").arg(place.path()).arg(question).output().expect("sqlite3 is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "needs sqlite3: run cargo qemu test"]
fn sqlite3_finds_what_the_lines_say() {
    let file = captured("deadlock.mtrc");
    assert_eq!(answer(&file, &[], "pragma integrity_check; pragma user_version; pragma foreign_key_check"), "ok\n1\n");
    let sizes = "select routine, number from arguments join exchanges on exchanges.id = exchange where path = 'size' and number > 131072";
    assert_eq!(answer(&file, &[], sizes), "vm_allocate|262144\n");
    let parts = "select count(*), sum(queue + server + reply = duration) from exchanges where queue is not null";
    assert_eq!(answer(&file, &[], parts), "2|2\n");
    let meaning = "select number, text from arguments where path = 'new_protection'";
    assert_eq!(answer(&file, &[], meaning), "0|VM_PROT_NONE\n");
    let tasks = "select id, name from tasks order by 1; select text from facts where name = 'command'";
    assert_eq!(answer(&file, &[], tasks), "1|deadlock\n2|(deadlock)\ndeadlock\n");
    let members = "select count(*) from arguments where path = 'new_state.rip' and type <> ''";
    assert_eq!(answer(&file, &[], members), "1\n");
}

#[test]
#[ignore = "needs sqlite3: run cargo qemu test"]
fn sqlite3_has_as_many_exchanges_as_there_are_lines() {
    for options in [&[][..], &["-Z"], &["-e", "/^vm_"]] {
        let file = captured("echo.mtrc");
        let lines = json::lines(&text(&file, "jsonl", options), "exchange").len();
        assert_eq!(answer(&file, options, "select count(*) from exchanges"), format!("{lines}\n"));
    }
    let [nothing, losses] = made_of_nothing();
    assert_eq!(answer(nothing.path(), &[], "select count(*) from exchanges"), "0\n");
    assert_eq!(answer(losses.path(), &[], "select sum(records) from losses"), "6\n");
}
