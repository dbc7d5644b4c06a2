// SPDX-License-Identifier: GPL-2.0-or-later
//! One exec: which task the program goes into, which ports it gets, and what happens to the task that was there.

use alloc::vec::Vec;

use hurd::abi::{exec as flag, int, open, port};
use hurd::lookup::lookup;
use hurd::stubs::{auth, fs, process};
use mach::error::Result;
use mach::mig::AnyRight;
use mach::port::{Disposition, PortName, ReceiveRight, SendRight};
use mach::{stubs, task_self};
use mach_abi::special_port::TASK_BOOTSTRAP_PORT;
use small_hurd::errno::{EIEIO, ENOENT, ENOEXEC};
use small_hurd::image::Image;
use small_hurd::script::{Interpreter, with_origin};

use super::load::{self, First};
use super::{Boot, Exec, Port};
use crate::client::{Client, authenticated, names, task_name};

/// `SIGTRAP`: what a program that is started for a debugger has stopped by.
const SIGTRAP: i32 = 5;

/// What is asked for.
pub(super) struct Program {
    pub(super) file: SendRight,
    pub(super) task: Option<SendRight>,
    pub(super) flags: i32,
    pub(super) path: Vec<u8>,
    pub(super) absolute: Vec<u8>,
    pub(super) argv: Vec<u8>,
    pub(super) envp: Vec<u8>,
    pub(super) descriptors: Vec<AnyRight>,
    pub(super) ports: Vec<AnyRight>,
    pub(super) ints: Vec<i32>,
    pub(super) dealloc: Vec<PortName>,
    pub(super) destroy: Vec<PortName>,
}

impl Program {
    const fn is(&self, flag: i32) -> bool {
        self.flags & flag != 0
    }
}

/// The task that an exec is for. It is suspended, and goes on when this is dropped, unless it is to end.
struct Old {
    task: SendRight,
    ends: bool,
}

impl Drop for Old {
    fn drop(&mut self) {
        let _ = match self.ends {
            true => stubs::mach::task_terminate(self.task.name()),
            false => stubs::mach::task_resume(self.task.name()),
        };
    }
}

/// A new task, which ends again unless it is wanted.
struct New {
    task: SendRight,
    is_wanted: bool,
}

impl Drop for New {
    fn drop(&mut self) {
        if !self.is_wanted {
            let _ = stubs::mach::task_terminate(self.task.name());
        }
    }
}

/// What is loaded into a task.
struct Files {
    image: Image,
    /// The one that is started.
    interpreter: Option<Image>,
}

impl Files {
    /// A program with its interpreter, which is looked up as the program itself would.
    fn of(image: Image, boot: &Boot) -> Result<Self> {
        let Some(name) = &image.interpreter else { return Ok(Self { image, interpreter: None }) };
        let name = str::from_utf8(name).map_err(|_| ENOENT)?;
        let (ports, descriptors) = (names(&boot.ports), names(&boot.descriptors));
        let file = lookup(&mut Client { ports: &ports, descriptors: &descriptors }, name, open::READ, 0)?;
        // An interpreter's own interpreter is nobody's business, and no script is one.
        let interpreter = Image::parse(&load::read(file.name())?)?;
        Ok(Self { image, interpreter: Some(interpreter) })
    }
}

impl Exec {
    /// Starts a program.
    pub(super) fn run(&self, mut program: Program) -> Result<()> {
        if program.is(flag::SECURE | flag::DEFAULTS) && self.state.lock().standard.is_none() {
            return Err(EIEIO);
        }
        let mut old = match program.task.take() {
            Some(task) => {
                stubs::mach::task_suspend(task.name())?;
                Some(Old { task, ends: false })
            }
            None => None,
        };
        let file = load::read(program.file.name())?;
        let image = match Image::parse(&file) {
            Err(ENOEXEC) => {
                let line = Interpreter::of(&file).ok_or(ENOEXEC)?;
                return self.interpret(&line, &mut program, old.as_ref());
            }
            other => other?,
        };
        drop(file);
        if old.is_none() {
            program.flags |= flag::NEWTASK;
        }
        if program.is(flag::NEWTASK | flag::SECURE) {
            return self.in_new_task(&mut program, image, old);
        }
        let Some(old) = &mut old else { return Err(ENOENT) };
        let boot = self.context(&mut program, old.task.name(), Some(old.task.name()))?;
        let files = Files::of(image, &boot)?;
        load::clear(old.task.name(), &program.dealloc, &program.destroy)?;
        // What fails from here on leaves nothing that could go on.
        old.ends = true;
        self.start(old.task.name(), &program, files, boot, |_| Ok(()))?;
        old.ends = false;
        Ok(())
    }

