// SPDX-License-Identifier: GPL-2.0-or-later
//! Requests about the system trace, and about further tasks of an engine: what they are answered with, and what they leave.

mod random;

use std::vec::Vec;

use trace_port::control::owner::wire::{policy, state_flag};
use trace_port::control::{Engine, event};
use zerocopy::FromBytes;

use super::*;
use crate::gnumach::fake::{CHILD, KERNEL_TASK, Kobject, TASK, THIRD, THREAD, TRACER, TRACERS_THREAD, control_port};
use crate::gnumach::{Port, Task};
use crate::hooks::lifecycle;
use crate::hooks::model::asking::Arguments;
use crate::hooks::model::{Call, HOST, Model};

/// The host's privileged port.
const PRIVILEGED: Port = Port::fake(0x5400);
/// Trace ports.
const ONE: Port = Port::fake(0x5200);
const TWO: Port = Port::fake(0x5300);
/// Where a background tool is told.
const NOTIFY: Port = Port::fake(0x5500);

const OFF: [u32; 3] = [0, 0, 0];

fn none() -> Arguments {
    Arguments::default()
}

fn model() -> Model {
    let model = Model::new();
    model.fake.add_port(PRIVILEGED, KERNEL_TASK);
    model.fake.port(PRIVILEGED).kobject = Some(Kobject::Privileged);
    for port in [ONE, TWO, NOTIFY] {
        model.fake.add_port(port, TRACER);
    }
    model
}

/// A right that a request takes with it.
fn sent(model: &Model, port: Port) -> Arguments {
    model.fake.port(port).rights += 1;
    none().right(Some(port))
}

fn tool(model: &Model, name: &str) -> Port {
    let (code, results) = model.ask(TRACERS_THREAD, PRIVILEGED, wire::TOOL_ID, &none().name(name)).unwrap();
    assert_eq!((code, &results[..8]), (0, &control::SEND_RIGHT.to_le_bytes()[..]));
    Port::fake(u64::from_le_bytes(results[8..].try_into().unwrap()) as usize)
}

fn claim(model: &Model, tool: Port, parts: u32) -> u32 {
    model.ask_for_code(tool, wire::CLAIM_ID, &none().integer(parts))
}

fn reset(model: &Model, tool: Port, parts: u32) -> u32 {
    model.ask_for_code(tool, wire::RESET_ID, &none().integer(parts))
}

fn set_background(model: &Model, tool: Port) -> u32 {
    model.ask_for_code(tool, wire::BACKGROUND_ID, &sent(model, NOTIFY))
}

fn state(model: &Model) -> wire::State {
    let (code, results) = model.ask(THREAD, control_port(TASK), wire::STATE_ID, &none()).unwrap();
    assert_eq!((code, &results[..8]), (0, &wire::STATE.to_le_bytes()[..]));
    wire::State::read_from_bytes(&results[8..]).unwrap()
}

/// Mode, owner and background tool.
fn whose(model: &Model) -> [u32; 3] {
    let state = state(model);
    [state.mode, state.owner, state.background].map(|number| number.get())
}

/// `trace_owner_engine`: the engine's own port.
fn engine(model: &Model, tool: Port, trace_port: Option<Port>, flags: u32) -> Result<Port, u32> {
    let right = trace_port.map_or_else(|| none().right(None), |port| sent(model, port));
    let arguments = right.integer(flags).integer(event::SEND | event::RECEIVE).integer(control::policy::DROP);
    let (code, results) = model.ask(TRACERS_THREAD, tool, wire::ENGINE_ID, &arguments).unwrap();
    if code != 0 {
        return Err(code);
    }
    Ok(Port::fake(u64::from_le_bytes(results[8..].try_into().unwrap()) as usize))
}

fn join(model: &Model, engine: Port, task: Task) -> u32 {
    model.ask_for_code(engine, wire::JOIN_ID, &sent(model, control_port(task)))
}

/// How often the background tool was told.
fn told(model: &Model) -> usize {
    let ports = model.fake.queued.borrow();
    let told = ports.iter().zip(model.fake.records()).filter(|(queued, _)| queued.port == NOTIFY);
    told.inspect(|(_, message)| {
        let word = |at: usize| u32::from_le_bytes(message[at..at + 4].try_into().unwrap());
        assert_eq!((message.len(), word(0), word(28)), (32, PORT_SEND, wire::AVAILABLE_ID));
    })
    .count()
}

