// SPDX-License-Identifier: GPL-2.0-or-later
//! The rules of the system trace, one after the other; all transitions are in `table`, callers at the same time in `concurrent`.

mod concurrent;
mod table;

use super::*;

/// The tool with this number.
fn tool(number: u32) -> Tool {
    Tool { number, name: Name([number as u8; 32]) }
}

const FIRST: u32 = 1;
const SECOND: u32 = 2;
const DAEMON: u32 = 3;

const NONE: Effects = Effects { ended: 0, tell: 0 };

fn ends(ended: u32) -> Effects {
    Effects { ended, tell: 0 }
}

fn tells(tell: u32) -> Effects {
    Effects { ended: 0, tell }
}

/// A machine whose foreground the first tool has.
fn foreground() -> Ownership {
    let mut machine = Ownership::new();
    assert_eq!(machine.configure(tool(FIRST), part::TASKS), Ok(NONE));
    machine
}

/// A machine whose background the daemon has.
fn background() -> Ownership {
    let mut machine = Ownership::new();
    assert_eq!(machine.register(tool(DAEMON)), tells(DAEMON));
    assert_eq!(machine.configure(tool(DAEMON), part::TASKS), Ok(NONE));
    machine
}

#[test]
fn while_unconfigured_whoever_comes_may_configure_it_in_the_foreground() {
    let machine = foreground();
    assert_eq!((machine.mode(), machine.owner(), machine.parts()), (Mode::Foreground, FIRST, part::TASKS));
}

#[test]
fn in_the_foreground_a_living_owner_alone_configures() {
    let mut machine = foreground();
    assert_eq!(machine.configure(tool(SECOND), part::TASKS), Err(Refused::Owned));
    assert_eq!(machine.configure(tool(FIRST), part::RECORDER), Ok(NONE));
    assert_eq!((machine.owner(), machine.parts()), (FIRST, part::ALL));
}

#[test]
fn when_the_owner_has_died_the_trace_goes_on_and_may_be_claimed() {
    let mut machine = foreground();
    machine.died(FIRST);
    assert_eq!((machine.mode(), machine.owner(), machine.parts()), (Mode::Foreground, 0, part::TASKS));
    assert_eq!(machine.configure(tool(SECOND), part::RECORDER), Ok(NONE), "nothing ends");
    assert_eq!((machine.mode(), machine.owner(), machine.parts()), (Mode::Foreground, SECOND, part::ALL));
}

#[test]
fn only_the_owner_resets() {
    let mut machine = foreground();
    assert_eq!(machine.reset(SECOND, part::ALL), Err(Refused::NotOwner));
    machine.died(FIRST);
    assert_eq!(machine.reset(SECOND, part::ALL), Err(Refused::NotOwner), "who wants to claims it first");
}

#[test]
fn a_reset_by_mask_frees_the_trace_with_the_last_part() {
    let mut machine = foreground();
    assert_eq!(machine.configure(tool(FIRST), part::RECORDER), Ok(NONE));
    assert_eq!(machine.reset(FIRST, part::TASKS), Ok(ends(part::TASKS)));
    assert_eq!((machine.mode(), machine.owner(), machine.parts()), (Mode::Foreground, FIRST, part::RECORDER));
    assert_eq!(machine.reset(FIRST, part::ALL), Ok(ends(part::RECORDER)));
    assert_eq!((machine.mode(), machine.owner(), machine.parts()), (Mode::Off, 0, 0));
    assert_eq!(machine.reset(FIRST, part::ALL), Err(Refused::NotOwner));
}

#[test]
fn a_background_tool_is_told_at_once_while_the_trace_is_free() {
    let mut machine = Ownership::new();
    assert_eq!(machine.register(tool(DAEMON)), tells(DAEMON));
    assert_eq!(machine.register(tool(DAEMON)), NONE, "once");
    assert_eq!((machine.mode(), machine.background()), (Mode::Off, DAEMON));
}

#[test]
fn another_background_tool_is_told_too() {
    let mut machine = Ownership::new();
    assert_eq!(machine.register(tool(DAEMON)), tells(DAEMON));
    machine.died(DAEMON);
    assert_eq!(machine.register(tool(SECOND)), tells(SECOND));
}

