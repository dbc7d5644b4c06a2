// SPDX-License-Identifier: GPL-2.0-or-later
//! A Rust program around our own stubs that does what the C driver (driver.rs) does around migcom's: the generated user
//! stubs and servers of all files of a version, compiled by rustc with warnings as errors and run on the same cases.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use mach_abi::type_name as tn;
use mig_defs::codegen::{self, Context};
use mig_defs::compile::Compilation;
use mig_defs::layout::{RoutineLayout, Source, layout};
use mig_defs::model::{Argument, Dealloc, Model, Role, Routine, Type};

use super::Migcom;
use super::driver::{self, Parameter, Part};

/// How a value is written in Rust: what the driver has to do differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Value,
    Text,
    Right,
    /// An array of rights that C passes in place.
    Rights,
    FarRights,
    List,
    /// An array that may be out of line.
    Either,
    Memory,
}

fn kind(ty: &Type) -> Kind {
    match ty {
        _ if !ty.inline && ty.is_port() => Kind::FarRights,
        _ if !ty.inline => Kind::Memory,
        _ if ty.string => Kind::Text,
        _ if ty.is_port() && !ty.var_array => Kind::Right,
        _ if ty.is_port() => Kind::Rights,
        _ if ty.indefinite => Kind::Either,
        _ if ty.var_array => Kind::List,
        _ => Kind::Value,
    }
}

/// The argument's name in Rust.
fn ident(argument: &Argument) -> String {
    match &*argument.name {
        "self" | "super" | "crate" => format!("{}_", argument.name),
        name @ ("type" | "ref" | "match" | "move" | "in" | "use" | "box" | "loop" | "where" | "mod" | "fn" | "as") => {
            format!("r#{name}")
        }
        name => name.to_string(),
    }
}

/// A routine with its C parameters: where its values are in the image.
struct Stub<'a> {
    model: &'a Model,
    routine: &'a Routine,
    layout: RoutineLayout,
    parameters: Vec<Parameter>,
}

impl<'a> Stub<'a> {
    fn new(model: &'a Model, routine: &'a Routine, header: &str, name: &str) -> Self {
        Self { model, routine, layout: layout(model, routine), parameters: driver::prototype(header, name) }
    }

    fn slot(&self, index: usize, part: Part) -> Option<usize> {
        self.parameters.iter().position(|parameter| {
            let (found, _, found_part) = driver::part(self.routine, parameter);
            (found, found_part) == (index, part)
        })
    }

    fn value_slot(&self, index: usize) -> usize {
        self.slot(index, Part::Value).expect("a value")
    }

    /// An expression for how many elements C's parameters say there are.
    fn count(&self, index: usize, ty: &Type) -> String {
        match self.slot(index, Part::Count) {
            Some(slot) => format!("arena::value({slot})"),
            None => (ty.number / ty.element_number.max(1)).to_string(),
        }
    }

    /// An expression for what is sent in an argument, on both sides.
    fn given(&self, index: usize, argument: &Argument) -> String {
        let ty = self.model.ty(argument.ty);
        let (slot, count) = (self.value_slot(index), self.count(index, ty));
        match kind(ty) {
            Kind::Value => format!("arena::value({slot})"),
            Kind::Text => format!("arena::text({slot})"),
            Kind::Right => format!("arena::right({slot})"),
            Kind::Rights => format!("arena::rights({slot}, {count})"),
            Kind::FarRights => format!("arena::far_rights({slot}, {count})"),
            Kind::List | Kind::Either => format!("arena::list({slot}, {count})"),
            Kind::Memory => format!("arena::far_list({slot}, {count})"),
        }
    }

    fn disposition(&self, index: usize, argument: &Argument) -> Option<String> {
        let any = self.model.ty(argument.ty).in_name == tn::POLYMORPHIC;
        any.then(|| format!("arena::disposition({})", self.slot(index, Part::Poly).expect("a kind")))
    }