/// Requests, on which port they are made, and what another port answers.
fn requests() -> Vec<(u32, Arguments, u32)> {
    let of_tool = mr::KERN_INVALID_ARGUMENT;
    Vec::from([
        (wire::TOOL_ID, none().name("tool"), mr::KERN_INVALID_HOST),
        (wire::POLICY_ID, none().integer(1), mr::KERN_INVALID_HOST),
        (wire::SET_ID, none().right(None), of_tool),
        (wire::CLAIM_ID, none().integer(1), of_tool),
        (wire::RESET_ID, none().integer(1), of_tool),
        (wire::BACKGROUND_ID, none().right(None), of_tool),
        (wire::ENGINE_ID, none().right(None).integer(0).integer(0).integer(0), of_tool),
        (wire::JOIN_ID, none().right(None), of_tool),
    ])
}

#[test]
fn a_request_about_the_system_trace_is_refused_on_another_port_and_in_another_shape() {
    let model = model();
    let tool = tool(&model, "tool");
    assert_eq!(claim(&model, tool, part::TASKS), 0);
    let engine = engine(&model, tool, Some(ONE), flag::CREATE).unwrap();
    for (id, arguments, refusal) in requests() {
        let right = match id {
            wire::TOOL_ID | wire::POLICY_ID => PRIVILEGED,
            wire::JOIN_ID => engine,
            _ => tool,
        };
        let others = [HOST, control_port(TASK), PRIVILEGED, tool, engine];
        for wrong in others.into_iter().filter(|&port| port != right && (id, port) != (wire::SET_ID, PRIVILEGED)) {
            assert_eq!(model.ask_for_code(wrong, id, &arguments), refusal, "{id} on {wrong:?}");
        }
        for (bytes, is_complex) in arguments.misshapen() {
            let code = model.ask_for_code(right, id, &Arguments::raw(bytes, is_complex));
            assert_eq!(code, mr::MIG_BAD_ARGUMENTS, "{id}");
        }
    }
    for (bytes, is_complex) in none().misshapen() {
        let code = model.ask_for_code(HOST, wire::STATE_ID, &Arguments::raw(bytes, is_complex));
        assert_eq!(code, mr::MIG_BAD_ARGUMENTS);
    }
    assert_eq!(whose(&model), [1, 1, 0], "nothing has happened");
    model.give_back_engine(engine);
    assert_eq!(reset(&model, tool, part::ALL), 0);
    model.give_back_engine(tool);
    model.assert_ends_clean();
}

#[test]
fn ids_between_the_requests_are_not_served() {
    let model = model();
    for id in [5124, 5129, 5134, 5139, 5141, 5149, wire::AVAILABLE_ID, 5151] {
        assert_eq!(model.ask(TRACERS_THREAD, PRIVILEGED, id, &none()), None, "{id}");
    }
    model.assert_ends_clean();
}

#[test]
fn values_that_mean_nothing_to_the_system_trace_are_refused() {
    let model = model();
    let own = tool(&model, "tool");
    assert_eq!((claim(&model, own, 0), claim(&model, own, 4)), (mr::KERN_INVALID_VALUE, mr::KERN_INVALID_VALUE));
    assert_eq!(reset(&model, own, 0), mr::KERN_INVALID_VALUE);
    let too_much = none().integer(policy::LAST + 1);
    assert_eq!(model.ask_for_code(PRIVILEGED, wire::POLICY_ID, &too_much), mr::KERN_INVALID_VALUE);
    assert_eq!(engine(&model, own, None, flag::MATCH), Err(mr::KERN_INVALID_VALUE));
    assert_eq!(engine(&model, own, None, flag::CREATE), Err(mr::KERN_INVALID_ARGUMENT), "no trace port");
    assert_eq!(engine(&model, own, Some(HOST), flag::CREATE), Err(mr::KERN_INVALID_ARGUMENT));
    let to_kernel = sent(&model, HOST);
    assert_eq!(model.ask_for_code(own, wire::BACKGROUND_ID, &to_kernel), mr::KERN_INVALID_ARGUMENT);
    let nowhere = none().right(None);
    assert_eq!(model.ask_for_code(own, wire::BACKGROUND_ID, &nowhere), mr::KERN_INVALID_ARGUMENT);
    let no_tool = sent(&model, control_port(TASK));
    model.ask_for_code(PRIVILEGED, wire::POLICY_ID, &none().integer(policy::ANYONE));
    assert_eq!(model.ask_for_code(PRIVILEGED, wire::SET_ID, &no_tool), mr::KERN_INVALID_ARGUMENT);
    assert_eq!(whose(&model), OFF);
    model.give_back_engine(own);
    model.assert_ends_clean();
}

