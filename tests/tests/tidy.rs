// SPDX-License-Identifier: GPL-2.0-or-later
//! The architecture as tests: who may depend on whom, where unsafe and repr(C) may stand, how long files and functions get.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use mach_abi::header::{MACH_MSGH_BITS_COMPLEX, REPLY_ID_OFFSET};
use mach_abi::{code, descriptor, notify, option, port, special_port, trap, type_name};
use syn::spanned::Spanned;
use syn::visit::Visit;

/// Which of our packages each of our packages may depend on (docs/architecture.md).
const ARROWS: &[(&str, &[&str])] = &[
    ("mach-abi", &[]),
    ("trace-port", &["mach-abi"]),
    ("capture", &["mach-abi", "trace-port"]),
    ("mig-defs", &["mach-abi"]),
    ("kernel-ipc", &["mach-abi", "trace-port"]),
    ("protocol", &[]),
    ("mach", &["mach-abi", "protocol"]),
    ("hurd", &["mach", "mach-abi", "mig-defs"]),
    ("bootstrap", &["mach", "mach-abi", "protocol"]),
    ("small-hurd", &["hurd", "mach", "mach-abi", "protocol"]),
    ("exchanges", &["mach-abi", "mig-defs", "trace-port"]),
    ("report", &["exchanges", "mach-abi", "mig-defs", "trace-port"]),
    ("export", &["exchanges", "mach-abi", "mig-defs", "report", "trace-port"]),
    ("compare", &["exchanges", "export"]),
    ("replay", &["compare", "exchanges", "export", "mach-abi", "mig-defs", "protocol", "trace-port"]),
    ("view", &["exchanges", "export", "mach-abi", "mig-defs", "report"]),
    (
        "rpctrace2",
        &[
            "capture",
            "compare",
            "exchanges",
            "export",
            "hurd",
            "mach",
            "mach-abi",
            "mig-defs",
            "protocol",
            "replay",
            "report",
            "trace-port",
            "view",
        ],
    ),
    ("programs", &["hurd", "mach", "mach-abi", "protocol", "trace-port"]),
    ("qemu", &["kernel-ipc", "mach-abi", "mig-defs", "protocol", "rpctrace2"]),
    ("tests", &["capture", "kernel-ipc", "mach-abi", "mig-defs", "protocol", "qemu", "rpctrace2", "trace-port"]),
];

/// The only folders and files where `unsafe` may stand.
const UNSAFE: &[&str] =
    &["kernel-ipc/src/gnumach/", "kernel-ipc/src/arch/", "userland/mach/src/sys/", "userland/mach/src/rt/"];

/// The only folders and files where a layout may be declared.
const REPR_C: &[&str] = &[
    "trace-port/src/control.rs",
    "trace-port/src/control/owner/wire.rs",
    "trace-port/src/control/stop.rs",
    "trace-port/src/port.rs",
    "trace-port/src/record.rs",
    "kernel-ipc/src/gnumach/mach.rs",
    "userland/mach/src/sys/",
    "userland/mach/src/rt/",
];

/// Where the numbers of Mach's interface are written.
const ABI: &str = "trace-port/abi/";

/// What a number of Mach's interface begins with where a comment or a name says what it is.
const ABI_WORDS: &[&str] = &[
    "MACH_MSGH_",
    "MACH_MSG_",
    "MACH_SEND_",
    "MACH_RCV_",
    "MACH_NOTIFY_",
    "MACH_PORT_TYPE_",
    "MACH_PORT_RIGHT_",
    "MACH_PORT_QLIMIT_",
    "MSGH_",
    "MSGT_",
    "KERN_",
    "MIG_",
];

/// What the fields of a message begin with, of which a small number is the place; others are values of interfaces.
const ABI_FIELDS: &[&str] = &["msgh_", "msgt_"];

const MAX_FILE_LINES: usize = 500;
const MAX_FUNCTION_LINES: usize = 80;

/// Files that are longer for a reason, with the reason. Shrinks, never grows.
const LONG_FILES: &[(&str, &str)] = &[];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests is a folder of the workspace").to_path_buf()
}