    /// Starts the program in a task of its own, which takes the place of the old one.
    fn in_new_task(&self, program: &mut Program, image: Image, old: Option<Old>) -> Result<()> {
        // An old task that may be traced hands that on, but not to a program that has more rights.
        let parent = old.as_ref().filter(|_| !program.is(flag::SECURE)).map_or(task_self(), |old| old.task.name());
        let mut new = New { task: stubs::mach::task_create(parent, false)?, is_wanted: false };
        let (task, from) = (new.task.name(), old.as_ref().map(|old| old.task.name()));
        let boot = self.context(program, task, from)?;
        let files = Files::of(image, &boot)?;
        self.start(task, program, files, boot, |boot| match from {
            Some(old) => self.take_over(program, boot, old, task),
            None => Ok(()),
        })?;
        new.is_wanted = true;
        if let Some(mut old) = old {
            old.ends = true;
        }
        Ok(())
    }

    /// The process of the old task goes over to the new one.
    fn take_over(&self, program: &Program, boot: &mut Boot, old: PortName, new: PortName) -> Result<()> {
        let own = boot.ports.get(port::PROC).map(AnyRight::name).filter(|name| name.is_valid());
        let server = own.filter(|_| !program.is(flag::SECURE)).unwrap_or(self.proc.name());
        let process = process::proc_task2proc(server, old)?;
        let rendezvous = ReceiveRight::allocate()?;
        process::proc_reauthenticate_reassign(process.name(), rendezvous.name(), Disposition::MakeSend, new)?;
        let handle = boot.ports.get(port::AUTH).map_or(PortName::NULL, AnyRight::name);
        let process = auth::auth_user_authenticate(handle, rendezvous.name(), Disposition::MakeSend)?;
        process::proc_reauthenticate_complete(process.name())?;
        if let Some(place) = boot.ports.get_mut(port::PROC) {
            *place = AnyRight::Send(process);
        }
        Ok(())
    }

    /// Ports, integers, arguments and environment that the program is to have.
    fn context(&self, program: &mut Program, task: PortName, old: Option<PortName>) -> Result<Boot> {
        let (secure, defaults) = (program.is(flag::SECURE), program.is(flag::DEFAULTS));
        let mut ports = core::mem::take(&mut program.ports);
        while ports.len() < port::MAX {
            ports.push(AnyRight::None(PortName::NULL));
        }
        let mut ints = core::mem::take(&mut program.ints);
        if secure || defaults {
            ints.resize(ints.len().max(int::MAX), 0);
        }
        let is_there = |ports: &[AnyRight], place: usize| ports[place].name().is_valid();
        if let Some(old) = old.filter(|_| !is_there(&ports, port::BOOTSTRAP))
            && let Ok(right) = stubs::mach::task_get_special_port(old, TASK_BOOTSTRAP_PORT)
            && right.name().is_valid()
        {
            ports[port::BOOTSTRAP] = AnyRight::Send(right);
        }
        if (secure || defaults) && !is_there(&ports, port::AUTH) {
            ports[port::AUTH] = AnyRight::Send(self.standard(port::AUTH)?);
        }
        if secure || defaults && !is_there(&ports, port::PROC) {
            ports[port::PROC] = AnyRight::Send(process::proc_task2proc(self.proc.name(), task)?);
        } else if old.is_some_and(|old| old != task) && is_there(&ports, port::PROC) {
            // That port is the old task's.
            ports[port::PROC] = AnyRight::Send(process::proc_task2proc(ports[port::PROC].name(), task)?);
        }
        for (place, replaced) in [(port::CRDIR, secure), (port::CWDIR, false)] {
            if replaced || (secure || defaults) && !is_there(&ports, place) {
                let standard = self.standard(place)?;
                ports[place] = AnyRight::Send(authenticated(standard.name(), ports[port::AUTH].name())?);
            }
        }
        if secure {
            ints[int::UMASK] = self.state.lock().standard.as_ref().map_or(0, |standard| standard.ints[int::UMASK]);
        }
        let mut boot = Boot {
            flags: program.flags,
            argv: program.argv.clone(),
            envp: with_origin(&program.envp, &program.absolute),
            descriptors: core::mem::take(&mut program.descriptors),
            ports,
            ints,
            ..Boot::default()
        };
        if self.out_of_line {
            boot.stretch();
        }
        Ok(boot)
    }