#[test]
fn there_are_sixteen_tools_and_each_has_a_number_of_its_own() {
    let model = model();
    let tools: Vec<Port> = (0..wire::MAX_TOOLS).map(|_| tool(&model, "tool")).collect();
    let more = || model.ask_for_code(PRIVILEGED, wire::TOOL_ID, &none().name("more"));
    assert_eq!(more(), mr::KERN_RESOURCE_SHORTAGE);
    model.give_back_engine(tools[3]);
    assert!(model.fake.port(tools[3]).dead);
    let next = tool(&model, "next");
    assert_eq!(claim(&model, next, part::RECORDER), 0);
    assert_eq!(whose(&model), [1, 17, 0], "that of the place's last one is not used again");
    assert_eq!(state(&model).configured_by.0[..5], *b"next\0");
    for own in tools.into_iter().enumerate().filter(|&(index, _)| index != 3).map(|(_, own)| own).chain([next]) {
        model.give_back_engine(own);
    }
    model.fake.script.borrow_mut().no_ports = true;
    assert_eq!(more(), mr::KERN_RESOURCE_SHORTAGE);
    model.assert_ends_clean();
}

#[test]
fn one_tool_has_the_trace_until_it_resets_or_dies() {
    let model = model();
    let (first, second) = (tool(&model, "first"), tool(&model, "second"));
    assert_eq!(claim(&model, first, part::TASKS), 0);
    assert_eq!(claim(&model, second, part::TASKS), mr::KERN_NO_ACCESS);
    assert_eq!(reset(&model, second, part::ALL), mr::KERN_NO_ACCESS);
    assert_eq!(reset(&model, first, part::ALL), 0);
    assert_eq!(whose(&model), OFF);
    assert_eq!(claim(&model, second, part::ALL), 0);
    model.give_back_engine(second);
    assert_eq!(whose(&model), [1, 0, 0], "it goes on");
    assert_eq!(claim(&model, first, part::TASKS), 0);
    assert_eq!((whose(&model), state(&model).parts.get()), ([1, 1, 0], part::ALL));
    assert_eq!(reset(&model, first, part::ALL), 0);
    model.give_back_engine(first);
    model.assert_ends_clean();
}

#[test]
fn a_background_tool_is_sent_a_message_when_it_may() {
    let model = model();
    let (first, daemon) = (tool(&model, "first"), tool(&model, "daemon"));
    assert_eq!(claim(&model, first, part::RECORDER), 0);
    assert_eq!((set_background(&model, daemon), told(&model)), (0, 0));
    assert_eq!(claim(&model, daemon, part::TASKS), mr::KERN_FAILURE);
    assert_eq!((reset(&model, first, part::ALL), told(&model)), (0, 1));
    assert_eq!(claim(&model, daemon, part::TASKS), 0);
    assert_eq!(whose(&model), [2, 2, 2]);
    assert_eq!(claim(&model, first, part::TASKS), 0, "it takes over");
    assert_eq!((whose(&model), told(&model)), ([1, 1, 2], 1));
    // Its queue is full: it is told when it registers again.
    model.fake.port(NOTIFY).limit = 0;
    assert_eq!((reset(&model, first, part::ALL), told(&model)), (0, 1));
    model.fake.port(NOTIFY).limit = 5;
    assert_eq!((set_background(&model, daemon), told(&model)), (0, 2));
    assert_eq!((set_background(&model, daemon), told(&model)), (0, 2), "once");
    // Nobody receives any more, or there is no memory.
    assert_eq!(claim(&model, first, part::TASKS), 0);
    model.fake.script.borrow_mut().no_memory = true;
    assert_eq!((reset(&model, first, part::ALL), told(&model)), (0, 2));
    model.fake.script.borrow_mut().no_memory = false;
    assert_eq!((set_background(&model, daemon), told(&model)), (0, 3));
    assert_eq!(claim(&model, first, part::TASKS), 0);
    model.fake.kill(NOTIFY);
    assert_eq!(reset(&model, first, part::ALL), 0);
    model.give_back_engine(daemon);
    assert_eq!(whose(&model), OFF);
    model.give_back_engine(first);
    assert_eq!(model.fake.rights(NOTIFY), 0);
    model.assert_ends_clean();
}

