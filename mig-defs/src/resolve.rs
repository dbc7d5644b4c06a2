// SPDX-License-Identifier: GPL-2.0-or-later
//! Syntax tree to model: applies MIG's defaults and makes every semantic check.

use std::collections::{BTreeMap, BTreeSet};
use std::format;
use std::rc::Rc;
use std::string::{String, ToString};
use std::vec::Vec;

use mach_abi::Format;

use crate::ast::{self, Ident, Statement};
use crate::diag::{Code, Diagnostic, Diagnostics};

use crate::model::{Model, Setting, TypeId};
use crate::show;
use crate::source::Span;

mod routine;
mod types;

/// Resolves a file. `None` if there is no subsystem to resolve; otherwise everything that is sound is in the model, and
/// what is not has been reported.
pub fn resolve(file: &ast::File, format: Format, diagnostics: &mut Diagnostics) -> Option<Model> {
    let mut resolver = Resolver::new(format, diagnostics);
    resolver.declare_basic_types();
    for statement in &file.statements {
        resolver.statement(statement);
    }
    resolver.has_subsystem.then_some(resolver.model)
}

/// A problem that was already reported.
struct Reported;

struct Resolver<'a> {
    model: Model,
    diagnostics: &'a mut Diagnostics,
    has_subsystem: bool,
    warned_early_types: bool,
    /// Names of types whose declaration was wrong: using them is not a second error.
    broken: BTreeSet<Rc<str>>,
    routine_names: BTreeMap<Rc<str>, Span>,
    /// Names of routines with the prefix that their stubs have.
    user_names: BTreeMap<String, Span>,
    next_number: u32,
    user_prefix: String,
    server_prefix: String,
    wait_time: Option<String>,
    msg_option: Option<String>,
}

impl<'a> Resolver<'a> {
    fn new(format: Format, diagnostics: &'a mut Diagnostics) -> Self {
        let model = Model {
            format,
            name: Rc::from(""),
            base: 0,
            kernel_user: false,
            kernel_server: false,
            server_demux: None,
            types: Vec::new(),
            named: BTreeMap::new(),
            routines: Vec::new(),
            left_out: Vec::new(),
        };
        Self {
            model,
            diagnostics,
            has_subsystem: false,
            warned_early_types: false,
            broken: BTreeSet::new(),
            routine_names: BTreeMap::new(),
            user_names: BTreeMap::new(),
            next_number: 0,
            user_prefix: String::new(),
            server_prefix: String::new(),
            wait_time: None,
            msg_option: None,
        }
    }

    fn statement(&mut self, statement: &Statement) {
        match statement {
            Statement::Subsystem(subsystem) => self.subsystem(subsystem),
            Statement::WaitTime(word) => self.wait_time = word.as_ref().map(|word| self.setting("waittime", word)),
            Statement::MsgOption(word) => {
                let option = self.setting("msgoption", word);
                self.msg_option = (option != "MACH_MSG_OPTION_NONE").then_some(option);
            }
            Statement::ServerPrefix(name) => self.server_prefix = String::from(&*name.text),
            Statement::UserPrefix(name) => self.user_prefix = String::from(&*name.text),
            Statement::ServerDemux(name) => self.model.server_demux = Some(name.text.clone()),
            Statement::Type(named) => self.type_statement(named),
            Statement::Routine(routine) => self.routine_statement(routine),
            Statement::Skip(count) => self.next_number = self.next_number.wrapping_add(*count),
            Statement::BrokenRoutine(span) => {
                let number = self.take_number();
                self.diagnostics.report(Code::RoutineLeftOut, *span, format!("routine {number} is left out"));
                self.model.left_out.push((Rc::from("?"), number));
            }
            Statement::Import(_) | Statement::RcsId(_) => {}
        }
    }

    /// The text of a `waittime` or `msgoption`.
    fn setting(&mut self, statement: &str, word: &Ident) -> String {
        if Setting::parse(&word.text).is_none() {
            let wrong =
                Diagnostic::new(Code::StrangeSetting, word.span, format!("no Rust user stubs with this {statement}"));
            self.diagnostics.push(wrong.expected("a number or a name", format!("`{}`", word.text)));
        }
        word.text.to_string()
    }

    fn take_number(&mut self) -> u32 {
        let number = self.next_number;
        // Ids are 32 bits wide and wrap, as MIG's do.
        self.next_number = number.wrapping_add(1);
        number
    }

    fn subsystem(&mut self, subsystem: &ast::Subsystem) {
        if self.has_subsystem {
            let message = format!("the earlier subsystem `{}` is forgotten", self.model.name);
            self.diagnostics.report(Code::SubsystemAgain, subsystem.name.span, message);
        }
        self.has_subsystem = true;
        self.model.name = subsystem.name.text.clone();
        self.model.base = subsystem.base;
        self.model.kernel_user = subsystem.kernel_user;
        self.model.kernel_server = subsystem.kernel_server;
    }

    fn type_statement(&mut self, named: &ast::NamedType) {
        if !self.has_subsystem && !self.warned_early_types {
            self.warned_early_types = true;
            let message = "types before the subsystem statement; GNU MIG does not accept this";
            self.diagnostics.report(Code::TypesBeforeSubsystem, named.name.span, message);
        }
        let name = named.name.text.clone();
        if let Some(earlier) = self.model.named.get(&name) {
            let ty = self.model.ty(*earlier);
            let again = |how| Diagnostic::new(Code::TypeRedefined, named.name.span, format!("type `{name}` is {how}"));
            self.diagnostics.push(match ty.is_built_in() {
                true => {
                    again(format!("already defined: it is built in, as {}", show::type_text(&self.model, *earlier)))
                }
                false => again("already defined".to_string()).note(ty.span, "the earlier one"),
            });
        }
        match self.named_type(named) {
            Ok(id) => {
                self.broken.remove(&name);
                self.model.named.insert(name, id);
            }
            Err(Reported) => {
                self.broken.insert(name);
            }
        }
    }

    fn look_up(&mut self, name: &ast::Ident) -> Result<TypeId, Reported> {
        match self.model.named.get(&name.text) {
            Some(id) if !self.broken.contains(&name.text) => Ok(*id),
            _ => {
                if !self.broken.contains(&name.text) {
                    let message = format!("type `{}` is not defined", name.text);
                    self.diagnostics.report(Code::UnknownType, name.span, message);
                }
                Err(Reported)
            }
        }
    }
}
