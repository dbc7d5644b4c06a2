// SPDX-License-Identifier: GPL-2.0-or-later
//! The program's own watchdog: if an operation does not end, it says who waits where. It also makes the players rest.

use mach::port::PortName;
use mach::println;
use mach::rt::exit::exit;
use mach::stubs::{mach as kernel, mach_port};
use mach_abi::port::MACH_PORT_TYPE_SEND_ONCE;

use programs::left;
use programs::patience::{pause, until_silent};

use crate::board::Board;
use crate::names::{PLAYERS, PORTS, THREADS};
use crate::operation::Operation;
use crate::world::{Holder, is_dead, spaces};

/// Seconds in which every operation ends.
const PATIENCE: u32 = 60;
/// Milliseconds of each second in which the players rest.
const REST: u32 = 50;
/// `THREAD_BASIC_INFO` of thread_info.h, and where state, suspensions and seconds asleep are.
const THREAD_BASIC_INFO: i32 = 1;
const RUN_STATE: usize = 11;
const SUSPEND_COUNT: usize = 13;
const SLEEP_TIME: usize = 14;
/// `TH_STATE_...`
const STATES: [&str; 6] = ["unknown", "running", "stopped", "waiting", "waiting uninterruptibly", "halted"];

/// Looks on until the program ends; ends it if it stands still.
pub(crate) fn watch(board: Board) {
    until_silent(PATIENCE, || {
        rest(board);
        board.beats()
    });
    println!("soak: nothing happened for {PATIENCE} s");
    report(board);
    exit(1);
}

/// Lets those run that the players, who never sleep, leave no processor.
///
/// GNU Mach, traced or not, never raises the priority of a thread that has waited for a lock of the kernel's and is to run again
/// (docs/differences.md): it waits as long as others of a better one compute, and with it whoever ends or suspends its task.
fn rest(board: Board) {
    board.set_rests(true);
    pause(REST);
    board.set_rests(false);
}

/// Prints the last operations, and what every thread does and every port holds.
pub(crate) fn report(board: Board) {
    println!("soak: after {} operations; the last ones, the latest at the end:", board.operations());
    board.log().for_each(|draw| println!("soak:   {:?}", Operation::drawn(draw)));
    for player in 0..PLAYERS {
        if is_dead(board.task(player)) {
            println!("soak: task {player} is dead");
            continue;
        }
        for index in 0..THREADS {
            let (act, name) = board.last_act(player, index);
            println!(
                "soak: thread {player}/{index}: {} steps, last {act:?} {:#x}; {}",
                board.steps(player, index),
                name.0,
                State(board.thread(player, index))
            );
        }
    }
    for (holder, space) in spaces(board) {
        report_rights(board, holder, space);
    }
}

/// Prints a task's receive rights that messages wait in or answers are to come to, and the rights to answer that it has.
fn report_rights(board: Board, holder: Holder, space: PortName) {
    // A task that has ended has none.
    let _ = left::each_name(space, |name, kind| {
        if kind & MACH_PORT_TYPE_SEND_ONCE != 0 {
            println!("soak: {holder:?}: {:#x} is a send-once right", name.0);
        }
        let Ok(status) = mach_port::mach_port_get_receive_status(space, name) else { return };
        let index = (0..PORTS).find(|index| board.port(*index) == name);
        let is_full = status.mps_msgcount >= status.mps_qlimit;
        if is_full || status.mps_msgcount != 0 || status.mps_sorights != 0 || index.is_some() {
            println!(
                "soak: {holder:?}: receives from {:#x} (port {index:?}): {} messages of at most {}, {} send-once rights, set {}",
                name.0, status.mps_msgcount, status.mps_qlimit, status.mps_sorights, status.mps_pset
            );
        }
    });
}

/// What the kernel says of a thread.
struct State(PortName);

impl core::fmt::Display for State {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut info = [0; 64];
        match kernel::thread_info(self.0, THREAD_BASIC_INFO, &mut info) {
            Err(error) => write!(f, "thread_info: {error}"),
            Ok(_) => write!(
                f,
                "{}, suspended {} times, asleep for {} s",
                STATES.get(info[RUN_STATE] as usize).unwrap_or(&STATES[0]),
                info[SUSPEND_COUNT],
                info[SLEEP_TIME]
            ),
        }
    }
}