#[test]
fn an_owner_is_made_by_the_owner_or_by_who_is_privileged_if_the_policy_lets_anyone() {
    let model = model();
    let (first, second) = (tool(&model, "first"), tool(&model, "second"));
    assert_eq!(claim(&model, first, part::TASKS), 0);
    let set = |by, to: Option<Port>| {
        let right = to.map_or_else(|| none().right(None), |to| sent(&model, to));
        model.ask_for_code(by, wire::SET_ID, &right)
    };
    assert_eq!(set(PRIVILEGED, Some(second)), mr::KERN_NO_ACCESS);
    assert_eq!(set(second, Some(second)), mr::KERN_NO_ACCESS);
    assert_eq!((set(first, Some(second)), whose(&model)), (0, [1, 2, 0]));
    assert_eq!(reset(&model, second, part::ALL), 0);
    assert_eq!((whose(&model), state(&model).flags.get()), ([1, 2, 0], state_flag::KEEPS));
    assert_eq!(model.ask_for_code(PRIVILEGED, wire::POLICY_ID, &none().integer(policy::ANYONE)), 0);
    assert_eq!((set(PRIVILEGED, Some(first)), whose(&model)), (0, [1, 1, 0]));
    assert_eq!(state(&model).flags.get(), state_flag::KEEPS | state_flag::ANYONE);
    let dead = none().right(Some(Port::fake(usize::MAX)));
    assert_eq!(model.ask_for_code(PRIVILEGED, wire::SET_ID, &dead), mr::KERN_INVALID_ARGUMENT);
    assert_eq!((set(PRIVILEGED, None), whose(&model)), (0, OFF));
    for own in [first, second] {
        model.give_back_engine(own);
    }
    model.assert_ends_clean();
}

#[test]
fn the_engine_of_all_tasks_has_those_that_join_and_their_children() {
    let model = model();
    let own = tool(&model, "tool");
    let all = engine(&model, own, Some(ONE), flag::CREATE | flag::CHILDREN).unwrap();
    assert_eq!(whose(&model), [1, 1, 0], "giving it an engine is configuring it");
    assert_eq!(state(&model).engine.get(), 1);
    assert_eq!([TASK, TASK].map(|task| join(&model, all, task)), [0, 0], "twice is once");
    lifecycle::created(&model.fake, &model.state, CHILD, Some(TASK));
    let listed: Vec<Engine> = [TASK, CHILD].into_iter().flat_map(|task| model.engines_of(task)).collect();
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|engine| engine.tasks.get() == 2 && engine.name.0[..5] == *b"tool\0"));
    model.call(THREAD, &Call::simple());
    assert_eq!(model.seen_at(ONE).len(), 1);
    assert_eq!(join(&model, all, KERNEL_TASK), mr::KERN_NO_ACCESS);
    assert_eq!(join(&model, all, TRACER), mr::KERN_FAILURE, "it would receive its own trace");
    model.fake.task(THIRD).dying = true;
    assert_eq!(join(&model, all, THIRD), mr::KERN_FAILURE);
    model.fake.task(THIRD).dying = false;
    let no_task = sent(&model, ONE);
    assert_eq!(model.ask_for_code(all, wire::JOIN_ID, &no_task), mr::KERN_INVALID_ARGUMENT);
    // It goes on without its owner's right, until the reset.
    model.give_back_engine(all);
    assert_eq!(model.engines_of(TASK).len(), 1);
    assert_eq!(reset(&model, own, part::TASKS), 0);
    assert!(model.fake.port(all).dead && !model.state.any_traced());
    assert_eq!((whose(&model), state(&model).engine.get()), (OFF, 0));
    model.give_back_engine(own);
    model.assert_ends_clean();
}

