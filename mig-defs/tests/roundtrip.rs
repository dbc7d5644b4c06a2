// SPDX-License-Identifier: GPL-2.0-or-later
//! Property: a message made of any values of a routine's types decodes, and encodes to the same bytes again, in both formats, with
//! every item where layout.rs says.
#![cfg(feature = "compiler")]

mod common;

use std::path::PathBuf;

use common::{Builder, builtin, compile_for, compile_text, decode_as, defs_below, good_files, options};
use mach_abi::{Descriptor, Format, Header, type_name as tn};
use mig_defs::codegen::table;
use mig_defs::compile::compile;
use mig_defs::decode::Message;
use mig_defs::encode::{EncodeError, encode};
use mig_defs::layout::{Item, layout};
use mig_defs::model::{Model, Routine, Shape};
use mig_defs::source::Disk;
use mig_defs::table::Tables;
use mig_defs::value::{Value, View};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseResult, TestRunner};

thread_local! {
    /// Compiled once per test, not once per case.
    static INTERFACES: &'static [(Vec<Model>, Vec<u8>); 2] =
        Box::leak(Box::new([Format::Lp64, Format::Ilp32].map(compile_good_files)));
}

/// The models of all good files, and their tables, for the 64-bit and for the 32-bit format.
fn interfaces() -> &'static [(Vec<Model>, Vec<u8>); 2] {
    INTERFACES.with(|interfaces| *interfaces)
}

fn compile_good_files(format: Format) -> (Vec<Model>, Vec<u8>) {
    let texts: Vec<String> =
        good_files().iter().map(|path| std::fs::read_to_string(path).expect("a good file")).collect();
    let models = texts.iter().map(|text| compile_for(format, text).model.expect("a subsystem")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    (models, common::tables_for(format, &texts))
}

/// Takes bytes off a pool that never ends.
struct Pool<'a>(&'a [u8], usize);

impl Pool<'_> {
    fn byte(&mut self) -> u8 {
        self.1 += 1;
        self.0.get(self.1 % self.0.len().max(1)).copied().unwrap_or(0).wrapping_add(self.1 as u8)
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.byte()).collect()
    }
}

/// Data for an item of the type `id`; `None` for data that would be refused by design.
fn data_for(model: &Model, routine: &Routine, item: &Item, view: View, pool: &mut Pool<'_>) -> (Descriptor, Vec<u8>) {
    use mig_defs::layout::Source;
    let mut descriptor = if view == View::Sent { item.sent } else { item.received };
    let Source::Argument(index) = item.source else {
        return (descriptor, vec![0; 4]);
    };
    let argument = &routine.arguments[index];
    let ty = model.ty(model.unaliased(argument.ty));
    if ty.is_port() && u32::from(descriptor.name) == tn::POLYMORPHIC & 0xff {
        descriptor.name = tn::MOVE_SEND as u8;
    }
    if !descriptor.inline {
        // Whole elements: sizes are counted in bytes by the decoder.
        descriptor.number = u32::from(pool.byte()) * if ty.is_port() { 1 } else { ty.element_number };
        return (descriptor, pool.bytes(model.format.word()));
    }
    if ty.var_array {
        let most = ty.number / ty.element_number;
        descriptor.number = u32::from(pool.byte()) % (most + 1) * ty.element_number;
        if matches!(ty.shape, Shape::CString) {
            descriptor.number = descriptor.number.clamp(1, ty.number);
        }
    }
    let mut data = pool.bytes(descriptor.data_size() as usize);
    if ty.string {
        // Text without NUL and then zeros, as stubs write it.
        let end = usize::from(pool.byte()) % data.len();
        let varying = ty.var_array;
        let length = data.len();
        data.iter_mut().enumerate().for_each(|(at, byte)| match () {
            () if at + 1 == length || (!varying && at >= end) => *byte = 0,
            () => *byte |= 1,
        });
    }
    if ty.is_port() {
        data.chunks_mut(model.format.word()).for_each(|right| right[4..].fill(0));
    }
    if ty.in_name == tn::BOOLEAN && ty.size == 32 && matches!(ty.shape, Shape::Basic) {
        data = vec![data[0] & 1, 0, 0, 0];
    }
    (descriptor, data)
}

fn message(model: &Model, routine: &Routine, is_reply: bool, view: View, pool: &mut Pool<'_>) -> Vec<u8> {
    let layout = layout(model, routine);
    let message = if is_reply { &layout.reply } else { &layout.request };
    let mut complex = false;
    let header = Header { id: message.id, bits: 0x1211, remote_port: 0x55, local_port: 0x66, ..Header::default() };
    let mut builder = Builder::of(model.format, header);
    for item in &message.items {
        let (descriptor, data) = data_for(model, routine, item, view, pool);
        complex |= !descriptor.inline || descriptor.is_port();
        builder = builder.described(descriptor, &data);
    }
    let mut bytes = builder.finish();
    bytes[3] |= if complex { 0x80 } else { 0 };
    bytes
}

