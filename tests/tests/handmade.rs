// SPDX-License-Identifier: GPL-2.0-or-later
//! Who builds Mach messages by hand: nobody but the runtime under the generated stubs and the files named here, each with the reason
//! why no stub does it.
//!
//! What counts: `mach::msg::Message`, sending through `mach_msg` itself, and type descriptors, of mach-abi or as numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::Visit;

/// The runtime: what generated stubs are made of, and the builder for programs that need none.
const RUNTIME: &[&str] = &["userland/mach/src/mig/", "userland/mach/src/msg.rs", "userland/mach/src/sys/"];

/// How a file builds messages by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum How {
    /// `Message::new` of mach::msg.
    Builder,
    /// `MACH_SEND_MSG` or `send_at`.
    Send,
    /// `mach_abi::Descriptor`, a type descriptor as a number, or the shift of its inline bit.
    Descriptor,
}

use How::{Builder, Descriptor, Send};

/// Files that may, how, and why.
const EXCEPTIONS: &[(&str, &[How], &str)] = &[
    (
        "kernel-ipc/src/hooks/exception.rs",
        &[Descriptor],
        "compares the kernel's own exception_raise with what exc.defs says",
    ),
    ("kernel-ipc/src/named.rs", &[Descriptor], "looks for names in any message, whose interface it does not know"),
    ("kernel-ipc/src/state/looks.rs", &[Descriptor], "a flag in a word of a task's, no descriptor"),
    ("kernel-ipc/src/conceal.rs", &[Descriptor], "walks any message in the kernel, whose interfaces it does not know"),
    (
        "trace-port/src/record.rs",
        &[Descriptor],
        "a record stands in the payload's fixed buffer; trace_defs.rs compares trace.defs",
    ),
    (
        "trace-port/src/control.rs",
        &[Descriptor],
        "requests and replies stand in the kernel's own memory; trace_defs.rs and the programs compare trace_control.defs",
    ),
    (
        "userland/rpctrace2/src/session/prompt.rs",
        &[Builder],
        "an empty word from a thread of its own to the one that receives",
    ),
    (
        "userland/rpctrace2/src/world/module.rs",
        &[Builder],
        "asks behind a right that may be anybody's, who may never answer, with a time-out",
    ),
    ("userland/programs/src/tracer.rs", &[Builder], "messages of a kind that no interface has, for traces of such"),
    ("userland/programs/src/bin/alike.rs", &[Builder], "messages without an interface, of which several are alike"),
    ("userland/programs/src/bin/arrays.rs", &[Builder], "shows rights out of line without an interface"),
    (
        "userland/programs/src/bin/bench-rpc/client.rs",
        &[Builder, Send, Descriptor],
        "little but the kernel is to be measured",
    ),
    ("userland/programs/src/bin/bench-steps.rs", &[Builder, Send], "exact counts of steps that stubs would add to"),
    (
        "userland/programs/src/bin/outstanding.rs",
        &[Builder],
        "requests whose ids are their numbers, all sent before the first is answered",
    ),
    ("userland/programs/src/bin/hurd-engines.rs", &[Builder], "asks ports of which nobody may answer, with a time-out"),
    ("userland/programs/src/bin/chain.rs", &[Builder], "a request that is passed on, which no stub does"),
    ("userland/programs/src/bin/forger.rs", &[Builder, Send], "messages that are to look like the kernel's"),
    (
        "userland/programs/src/bin/leaking.rs",
        &[Builder],
        "messages with rights that nobody looks at, and to names that stand for nothing",
    ),
    ("userland/rpctrace2/benches/page/large.rs", &[Send], "makes up records, which nobody sends"),
    ("userland/programs/src/bin/elements.rs", &[Builder], "rights out of line, more than any interface has"),
    (
        "userland/programs/src/bin/echo.rs",
        &[Builder, Descriptor],
        "messages without an interface, some of which say wrongly whether they hold rights",
    ),
    ("userland/programs/src/bin/fidelity/echo.rs", &[Send], "servers of random messages"),
    ("userland/programs/src/bin/fidelity/kernel.rs", &[Descriptor], "requests that are nearly sound"),
    ("userland/programs/src/bin/fidelity/main.rs", &[Send], "random options of mach_msg"),
    ("userland/programs/src/bin/fidelity/message.rs", &[Descriptor], "random messages, right and wrong"),
    ("userland/programs/src/bin/hurd-strict.rs", &[Builder], "messages that are not what their .defs say"),
    (
        "userland/programs/src/bin/intruder.rs",
        &[Builder, Send, Descriptor],
        "a message that is to look like another's, and replies as they stand in memory",
    ),
    ("userland/programs/src/bin/items.rs", &[Builder, Descriptor], "shows items of every kind without an interface"),
    (
        "userland/programs/src/bin/paged.rs",
        &[Builder],
        "memory out of line without an interface, which a pager provides",
    ),
    ("userland/programs/src/bin/unmap.rs", &[Builder], "memory out of line without an interface, which goes meanwhile"),
    ("userland/programs/src/bin/payloads.rs", &[Builder, Send], "one mach_msg with both options, which hands over"),
    ("userland/programs/src/bin/ports.rs", &[Builder], "shows rights in messages without an interface"),
    (
        "userland/programs/src/bin/ring/headers.rs",
        &[Builder, Send],
        "messages without a body, and the options of the calls that receive them",
    ),
    (
        "userland/programs/src/bin/refill.rs",
        &[Send],
        "one mach_msg answers an exception and waits for the next, as mach_msg_server does",
    ),
    (
        "userland/programs/src/bin/replay.rs",
        &[Send],
        "requests as a capture has their bytes, whose interfaces it does not know",
    ),
    ("userland/programs/src/requests.rs", &[Descriptor], "random requests, right and wrong"),
    ("userland/programs/src/bin/requests/asked.rs", &[Send], "random requests, with right and wrong headers"),
    ("userland/programs/src/bin/requests/world.rs", &[Builder], "a signal between tasks; what has come is thrown away"),
    ("userland/programs/src/bin/soak/player.rs", &[Send], "random options of mach_msg"),
    ("userland/programs/src/bin/soak/words.rs", &[Descriptor], "random messages without an interface"),
    ("userland/programs/src/bin/soak/engines.rs", &[Send], "random requests, right and wrong"),
    ("userland/programs/src/bin/soak/operation.rs", &[Builder], "random messages without an interface"),
    ("userland/programs/src/bin/soak/world.rs", &[Builder], "random messages without an interface"),
    ("userland/programs/src/bin/threads.rs", &[Builder], "shows messages without an interface"),
    ("userland/programs/src/bin/timeouts.rs", &[Builder, Send], "sends that must fail: too small, nowhere, too late"),
    ("userland/programs/src/bin/toggle.rs", &[Builder], "signals between tasks while nothing else may be traced"),
    ("userland/programs/src/bin/trace-boot.rs", &[Builder], "a message of its own between traced ones"),
    ("userland/programs/src/bin/trace-port.rs", &[Builder], "signals between tasks while nothing else may be traced"),
    ("userland/programs/src/bin/vm.rs", &[Builder], "shows memory in messages without an interface"),
];

