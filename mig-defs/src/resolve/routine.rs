// SPDX-License-Identifier: GPL-2.0-or-later
//! Routines: arguments, their defaults and what MIG demands of them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::format;
use std::string::ToString;
use std::vec::Vec;

use mach_abi::type_name::{self as tn, is_port};

use super::types::collect_flags;
use super::{Reported, Resolver};
use crate::ast::{self, ArgumentType, Direction};
use crate::diag::{Code, Diagnostic};
use crate::model::{Argument, Dealloc, Role, Routine, Type, word};
use crate::source::Span;

impl Resolver<'_> {
    /// Adds the routine, or reports why not; either way it takes its number.
    pub(super) fn routine_statement(&mut self, routine: &ast::Routine) {
        let number = self.take_number();
        match self.routine(routine, number) {
            Ok(resolved) => self.model.routines.push(resolved),
            Err(Reported) => {
                let message = format!("routine `{}` is left out", routine.name.text);
                self.diagnostics.report(Code::RoutineLeftOut, routine.name.span, message);
                self.model.left_out.push((routine.name.text.clone(), number));
            }
        }
    }

    fn routine(&mut self, routine: &ast::Routine, number: u32) -> Result<Routine, Reported> {
        let name = &routine.name;
        if !self.has_subsystem {
            let message = format!("routine `{}` stands before any subsystem statement", name.text);
            self.diagnostics.report(Code::NoSubsystem, name.span, message);
            return Err(Reported);
        }
        let user_name = format!("{}{}", self.user_prefix, name.text);
        self.unique_routine(name, &user_name)?;
        let mut arguments: Vec<Argument> = Vec::new();
        let mut broken = self.unique_arguments(routine).is_err();
        for argument in &routine.arguments {
            let has_request_port = arguments.iter().any(|argument| argument.role == Role::RequestPort);
            // One pass over all arguments, so that every unknown type is reported, not only the first.
            match self.argument(argument, has_request_port) {
                Ok(argument) => arguments.push(argument),
                Err(Reported) => broken = true,
            }
        }
        if broken {
            return Err(Reported);
        }
        self.check_routine(routine, &arguments)?;
        Ok(Routine {
            name: name.text.clone(),
            user_name,
            server_name: format!("{}{}", self.server_prefix, name.text),
            number,
            one_way: routine.simple,
            arguments,
            wait_time: self.wait_time.clone(),
            msg_option: self.msg_option.clone(),
            span: routine.span,
        })
    }

    /// Refuses a name that an earlier routine or its user stub has.
    fn unique_routine(&mut self, name: &ast::Ident, user_name: &str) -> Result<(), Reported> {
        let same_name = earlier(&mut self.routine_names, name.text.clone(), name.span);
        let same_stub = earlier(&mut self.user_names, user_name.to_string(), name.span);
        let (earlier, message) = match (same_name, same_stub) {
            (Some(earlier), _) => (earlier, format!("a second routine `{}`", name.text)),
            (None, Some(earlier)) => {
                (earlier, format!("routine `{}` has the second user stub called `{user_name}`", name.text))
            }
            (None, None) => return Ok(()),
        };
        let wrong = Diagnostic::new(Code::DuplicateRoutine, name.span, message);
        self.diagnostics.push(wrong.note(earlier, "the first one"));
        Err(Reported)
    }

    /// Refuses arguments of one name in the same stub.
    fn unique_arguments(&mut self, routine: &ast::Routine) -> Result<(), Reported> {
        let mut result = Ok(());
        // Who has an argument of this name: user, server.
        let mut names: [BTreeMap<&str, Span>; 2] = Default::default();
        for argument in &routine.arguments {
            let name = &argument.name;
            let sides = names.iter_mut().zip(sides(argument.direction)).filter(|(_, has)| *has);
            if let Some(earlier) = sides.filter_map(|(names, _)| earlier(names, &*name.text, name.span)).min() {
                let message = format!("a second argument `{}` of routine `{}`", name.text, routine.name.text);
                let wrong = Diagnostic::new(Code::DuplicateArgument, name.span, message);
                self.diagnostics.push(wrong.note(earlier, "the first one"));
                result = Err(Reported);
            }
        }
        result
    }

    fn argument(&mut self, argument: &ast::Argument, has_request_port: bool) -> Result<Argument, Reported> {
        let ty = match &argument.ty {
            ArgumentType::Named(name) => self.look_up(name)?,
            ArgumentType::Inline(named) => self.named_type(named)?,
        };
        let role = match argument.direction {
            None if !has_request_port => Role::RequestPort,
            None | Some(Direction::In) => Role::In,
            Some(Direction::Out) => Role::Out,
            Some(Direction::InOut) => Role::InOut,
            Some(Direction::RequestPort) => Role::RequestPort,
            Some(Direction::ReplyPort) => Role::ReplyPort { user: true, server: true },
            Some(Direction::SReplyPort) => Role::ReplyPort { user: false, server: true },
            Some(Direction::UReplyPort) => Role::ReplyPort { user: true, server: false },
            Some(Direction::WaitTime) => Role::WaitTime,
            Some(Direction::MsgOption) => Role::MsgOption,
            Some(Direction::MsgSeqno) => Role::MsgSeqno,
        };
        let name = &argument.name;
        let definition = self.model.ty(ty).clone();
        let flags = collect_flags(&argument.flags);
        // The kernel's side of an interface may mark inline data dealloc for the sake of old programs.
        let kernel_sends =
            (self.model.kernel_server && role.in_reply()) || (self.model.kernel_user && role.in_request());
        let dealloc = if kernel_sends && flags.dealloc && definition.dealloc == Dealloc::No {
            Dealloc::Yes
        } else {
            self.dealloc(&definition, flags, definition.dealloc, name)
        };
        let long_form = self.long_form(flags, definition.long_form, name);
        let server_copy = flags.server_copy && definition.indefinite && role.in_request();
        let count_in_out = flags.count_in_out && definition.is_inline_variable() && role.in_reply();
        if server_copy != flags.server_copy || count_in_out != flags.count_in_out {
            let message = format!("servercopy or countinout means nothing on `{}`", name.text);
            self.diagnostics.report(Code::MeaninglessFlag, name.span, message);
        }
        if role == Role::InOut && definition.is_inline_variable() {
            let message = format!("`{}` is an inline array of variable size and cannot be inout", name.text);
            self.diagnostics.report(Code::VariableInOut, name.span, message);
            return Err(Reported);
        }
        self.check_special(role, &definition, name)?;
        Ok(Argument {
            name: name.text.clone(),
            role,
            ty,
            dealloc,
            long_form,
            server_copy,
            count_in_out,
            span: name.span,
        })
    }

    /// Ports in the header and numbers for `mach_msg` have to be what they are used as.
    fn check_special(&mut self, role: Role, ty: &Type, name: &ast::Ident) -> Result<(), Reported> {
        let port_bits = word(self.model.format) * 8;
        let single = ty.number == 1 && ty.inline && ty.dealloc == Dealloc::No && ty.assignable && !ty.var_array;
        let send = ty.size == port_bits
            && matches!(ty.out_name, tn::MOVE_SEND | tn::MOVE_SEND_ONCE | tn::POLYMORPHIC)
            && (is_port(ty.in_name) || ty.in_name == tn::POLYMORPHIC);
        let integer = ty.in_name == tn::INTEGER_32 && ty.out_name == tn::INTEGER_32 && ty.size == 32;
        let (sound, code, what) = match role {
            Role::RequestPort => (send, Code::NotRequestPort, "a request port"),
            Role::ReplyPort { .. } => {
                (send || (ty.size == port_bits && ty.out_name == 0), Code::NotReplyPort, "a reply port")
            }
            Role::WaitTime | Role::MsgOption | Role::MsgSeqno => (integer, Code::NotInteger, "a 32-bit integer"),
            Role::In | Role::Out | Role::InOut => return Ok(()),
        };
        if sound && single {
            return Ok(());
        }
        self.diagnostics.report(code, name.span, format!("argument `{}` is not {what}", name.text));
        Err(Reported)
    }

    fn check_routine(&mut self, routine: &ast::Routine, arguments: &[Argument]) -> Result<(), Reported> {
        let name = &routine.name;
        if !arguments.iter().any(|argument| argument.role == Role::RequestPort) {
            let message = format!("routine `{}` has no request port", name.text);
            self.diagnostics.report(Code::NoRequestPort, name.span, message);
            return Err(Reported);
        }
        if routine.simple
            && let Some(out) = arguments.iter().find(|argument| argument.role.in_reply())
        {
            let message = format!("`{}` is an out argument of a simpleroutine", out.name);
            self.diagnostics.report(Code::OneWayWithOut, out.span, message);
            return Err(Reported);
        }
        for (index, argument) in arguments.iter().enumerate() {
            let special = !matches!(argument.role, Role::In | Role::Out | Role::InOut);
            let earlier = arguments[..index].iter().find(|earlier| special && earlier.role == argument.role);
            if let Some(earlier) = earlier {
                let message = format!("`{}` replaces an earlier argument of its kind", argument.name);
                let wrong = Diagnostic::new(Code::DuplicateSpecial, argument.span, message);
                self.diagnostics.push(wrong.note(earlier.span, "the earlier one"));
            }
        }
        Ok(())
    }
}

/// Where `name` was seen before; if it was not, now it is.
fn earlier<N: Ord>(names: &mut BTreeMap<N, Span>, name: N, span: Span) -> Option<Span> {
    match names.entry(name) {
        Entry::Occupied(earlier) => Some(*earlier.get()),
        Entry::Vacant(place) => {
            place.insert(span);
            None
        }
    }
}

/// Whether the user's stub and the server's procedure have such an argument.
fn sides(direction: Option<Direction>) -> [bool; 2] {
    match direction {
        Some(Direction::UReplyPort | Direction::WaitTime | Direction::MsgOption) => [true, false],
        Some(Direction::SReplyPort | Direction::MsgSeqno) => [false, true],
        _ => [true, true],
    }
}