#[test]
fn who_takes_over_from_a_dead_owner_gets_the_engine() {
    let model = model();
    let (first, second) = (tool(&model, "first"), tool(&model, "second"));
    let all = engine(&model, first, Some(ONE), flag::CREATE).unwrap();
    assert_eq!(join(&model, all, TASK), 0);
    assert_eq!(engine(&model, second, None, 0), Err(mr::KERN_INVALID_NAME));
    assert_eq!(engine(&model, second, Some(TWO), flag::CREATE), Err(mr::KERN_NO_ACCESS));
    assert_eq!(model.fake.rights(TWO), 0);
    model.give_back_engine(all);
    model.give_back_engine(first);
    model.call(THREAD, &Call::simple());
    assert_eq!(model.seen_at(ONE).len(), 1, "the trace goes on");
    assert_eq!(engine(&model, second, None, 0), Err(mr::KERN_INVALID_NAME), "it has not claimed it");
    assert_eq!(claim(&model, second, part::TASKS), 0);
    assert_eq!(engine(&model, second, None, 0), Ok(all));
    // With another engine the first one ends.
    let other = engine(&model, second, Some(TWO), flag::CREATE).unwrap();
    assert!(model.fake.port(all).dead && model.engines_of(TASK).is_empty());
    assert_eq!(model.fake.rights(ONE), 0);
    assert_eq!(join(&model, other, TASK), 0);
    model.fake.kill(TWO);
    model.call(THREAD, &Call::simple());
    assert_eq!((model.engines_of(TASK).len(), state(&model).engine.get()), (0, 0), "its trace port has died");
    assert_eq!(engine(&model, second, None, 0), Err(mr::KERN_INVALID_NAME));
    assert_eq!(reset(&model, second, part::ALL), 0);
    for own in [second, all, other] {
        model.give_back_engine(own);
    }
    model.assert_ends_clean();
}

#[test]
fn an_engine_of_the_background_ends_when_the_foreground_takes_over() {
    let model = model();
    let (first, daemon) = (tool(&model, "first"), tool(&model, "daemon"));
    assert_eq!((set_background(&model, daemon), told(&model)), (0, 1), "at once");
    let background = engine(&model, daemon, Some(ONE), flag::CREATE).unwrap();
    assert_eq!((join(&model, background, TASK), whose(&model)), (0, [2, 2, 2]));
    let foreground = engine(&model, first, Some(TWO), flag::CREATE).unwrap();
    assert!(model.fake.port(background).dead && model.engines_of(TASK).is_empty());
    assert_eq!(whose(&model), [1, 1, 2]);
    assert_eq!((reset(&model, first, part::ALL), told(&model)), (0, 2));
    assert!(model.fake.port(foreground).dead);
    for own in [first, daemon, background, foreground] {
        model.give_back_engine(own);
    }
    model.assert_ends_clean();
}

#[test]
fn without_memory_or_ports_the_system_trace_stays_as_it_is() {
    let model = model();
    let own = tool(&model, "tool");
    model.fake.script.borrow_mut().no_room = true;
    assert_eq!(engine(&model, own, Some(ONE), flag::CREATE), Err(mr::KERN_RESOURCE_SHORTAGE));
    model.fake.script.borrow_mut().no_room = false;
    model.fake.script.borrow_mut().no_ports = true;
    assert_eq!(engine(&model, own, Some(ONE), flag::CREATE), Err(mr::KERN_RESOURCE_SHORTAGE));
    model.fake.script.borrow_mut().no_ports = false;
    assert_eq!((whose(&model), model.fake.rights(ONE)), (OFF, 0));
    let all = engine(&model, own, Some(ONE), flag::CREATE).unwrap();
    model.fake.script.borrow_mut().no_room = true;
    assert_eq!(join(&model, all, TASK), mr::KERN_RESOURCE_SHORTAGE);
    model.give_back_engine(all);
    assert_eq!(reset(&model, own, part::ALL), 0);
    model.give_back_engine(own);
    model.assert_ends_clean();
}