    /// An expression for the `Seen` of a received value called `name`.
    fn seen(&self, index: usize, argument: &Argument, name: &str, reply: bool) -> String {
        let ty = self.model.ty(argument.ty);
        let message = if reply { &self.layout.reply } else { &self.layout.request };
        let item = message.items.iter().position(|item| item.source == Source::Argument(index)).expect("an item");
        let element = (ty.size * ty.element_number.max(1)).div_ceil(8).max(1);
        match kind(ty) {
            Kind::Value => format!("Seen::value({item}, {name})"),
            Kind::Text => format!("Seen::text({item}, &{name}[..])"),
            Kind::Right if ty.out_name == tn::POLYMORPHIC => format!("Seen::rights({item}, [{name}])"),
            Kind::Right => format!("Seen::value({item}, {name}.into_name())"),
            Kind::Rights | Kind::FarRights => format!("Seen::rights({item}, {name})"),
            Kind::List if reply => format!("Seen::list({item}, {name}_room[..{name}].iter().copied())"),
            Kind::List => format!("Seen::list({item}, {name}.iter(){})", if element == 1 { ".copied()" } else { "" }),
            Kind::Either => format!("Seen::received({item}, &{name})"),
            Kind::Memory => format!("Seen::memory({item}, &{name}, {element})"),
        }
    }
}

/// The case of a routine in the driver of the user stubs.
fn user_call(stub: &Stub<'_>) -> String {
    let (mut before, mut arguments, mut after) = (String::new(), Vec::new(), String::new());
    let outs = |argument: &&Argument| {
        argument.role == Role::Out || argument.role == Role::InOut && kind(stub.model.ty(argument.ty)) != Kind::Value
    };
    let results = stub.routine.arguments.iter().filter(outs).count();
    for (index, argument) in stub.routine.arguments.iter().enumerate() {
        let ty = stub.model.ty(argument.ty);
        let name = ident(argument);
        match argument.role {
            Role::RequestPort | Role::ReplyPort { user: true, .. } => {
                arguments.push(format!("arena::right({})", stub.value_slot(index)));
                arguments.extend(stub.disposition(index, argument));
            }
            Role::WaitTime | Role::MsgOption => arguments.push(format!("arena::value({})", stub.value_slot(index))),
            Role::InOut if kind(ty) == Kind::Value => {
                writeln!(before, "let mut {name} = {};", stub.given(index, argument)).expect("a string");
                arguments.push(format!("&mut {name}"));
            }
            Role::In | Role::InOut => {
                let moved = [tn::MOVE_SEND, tn::MOVE_SEND_ONCE, tn::MOVE_RECEIVE].contains(&ty.in_name);
                let (slot, count) = (stub.value_slot(index), stub.count(index, ty));
                let pointer = kind(ty) == Kind::Memory;
                let given = stub.given(index, argument);
                arguments.push(match (kind(ty), argument.dealloc) {
                    (Kind::Memory | Kind::Either, Dealloc::Yes) => {
                        format!("arena::memory::<{}>({slot}, {count}, {pointer})", element(ty))
                    }
                    (Kind::Memory | Kind::Either, Dealloc::Maybe) => {
                        let dealloc = stub.slot(index, Part::Dealloc).expect("a flag");
                        format!("arena::data({slot}, {count}, {pointer}, {dealloc})")
                    }
                    (Kind::Rights | Kind::FarRights, _) if !moved => format!("&{given}"),
                    (Kind::List | Kind::Either | Kind::Memory, _) => format!("&{given}"),
                    _ => given,
                });
                arguments.extend(stub.disposition(index, argument));
            }
            Role::Out | Role::ReplyPort { .. } | Role::MsgSeqno => {}
        }
        if argument.role == Role::Out && kind(ty) == Kind::List {
            writeln!(before, "let mut {name}_room = arena::room({});", stub.count(index, ty)).expect("a string");
            arguments.push(format!("&mut {name}_room"));
        }
        if argument.role.in_reply() {
            let value = if results == 1 { "out" } else { &format!("out.{name}") };
            if outs(&argument) {
                writeln!(after, "let {name} = {value};").expect("a string");
            }
            writeln!(after, "let seen = {};", stub.seen(index, argument, &name, true)).expect("a string");
            for (slot, parameter) in stub.parameters.iter().enumerate() {
                match driver::part(stub.routine, parameter) {
                    (found, ..) if found != index => Ok(()),
                    (.., Part::Value) => writeln!(after, "seen.store({slot}, {});", ty.indefinite && parameter.pointer),
                    (.., part) => writeln!(after, "seen.store_part(\"{part:?}\", {slot});"),
                }
                .expect("a string");
            }
        }
    }
    let binding = if results == 0 { "" } else { "let out = " };
    let call = format!("{binding}super::{}({})?;", stub.routine.user_name, arguments.join(", "));
    format!("{} => arena::user(|| {{\n{before}{call}\n{after}Ok(())\n}}),\n", stub.routine.number)
}

