// SPDX-License-Identifier: GPL-2.0-or-later
//! Callers at the same time, as the kernel has them: each step under the lock, what it asks for after the lock has been given back.
//!
//! loom runs every order of what the threads do.

use std::vec::Vec;

use loom::sync::{Arc, Mutex};
use loom::thread;

use super::super::*;
use super::tool;

/// What the kernel has.
struct System {
    machine: Mutex<Ownership>,
    /// Whether a message can come to a tool's port, and how many have come.
    ports: Mutex<[(bool, u32); 4]>,
    /// How often parts were ended.
    ended: Mutex<[u32; 2]>,
    /// How often tools began to own a part that nobody had.
    begun: Mutex<[u32; 2]>,
}

impl System {
    fn new(machine: Ownership) -> Arc<Self> {
        let parts = [u32::from(machine.parts & part::TASKS != 0), u32::from(machine.parts & part::RECORDER != 0)];
        Arc::new(Self {
            machine: Mutex::new(machine),
            ports: Mutex::new([(true, 0); 4]),
            ended: Mutex::new([0; 2]),
            begun: Mutex::new(parts),
        })
    }

    /// One step under the lock; then what it asks for.
    fn step(&self, step: impl FnOnce(&mut Ownership) -> Result<Effects, Refused>) -> Result<(), Refused> {
        let (result, begun) = {
            let mut machine = self.machine.lock().unwrap();
            let before = machine.parts;
            let result = step(&mut machine);
            let ended = result.map_or(0, |effects| effects.ended);
            (result, machine.parts & !(before & !ended))
        };
        let Effects { ended, tell } = result?;
        for (index, bit) in [part::TASKS, part::RECORDER].into_iter().enumerate() {
            self.begun.lock().unwrap()[index] += u32::from(begun & bit != 0);
            self.ended.lock().unwrap()[index] += u32::from(ended & bit != 0);
        }
        if tell != 0 {
            let is_told = {
                let (is_alive, told) = &mut self.ports.lock().unwrap()[tell as usize];
                *told += 1;
                *is_alive
            };
            if !is_told {
                self.machine.lock().unwrap().not_told(tell);
            }
        }
        Ok(())
    }

    fn check(&self) {
        let machine = self.machine.lock().unwrap();
        let (begun, ended) = (self.begun.lock().unwrap(), self.ended.lock().unwrap());
        for (index, bit) in [part::TASKS, part::RECORDER].into_iter().enumerate() {
            let there = u32::from(machine.parts & bit != 0);
            assert_eq!(begun[index], ended[index] + there, "what has begun has ended once, or is there: {machine:?}");
        }
    }
}

#[test]
fn two_that_claim_at_the_same_time_do_not_both_own_it() {
    loom::model(|| {
        let system = System::new(Ownership::new());
        let claims = [1, 2].map(|number| {
            let system = system.clone();
            thread::spawn(move || {
                let claimed = system.step(|machine| machine.configure(tool(number), part::TASKS)).is_ok();
                claimed.then_some(number)
            })
        });
        let owners: Vec<u32> = claims.into_iter().filter_map(|claim| claim.join().unwrap()).collect();
        assert_eq!(owners, [system.machine.lock().unwrap().owner()]);
        system.check();
    });
}

/// The first tool resets all while the third one registers for the background, which is told once.
fn reset_while_one_registers(system: &Arc<System>) {
    let (resets, registers) = (Arc::clone(system), Arc::clone(system));
    let threads = [
        thread::spawn(move || resets.step(|machine| machine.reset(1, part::ALL))),
        thread::spawn(move || registers.step(|machine| Ok(machine.register(tool(3))))),
    ];
    for thread in threads {
        assert_eq!(thread.join().unwrap(), Ok(()));
    }
    assert_eq!(system.ports.lock().unwrap()[3], (true, 1));
}

/// Whoever comes first: when the foreground is over, a tool that waits for the background has been told after it registered.
#[test]
fn a_background_tool_that_registers_while_the_foreground_resets_is_told_once() {
    loom::model(|| {
        let mut machine = Ownership::new();
        assert!(machine.configure(tool(1), part::TASKS).is_ok());
        let system = System::new(machine);
        reset_while_one_registers(&system);
        system.check();
    });
}

/// The tool that is told cannot be told any more; the one that takes its place is.
#[test]
fn another_background_tool_does_not_miss_what_a_dead_one_was_to_be_told() {
    loom::model(|| {
        let mut machine = Ownership::new();
        assert!(machine.configure(tool(1), part::TASKS).is_ok());
        let _ = machine.register(tool(2));
        let system = System::new(machine);
        system.ports.lock().unwrap()[2].0 = false;
        reset_while_one_registers(&system);
        assert_eq!(system.machine.lock().unwrap().told, 3);
        system.check();
    });
}

/// An owner dies while another claims and the background tool tries to: there is one owner, or none, and what has begun is there.
#[test]
fn one_takes_over_from_an_owner_that_dies() {
    loom::model(|| {
        let mut machine = Ownership::new();
        assert!(machine.configure(tool(1), part::TASKS).is_ok());
        let _ = machine.register(tool(3));
        let system = System::new(machine);
        let (dies, claims, waits) = (system.clone(), system.clone(), system.clone());
        let dying = thread::spawn(move || dies.machine.lock().unwrap().died(1));
        let claiming = thread::spawn(move || claims.step(|machine| machine.configure(tool(2), part::RECORDER)));
        let waiting = thread::spawn(move || waits.step(|machine| machine.configure(tool(3), part::TASKS)));
        dying.join().unwrap();
        let claimed = claiming.join().unwrap();
        assert_eq!(waiting.join().unwrap(), Err(Refused::Foreground));
        let owner = if claimed.is_ok() { 2 } else { 0 };
        let machine = *system.machine.lock().unwrap();
        assert_eq!((machine.mode(), machine.owner()), (Mode::Foreground, owner));
        assert_ne!(machine.parts() & part::TASKS, 0, "the trace goes on");
        system.check();
    });
}
