// SPDX-License-Identifier: GPL-2.0-or-later
//! Stand-ins for what the guest's runtime has below its stubs: rights that log their release, a `mach_msg` that is a
//! function of the test.

use std::cell::RefCell;

use mach_abi::header::{self, word};
use mach_abi::{Descriptor, KernReturn, type_name as tn};

use port::PortName;

pub(crate) mod memory;
pub(crate) mod port;

/// The reply port of every thread.
pub(crate) const REPLY_PORT: PortName = PortName(0x900);

type Kernel = Box<dyn FnMut(&[u64], [u32; 4]) -> Result<Vec<u64>, u32>>;

const TIMED_OUT: u32 = KernReturn::MACH_RCV_TIMED_OUT.to_mach_msg();
const TOO_LARGE: u32 = KernReturn::MACH_RCV_TOO_LARGE.to_mach_msg();

thread_local! {
    static RELEASED: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
    static REQUEST: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
    static KERNEL: RefCell<Option<Kernel>> = const { RefCell::new(None) };
}

/// What was released since the last call.
pub(crate) fn released() -> Vec<u32> {
    RELEASED.take()
}

/// The message that was sent last.
pub(crate) fn request_of() -> Vec<u64> {
    REQUEST.with_borrow(Clone::clone)
}

/// Messages are answered by `answer`; `None` is a message that times out.
pub(crate) fn kernel(mut answer: impl FnMut(&[u64]) -> Option<Vec<u64>> + 'static) {
    kernel_says(move |request, _| answer(request).ok_or(TIMED_OUT));
}

/// Messages are answered by `answer`, which gets option, receive size, receive name and timeout too.
pub(crate) fn kernel_says(answer: impl FnMut(&[u64], [u32; 4]) -> Result<Vec<u64>, u32> + 'static) {
    KERNEL.set(Some(Box::new(answer)));
}

/// Messages are delivered to `demux`, and its replies delivered back.
pub(crate) fn with_server(mut demux: impl FnMut(&[u64], &mut [u64]) -> bool + 'static) {
    kernel(move |request| {
        let mut reply = vec![0; 1024];
        let served = demux(&delivered(request), &mut reply);
        assert!(served, "{request:x?}");
        reply.truncate((reply[0] >> 32) as usize / 8);
        Some(delivered(&reply))
    });
}

/// A sent message as its receiver sees it: header ports swapped, rights under the names of received ones.
pub(crate) fn delivered(message: &[u64]) -> Vec<u64> {
    let mut words = message.to_vec();
    let received = |name: u32| match name {
        tn::COPY_SEND | tn::MAKE_SEND => tn::PORT_SEND,
        tn::MAKE_SEND_ONCE => tn::PORT_SEND_ONCE,
        other => other,
    };
    let bits = words[word::BITS] as u32;
    let ports = header::bits(received(header::local(bits)), received(header::remote(bits)));
    words[word::BITS] = words[word::BITS] & !0xffff | u64::from(ports);
    words.swap(word::REMOTE_PORT, word::LOCAL_PORT);
    let mut at = word::BODY;
    while at < words.len() {
        let descriptor = Descriptor::from_word(words[at]);
        words[at] = words[at] & !0xff | u64::from(received(descriptor.name.into()));
        at += 1 + if descriptor.inline { descriptor.data_size().div_ceil(8) as usize } else { 1 };
    }
    words
}

pub(crate) mod sys {
    //! `sys` of the runtime.

    pub(crate) mod memory {
        //! Bytes of message words; copied, which is enough for a test.

        pub(crate) fn bytes_of(words: &[u64]) -> &[u8] {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            bytes.leak()
        }
    }

    pub(crate) mod msg {
        //! `mach_msg` as a function of the test.

        use mach_abi::option::MACH_RCV_MSG;

        use super::super::{KERNEL, PortName, REPLY_PORT, REQUEST, TIMED_OUT, TOO_LARGE};

        pub(crate) fn mach_msg(
            buffer: &mut [u64],
            option: u32,
            send_size: u32,
            rcv_size: u32,
            rcv_name: PortName,
            timeout: u32,
            _notify: PortName,
        ) -> u32 {
            assert_eq!(buffer[0] >> 32, u64::from(send_size), "size in the header");
            let request = buffer[..send_size as usize / 8].to_vec();
            let call = [option, rcv_size, rcv_name.0, timeout];
            let answer = KERNEL
                .with_borrow_mut(|kernel| kernel.as_mut().map_or(Ok(Vec::new()), |kernel| kernel(&request, call)));
            REQUEST.set(request);
            match answer {
                Ok(_) if option & MACH_RCV_MSG == 0 => 0,
                Ok(reply) if reply.len() * 8 > rcv_size as usize => TOO_LARGE,
                Ok(reply) => {
                    buffer[..reply.len()].copy_from_slice(&reply);
                    0
                }
                Err(code) if option & MACH_RCV_MSG == 0 && code == TIMED_OUT => 0,
                Err(code) => code,
            }
        }

        pub(crate) fn reply_port() -> PortName {
            REPLY_PORT
        }

        pub(crate) fn give_back_reply_port() {}
    }
}
