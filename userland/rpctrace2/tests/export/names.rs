// SPDX-License-Identifier: GPL-2.0-or-later
//! Whatever the bytes of names and texts are, each form stays valid.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::common::*;
use crate::{exported, json, made, perfetto, strace_text, text, text_forms, typed};

/// Text with what the forms themselves are made of in it.
fn names() -> impl Strategy<Value = String> {
    let evil = prop::sample::select(vec![
        '"', '\\', '\n', '\t', ';', '#', ':', '-', '>', '%', '\'', '<', '&', '\u{0}', '\u{7f}', 'é', '😀', '\u{202e}',
    ]);
    vec(prop_oneof![evil, any::<char>(), proptest::char::range('a', 'z')], 0..12).prop_map(String::from_iter)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_form_stays_valid(name in names(), data in vec(any::<u8>(), 0..24)) {
        let file = made(|trace, out| {
            trace.call(40, &name);
            let samples = [
                Sample::sent(Message::request(7007, 10).chars(&data)),
                Sample::received(Message::reply(7107, REPLY).int(0).int(31)),
                Sample::sent(Message::request(7008, 7).int(3)),
            ];
            for (place, sample) in samples.iter().enumerate() {
                let mut wire = sample.wire();
                set_sequence(&mut wire, place as u64 + 1);
                trace.message(&wire.into(), out);
            }
        });
        let lines = text(file.path(), "jsonl", &[]);
        let exchanges = json::lines(&lines, "exchange");
        prop_assert_eq!(exchanges.len(), 2);
        let written = &exchanges[0]["request"]["arguments"]["data"];
        match std::str::from_utf8(&data) {
            Ok(utf8) => prop_assert_eq!(written, utf8),
            Err(_) => prop_assert!(written["bytes"].is_string()),
        }
        let bytes = exported(file.path(), "perfetto", &[]);
        <perfetto::Trace as prost::Message>::decode(&bytes[..]).unwrap();
        prop_assert_eq!(typed::extensions(&bytes).len(), 2);
        text_forms::check_folded(&text(file.path(), "folded", &[]));
        text_forms::check_mermaid(&text(file.path(), "mermaid", &[]));
        text_forms::spans(&text(file.path(), "otlp", &[]));
        prop_assert_eq!(strace_text::read(&text(file.path(), "strace", &[])).len(), 2);
    }
}
