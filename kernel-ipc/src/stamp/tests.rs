// SPDX-License-Identifier: GPL-2.0-or-later
//! Who can leave a number in a message, and for whom.

use std::vec;

use super::*;
use crate::gnumach::fake::{CHILD, CHILDS_THREAD, Fake, TASK, THREAD};
use crate::gnumach::{Messages, Records, mr};
use crate::hooks::model::{Call, Model, SERVICE, SERVICE_NAME, TO_SERVICE, message};

const SECRET: u64 = 0x0123_4567_89ab_cdef;

fn sealed() -> (Fake, State) {
    let state = State::new();
    state.keep_secret(SECRET);
    (Fake::new(), state)
}

/// A message of 40 bytes in memory for 80.
fn kmsg(fake: &Fake, id: u32) -> Kmsg {
    let mut bytes = message(19, 1, 0, id, 40);
    bytes.resize(80, 0xbb);
    bytes[4] = 40;
    fake.new_kmsg(bytes, false)
}

#[test]
fn a_number_is_taken_once() {
    let (fake, state) = sealed();
    let kmsg = kmsg(&fake, 7000);
    assert_eq!(read(&fake, &state, kmsg).get(), 0, "nothing was left");
    put(&fake, &state, kmsg, Correlation::new(5));
    assert_eq!((read(&fake, &state, kmsg), read(&fake, &state, kmsg)), (Correlation::new(5), Correlation::new(5)));
    assert_eq!((take(&fake, &state, kmsg), take(&fake, &state, kmsg)), (Correlation::new(5), Correlation::NONE));
    assert_eq!(fake.tail(kmsg), Some([0; 2]));
}

#[test]
fn what_a_message_says_of_itself_is_sealed_but_not_whom_it_goes_to() {
    let (fake, state) = sealed();
    let stamped = || {
        let kmsg = kmsg(&fake, 7000);
        put(&fake, &state, kmsg, Correlation::new(5));
        kmsg
    };
    for (offset, name) in [(4, "size"), (28, "id")] {
        let kmsg = stamped();
        fake.memory(kmsg).bytes[offset] ^= 4;
        assert_eq!(read(&fake, &state, kmsg).get(), 0, "{name}");
    }
    for offset in (0..4).chain(8..28).chain(32..40) {
        let kmsg = stamped();
        fake.memory(kmsg).bytes[offset] ^= 4;
        assert_eq!(read(&fake, &state, kmsg).get(), 5, "the kernel changes the header: {offset}");
    }
}

#[test]
fn no_bit_of_a_stamp_can_be_changed() {
    let (fake, state) = sealed();
    let kmsg = kmsg(&fake, 7000);
    put(&fake, &state, kmsg, Correlation::new(5));
    for bit in 0..128 {
        let place = 64 + bit / 8;
        fake.memory(kmsg).bytes[place] ^= 1 << (bit % 8);
        assert_eq!(read(&fake, &state, kmsg).get(), 0, "bit {bit}");
        fake.memory(kmsg).bytes[place] ^= 1 << (bit % 8);
    }
    assert_eq!(read(&fake, &state, kmsg).get(), 5);
}

#[test]
fn a_stamp_is_of_no_use_in_another_place_or_boot() {
    let (fake, state) = sealed();
    let (first, second) = (kmsg(&fake, 7000), kmsg(&fake, 7000));
    put(&fake, &state, first, Correlation::new(5));
    fake.set_tail(second, fake.tail(first).unwrap());
    assert_eq!((read(&fake, &state, first), read(&fake, &state, second)), (Correlation::new(5), Correlation::NONE));
    state.keep_secret(SECRET + 1);
    assert_eq!(read(&fake, &state, first).get(), 0);
}

#[test]
fn a_message_that_may_fill_its_memory_has_none() {
    let (fake, state) = sealed();
    for room in [40, 48, 55] {
        let mut bytes = vec![0; room];
        bytes[4] = 40;
        let kmsg = fake.new_kmsg(bytes.clone(), false);
        put(&fake, &state, kmsg, Correlation::new(5));
        assert_eq!((take(&fake, &state, kmsg), fake.tail(kmsg)), (Correlation::NONE, None), "room {room}");
        assert_eq!(fake.memory(kmsg).bytes, bytes, "nothing is written");
    }
}

/// `exception_raise` fills a cached buffer without `copyinmsg`, so that an old stamp may be behind its message.
#[test]
fn what_looks_like_an_exception_has_none() {
    let (fake, state) = sealed();
    for (id, size, expected) in [(2400, 112, 0), (2400, 108, 5), (2401, 112, 5)] {
        let mut bytes = message(17, 1, 0, id, 112);
        bytes.resize(232, 0xbb);
        bytes[4] = size;
        let kmsg = fake.new_kmsg(bytes, false);
        put(&fake, &state, kmsg, Correlation::new(5));
        assert_eq!(read(&fake, &state, kmsg).get(), expected, "{id} {size}");
    }
}

#[test]
fn a_traced_receiver_knows_a_traced_senders_message_and_no_others() {
    let model = Model::traced(&[TASK, CHILD]);
    model.call(THREAD, &Call::simple());
    assert_eq!(model.call(CHILDS_THREAD, &Call::receive(SERVICE_NAME, 100)), Some(mr::MACH_MSG_SUCCESS));
    // The same message in the same buffer, from a sender who is not traced any more.
    model.call(THREAD, &Call::simple());
    let stamped = model.fake.port(SERVICE).queue.pop_front().unwrap();
    model.free(stamped);
    model.untrace(TASK);
    model.call(THREAD, &Call::simple());
    assert_eq!(model.fake.port(SERVICE).queue[0], stamped);
    assert_eq!(model.call(CHILDS_THREAD, &Call::receive(SERVICE_NAME, 100)), Some(mr::MACH_MSG_SUCCESS));
    let numbers: vec::Vec<u64> = model.seen().iter().map(|seen| seen.correlation()).collect();
    assert_eq!(numbers, [1, 1, 2, 0]);
    model.assert_ends_clean();
}

#[test]
fn a_sender_does_not_reach_where_stamps_are() {
    let model = Model::traced(&[CHILD]);
    // Its last bytes are not the buffer's.
    let mut sent = message(19, TO_SERVICE, 0, 7000, 400);
    sent[384..].copy_from_slice(&[9; 16]);
    assert_eq!(model.call(THREAD, &Call::send(sent)), Some(mr::MACH_MSG_SUCCESS));
    assert_eq!(model.call(CHILDS_THREAD, &Call::receive(SERVICE_NAME, 400)), Some(mr::MACH_MSG_SUCCESS));
    assert_eq!(model.only().correlation(), 0);
    assert_eq!(model.fake.record_room(model.fake.new_kmsg(vec![0; 64], false)), None);
}