/// Every committed or new Rust file, by its path from the root.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for top in ["kernel-ipc", "trace-port", "mig-defs", "userland", "qemu", "tests"] {
        walk(&root().join(top), &mut found);
    }
    assert!(found.len() > 20, "the walk found only {} files", found.len());
    found
}

fn walk(folder: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).expect("readable folder") {
        let path = entry.expect("readable entry").path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target" && name != "golden") {
                walk(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root()).expect("under the root").to_string_lossy().into_owned();
            found.push((name, fs::read_to_string(&path).expect("readable file")));
        }
    }
}

fn allowed(name: &str, list: &[&str]) -> bool {
    list.iter().any(|prefix| name.starts_with(prefix))
}

fn report(problems: Vec<String>) {
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

/// Who reads one of them in an editor does not see the one before.
#[test]
fn doc_comments_stand_alone() {
    let leans = |line: &str| {
        let text = line.trim_start().strip_prefix("///").unwrap_or("").trim_start();
        ["The same", "Does the same", "Ditto", "Same "].iter().any(|start| text.starts_with(start))
    };
    let mut problems = Vec::new();
    for (name, text) in sources() {
        let lines: Vec<&str> = text.lines().collect();
        for (index, line) in lines.iter().enumerate() {
            let is_first = index == 0 || !lines[index - 1].trim_start().starts_with("///");
            if is_first && leans(line) {
                problems.push(format!("{name}:{}: {}", index + 1, line.trim()));
            }
        }
    }
    report(problems);
}

#[test]
fn packages_depend_only_on_those_below_them() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo metadata runs");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let ours: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let mut problems = Vec::new();
    for package in packages {
        let name = package["name"].as_str().expect("name");
        let Some((_, may)) = ARROWS.iter().find(|(from, _)| *from == name) else {
            problems.push(format!("package `{name}` is not in ARROWS"));
            continue;
        };
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let to = dependency["name"].as_str().expect("name");
            if ours.contains(&to) && !may.contains(&to) {
                problems.push(format!("`{name}` must not depend on `{to}`"));
            }
        }
    }
    report(problems);
}

#[test]
fn unsafe_and_layouts_stand_only_where_they_may() {
    let mut problems = Vec::new();
    for (name, text) in sources() {
        let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut finder = Finder::default();
        finder.visit_file(&file);
        if !allowed(&name, UNSAFE) {
            problems
                .extend(finder.unsafe_lines.iter().map(|line| format!("{name}:{line}: `unsafe` outside {UNSAFE:?}")));
        }
        if !allowed(&name, REPR_C) {
            problems
                .extend(finder.repr_c_lines.iter().map(|line| format!("{name}:{line}: repr(C) outside {REPR_C:?}")));
        }
    }
    report(problems);
}

#[test]
fn every_file_says_first_what_it_is_for() {
    let problems = sources()
        .into_iter()
        .filter(|(_, text)| {
            let mut lines = text.lines();
            let licence = lines.next() == Some("// SPDX-License-Identifier: GPL-2.0-or-later");
            let first = lines.next().unwrap_or("");
            !licence || !first.starts_with("//! ") || first.len() < 20
        })
        .map(|(name, _)| format!("{name}: does not begin with its licence and a `//!` sentence"))
        .collect();
    report(problems);
}

#[test]
fn every_library_has_the_five_parts_in_its_header() {
    let mut problems = Vec::new();
    for (name, text) in sources().iter().filter(|(name, _)| name.ends_with("/src/lib.rs")) {
        for part in ["**What.**", "**Place in the flow.**", "**Invariants.**", "**Unsafe.**", "**Start reading at**"] {
            if !text.contains(part) {
                problems.push(format!("{name}: header lacks {part}"));
            }
        }
    }
    report(problems);
}