#[test]
fn a_background_tool_is_told_when_the_foreground_resets() {
    let mut machine = foreground();
    assert_eq!(machine.register(tool(DAEMON)), NONE, "not yet");
    assert_eq!(machine.reset(FIRST, part::TASKS), Ok(Effects { ended: part::TASKS, tell: DAEMON }));
    assert_eq!((machine.mode(), machine.owner()), (Mode::Off, 0));
}

#[test]
fn a_background_tool_that_could_not_be_told_is_told_when_it_registers_again() {
    let mut machine = foreground();
    assert_eq!(machine.register(tool(DAEMON)), NONE);
    assert_eq!(machine.reset(FIRST, part::TASKS).map(|effects| effects.tell), Ok(DAEMON));
    machine.not_told(DAEMON);
    assert_eq!(machine.register(tool(DAEMON)), tells(DAEMON));
}

#[test]
fn the_background_tool_configures_from_off_to_background() {
    let machine = background();
    assert_eq!((machine.mode(), machine.owner(), machine.parts()), (Mode::Background, DAEMON, part::TASKS));
}

#[test]
fn the_background_tool_waits_for_the_foreground() {
    let mut machine = foreground();
    assert_eq!(machine.register(tool(DAEMON)), NONE);
    assert_eq!(machine.configure(tool(DAEMON), part::TASKS), Err(Refused::Foreground));
    machine.died(FIRST);
    assert_eq!(machine.configure(tool(DAEMON), part::TASKS), Err(Refused::Foreground), "also of an owner that died");
}

#[test]
fn out_of_the_background_whoever_comes_takes_over_and_its_configuration_ends() {
    let mut machine = background();
    assert_eq!(machine.configure(tool(FIRST), part::RECORDER), Ok(ends(part::TASKS)));
    assert_eq!((machine.mode(), machine.owner(), machine.parts()), (Mode::Foreground, FIRST, part::RECORDER));
    assert_eq!(machine.reset(FIRST, part::ALL), Ok(Effects { ended: part::RECORDER, tell: DAEMON }), "and back");
}

#[test]
fn a_background_tool_that_resets_is_told_when_it_registers_again() {
    let mut machine = background();
    assert_eq!(machine.reset(DAEMON, part::ALL), Ok(ends(part::TASKS)), "it knows");
    assert_eq!((machine.mode(), machine.owner()), (Mode::Off, 0));
    assert_eq!(machine.register(tool(DAEMON)), tells(DAEMON));
}

#[test]
fn another_tool_that_registers_in_the_background_owns_it_and_nothing_ends() {
    let mut machine = background();
    assert_eq!(machine.register(tool(SECOND)), NONE);
    assert_eq!((machine.mode(), machine.owner(), machine.parts()), (Mode::Background, SECOND, part::TASKS));
    assert_eq!(machine.reset(DAEMON, part::ALL), Err(Refused::NotOwner));
}

#[test]
fn an_owner_makes_another_the_owner_and_it_is_kept_over_resets() {
    let mut machine = foreground();
    assert_eq!(machine.set_owner(Some(FIRST), Some(tool(SECOND))), Ok(NONE));
    assert_eq!((machine.owner(), machine.parts()), (SECOND, part::TASKS), "with what is configured");
    assert_eq!(machine.reset(SECOND, part::ALL), Ok(ends(part::TASKS)));
    assert_eq!((machine.mode(), machine.owner(), machine.parts()), (Mode::Foreground, SECOND, part::TASKS));
    assert_eq!(machine.configure(tool(FIRST), part::TASKS), Err(Refused::Owned));
}

#[test]
fn what_is_kept_ends_when_the_owner_is_unset() {
    let mut machine = foreground();
    assert_eq!(machine.register(tool(DAEMON)), NONE);
    assert_eq!(machine.set_owner(Some(FIRST), Some(tool(FIRST))), Ok(NONE), "oneself, too");
    assert_eq!(machine.set_owner(Some(FIRST), None), Ok(Effects { ended: part::TASKS, tell: DAEMON }));
    assert_eq!((machine.mode(), machine.owner()), (Mode::Off, 0));
    let mut machine = foreground();
    assert_eq!(machine.set_owner(Some(FIRST), None), Ok(NONE), "nothing is kept");
    assert_eq!((machine.mode(), machine.owner()), (Mode::Foreground, FIRST));
}