/// The method of a routine in the driver of the server, with the signature that the generated trait has.
fn method(stub: &Stub<'_>, generated: &str) -> String {
    let generated = &generated[generated.find("pub trait Server").expect("a trait")..];
    let start = generated.find(&format!("    fn {}(", rust_name(&stub.routine.name))).expect("a method");
    let signature = generated[start..]
        .split_once('{')
        .expect("a body")
        .0
        .replace("impl AsRef<[", "::std::vec::Vec<")
        .replace("]>>", ">>");
    let mut body = String::new();
    for (index, argument) in stub.routine.arguments.iter().enumerate().filter(|(_, one)| one.role.in_request()) {
        let name = ident(argument);
        writeln!(body, "let {name} = {};", stub.seen(index, argument, &name, false)).expect("a string");
    }
    for (slot, parameter) in stub.parameters.iter().enumerate() {
        let (_, argument, part) = driver::part(stub.routine, parameter);
        let name = ident(argument);
        let by_value = driver::by_value(stub.model, argument, part, parameter);
        match (argument.role, part) {
            (Role::RequestPort | Role::ReplyPort { .. } | Role::MsgSeqno, Part::Value) => {
                writeln!(body, "arena::log_header({name});")
            }
            (Role::RequestPort, _) => writeln!(body, "arena::log_disposition(false);"),
            (Role::ReplyPort { .. }, _) => writeln!(body, "arena::log_disposition(true);"),
            (Role::Out, _) => writeln!(body, "arena::log_nothing();"),
            (_, Part::Value) => writeln!(body, "{name}.log({slot}, {by_value});"),
            (_, part) => writeln!(body, "{name}.log_part(\"{part:?}\", {slot}, {by_value});"),
        }
        .expect("a string");
    }
    let mut results = Vec::new();
    for (index, argument) in stub.routine.arguments.iter().enumerate().filter(|(_, one)| one.role.in_reply()) {
        let ty = stub.model.ty(argument.ty);
        let value = match kind(ty) {
            // A buffer of fixed size goes back whole.
            Kind::Text if !ty.var_array => format!("arena::value({})", stub.value_slot(index)),
            Kind::Memory => {
                let (slot, count) = (stub.value_slot(index), stub.count(index, ty));
                format!("arena::memory::<{}>({slot}, {count}, true)", element(ty))
            }
            _ => stub.given(index, argument),
        };
        let value = match stub.disposition(index, argument) {
            Some(how) => format!("({value}, {how})"),
            None => value,
        };
        results.push((ident(argument), value));
    }
    let result = match &results[..] {
        [] => String::from("()"),
        [(_, value)] => value.clone(),
        several => {
            let ty = signature.rsplit_once("Result<").and_then(|(_, rest)| rest.rsplit_once('>')).expect("a struct").0;
            let fields: Vec<_> = several.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            format!("{ty} {{ {} }}", fields.join(", "))
        }
    };
    format!("{signature} {{\nuse crate::arena::{{self, Seen}};\n{body}arena::outcome()?;\nOk({result})\n}}\n")
}

fn rust_name(name: &str) -> String {
    if name == "type" { "r#type".to_string() } else { name.to_string() }
}

/// A Rust type of the size of an element.
fn element(ty: &Type) -> String {
    format!("[u8; {}]", (ty.size * ty.element_number.max(1)).div_ceil(8).max(1))
}

/// The driver of one version's stubs.
#[derive(Default)]
pub(crate) struct Driver {
    modules: String,
    user: String,
    server: String,
    files: usize,
}

