// SPDX-License-Identifier: GPL-2.0-or-later
//! Requests about the system trace by chance: of any shape, by anybody, on any port, with rights to anything.

use std::vec::Vec;

use super::*;
use crate::gnumach::fake::{CHILDS_THREAD, TRACE};
use crate::hooks::model::random::Random;

/// What the tools and engines of a run are, each as often as there are rights to it.
#[derive(Default)]
struct Held {
    tools: Vec<Port>,
    engines: Vec<Port>,
}

impl Held {
    /// A request, on a port.
    fn request(&self, random: &mut Random, model: &Model) -> (Port, u32, Arguments) {
        let mut ports = Vec::from([HOST, PRIVILEGED, PRIVILEGED, control_port(TASK)]);
        ports.extend(self.tools.iter().chain(&self.engines));
        let (id, arguments, _) = random.one(&requests());
        let is_tools = (wire::CLAIM_ID..=wire::ENGINE_ID).contains(&id) && !self.tools.is_empty();
        let port = if is_tools && random.below(4) != 0 { random.one(&self.tools) } else { random.one(&ports) };
        if random.below(4) == 0 {
            return (port, id, arguments.changed(random.below(1 << 40) as usize, random.below(256) as u8));
        }
        let mut rights = Vec::from([ONE, TWO, NOTIFY, TRACE, HOST, control_port(TASK), control_port(CHILD)]);
        rights.extend(self.tools.iter().copied().filter(|&tool| !model.fake.port(tool).dead));
        let right = random.one(&rights);
        let arguments = match id {
            wire::SET_ID | wire::BACKGROUND_ID | wire::JOIN_ID if random.below(4) != 0 => sent(model, right),
            wire::ENGINE_ID if random.below(2) == 0 => {
                let flags = flag::CREATE | random.one(&[0, flag::CHILDREN]);
                sent(model, right).integer(flags).integer(event::ALL).integer(control::policy::DROP)
            }
            wire::CLAIM_ID | wire::RESET_ID => none().integer(random.one(&[0, 1, 2, 3, 3, 3, 4])),
            wire::POLICY_ID => none().integer(random.below(3) as u32),
            _ => arguments,
        };
        (port, id, arguments)
    }

    fn ask(&mut self, random: &mut Random, model: &Model) {
        let (port, id, arguments) = self.request(random, model);
        let thread = random.one(&[THREAD, CHILDS_THREAD, TRACERS_THREAD]);
        let Some((code, results)) = model.ask(thread, port, id, &arguments) else { panic!("{id} is served") };
        let new = || Port::fake(u64::from_le_bytes(results[8..16].try_into().unwrap()) as usize);
        match (id, code) {
            (wire::TOOL_ID, 0) => self.tools.push(new()),
            (wire::ENGINE_ID, 0) => self.engines.push(new()),
            _ => {}
        }
    }

    fn gives_back(&mut self, random: &mut Random, model: &Model) {
        let held = if random.below(2) == 0 { &mut self.tools } else { &mut self.engines };
        if !held.is_empty() {
            let index = random.below(held.len() as u64) as usize;
            model.give_back_engine(held.swap_remove(index));
        }
    }
}

/// 100,000 requests between messages: the books of the fake kernel are right at any time, and nothing is left.
#[test]
fn random_requests_about_the_system_trace_break_nothing_and_leave_nothing() {
    let mut modes = [0; 3];
    for seed in 1..=20 {
        let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ (seed << 40));
        let model = model();
        let mut held = Held::default();
        for _ in 0..5000 {
            held.ask(&mut random, &model);
            match random.below(16) {
                0 | 1 => held.gives_back(&mut random, &model),
                // Few enough that they meet.
                _ if held.tools.len() > 4 => held.gives_back(&mut random, &model),
                2 => drop(model.call(THREAD, &Call::of_host())),
                3 => drop(model.call(THREAD, &Call::simple())),
                4 => model.fake.script.borrow_mut().no_memory ^= true,
                5 => model.fake.script.borrow_mut().no_ports ^= true,
                _ => {}
            }
            let [mode, owner, background] = whose(&model);
            modes[mode as usize] += 1;
            let last = state(&model).tools.get();
            assert!(owner <= last && background <= last && (mode != 0 || owner == 0));
        }
        *model.fake.script.borrow_mut() = Default::default();
        held.tools.into_iter().chain(held.engines).for_each(|port| model.give_back_engine(port));
        // What the last owner has configured goes on; the last right is the kernel's own.
        let last = tool(&model, "last");
        assert_eq!((claim(&model, last, part::TASKS), reset(&model, last, part::ALL)), (0, 0));
        model.give_back_engine(last);
        assert_eq!(whose(&model), OFF);
        model.assert_ends_clean();
    }
    assert!(modes.iter().all(|&times| times > 500), "{modes:?}: by chance all of them are reached");
}
