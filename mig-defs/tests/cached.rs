// SPDX-License-Identifier: GPL-2.0-or-later
//! The command without files and -I: it finds the interfaces that `cargo qemu` has fetched.
#![cfg(feature = "compiler")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Runs the command with these variables and none of the others that say where the cache is.
fn run(variables: &[(&str, &Path)], arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mig-defs"));
    for name in ["RPCTRACE2_CACHE", "XDG_CACHE_HOME", "HOME"] {
        command.env_remove(name);
    }
    command.envs(variables.iter().copied()).args(arguments).output().expect("it runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// A cache as `cargo qemu` leaves it, gone afterwards.
struct Cache(PathBuf);

impl Cache {
    fn new(name: &str) -> Self {
        let root = std::env::temp_dir().join(format!("mig-defs-cached-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&root).expect("a directory");
        Self(root)
    }

    /// Adds an unpacked package with one interface.
    fn package(&self, packages: &str, triplet: &str, routine: &str) {
        let packages = self.0.join(packages);
        let include = packages.join("gnumach-dev_2%3a1.8-1/usr/include").join(triplet);
        std::fs::create_dir_all(include.join("mach")).expect("a directory");
        std::fs::write(packages.join("gnumach-dev.version"), "2:1.8-1\n").expect("written");
        let types = "type p_t = MACH_MSG_TYPE_COPY_SEND;\n";
        std::fs::write(include.join("mach/types.defs"), types).expect("written");
        let defs = format!("subsystem s 7000;\n#include <mach/types.defs>\nroutine {routine}(p : p_t);\n");
        std::fs::write(include.join("mach/s.defs"), defs).expect("written");
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        // Left behind it would be in nobody's way.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn interfaces_in_the_cache_are_found_where_cargo_qemu_leaves_them() {
    let cache = Cache::new("found");
    let (own, base, home) = (cache.0.join("own"), cache.0.join("base"), cache.0.join("home"));
    for (root, routine) in [("own", "one"), ("base/rpctrace2", "two"), ("home/.cache/rpctrace2", "three")] {
        cache.package(&format!("{root}/debian"), "x86_64-linux-gnu", routine);
    }
    cache.package("own/i386/debian", "i386-linux-gnu", "small");
    let list = |variables: &[(&str, &Path)], arguments: &[&str]| {
        let output = run(variables, &[&["list"], arguments].concat());
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
        text(&output.stdout)
    };
    let all = [("RPCTRACE2_CACHE", &*own), ("XDG_CACHE_HOME", &*base), ("HOME", &*home)];
    assert_eq!(list(&all, &[]), "s 7000 one 0 7000 7100\n");
    assert_eq!(list(&all, &["--ilp32"]), "s 7000 small 0 7000 7100\n");
    let empty = [("RPCTRACE2_CACHE", Path::new("")), all[1], all[2]];
    assert_eq!(list(&empty, &[]), "s 7000 two 0 7000 7100\n");
    assert_eq!(list(&all[2..], &[]), "s 7000 three 0 7000 7100\n");
    let shown = text(&run(&all, &["show", "7000"]).stdout);
    assert!(shown.starts_with("one: routine 0 of subsystem s 7000, ") && shown.contains("\none reply, "), "{shown}");
    // Files of one's own include what is there; -I is searched instead of it, for files too.
    let mine = cache.0.join("mine.defs");
    std::fs::write(&mine, "subsystem m 1;\n#include <mach/types.defs>\nroutine m(p : p_t);\n").expect("written");
    let mine = mine.to_str().expect("UTF-8");
    assert_eq!(list(&all, &[mine]), "m 1 m 0 1 101\n");
    let other = own.join("i386/debian/gnumach-dev_2%3a1.8-1/usr/include/i386-linux-gnu");
    assert_eq!(list(&all, &["-I", other.to_str().expect("UTF-8")]), "s 7000 small 0 7000 7100\n");
}

#[test]
fn what_is_not_there_is_said_with_the_command_that_fetches_it() {
    let cache = Cache::new("nothing");
    let refused = |variables: &[(&str, &Path)], arguments: &[&str]| {
        let output = run(variables, arguments);
        assert_eq!((output.status.code(), &*output.stdout), (Some(1), &b""[..]), "{arguments:?}");
        text(&output.stderr)
    };
    let here = [("RPCTRACE2_CACHE", &*cache.0)];
    let expected = format!(
        "mig-defs: no interfaces: expected .defs files, or those that `cargo qemu run hello` fetches into {}, found none there\n",
        cache.0.display()
    );
    for arguments in [&["list"][..], &["show", "task_create"]] {
        assert_eq!(refused(&here, arguments), expected);
    }
    assert_eq!(refused(&here, &["list", "--ilp32"]), expected.replace("run hello", "test --all"));
    assert!(refused(&[], &["list"]).contains("RPCTRACE2_CACHE, XDG_CACHE_HOME or HOME"));
    let place = cache.0.to_str().expect("UTF-8");
    assert_eq!(refused(&here, &["list", "-I", place]), format!("mig-defs: no .defs file in {place}\n"));
    assert!(refused(&here, &["list", "-I", "/nowhere/at/all"]).starts_with("mig-defs: cannot read /nowhere/at/all: "));
    // Neither needs anything of the cache.
    assert_eq!(run(&here, &["explain", "MD0031"]).status.code(), Some(0));
    let alone = cache.0.join("alone.defs");
    std::fs::write(&alone, "subsystem alone 1;\n").expect("written");
    assert_eq!(run(&here, &["list", alone.to_str().expect("UTF-8")]).status.code(), Some(0));
}

/// Keeps src/bin/mig-defs/cached.rs and the qemu package of one mind.
#[test]
#[ignore = "needs Debian's gnumach-dev in the cache: set GNUMACH_DEFS, as `cargo qemu test` does"]
fn what_cargo_qemu_has_fetched_is_what_is_found() {
    let list = |arguments: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_mig-defs")).arg("list").args(arguments).output().expect("it runs");
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let fetched = std::env::var("GNUMACH_DEFS").expect("GNUMACH_DEFS is set");
    let found = list(&[]);
    assert_eq!(found, list(&["-I", &fetched]));
    assert!(found.lines().count() > 100, "{found}");
}