impl Driver {
    /// Adds the stubs of a file; returns its number.
    pub(crate) fn add(&mut self, file: &Path, compilation: &Compilation, theirs: &Migcom) -> usize {
        let model = compilation.model.as_ref().expect("a subsystem");
        let context = Context { model, sources: &compilation.sources, file, runtime: "crate" };
        let user = codegen::user::generate(&context).expect("user stubs");
        let server = codegen::server::generate(&context).expect("server stubs");
        let left_out = [codegen::user::left_out(model), codegen::server::left_out(model)].concat();
        assert!(left_out.is_empty(), "{}: {left_out:?}", file.display());
        let number = self.files;
        self.files += 1;
        let stubs = model.routines.iter();
        let calls: String =
            stubs.clone().map(|one| user_call(&Stub::new(model, one, &theirs.user_header, &one.user_name))).collect();
        let methods: String =
            stubs.map(|one| method(&Stub::new(model, one, &theirs.server_header, &one.server_name), &server)).collect();
        // Stubs have to do with what `core` has: no_std, in effect.
        write!(
            self.modules,
            "#[no_implicit_prelude]\npub mod user_{number} {{\nuse ::core::prelude::rust_2024::*;\n{user}\n\
             pub mod calls {{\nuse ::std::prelude::rust_2024::*;\nuse crate::arena::{{self, Seen}};\n\
             pub fn call(routine: u32) {{ match routine {{\n{calls}_ => ::core::unreachable!() }} }} }}\n}}\n\
             #[no_implicit_prelude]\npub mod server_{number} {{\nuse ::core::prelude::rust_2024::*;\n{server}\n\
             pub struct Driver;\nimpl Server for Driver {{\n{methods}}}\n}}\n"
        )
        .expect("a string");
        writeln!(self.user, "{number} => arena::cases(user_{number}::calls::call),").expect("a string");
        writeln!(
            self.server,
            "{number} => arena::cases(|_| arena::server(|request, reply| \
             server_{number}::demux(&mut server_{number}::Driver, request, reply))),"
        )
        .expect("a string");
        number
    }

    /// Compiles it.
    pub(crate) fn build(&self, scratch: &Path) -> PathBuf {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let module = |name: &str, path: &str| format!("#[path = \"{}\"]\npub mod {name};\n", here.join(path).display());
        let text = format!(
            "#![allow(dead_code, unfulfilled_lint_expectations, refining_impl_trait, unused_imports, unused_mut)]\n\
             extern crate alloc;\n{}{}{}{}use stand_in::{{memory, port, sys}};\n{}\
             fn main() {{\nlet mut arguments = std::env::args().skip(1);\n\
             let side = arguments.next();\nlet file: usize = arguments.next().unwrap().parse().unwrap();\n\
             if side.as_deref() == Some(\"user\") {{\nmatch file {{\n{}_ => unreachable!() }}\n}} else {{\n\
             match file {{\n{}_ => unreachable!() }}\n}}\n}}\n",
            module("error", "../userland/mach/src/error.rs"),
            module("mig", "../userland/mach/src/mig/mod.rs"),
            module("stand_in", "tests/stand_in/mod.rs"),
            module("arena", "tests/driver/arena.rs"),
            self.modules,
            self.user,
            self.server,
        );
        let (source, program) = (scratch.join("driver.rs"), scratch.join("rust-driver"));
        std::fs::write(&source, text).expect("driver written");
        // The one that belongs to the cargo that runs this test.
        let cargo = std::env::var_os("CARGO").map(|cargo| Path::new(&cargo).with_file_name("rustc"));
        let compiler = cargo.filter(|path| path.exists()).unwrap_or_else(|| "rustc".into());
        let compile = |arguments: &[&str], source: &Path, to: &Path| {
            let output = Command::new(&compiler)
                .args(["--edition", "2024", "-D", "warnings", "-C", "debuginfo=0", "-C", "codegen-units=2"])
                .args(arguments)
                .arg("-o")
                .args([to, source])
                .output()
                .expect("rustc runs");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        let numbers = scratch.join("libmach_abi.rlib");
        let library = ["--crate-type", "rlib", "--crate-name", "mach_abi"];
        compile(&library, &here.join("../trace-port/abi/src/lib.rs"), &numbers);
        compile(&["--extern", &format!("mach_abi={}", numbers.display())], &source, &program);
        program
    }
}