#[test]
fn files_and_functions_stay_short() {
    let mut problems = Vec::new();
    for (name, text) in sources() {
        let lines = text.lines().count();
        let excused = LONG_FILES.iter().any(|(file, _)| *file == name);
        match (lines > MAX_FILE_LINES, excused) {
            (true, false) => problems.push(format!("{name}: {lines} lines, at most {MAX_FILE_LINES}")),
            (false, true) => problems.push(format!("{name}: no longer long, take it off LONG_FILES")),
            _ => {}
        }
        let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut finder = Finder::default();
        finder.visit_file(&file);
        for (function, line, length) in finder.functions {
            if length > MAX_FUNCTION_LINES {
                problems.push(format!("{name}:{line}: `{function}` has {length} lines, at most {MAX_FUNCTION_LINES}"));
            }
        }
    }
    report(problems);
}

#[test]
fn wrappers_of_kernel_structs_name_what_they_correspond_to() {
    let path = root().join("kernel-ipc/src/gnumach/handles.rs");
    let text = fs::read_to_string(path).expect("readable file");
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    // `Thread: "thread";` under its comment.
    let handles = lines.windows(2).filter(|pair| pair[1].ends_with("\";") && pair[1].contains(": \""));
    let handles: Vec<&[&str]> = handles.collect();
    assert!(handles.len() >= 5, "the handles are declared in {} lines", handles.len());
    for handle in handles {
        assert!(handle[0].contains("Corresponds to `"), "{}: {}", handle[1], handle[0]);
    }
}

#[test]
fn numbers_of_machs_interface_stand_in_mach_abi_alone() {
    let mut problems = Vec::new();
    for (name, text) in sources().iter().filter(|(name, _)| !name.starts_with(ABI)) {
        let found = Numbers::in_file(text, !name.contains("/tests"));
        problems.extend(found.iter().map(|(line, what)| format!("{name}:{line}: {what} is a number of mach-abi")));
    }
    report(problems);
}

#[test]
fn numbers_of_machs_interface_are_found() {
    let found = |text: &str| Numbers::in_file(text, true).into_iter().map(|(_, what)| what).collect::<Vec<_>>();
    assert_eq!(found("const MACH_SEND_TIMEOUT: u32 = 0x10;"), ["MACH_SEND_TIMEOUT"]);
    assert_eq!(found("mod mr { pub const SEND_TIMED_OUT: i32 = 4 | 1 << 28; }"), ["SEND_TIMED_OUT"]);
    assert_eq!(found("fn f() { const DEAD_NAME: u32 = 1 << 20; }"), ["DEAD_NAME"]);
    assert_eq!(found("impl X { const NOTIFY_DEAD_NAME: i32 = 0o110; }"), ["NOTIFY_DEAD_NAME"]);
    assert_eq!(found("enum How { MakeSend = 20 }"), ["MakeSend"]);
    assert_eq!(
        found("const BYTE: u64 = 9; const INLINE: u64 = 1 << 29; const VM_MAP: i64 = -64;"),
        ["BYTE", "INLINE", "VM_MAP"]
    );
    assert_eq!(found("const MSGH_ID: usize = 28;"), ["MSGH_ID"]);
    assert_eq!(found("/// Offset of `msgh_id`.\nconst AT: usize = 28;"), ["AT"]);
    assert_eq!(found("/// `MACH_MSG_TYPE_PORT_RECEIVE` and more.\nconst RIGHTS: R<u64> = 16..=18;"), ["RIGHTS"]);
    assert_eq!(found("fn f(result: u32) -> bool { result == 0x1000_4003 }"), ["0x1000_4003"]);
    assert!(Numbers::in_file("fn f() { g(0x1000_4003) }", false).is_empty(), "tests may say what is on the wire");
    assert_eq!(found("#[cfg(test)] mod tests { fn f() { g(0x1000_4003) } }"), [""; 0]);
    // What is taken from there, what only has the name or the number, and what a comment compares with.
    assert_eq!(found("const SEND_TIMED_OUT: u32 = mach_abi::KernReturn::MACH_SEND_TIMED_OUT.to_mach_msg();"), [""; 0]);
    assert_eq!(
        found("const SEND_TIMED_OUT: u32 = 17; const OTHER: u32 = 0x10; enum Way { Send = 0, Receive = 1 }"),
        [""; 0]
    );
    assert_eq!(found("/// `msgh_id` of ours.\nconst OURS: i32 = 5000;"), [""; 0]);
    assert_eq!(found("/// Sent with `MACH_SEND_MSG`.\nfn f() { g(1) }"), [""; 0]);
}

