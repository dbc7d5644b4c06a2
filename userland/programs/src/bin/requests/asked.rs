// SPDX-License-Identifier: GPL-2.0-or-later
//! One request: sent, and what came of it.

use alloc::vec::Vec;
use core::fmt::{self, Display};

use mach::error::{KernReturn, Result};
use mach::msg::{destroy, destroy_body};
use mach::port::PortName;
use mach::sys::msg::mach_msg;
use mach_abi::header::{self, LP64, MACH_MSGH_BITS_COMPLEX, REPLY_ID_OFFSET, word};
use mach_abi::option::{MACH_RCV_MSG, MACH_RCV_TIMEOUT, MACH_SEND_MSG, MACH_SEND_TIMEOUT};
use mach_abi::type_name as tn;
use programs::Mismatch;
use programs::random::Random;
use programs::requests::{self, DISPOSITIONS, IDS, LONGEST, Memory, Request};
use trace_port::control::owner::wire;
use trace_port::control::stop::PREPARE_ID;
use trace_port::control::{ATTACH_ID, BARRIER_ID, INTEGER, SEND_RIGHT};
use zerocopy::IntoBytes;

use crate::world::World;

/// Bytes of the buffer, which any reply fits into.
const BUFFER: usize = 4096;
/// Where the return code of a reply stands, in words of 64 bits, and the size of the reply from which on there is one.
const RETURN_CODE: usize = LP64.end / 8 + 1;
/// Where the descriptor of the first result stands, and the result.
const RESULT: [usize; 2] = [RETURN_CODE + 1, RETURN_CODE + 2];

/// Requests, and how many of each id did what they were asked for.
pub(crate) struct Asked {
    buffer: Vec<u64>,
    memory: Memory,
    all: u64,
    refused: u64,
    succeeded: [u64; (IDS.end - IDS.start) as usize],
}

impl Asked {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            buffer: alloc::vec![0; BUFFER / 8],
            memory: Memory::new()?,
            all: 0,
            refused: 0,
            succeeded: [0; (IDS.end - IDS.start) as usize],
        })
    }

    /// Whether a routine has done at least once what it was asked for.
    pub(crate) fn has_succeeded(&self, id: u32) -> bool {
        self.succeeded.get(id.wrapping_sub(IDS.start) as usize).is_some_and(|&count| count > 0)
    }

    /// Draws one, sends it and looks at the answer.
    pub(crate) fn one(&mut self, world: &mut World, random: &mut Random) -> core::result::Result<(), Mismatch> {
        let target = world.target(random);
        let bytes = &mut self.buffer.as_mut_bytes()[..LONGEST];
        self.memory.thread = world.thread;
        let request = requests::write(bytes, random, &mut self.memory, |random| world.right(random));
        // This task is no engine's: there would be nobody to receive what is told of it, or to answer it.
        let to = if request.id == ATTACH_ID { world.other_than_this(target.name) } else { target.name };
        if request.id == BARRIER_ID && target.is_engine && !world.is_at_rest() {
            // Its threads may wait for as long as nobody receives: it would be waited for, too.
            world.let_go(to);
        }
        let how = if random.percent(96) { tn::COPY_SEND } else { random.pick(&DISPOSITIONS, 0) };
        let is_usual = random.percent(90);
        let (kind, reply) = if is_usual { (tn::MAKE_SEND_ONCE, world.reply) } else { world.odd_reply(random) };
        let complex = if request.is_complex { MACH_MSGH_BITS_COMPLEX } else { 0 };
        let junk = if random.percent(2) { random.word() as u32 & 0x7fff_0000 } else { 0 };
        self.buffer[word::BITS] = u64::from(header::bits(how, kind) | complex | junk) | u64::from(request.size) << 32;
        self.buffer[word::REMOTE_PORT] = to.0.into();
        self.buffer[word::LOCAL_PORT] = reply.0.into();
        self.buffer[word::ID] = u64::from(request.id) << 32;
        let is_answered = is_usual && target.is_kernels && IDS.contains(&request.id);
        // The plain kind of call, which the kernel has optimized, waits for the answer.
        let wait = if is_answered && random.percent(50) { 0 } else { MACH_SEND_TIMEOUT | MACH_RCV_TIMEOUT };
        let option = MACH_SEND_MSG | MACH_RCV_MSG | wait;
        let limit = if random.percent(2) { random.below(64) as u32 } else { BUFFER as u32 };
        let mut code = mach_msg(&mut self.buffer, option, request.size, limit, world.reply, 0, PortName::NULL);
        while code == 0 && is_usual && self.id() != request.id.wrapping_add(REPLY_ID_OFFSET) {
            // It was waiting there: that an earlier request's reply right is gone.
            destroy(&self.buffer);
            let option = MACH_RCV_MSG | MACH_RCV_TIMEOUT;
            code = mach_msg(&mut self.buffer, option, 0, BUFFER as u32, world.reply, 0, PortName::NULL);
        }
        self.look(world, random, (request, is_answered), code)?;
        if !target.is_kernels || !is_usual {
            world.drain();
        }
        Ok(())
    }

    /// `msgh_id` of the message in the buffer.
    fn id(&self) -> u32 {
        (self.buffer[word::ID] >> 32) as u32
    }

    /// Looks at what came of it.
    fn look(
        &mut self,
        world: &mut World,
        random: &mut Random,
        (request, is_answered): (Request, bool),
        code: u32,
    ) -> core::result::Result<(), Mismatch> {
        self.all += 1;
        let result = KernReturn::from_mach_msg(code);
        match result {
            KernReturn::KERN_SUCCESS => {}
            KernReturn::MACH_RCV_TIMED_OUT if is_answered => {
                return Err(Mismatch::new(&alloc::format!("request {} was not answered", request.id)));
            }
            KernReturn::MACH_SEND_TIMED_OUT => {
                // It came back, with what was in it.
                destroy(&self.buffer);
                return Ok(());
            }
            _ => {
                self.refused += u64::from(!result.is_of_receive());
                return Ok(());
            }
        }
        let is_reply = self.id() == request.id.wrapping_add(REPLY_ID_OFFSET) && IDS.contains(&request.id);
        if is_reply && self.buffer[RETURN_CODE] as u32 == 0 {
            self.succeeded[(request.id - IDS.start) as usize] += 1;
        }
        let has_succeeded = is_reply && self.buffer[RETURN_CODE] as u32 == 0;
        let [descriptor, result] = RESULT.map(|at| self.buffer[at]);
        match request.id {
            ATTACH_ID | wire::ENGINE_ID | wire::TOOL_ID if has_succeeded && descriptor == SEND_RIGHT => {
                let right = PortName(result as u32);
                let is_tool = request.id == wire::TOOL_ID;
                if is_tool { world.keep_tool(right, random) } else { world.keep_engine(right, random) }
            }
            PREPARE_ID if has_succeeded && descriptor == INTEGER => self.memory.stop = result as u32,
            _ => destroy_body(&self.buffer),
        }
        Ok(())
    }
}

impl Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let succeeded: u64 = self.succeeded.iter().sum();
        write!(f, "{} requests, {} not sent, {succeeded} did what they asked for", self.all, self.refused)
    }
}