/// Names that `use` brings into a file, with what they stand for.
#[derive(Default)]
struct Names(BTreeMap<String, String>);

impl Names {
    fn add(&mut self, prefix: &str, tree: &syn::UseTree) {
        match tree {
            syn::UseTree::Path(path) => self.add(&format!("{prefix}{}::", path.ident), &path.tree),
            syn::UseTree::Name(name) if name.ident == "self" => {
                let module = prefix.trim_end_matches("::");
                self.0.insert(module.rsplit("::").next().unwrap_or(module).to_string(), module.to_string());
            }
            syn::UseTree::Name(name) => drop(self.0.insert(name.ident.to_string(), format!("{prefix}{}", name.ident))),
            syn::UseTree::Rename(name) => {
                drop(self.0.insert(name.rename.to_string(), format!("{prefix}{}", name.ident)))
            }
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.add(prefix, tree)),
            syn::UseTree::Glob(_) => {}
        }
    }

    /// The whole path that a path of the file means.
    fn whole(&self, path: &syn::Path) -> String {
        let words: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        let first = self.0.get(&words[0]).unwrap_or(&words[0]);
        let whole = [std::slice::from_ref(first), &words[1..]].concat().join("::");
        // Within the runtime's own package.
        whole.strip_prefix("crate::").map_or(whole.clone(), |rest| format!("mach::{rest}"))
    }
}

/// What is found in one file.
#[derive(Default)]
struct Finder {
    names: Names,
    found: BTreeSet<How>,
}

impl Finder {
    fn file(text: &str) -> BTreeSet<How> {
        let file = syn::parse_file(text).expect("a Rust file");
        let mut finder = Self::default();
        Uses(&mut finder.names).visit_file(&file);
        finder.visit_file(&file);
        finder.found
    }

    fn path(&mut self, path: &syn::Path) {
        match self.names.whole(path).as_str() {
            "mach::msg::Message::new" => drop(self.found.insert(Builder)),
            "mach_abi::option::MACH_SEND_MSG" | "mach::sys::msg::send_at" => drop(self.found.insert(Send)),
            path if path.starts_with("mach_abi::Descriptor") || path.starts_with("mach_abi::descriptor::") => {
                self.found.insert(Descriptor);
            }
            _ => {}
        }
    }

    fn number(&mut self, number: &syn::LitInt) {
        let Ok(value) = number.base10_parse::<u64>() else { return };
        let (name, bits, rest, count) = (value as u8, value >> 8 & 0xffff, value >> 24 & 0xff, value >> 32);
        // Bits 29 to 31: inline, longform, deallocate.
        if name <= 21 && [8, 16, 32, 64].contains(&bits) && rest & 0x1f == 0 && rest != 0 && count > 0 {
            self.found.insert(Descriptor);
        }
    }
}