/// Numbers of Mach's interface that a file writes itself: the line, and the constant's name or the number.
struct Numbers {
    found: Vec<(usize, String)>,
    /// Whether return codes may not stand in expressions either.
    codes: bool,
}

impl Numbers {
    fn in_file(text: &str, codes: bool) -> Vec<(usize, String)> {
        let mut numbers = Self { found: Vec::new(), codes };
        numbers.visit_file(&syn::parse_file(text).expect("a Rust file"));
        numbers.found
    }

    fn constant(&mut self, name: &syn::Ident, attributes: &[syn::Attribute], value: &syn::Expr) {
        let plain = name.to_string();
        let begins = |word: &str, with: &[&str]| with.iter().any(|start| word.starts_with(start));
        let is_place = number(value).is_none_or(|number| number < 64);
        let said = attributes.iter().filter_map(doc).any(|line| {
            let mut quoted = line.split('`').skip(1).step_by(2);
            quoted.any(|word| begins(word, ABI_WORDS) || is_place && begins(word, ABI_FIELDS))
        });
        let named = begins(&plain, ABI_WORDS);
        let is_number = literal(value);
        let is_known = number(value).is_some_and(|number| is_abi(&upper(&plain), number));
        if is_number && (said || named) || is_known {
            self.found.push((name.span().start().line, plain));
        }
    }
}

impl<'ast> Visit<'ast> for Numbers {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let is_test = item.attrs.iter().any(|attribute| match &attribute.meta {
            syn::Meta::List(list) => attribute.path().is_ident("cfg") && list.tokens.to_string() == "test",
            _ => false,
        });
        let codes = self.codes;
        self.codes &= !is_test;
        syn::visit::visit_item_mod(self, item);
        self.codes = codes;
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.constant(&item.ident, &item.attrs, &item.expr);
        syn::visit::visit_item_const(self, item);
    }

    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.constant(&item.ident, &item.attrs, &item.expr);
        syn::visit::visit_impl_item_const(self, item);
    }

    fn visit_variant(&mut self, item: &'ast syn::Variant) {
        if let Some((_, value)) = &item.discriminant {
            self.constant(&item.ident, &item.attrs, value);
        }
        syn::visit::visit_variant(self, item);
    }

    fn visit_lit_int(&mut self, item: &'ast syn::LitInt) {
        let value = item.base10_parse::<u32>().ok();
        let is_code = |(_, code): &(&str, mach_abi::KernReturn)| value == Some(code.to_mach_msg()) && code.0 >> 28 == 1;
        if self.codes && code::ALL.iter().any(is_code) {
            self.found.push((item.span().start().line, item.to_string()));
        }
    }
}

/// A line of a comment that documents something.
fn doc(attribute: &syn::Attribute) -> Option<String> {
    let syn::Meta::NameValue(pair) = &attribute.meta else { return None };
    match &pair.value {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) if pair.path.is_ident("doc") => {
            Some(text.value())
        }
        _ => None,
    }
}

/// Whether an expression is made of numbers alone.
fn literal(expression: &syn::Expr) -> bool {
    match expression {
        syn::Expr::Range(range) => [&range.start, &range.end].into_iter().flatten().all(|end| literal(end)),
        _ => number(expression).is_some(),
    }
}