    /// A right to one of the standard ports.
    fn standard(&self, place: usize) -> Result<SendRight> {
        let state = self.state.lock();
        let name = state.standard.as_ref().and_then(|standard| standard.ports.get(place)).map(AnyRight::name);
        SendRight::copy_of(name.filter(|name| name.is_valid()).ok_or(EIEIO)?)
    }

    /// Loads the program into an empty task and starts its first thread; `loaded` is done when nothing can be wrong with the file any more.
    fn start(
        &self,
        task: PortName,
        program: &Program,
        files: Files,
        mut boot: Boot,
        loaded: impl FnOnce(&mut Boot) -> Result<()>,
    ) -> Result<()> {
        let Files { image, interpreter } = files;
        load::reserve(task, &image, interpreter.as_ref())?;
        let image = load::load(task, image)?;
        let interpreter = interpreter.map(|interpreter| load::load(task, interpreter)).transpose()?;
        // Who interprets a program is started in its place, and told where it begins.
        let entry = interpreter.as_ref().unwrap_or(&image).entry;
        let is_stack_executable =
            [Some(&image), interpreter.as_ref()].into_iter().flatten().any(|file| file.is_stack_executable);
        let First { thread, stack_base, stack_size } = load::first_thread(task, entry, is_stack_executable)?;
        (boot.stack_base, boot.stack_size) = (stack_base, stack_size);
        loaded(&mut boot)?;
        boot.entry = image.entry;
        boot.headers = image.headers;
        let proc = boot.ports.get(port::PROC).map(AnyRight::name).filter(|name| name.is_valid());
        if let Some(proc) = proc {
            process::proc_set_code(proc, image.code.start, image.code.end)?;
            let pid = process::proc_task2pid(proc, task)?;
            let _ = process::proc_set_exe(proc, &program.absolute);
            let _ = stubs::gnumach::task_set_name(task, task_name(&program.argv, pid));
            process::proc_set_entry(proc, image.entry)?;
        }
        if let Some(proc) = proc {
            if program.is(flag::SIGTRAP) {
                let _ = process::proc_mark_stop(proc, SIGTRAP, 0);
            }
            let _ = process::proc_mark_exec(proc);
        }
        let right = self.state.lock().ports.make(Port::Boot(boot))?;
        stubs::mach::task_set_special_port(task, TASK_BOOTSTRAP_PORT, right.name())?;
        match program.is(flag::SIGTRAP) {
            true => Ok(()),
            false => stubs::mach::thread_resume(thread.name()),
        }
    }

    /// Starts a script's interpreter in its place, in the same task.
    fn interpret(&self, line: &Interpreter<'_>, program: &mut Program, old: Option<&Old>) -> Result<()> {
        let name = str::from_utf8(line.name).map_err(|_| ENOENT)?;
        let (mut descriptors, ports) = (names(&program.descriptors), names(&program.ports));
        let mut client = Client { ports: &ports, descriptors: &descriptors };
        let interpreter = lookup(&mut client, name, open::EXEC, 0)?;
        let mut path = program.path.clone();
        if path.is_empty() {
            // Nobody has said what the script is called: the interpreter gets it as a descriptor.
            path = alloc::format!("/dev/fd/{}", descriptors.len()).into_bytes();
            descriptors.push(program.file.name());
        }
        fs::file_exec_paths(
            interpreter.name(),
            old.map_or(PortName::NULL, |old| old.task.name()),
            program.flags,
            line.name,
            line.name,
            &line.arguments(&path, &program.argv),
            &program.envp,
            &descriptors,
            Disposition::CopySend,
            &ports,
            Disposition::CopySend,
            &program.ints,
            &program.dealloc,
            &program.destroy,
        )
    }
}
