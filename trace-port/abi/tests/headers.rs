// SPDX-License-Identifier: GPL-2.0-or-later
//! Every number is the one of GNU Mach's own headers, and of return values, options and notifications none is missing.
//!
//! Needs `GNUMACH_DEFS`, the include directory of a gnumach-dev package, as `cargo qemu test` sets it; `GNUMACH_DEFS_ALL` names more
//! versions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mach_abi::header::{MACH_MSGH_BITS_COMPLEX, MACH_MSGH_BITS_LOCAL_MASK, MACH_MSGH_BITS_REMOTE_MASK};
use mach_abi::{code, notify, option, port, special_port, trap, type_name};

const HEADERS: [&str; 9] = [
    "mach/message.h",
    "mach/kern_return.h",
    "mach/mig_errors.h",
    "mach/notify.h",
    "mach/port.h",
    "mach/task_special_ports.h",
    "mach/thread_special_ports.h",
    "mach/syscall_sw.h",
    "device/device_types.h",
];

/// The definitions of the headers: names and what stands after them.
struct Headers(BTreeMap<String, String>);

impl Headers {
    fn read(include: &Path) -> Self {
        let mut found = BTreeMap::new();
        for header in HEADERS {
            let text =
                std::fs::read_to_string(include.join(header)).unwrap_or_else(|error| panic!("{header}: {error}"));
            for line in text.lines().filter_map(|line| line.strip_prefix("#define")) {
                let line = line.split("/*").next().unwrap_or("").trim();
                if let Some((name, value)) = line.split_once(char::is_whitespace) {
                    found.insert(name.to_string(), value.trim().to_string());
                }
            }
            for line in text.lines().filter_map(|line| line.split("kernel_trap(").nth(1)) {
                if let [name, number, ..] = line.split(',').collect::<Vec<_>>()[..] {
                    found.insert(name.trim().to_string(), number.trim().to_string());
                }
            }
        }
        Self(found)
    }

    /// The number that an expression of the headers gives.
    fn number(&self, text: &str) -> Option<i64> {
        let text = text.trim();
        if let Some((left, right)) = text.rsplit_once('+') {
            return Some(self.number(left.trim_start_matches('('))? + self.number(right.trim_end_matches(')'))?);
        }
        if let Some(right) = text.strip_prefix("MACH_PORT_TYPE(") {
            return Some(1 << (self.number(right.trim_end_matches(')'))? + 16));
        }
        if let Some(inner) = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) {
            // A cast, or parentheses alone.
            return self.number(inner.split_once("_t)").map_or(inner, |(_, value)| value));
        }
        if let Some(inverted) = text.strip_prefix('~') {
            return self.number(inverted).map(|number| !number);
        }
        let digits = text.trim_end_matches('U');
        match (digits.strip_prefix("0x"), digits.strip_prefix('0')) {
            (Some(hex), _) => i64::from_str_radix(hex, 16).ok(),
            (_, Some(octal)) if !octal.is_empty() => i64::from_str_radix(octal, 8).ok(),
            _ => digits.parse().ok().or_else(|| self.number(self.0.get(text)?)),
        }
    }

    fn expect(&self, name: &str, ours: i64) {
        let theirs = self.0.get(name).and_then(|text| self.number(text));
        // A C constant of 32 bits may be written signed or not.
        assert_eq!(theirs.map(|number| number as u32), Some(ours as u32), "{name}");
    }

    /// Whether a name of the headers is one that we have to have.
    fn is_ours(&self, name: &str) -> bool {
        let number = self.0.get(name).and_then(|text| self.number(text)).is_some();
        let starts = ["KERN_", "MIG_", "MACH_SEND_", "MACH_RCV_", "MACH_NOTIFY_"];
        let is_bound = name == "MACH_NOTIFY_LAST";
        number && !is_bound && starts.iter().any(|start| name.starts_with(start))
    }
}

fn includes() -> Vec<PathBuf> {
    let one = std::env::var_os("GNUMACH_DEFS").expect("GNUMACH_DEFS: run cargo qemu test");
    std::env::split_paths(&std::env::var_os("GNUMACH_DEFS_ALL").unwrap_or(one)).collect()
}

#[test]
#[ignore = "needs Debian's gnumach-dev: set GNUMACH_DEFS, as `cargo qemu test` does"]
fn numbers_are_those_of_the_headers() {
    for include in includes() {
        let headers = Headers::read(&include);
        code::ALL.iter().for_each(|(name, value)| headers.expect(name, value.0.into()));
        let type_names = type_name::ALL.iter().map(|(name, number)| (format!("MACH_MSG_TYPE_{name}"), *number));
        type_names.for_each(|(name, number)| headers.expect(&name, number.into()));
        special_port::ALL.iter().for_each(|(name, number)| headers.expect(name, (*number).into()));
        for (name, number) in [option::ALL, notify::ALL, port::ALL, code::SHORTAGES].concat() {
            headers.expect(name, number.into());
        }
        for (name, number) in [
            ("MACH_MSG_MASK", code::MACH_MSG_MASK),
            ("MACH_MSGH_BITS_COMPLEX", MACH_MSGH_BITS_COMPLEX),
            ("MACH_MSGH_BITS_REMOTE_MASK", MACH_MSGH_BITS_REMOTE_MASK),
            ("MACH_MSGH_BITS_LOCAL_MASK", MACH_MSGH_BITS_LOCAL_MASK),
            ("MACH_MSG_TIMEOUT_NONE", option::MACH_MSG_TIMEOUT_NONE),
            ("MACH_PORT_DEAD", port::MACH_PORT_DEAD),
        ] {
            headers.expect(name, number.into());
        }
        // A trap is there from some version on.
        let traps = trap::ALL.iter().map(|(name, number)| (name.to_lowercase(), *number));
        let traps: Vec<_> = traps.filter(|(name, _)| headers.0.contains_key(name)).collect();
        traps.iter().for_each(|(name, number)| headers.expect(name, *number));
        assert!(traps.len() >= trap::ALL.len() - 1, "{traps:?}");
        let known = |name: &str| {
            code::ALL.iter().any(|(ours, _)| *ours == name)
                || [option::ALL, notify::ALL].concat().iter().any(|(ours, _)| *ours == name)
        };
        let missing: Vec<&String> = headers.0.keys().filter(|name| headers.is_ours(name) && !known(name)).collect();
        assert_eq!(missing, Vec::<&String>::new(), "{}", include.display());
    }
}