/// The number that an expression of numbers alone gives.
fn number(expression: &syn::Expr) -> Option<u32> {
    match expression {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Int(number), .. }) => {
            number.base10_parse::<u64>().ok().map(|number| number as u32)
        }
        syn::Expr::Paren(inner) => number(&inner.expr),
        syn::Expr::Cast(cast) => number(&cast.expr),
        syn::Expr::Unary(syn::ExprUnary { op: syn::UnOp::Neg(_), expr, .. }) => Some(number(expr)?.wrapping_neg()),
        syn::Expr::Binary(binary) => {
            let (left, right) = (number(&binary.left)?, number(&binary.right)?);
            match binary.op {
                syn::BinOp::Shl(_) => left.checked_shl(right),
                syn::BinOp::BitOr(_) => Some(left | right),
                syn::BinOp::Add(_) => left.checked_add(right),
                _ => None,
            }
        }
        _ => None,
    }
}

/// `SendOnce` as `SEND_ONCE`.
fn upper(name: &str) -> String {
    let is_upper = name.chars().all(|letter| !letter.is_lowercase());
    let words = name.chars().enumerate().map(|(at, letter)| match letter.is_uppercase() && at > 0 && !is_upper {
        true => format!("_{letter}"),
        false => letter.to_uppercase().to_string(),
    });
    words.collect()
}

/// Whether mach-abi has the number under this name or a longer one that ends so. Of one word alone only a number that is not small
/// tells that it is meant.
fn is_abi(name: &str, number: u32) -> bool {
    let mut known: Vec<(&str, u32)> = [option::ALL, notify::ALL, port::ALL, type_name::ALL, code::SHORTAGES].concat();
    known.extend(code::ALL.iter().map(|(name, code)| (*name, code.to_mach_msg())));
    known.extend(special_port::ALL.iter().map(|(name, number)| (*name, *number as u32)));
    known.extend(trap::ALL.iter().map(|(name, number)| (*name, *number as u32)));
    known.extend([
        ("TASK_TRACE_PORT", special_port::TASK_TRACE_PORT as u32),
        ("MACH_MSGH_BITS_COMPLEX", MACH_MSGH_BITS_COMPLEX),
        ("REPLY_ID_OFFSET", REPLY_ID_OFFSET),
        ("INLINE", descriptor::INLINE),
        ("LONGFORM", descriptor::LONGFORM),
        ("DEALLOCATE", descriptor::DEALLOCATE),
    ]);
    let tells = name.contains('_') || number > 64;
    let is_it =
        |whole: &str| whole == name || tells && whole.strip_suffix(name).is_some_and(|start| start.ends_with('_'));
    number != 0 && known.into_iter().any(|(whole, value)| value == number && is_it(whole))
}

/// Collects what the rules look at.
#[derive(Default)]
struct Finder {
    unsafe_lines: Vec<usize>,
    repr_c_lines: Vec<usize>,
    functions: Vec<(String, usize, usize)>,
}

impl Finder {
    fn function(&mut self, signature: &syn::Signature, body: &syn::Block) {
        if let Some(token) = signature.unsafety {
            self.unsafe_lines.push(token.span().start().line);
        }
        let (start, end) = (signature.span().start().line, body.span().end().line);
        self.functions.push((signature.ident.to_string(), start, end - start + 1));
    }
}

impl<'ast> Visit<'ast> for Finder {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block);
        syn::visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function(&item.sig, &item.block);
        syn::visit::visit_impl_item_fn(self, item);
    }

    fn visit_expr_unsafe(&mut self, item: &'ast syn::ExprUnsafe) {
        self.unsafe_lines.push(item.span().start().line);
        syn::visit::visit_expr_unsafe(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if let Some(token) = item.unsafety {
            self.unsafe_lines.push(token.span().start().line);
        }
        syn::visit::visit_item_impl(self, item);
    }

    fn visit_item_foreign_mod(&mut self, item: &'ast syn::ItemForeignMod) {
        self.unsafe_lines.push(item.span().start().line);
        syn::visit::visit_item_foreign_mod(self, item);
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if attribute.path().is_ident("repr")
            && let syn::Meta::List(list) = &attribute.meta
            && list.tokens.to_string().split(',').any(|word| word.trim() == "C")
        {
            self.repr_c_lines.push(attribute.span().start().line);
        }
    }
}
