// SPDX-License-Identifier: GPL-2.0-or-later
//! ring SCENE HOST_PORT: rings of tracers, with tracers that die, scribble, stand still, sleep, are too many, or hand their trace port on.
//!
//! A tracer of its own; run it untraced. Each line it prints is one thing that was shown: who is traced goes on whatever becomes of a ring, and
//! of rings nothing is left. With the host's privileged port as second argument what is traced runs on another processor, if there are several, and
//! what the kernel holds is counted.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

mod bounds;
mod full;
mod headers;
mod kill;
mod moved;
mod scribble;
mod sleep;
mod stage;

use mach::port::PortName;
use mach::println;
use mach::rt::arguments::Arguments;
use mach::rt::exit::exit;
use mach::thread;
use programs::patience::until_silent;
use programs::{Doing, Mismatch};

use stage::Board;

mach::entry!(main);

/// Seconds in which something goes on: a kernel that does not answer has no bound of its own.
const PATIENCE: u32 = 60;

/// Shows something.
type Scene = fn(&Board) -> Result<(), Mismatch>;

/// What can be shown.
const SCENES: [(&str, Scene); 7] = [
    ("kill", kill::show),
    ("bounds", bounds::show),
    ("scribble", scribble::show),
    ("full", full::show),
    ("sleep", sleep::show),
    ("moved", moved::show),
    ("headers", headers::show),
];

fn main(arguments: Arguments) -> Result<(), Mismatch> {
    let host = arguments.get_str(2).and_then(|name| name.parse().ok()).map(PortName);
    let scene = arguments.get_str(1).and_then(|name| SCENES.iter().find(|scene| scene.0 == name));
    let (_, show) = scene.doing("scene of that name")?;
    let board = Board::new(host)?;
    let watched = board.clone();
    thread::spawn(move || watch(&watched)).doing("starting a thread")?;
    show(&board)
}

/// Ends the program if nothing goes on any more.
fn watch(board: &Board) {
    until_silent(PATIENCE, || board.total());
    println!("ring: expected that something goes on within {PATIENCE} s, found nothing");
    exit(1);
}
