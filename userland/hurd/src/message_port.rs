// SPDX-License-Identifier: GPL-2.0-or-later
//! The message port: where a process hears of signals.
//!
//! Whoever posts a signal waits for the answer, the terminal with the only thread that it has for that; so each request is answered at once,
//! and what it means is done afterwards. A registered port must not die while the process lives: who asks proc for it would wait.

use mach::error::Result;
use mach::mig::{Patience, send_reply};
use mach::port::{PortName, ReceiveRight, SendRight};
use mach::task_self;

use crate::abi::{port, signal};
use crate::errno::{EOPNOTSUPP, EPERM};
use crate::startup::Startup;
use crate::stubs::{msg_server, process};

/// Signals that a terminal may send.
const OF_TERMINAL: [i32; 5] = [signal::INT, signal::QUIT, signal::TSTP, signal::HUP, signal::WINCH];

/// Room for any answer.
const REPLY_MAX: usize = 128;

/// This process's message port.
#[derive(Debug)]
pub struct MessagePort {
    /// Where its messages come.
    pub port: ReceiveRight,
}

impl MessagePort {
    /// Makes one and tells proc.
    ///
    /// # Errors
    /// What the kernel or proc answers.
    pub fn register(startup: &Startup) -> Result<Self> {
        let port = ReceiveRight::allocate()?;
        let right = port.make_send()?;
        drop(process::proc_setmsgport(startup.proc()?, right.name())?);
        Ok(Self { port })
    }

    /// Answers a message that came to the port; returns the signal that it brings, if somebody may send it.
    pub fn answer(&self, startup: &Startup, message: &[u64]) -> Option<i32> {
        let mut posted = Posted { terminal: startup.port(port::CTTYID), signal: None };
        let mut reply = [0; REPLY_MAX / 8];
        if !msg_server::demux(&mut posted, message, &mut reply) {
            mach::msg::destroy_body(message);
        }
        // Who does not take the answer loses it.
        let _ = send_reply(&mut reply, Patience::None);
        posted.signal
    }
}

struct Posted {
    terminal: Option<PortName>,
    signal: Option<i32>,
}

impl msg_server::Server for Posted {
    fn msg_sig_post(
        &mut self,
        _process: PortName,
        _reply_port: PortName,
        signal: i32,
        _sigcode: u32,
        refport: SendRight,
    ) -> Result<()> {
        let is_ours = refport.name() == task_self();
        let is_of_terminal = self.terminal == Some(refport.name()) && OF_TERMINAL.contains(&signal);
        if !is_ours && !is_of_terminal {
            return Err(EPERM);
        }
        self.signal = Some(signal);
        Ok(())
    }

    fn msg_proc_newids(
        &mut self,
        _process: PortName,
        _task: SendRight,
        _ppid: i32,
        _pgrp: i32,
        _orphaned: i32,
    ) -> Result<()> {
        Err(EOPNOTSUPP)
    }
}