#[test]
fn whoever_claims_what_a_kept_owner_has_left_frees_it_by_a_reset() {
    let mut machine = foreground();
    assert_eq!(machine.set_owner(Some(FIRST), Some(tool(SECOND))), Ok(NONE));
    machine.died(SECOND);
    assert_eq!(machine.configure(tool(FIRST), part::TASKS), Ok(NONE));
    assert_eq!(machine.reset(FIRST, part::ALL), Ok(ends(part::TASKS)));
    assert_eq!(machine.mode(), Mode::Off);
}

#[test]
fn the_policy_says_who_makes_owners() {
    let mut machine = foreground();
    assert_eq!(machine.set_owner(None, Some(tool(SECOND))), Err(Refused::NotOwner));
    machine.let_anyone(true);
    assert_eq!(machine.set_owner(Some(SECOND), Some(tool(SECOND))), Err(Refused::NotOwner), "a tool alone never");
    assert_eq!(machine.set_owner(None, Some(tool(SECOND))), Ok(NONE));
    assert_eq!(machine.owner(), SECOND);
    machine.let_anyone(false);
    assert_eq!(machine.set_owner(None, None), Err(Refused::NotOwner));
}

#[test]
fn the_kernel_has_it_from_boot_until_somebody_claims_it() {
    let mut machine = Ownership::new();
    assert_eq!(machine.configure_kernel(part::TASKS), Ok(NONE));
    assert_eq!(machine.configure_kernel(part::ALL), Ok(NONE), "it is its own");
    machine.started();
    assert_eq!((machine.mode(), machine.owner(), machine.configured_by()), (Mode::Foreground, 0, KERNEL));
    assert_eq!(machine.register(tool(DAEMON)), NONE);
    assert_eq!(machine.configure(tool(DAEMON), part::TASKS), Err(Refused::Foreground));
    assert_eq!(machine.configure(tool(FIRST), part::TASKS), Ok(NONE), "nothing ends");
    assert_eq!((machine.owner(), machine.parts(), machine.configured_by()), (FIRST, part::ALL, tool(FIRST).name));
    assert_eq!(machine.reset(FIRST, part::ALL).map(|effects| effects.tell), Ok(DAEMON));
}

#[test]
fn the_kernel_configures_only_while_nothing_else_runs() {
    let mut machine = Ownership::new();
    machine.started();
    assert_eq!(machine.configure_kernel(part::TASKS), Err(Refused::Started));
    assert_eq!(machine.mode(), Mode::Off);
}

#[test]
fn who_has_configured_it_last_is_remembered() {
    let mut machine = foreground();
    assert_eq!(machine.reset(FIRST, part::ALL), Ok(ends(part::TASKS)));
    machine.died(FIRST);
    assert_eq!(machine.configured_by(), tool(FIRST).name);
    let state = wire::State::of(&machine);
    assert_eq!((state.mode.get(), state.owner.get(), state.configured_by), (0, 0, tool(FIRST).name));
}

#[test]
fn the_state_says_all_of_it() {
    let mut machine = foreground();
    machine.let_anyone(true);
    assert_eq!(machine.register(tool(DAEMON)), NONE);
    assert_eq!(machine.set_owner(None, Some(tool(SECOND))), Ok(NONE));
    let state = wire::State::of(&machine);
    let numbers = [state.mode, state.owner, state.background, state.parts, state.flags].map(|number| number.get());
    assert_eq!(numbers, [1, SECOND, DAEMON, part::TASKS, wire::state_flag::KEEPS | wire::state_flag::ANYONE]);
    let mut machine = Ownership::new();
    assert_eq!(machine.configure_kernel(part::RECORDER), Ok(NONE));
    assert_eq!(wire::State::of(&machine).flags.get(), wire::state_flag::KERNEL);
}