/// Collects the `use` items, also those inside functions.
struct Uses<'a>(&'a mut Names);

impl Visit<'_> for Uses<'_> {
    fn visit_item_use(&mut self, item: &syn::ItemUse) {
        self.0.add("", &item.tree);
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && matches!(&attribute.meta, syn::Meta::List(list) if list.tokens.to_string() == "test")
    })
}

impl<'ast> Visit<'ast> for Finder {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            syn::visit::visit_item_mod(self, item);
        }
    }

    fn visit_expr_path(&mut self, path: &'ast syn::ExprPath) {
        self.path(&path.path);
    }

    fn visit_expr_struct(&mut self, literal: &'ast syn::ExprStruct) {
        self.path(&literal.path);
        syn::visit::visit_expr_struct(self, literal);
    }

    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        if let (syn::BinOp::Shl(_), syn::Expr::Lit(right)) = (&binary.op, &*binary.right)
            && matches!(&right.lit, syn::Lit::Int(bit) if bit.base10_digits() == "29")
        {
            self.found.insert(Descriptor);
        }
        syn::visit::visit_expr_binary(self, binary);
    }

    fn visit_lit_int(&mut self, number: &'ast syn::LitInt) {
        self.number(number);
    }
}

/// Every Rust file of what runs on Mach, but for tests.
fn sources() -> Vec<(String, String)> {
    fn walk(root: &Path, folder: &Path, found: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(folder).expect("readable folder") {
            let path = entry.expect("readable entry").path();
            let name = path.strip_prefix(root).expect("under the root").to_string_lossy().into_owned();
            let test = name.ends_with("tests.rs") || name.ends_with("/tests") || name.ends_with("/target");
            if path.is_dir() && !test {
                walk(root, &path, found);
            } else if !test && path.extension().is_some_and(|extension| extension == "rs") {
                found.push((name, fs::read_to_string(&path).expect("readable file")));
            }
        }
    }
    let root: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root").to_path_buf();
    let mut found = Vec::new();
    for top in ["userland", "kernel-ipc/src", "trace-port/src"] {
        walk(&root, &root.join(top), &mut found);
    }
    assert!(found.len() > 60, "the walk found only {} files", found.len());
    found
}

#[test]
fn messages_are_built_by_generated_stubs() {
    let mut problems = Vec::new();
    for (name, text) in sources() {
        if RUNTIME.iter().any(|place| name.starts_with(place)) {
            continue;
        }
        let found = Finder::file(&text);
        let excused = EXCEPTIONS.iter().find(|(file, ..)| *file == name).map_or(&[][..], |(_, how, _)| how);
        let excused: BTreeSet<How> = excused.iter().copied().collect();
        problems.extend(found.difference(&excused).map(|how| format!("{name}: builds messages by hand: {how:?}")));
        problems.extend(excused.difference(&found).map(|how| format!("{name}: no longer {how:?}: take it off")));
    }
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn what_is_built_by_hand_is_found() {
    let found = |text: &str| Finder::file(text).into_iter().collect::<Vec<_>>();
    assert_eq!(found("use mach::msg::{self, Message as M}; fn f() { M::new(1); }"), [Builder]);
    assert_eq!(found("fn f() { use mach::msg; msg::Message::new(1); }"), [Builder]);
    assert_eq!(found("fn f() { mach::msg::Message::new(1); }"), [Builder]);
    assert_eq!(found("use mig_defs::decode::Message; fn f() { Message::new(1); }"), []);
    assert_eq!(found("use mach_abi::option::MACH_SEND_MSG; fn f() { g(MACH_SEND_MSG | 1); }"), [Send]);
    assert_eq!(found("use mach::sys; fn f() { sys::msg::send_at(1); }"), [Send]);
    assert_eq!(found("const INT: u64 = 0x1_2000_2002;"), [Descriptor]);
    assert_eq!(found("const FAR: u64 = 0x10_8000_0809;"), [Descriptor]);
    assert_eq!(found("const INLINE: u64 = 1 << 29;"), [Descriptor]);
    assert_eq!(found("use mach_abi::descriptor; const INLINE: u32 = descriptor::INLINE;"), [Descriptor]);
    assert_eq!(found("use mach_abi::Descriptor as D; const INT: u64 = D::inline(2, 32, 1).to_word();"), [Descriptor]);
    assert_eq!(found("use mach_abi::Descriptor; fn f() { Descriptor { inline: false, ..g() } }"), [Descriptor]);
    assert_eq!(found("const SIZE: u64 = 0x1_0000_0000 + 0x2000_2002; const MASK: u64 = u64::MAX >> 29;"), []);
    assert_eq!(found("#[cfg(test)] mod tests { const INT: u64 = 0x1_2000_2002; }"), []);
}
