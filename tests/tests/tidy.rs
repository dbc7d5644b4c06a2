//! The architecture as tests: who may depend on whom, where unsafe and repr(C) may stand, how long files and functions get.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use syn::spanned::Spanned;
use syn::visit::Visit;

/// Which of our packages each of our packages may depend on (architecture.md, section 2).
const ARROWS: &[(&str, &[&str])] = &[
    ("trace-port", &[]),
    ("mig-defs", &[]),
    ("kernel-ipc", &["trace-port"]),
    ("protocol", &[]),
    ("mach", &["protocol"]),
    ("bootstrap", &["mach", "protocol"]),
    ("exchanges", &["mig-defs", "trace-port"]),
    ("report", &["exchanges", "mig-defs", "trace-port"]),
    ("rpctrace2", &["exchanges", "mach", "mig-defs", "protocol", "report", "trace-port"]),
    ("programs", &["mach", "protocol", "trace-port"]),
    ("qemu", &["kernel-ipc", "mig-defs", "protocol"]),
    ("tests", &["kernel-ipc", "mig-defs", "protocol", "qemu", "rpctrace2", "trace-port"]),
];

/// The only folders and files where `unsafe` may stand.
const UNSAFE: &[&str] =
    &["kernel-ipc/src/gnumach/", "kernel-ipc/src/entry/", "userland/mach/src/sys/", "userland/mach/src/rt/"];

/// The only folders and files where a layout may be declared.
const REPR_C: &[&str] =
    &["trace-port/src/record.rs", "kernel-ipc/src/gnumach/mach.rs", "userland/mach/src/sys/", "userland/mach/src/rt/"];

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
            let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("");
            !first.starts_with("//! ") || first.len() < 20
        })
        .map(|(name, _)| format!("{name}: does not begin with a `//!` sentence"))
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
    let path = root().join("kernel-ipc/src/gnumach/mod.rs");
    let text = fs::read_to_string(path).expect("readable file");
    for handle in ["Thread", "Task", "Space", "Kmsg"] {
        let line = text.lines().position(|line| line.trim() == format!("{handle};")).expect("the handle is declared");
        let above = text.lines().nth(line - 1).expect("a line above it");
        assert!(above.contains("Corresponds to `"), "{handle}: {above}");
    }
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
