// SPDX-License-Identifier: GPL-2.0-or-later
//! Our .defs beside the Hurd's own: each routine of ours has the id and the bytes that theirs has.
//!
//! The Hurd's files are not ours to keep: `HURD_DEFS` names a checkout (docs/mig.md), and `GNUMACH_DEFS`, which `cargo qemu test` sets, the
//! kernel's interfaces that both include.

use std::path::{Path, PathBuf};

use mig_defs::compile::{Options, compile};
use mig_defs::show;
use mig_defs::source::Disk;

/// The files that have one of the same name in the Hurd.
const FILES: [&str; 8] = ["auth", "exec", "exec_startup", "fs", "io", "msg", "process", "term"];

fn ours(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("defs").join(format!("{name}.defs"))
}

/// The kernel's interfaces.
fn kernel() -> PathBuf {
    std::env::var_os("GNUMACH_DEFS").map(PathBuf::from).expect("GNUMACH_DEFS, which `cargo qemu test` sets")
}

/// The byte maps of a file's routines by name, without the names of types, which are nobody's business.
fn maps(path: &Path, include: Vec<PathBuf>) -> Vec<(String, String)> {
    let compilation = compile(path, &Options::lp64(include), &Disk);
    assert_eq!(compilation.diagnostics.errors(), 0, "{}: {}", path.display(), compilation.report());
    let model = compilation.model.as_ref().expect("a subsystem");
    let without_type = |line: &str| match line.split_once(": ") {
        Some((field, ty)) => format!("{field}{}", ty.find(',').map_or("", |comma| &ty[comma..])),
        None => line.to_owned(),
    };
    let map = |routine| {
        let text = show::routine(model, routine);
        text.lines().map(without_type).collect::<Vec<_>>().join("\n")
    };
    model.routines.iter().map(|routine| (routine.name.to_string(), map(routine))).collect()
}

#[test]
#[ignore = "needs Debian's gnumach-dev: set GNUMACH_DEFS, as `cargo qemu test` does"]
fn interfaces_compile_and_are_those_of_the_hurd() {
    let hurd = std::env::var_os("HURD_DEFS").map(PathBuf::from);
    for name in FILES {
        let mine = maps(&ours(name), vec![kernel()]);
        assert!(!mine.is_empty(), "{name}.defs has no routine");
        let Some(hurd) = &hurd else { continue };
        let theirs = maps(&hurd.join("hurd").join(format!("{name}.defs")), vec![kernel(), hurd.clone()]);
        for (routine, map) in &mine {
            let other = theirs.iter().find(|(other, _)| other == routine);
            let (_, other) = other.unwrap_or_else(|| panic!("{name}.defs of the Hurd has no {routine}"));
            assert_eq!(map, other, "{routine}");
        }
    }
    if hurd.is_none() {
        println!("HURD_DEFS is not set: only compiled");
    }
}

/// What waits without waiting for the answer asks and is answered in the same bytes.
#[test]
#[ignore = "needs Debian's gnumach-dev: set GNUMACH_DEFS, as `cargo qemu test` does"]
fn the_halves_of_a_wait_are_those_of_the_whole() {
    let map = |file: &str, routine: &str| {
        let maps = maps(&ours(file), vec![kernel()]);
        maps.into_iter().find(|(name, _)| name == routine).map(|(_, map)| map).expect("the routine")
    };
    let whole = map("process", "proc_waitid");
    let (request, reply) = whole.split_at(whole.find("proc_waitid reply").expect("a reply"));
    for (part, half) in
        [(request, map("process_request", "proc_waitid_request")), (reply, map("process_reply", "proc_waitid_reply"))]
    {
        assert_eq!(places(part), places(&half));
        assert!(places(part).len() > 5, "{part}");
    }
}

/// The number of the message, its size, and the offset and size of everything in it.
fn places(map: &str) -> Vec<String> {
    let number = |line: &str| line.split_once("msgh_id ").map(|(_, rest)| rest.to_owned());
    let place = |line: &str| {
        let mut words = line.split_whitespace();
        Some(format!("{} {}", words.next()?.parse::<u32>().ok()?, words.next()?))
    };
    map.lines().filter_map(|line| number(line).or_else(|| place(line))).collect()
}

/// The extract that rpctrace2's own tests decode with, which needs no other file, says what these say.
#[test]
#[ignore = "needs Debian's gnumach-dev: set GNUMACH_DEFS, as `cargo qemu test` does"]
fn the_extract_for_tests_without_a_kernel_is_the_same() {
    let extract = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rpctrace2/tests/defs/hurd");
    let mut compared = 0;
    for name in FILES {
        let path = extract.join(format!("{name}.defs"));
        if !path.is_file() {
            continue;
        }
        let all = maps(&ours(name), vec![kernel()]);
        for (routine, map) in maps(&path, vec![extract.clone()]) {
            // Some are there that no program of ours calls.
            if let Some((_, other)) = all.iter().find(|(other, _)| *other == routine) {
                assert_eq!(&map, other, "{routine}");
                compared += 1;
            }
        }
    }
    assert!(compared > 5, "{compared} routines were compared");
}