/// Decodes a message of each routine made of the pool's bytes, and encodes what comes out.
fn inverse(model: &Model, tables: Tables<'_>, pool: &[u8], reply: bool, view: View) -> TestCaseResult {
    let format = model.format;
    for routine in model.routines.iter().filter(|routine| !reply || !routine.one_way) {
        let bytes = message(model, routine, reply, view, &mut Pool(pool, 0));
        let decoded = if reply {
            Message::reply(tables, format, &bytes, view)
        } else {
            Message::new(tables, format, &bytes, view)
        };
        let decoded = decoded.expect("a known id");
        // One file's replies may have the ids of another's requests, so that only this knows which it is.
        let text = format!("{} {:?}", routine.name, decoded.fields().collect::<Vec<_>>());
        prop_assert!(decoded.fields().all(|field| field.is_ok()), "{}", text);
        places(model, routine, &decoded, bytes.len())?;
        let values: Vec<Value<'_>> = decoded.fields().map(|field| field.expect("sound").value).collect();
        let mut buffer = vec![0xaa; bytes.len()];
        let header = decoded.header();
        let size = encode(decoded.routine(), reply, format, view, header, values.iter().copied(), &mut buffer);
        prop_assert_eq!(size, Ok(bytes.len()), "{}", text);
        prop_assert_eq!(&buffer, &bytes, "{}", text);
        for short in [0, format.header().end - 1, bytes.len() - 1] {
            let cut =
                encode(decoded.routine(), reply, format, view, header, values.iter().copied(), &mut buffer[..short]);
            prop_assert!(matches!(cut, Err(EncodeError::NoRoom { .. })), "{short} {cut:?}");
        }
    }
    Ok(())
}

/// Every item of a message stands where its layout says, and the message has the size that the layout gives.
fn places(model: &Model, routine: &Routine, decoded: &Message<'_>, size: usize) -> TestCaseResult {
    let layout = layout(model, routine);
    let message = if decoded.is_reply() { &layout.reply } else { &layout.request };
    if decoded.routine().name() == &*routine.name {
        let mut fields = decoded.fields();
        // The request port stands in the header.
        let header = decoded.routine().items(decoded.is_reply()).count() - message.items.len();
        fields.by_ref().take(header).for_each(drop);
        for item in &message.items {
            let place = fields.offset();
            let fits = if item.offset_fixed { place == item.offset as usize } else { place >= item.offset as usize };
            prop_assert!(fits, "{} at {place}", item.name);
            fields.next();
        }
    }
    prop_assert!(size >= message.min_size as usize && size <= message.max_size as usize, "{}", routine.name);
    Ok(())
}

/// The models of the real files of all versions that are there, each with its own tables.
fn real_interfaces() -> Vec<(Model, Vec<u8>)> {
    let one = std::env::var_os("GNUMACH_DEFS").expect("GNUMACH_DEFS: run cargo qemu test");
    let versions = std::env::var_os("GNUMACH_DEFS_ALL").unwrap_or(one);
    let of_version = |(format, include): (Format, PathBuf)| {
        let options = options(format, vec![include.clone()]);
        defs_below(&include).into_iter().filter_map(move |file| compile(&file, &options, &Disk).model)
    };
    // The files of 64-bit packages are the same in the other format, but for what the preprocessor leaves out.
    let versions: Vec<PathBuf> = std::env::split_paths(&versions).collect();
    let formats = [Format::Lp64, Format::Ilp32].into_iter();
    let models =
        formats.flat_map(|format| versions.iter().map(move |include| (format, include.clone()))).flat_map(of_version);
    models
        .map(|model| {
            let tables = table::tables(&[&model], &builtin(model.format));
            (model, tables)
        })
        .collect()
}

#[test]
#[ignore = "needs Debian's gnumach-dev: set GNUMACH_DEFS, as `cargo qemu test` does"]
fn decode_and_encode_are_inverse_for_every_routine_of_the_kernel() {
    let interfaces = real_interfaces();
    let routines: usize = interfaces.iter().map(|(model, _)| model.routines.len()).sum();
    assert!(routines > 300, "{routines} routines");
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() });
    let pools = (proptest::collection::vec(any::<u8>(), 1..200), any::<bool>(), any::<bool>());
    let outcome = runner.run(&pools, |(pool, reply, sent)| {
        let view = if sent { View::Sent } else { View::Received };
        interfaces
            .iter()
            .try_for_each(|(model, bytes)| inverse(model, Tables::parse(bytes).expect("tables"), &pool, reply, view))
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn decode_and_encode_are_inverse(pool in proptest::collection::vec(any::<u8>(), 1..200), reply: bool, sent: bool) {
        let view = if sent { View::Sent } else { View::Received };
        for (models, bytes) in interfaces() {
            let tables = Tables::parse(bytes).expect("tables");
            for model in models {
                inverse(model, tables, &pool, reply, view)?;
            }
        }
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), id in 7000_u32..7720) {
        for (models, table_bytes) in interfaces() {
            let (format, tables) = (models[0].format, Tables::parse(table_bytes).expect("tables"));
            let mut message = vec![0; format.header().end];
            Header { id, ..Header::default() }.write(format, &mut message).expect("room");
            message.extend(&bytes);
            decode_as(format, tables, &message, View::Sent);
        }
    }

    #[test]
    fn no_text_makes_the_compiler_panic(text in "[a-z_0-9:;,()\\[\\]{}*=^|#\"<>/ \\n]{0,200}") {
        compile_text(&text);
        compile_text(&format!("subsystem s 1; type t = {text};"));
        compile_text(&format!("subsystem s 1; routine r(p : int; x : y = {text});"));
    }
}

#[test]
fn values_of_another_type_are_refused() {
    let [(_, bytes), _] = interfaces();
    let tables = Tables::parse(bytes).expect("tables");
    let routine = tables.request(7000).expect("types.scalars");
    let mut buffer = [0; 512];
    let run = |values: Vec<Value<'static>>, buffer: &mut [u8]| {
        encode(routine, true, Format::Lp64, View::Sent, Header::default(), values, buffer)
    };
    assert_eq!(run(vec![], &mut buffer), Err(EncodeError::Missing { item: 0 }));
    assert_eq!(run(vec![Value::KernReturn(5)], &mut buffer), Ok(48));
    let wrong = vec![Value::KernReturn(0), Value::Bytes(&[1, 2])];
    assert_eq!(run(wrong, &mut buffer), Err(EncodeError::WrongType { item: 1, offset: 48 }));
}
