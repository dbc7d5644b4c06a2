// SPDX-License-Identifier: GPL-2.0-or-later
//! Keys and the screens that they lead to, of a trace that is made here: files in `screens`, each looked at.

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::rc::Rc;

use export::Format;
use export::model::{Call, Code, End, Field, Half, Port, Remark, Task, Value};
use mig_defs::table::Tables;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;

use crate::app::{About, App, Effect};
use crate::draw::draw;
use crate::find::Parsed;
use crate::store::{Collect, Store};

fn half(sequence: u64, correlation: u64, is_sent: bool, arguments: Vec<Field>) -> Half {
    Half {
        time: 1_000_000_000 + sequence * 1_500_000,
        sequence,
        correlation,
        is_sent,
        thread: 5,
        size: 32 + 16 * arguments.len() as u32,
        missing: 0,
        then_receives: false,
        port: None,
        code: None,
        arguments,
        record: None,
    }
}

fn port(label: &str, name: u32, right: Option<&'static str>) -> Port {
    Port { label: label.into(), name: Some(name), number: Some(100 + name), kind: Some("port"), right }
}

fn field(name: &str, ty: &str, value: Value) -> Field {
    Field { name: name.into(), ty: ty.into(), value }
}

fn call(id: u64, task: usize, role: &'static str, name: &str, request: Half) -> Call {
    let label = if task == 1 { "hello[1]" } else { "echo[2]" };
    Call {
        id,
        task: Task { index: task, number: task as u32, name: label[..label.len() - 3].into() },
        thread: 10 * task as u32,
        label: label.into(),
        role,
        asker: None,
        name: name.into(),
        routine: Some(name.into()),
        subsystem: Some("sub".into()),
        msgh_id: Some(2000 + id as u32),
        request: Some(request),
        reply: None,
        outcome: "open",
        has_failed: false,
        result: None,
        split: None,
        closed_at: 0,
    }
}

fn answered(call: &Call, code: i32, name: &str, reply: Half) -> Call {
    let code = Code { number: code, name: name.into() };
    let reply = Half { code: Some(code.clone()), ..reply };
    let has_failed = code.number != 0;
    Call { reply: Some(reply), outcome: "answered", has_failed, result: Some(code), ..call.clone() }
}

/// Two tasks: the first asks the second, which asks the kernel meanwhile; then a write to the console, an error, a loss, and a name that is an attack.
fn told() -> Collect {
    let mut collect = Collect::default();
    let value = |number| field("value", "int", Value::Signed(number, None));
    let mut request = half(2, 70, true, vec![value(3)]);
    request.port = Some(port("port 7", 3, None));
    let ask = call(1, 1, "client", "echo", request);
    let mut received = half(
        3,
        70,
        false,
        vec![value(3), field("right", "mach_port_t", Value::Port(port("port 9", 4, Some("MOVE_SEND"))))],
    );
    received.port = Some(port("port made by echo[2]", 2, None));
    let serve = call(2, 2, "server", "echo", received);
    let mut own = half(4, 0, true, vec![field("size", "vm_size_t", Value::Unsigned(4096, None))]);
    own.port = Some(port("self", 1, None));
    let allocate = call(3, 2, "client", "vm_allocate", own.clone());
    let mut drop = half(6, 0, true, vec![field("name", "mach_port_name_t", Value::Port(port("port 9", 4, None)))]);
    drop.port = Some(port("self", 1, None));
    let drop = call(4, 2, "client", "mach_port_deallocate", drop);
    let mut write =
        half(12, 0, true, vec![field("data", "io_buf_ptr_inband_t", Value::Text(b"one\x1b[31m\ttwo\nthree".to_vec()))]);
    write.port = Some(port("device \"console\"", 6, None));
    let write = call(5, 1, "client", "device_write_inband", write);
    let wrong =
        call(6, 1, "client", "vm_protect\x1b]0;evil\x07", Half { port: own.port, ..half(14, 0, true, own.arguments) });

    let remark = |time, text: &str, lost, ended| Remark { time, text: text.into(), lost, ended };
    let address = vec![field("address", "vm_address_t", Value::Unsigned(0x2000, None))];
    let steps = [
        (None, &ask),
        (None, &serve),
        (None, &allocate),
        (Some((0, "KERN_SUCCESS", half(5, 0, false, address))), &allocate),
        (None, &drop),
        (Some((0, "KERN_SUCCESS", half(7, 0, false, Vec::new()))), &drop),
        (Some((0, "KERN_SUCCESS", half(8, 71, true, vec![value(6)]))), &serve),
        (Some((0, "KERN_SUCCESS", half(9, 71, false, vec![value(6)]))), &ask),
        (None, &write),
        (Some((0, "KERN_SUCCESS", half(13, 0, false, Vec::new()))), &write),
        (None, &wrong),
        (Some((2, "KERN_PROTECTION_FAILURE", half(15, 0, false, Vec::new()))), &wrong),
    ];
    for (index, (reply, call)) in steps.into_iter().enumerate() {
        if index == 8 {
            collect.remark(&remark(1_016_000_000, "--- 3 records lost ---", Some(3), None)).unwrap();
        }
        match reply {
            None => collect.opened(call).unwrap(),
            Some((code, name, reply)) => collect.closed(&answered(call, code, name, reply)).unwrap(),
        }
    }
    collect.remark(&remark(1_030_000_000, "+++ hello[1] exited with 0 +++", None, Some(1))).unwrap();
    collect.finish(&End::default()).unwrap();
    collect
}

/// Of everything that begins with `%` it is an expression that means the calls with an even id.
fn parse(typed: &str) -> Parsed<'static> {
    match typed {
        "%even" => Parsed::Expression(Box::new(|subject| subject.msgh_id.is_some_and(|id| id % 2 == 0))),
        _ if typed.starts_with('%') => Parsed::Wrong(format!("there is no class `{typed}`")),
        _ => Parsed::Text,
    }
}

fn app(store: Rc<RefCell<Store>>, about: About) -> App<'static> {
    let bytes = Box::leak(mig_defs::interfaces::without_routines().into_boxed_slice());
    App::new(store, Tables::parse(bytes).unwrap(), Box::new(parse), about)
}

fn shown() -> App<'static> {
    let mut app = app(told().store(), About { title: "hello.mtrc: hello".into(), ..About::default() });
    app.end(None);
    app
}

/// The screen of this size.
fn screen(app: &mut App<'_>, width: u16, height: u16) -> String {
    while app.work(3) {}
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(app, frame)).unwrap();
    let buffer = terminal.backend().buffer();
    let rows = buffer.content().chunks(width as usize);
    rows.map(|row| row.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned() + "\n").collect()
}

/// Keys by their letters; `^` is Tab, `$` Enter, `<` Backspace, `~` Escape.
fn press(app: &mut App<'_>, keys: &str) -> Effect {
    let mut last = Effect::None;
    for letter in keys.chars() {
        let code = match letter {
            '^' => KeyCode::Tab,
            '$' => KeyCode::Enter,
            '<' => KeyCode::Backspace,
            '~' => KeyCode::Esc,
            letter => KeyCode::Char(letter),
        };
        last = app.key(KeyEvent::new(code, KeyModifiers::NONE));
        while app.work(3) {}
    }
    last
}

/// Compares with the file; what differs is put beside it.
fn compare(name: &str, screen: &str) -> bool {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/screens").join(name);
    let expected = fs::read_to_string(&file).unwrap_or_default();
    if expected != screen {
        fs::write(file.with_extension("new"), screen).unwrap();
        eprintln!("{name} is not what {} has:\n{screen}", file.display());
    }
    expected == screen
}

#[test]
fn the_screen_after_keys() {
    let mut is_same = true;
    for (name, keys) in [
        ("first.txt", ""),
        ("ports.txt", "jj3"),
        ("given-back.txt", "jjj3"),
        ("console.txt", "G4"),
        ("loss.txt", "G3k"),
        ("filter.txt", "/echo$"),
        ("expression.txt", "/%even$"),
        ("nothing.txt", "/nowhere"),
        ("wrong.txt", "/%wrong$"),
        ("marked.txt", "/echo$a"),
        ("help.txt", "?"),
        ("below.txt", "^jj"),
    ] {
        let mut app = shown();
        press(&mut app, keys);
        is_same &= compare(name, &screen(&mut app, 80, 24));
    }
    assert!(is_same);
}

/// The names of a task after each of these: (routine, arguments of the request, of the reply).
#[test]
fn names_come_and_go_as_the_kernel_says() {
    let own = |name: &str, arguments: Vec<Field>| {
        let mut request = half(0, 0, true, arguments);
        request.port = Some(port("self", 1, None));
        call(0, 1, "client", name, request)
    };
    let name = || field("name", "mach_port_name_t", Value::Port(port("port 9", 4, None)));
    let carried = |right| field("it", "mach_port_t", Value::Port(port("port 9", 4, Some(right))));
    let right = |number| field("right", "mach_port_right_t", Value::Unsigned(number, None));
    let delta = |number| field("delta", "int", Value::Signed(number, None));
    let dead = |arguments| Call {
        outcome: "one-way",
        ..call(0, 1, "server", "mach_notify_dead_name", half(0, 0, false, arguments))
    };
    let steps: Vec<(Call, Option<Vec<Field>>, &str)> = vec![
        (own("get", vec![]), Some(vec![carried("PORT_SEND")]), "send 1"),
        (own("get", vec![]), Some(vec![carried("PORT_SEND")]), "send 2"),
        (own("mach_port_deallocate", vec![name()]), Some(vec![]), "send 1"),
        (own("give", vec![carried("COPY_SEND")]), Some(vec![]), "send 1"),
        (own("give", vec![carried("MOVE_SEND")]), Some(vec![]), ""),
        (own("mach_port_allocate", vec![right(1)]), Some(vec![name()]), "receive"),
        (own("mach_port_insert_right", vec![name(), carried("MAKE_SEND")]), Some(vec![]), "send 1 receive"),
        (own("mach_port_mod_refs", vec![name(), right(1), delta(-1)]), Some(vec![]), "send 1"),
        (dead(vec![name()]), None, "send 2 dead"),
        (own("mach_port_mod_refs", vec![name(), right(4), delta(-2)]), Some(vec![]), ""),
        (own("get", vec![]), Some(vec![carried("PORT_SEND_ONCE")]), "once"),
        (own("mach_port_deallocate", vec![name()]), Some(vec![]), ""),
        (own("get", vec![]), Some(vec![carried("PORT_RECEIVE")]), "receive"),
        (own("mach_port_destroy", vec![name()]), Some(vec![]), ""),
    ];
    let mut collect = Collect::default();
    for (index, (mut call, reply, expected)) in steps.into_iter().enumerate() {
        let at = 2 * index as u64;
        (call.id, call.request) = (at, call.request.map(|half| Half { sequence: at, ..half }));
        collect.opened(&call).unwrap();
        let whole =
            reply.map_or(call.clone(), |reply| answered(&call, 0, "KERN_SUCCESS", half(at + 1, 0, false, reply)));
        collect.closed(&whole).unwrap();
        let names = collect.store().borrow().rights.at(1, at + 1);
        let text = names.get(&4).map_or(String::new(), |held| {
            let send = if held.send > 0 { format!("send {}", held.send) } else { String::new() };
            let words = [(held.has_once, "once"), (held.has_receive, "receive"), (held.is_dead, "dead")];
            let words = words.into_iter().filter(|(is_there, _)| *is_there).map(|(_, word)| word);
            [&*send].into_iter().filter(|send| !send.is_empty()).chain(words).collect::<Vec<_>>().join(" ")
        });
        assert_eq!(text, expected, "after step {index}, {}", call.name);
    }
}

#[test]
fn any_size_is_drawn() {
    let mut app = shown();
    assert!(compare("wide.txt", &screen(&mut app, 132, 30)));
    for (width, height) in [(1, 1), (2, 5), (10, 3), (40, 6), (300, 100)] {
        for keys in ["1", "2", "3", "4", "/echo", "$", "?", "x", "G", "^", "a"] {
            press(&mut app, keys);
            screen(&mut app, width, height);
        }
        press(&mut app, "q");
    }
}

#[test]
fn jumps_lead_to_what_belongs_together() {
    let mut app = shown();
    let mut jump = |from: u32, key: &str| {
        app.cursor = from;
        press(&mut app, key);
        (app.cursor, app.said.clone())
    };
    // The request of the client, and its answer after all that the server did.
    assert_eq!(jump(0, "r"), (5, "its answer".into()));
    assert_eq!(jump(5, "r"), (0, "its request".into()));
    assert_eq!(jump(2, "r"), (2, "the answer is in the same line".into()));
    // Each task's record of the same message.
    assert_eq!(jump(0, "p"), (1, "the same message, echo[2]".into()));
    assert_eq!(jump(1, "p"), (0, "the same message, hello[1]".into()));
    assert_eq!(jump(5, "p"), (4, "the same message, echo[2]".into()));
    assert_eq!(jump(2, "p").0, 2);
    // The server's own call, what it was asked, who asked.
    assert_eq!(jump(2, "t"), (1, "what its thread was asked for and had not answered".into()));
    assert_eq!(jump(1, "t"), (0, "the call that asked for it".into()));
    assert_eq!(jump(0, "t"), (0, "its thread had no request to answer: nobody in the trace asked for it".into()));
    assert_eq!(jump(6, "t"), (6, "this is no message".into()));
    // A filter does not hide where a jump leads.
    app.cursor = 2;
    press(&mut app, "/vm_allocate$t");
    assert_eq!((app.cursor, app.hides()), (1, false));
}

#[test]
fn a_filter_keeps_the_place() {
    let mut app = shown();
    press(&mut app, "G/vm_");
    assert_eq!(app.matches, [2, 8]);
    assert_eq!(app.selected(), Some(8));
    press(&mut app, "~");
    assert_eq!((app.selected(), app.len()), (Some(9), 10));
    // Capitals are meant, if there are any; what is quoted is text.
    press(&mut app, "/KERN_PROT");
    assert_eq!(app.matches, [8]);
    press(&mut app, "~/kern_prot");
    assert_eq!(app.matches, [8]);
    press(&mut app, "~/Kern_prot");
    assert_eq!(app.matches, [0; 0]);
    press(&mut app, "~/\"%even");
    assert_eq!(app.matches, [0; 0]);
    press(&mut app, "~/echo$gnn");
    // Of the label, too.
    assert_eq!((&*app.matches, app.cursor), (&[0, 1, 2, 3, 4, 5][..], 2));
    press(&mut app, "Nnnnnn");
    assert_eq!((app.cursor, &*app.said), (5, "no later match of echo"));
    press(&mut app, "q");
}

/// The rows that are found for this, and after how many steps of a row.
fn found(app: &mut App<'_>, typed: &str) -> (Vec<u32>, usize) {
    app.look_for(typed);
    let mut steps = 1;
    while app.work(1) {
        steps += 1;
    }
    (app.matches.clone(), steps)
}

#[test]
fn more_text_is_looked_for_only_where_less_was() {
    let fresh = |typed: &str| found(&mut shown(), typed).0;
    // Each is in what was before it, or is not: a letter less, a capital that is no longer one, an expression.
    let typed =
        ["e", "ec", "echo", "echo[", "ech", "E", "KE", "Kern", "kern", "Kern", "%even", "e", "vm_", "\"vm_\"", "x"];
    let mut app = shown();
    for pair in typed.windows(2) {
        let (before, _) = found(&mut app, pair[0]);
        let (rows, steps) = found(&mut app, pair[1]);
        assert_eq!(rows, fresh(pair[1]), "{pair:?}");
        let narrows =
            [["e", "ec"], ["ec", "echo"], ["echo", "echo["], ["E", "KE"], ["kern", "Kern"], ["vm_", "\"vm_\""]];
        let expected = if narrows.iter().any(|narrows| narrows == pair) { 1..=before.len() + 1 } else { 10..=10 };
        assert!(expected.contains(&steps), "{pair:?}: {steps}");
    }
    // A search that is not at its end is gone on with.
    for steps in 1..10 {
        let mut app = shown();
        for typed in ["e", "ec"] {
            app.look_for(typed);
            app.work(steps);
        }
        assert_eq!(found(&mut app, "echo").0, fresh("echo"), "{steps}");
    }
    // What was a request when it was looked at has an answer now.
    let mut collect = Collect::default();
    let mut app = self::app(collect.store(), About::default());
    let asked = call(1, 1, "client", "first", half(2, 0, true, Vec::new()));
    collect.opened(&asked).unwrap();
    assert_eq!(found(&mut app, "=").0, [0; 0]);
    collect.closed(&answered(&asked, 0, "KERN_SUCCESS", half(3, 0, false, Vec::new()))).unwrap();
    assert_eq!(found(&mut app, "= 0").0, [0]);
}

#[test]
fn what_is_copied_selects_what_is_shown() {
    let mut app = shown();
    assert_eq!(press(&mut app, "c"), Effect::Copy("-e trace=echo".into()));
    assert_eq!(app.said, "copied: -e trace=echo");
    assert_eq!(press(&mut app, "Gc"), Effect::None);
    assert_eq!(press(&mut app, "q"), Effect::Quit);
    // What is looked for is forgotten first.
    assert_eq!(press(&mut app, "/q$~"), Effect::None);
    assert_eq!((app.len(), press(&mut app, "~")), (10, Effect::Quit));
}

#[test]
fn a_trace_that_grows_is_followed_until_a_message_comes() {
    let mut collect = Collect::default();
    let mut app = app(collect.store(), About { follows: true, ..About::default() });
    let mut more = |app: &mut App<'_>, id: u64, name: &str| {
        let call = call(id, 1, "client", name, half(id * 2, 0, true, Vec::new()));
        collect.opened(&call).unwrap();
        while app.work(3) {}
        collect.closed(&answered(&call, 0, "KERN_SUCCESS", half(id * 2 + 1, 0, false, Vec::new()))).unwrap();
        while app.work(3) {}
    };
    assert!(screen(&mut app, 80, 24).contains("nothing has come yet"));
    more(&mut app, 1, "first");
    more(&mut app, 2, "second");
    assert_eq!((app.cursor, app.follows), (1, true));
    // What was a request when it was looked at is a whole call now.
    press(&mut app, "/= 0$");
    assert_eq!(app.matches, [0, 1]);
    press(&mut app, "~bsecond$");
    assert_eq!((&*app.said, app.follows), ("stops at second", true));
    more(&mut app, 3, "third");
    assert_eq!((app.cursor, app.follows), (2, true));
    more(&mut app, 4, "second");
    more(&mut app, 5, "fifth");
    assert_eq!((app.cursor, app.follows, &*app.said), (3, false, "stopped at second; F follows again"));
    press(&mut app, "F");
    assert_eq!((app.cursor, app.follows), (4, true));
    press(&mut app, "k");
    more(&mut app, 6, "sixth");
    assert_eq!((app.cursor, app.follows), (3, false));
    app.end(Some("block 3 at 100: cut".into()));
    press(&mut app, "gbsecond$");
    assert_eq!(app.cursor, 1);
    // The last line says why it is.
    press(&mut app, "Gbsecond$");
    assert_eq!((app.cursor, &*app.said), (6, "nothing behind this is second"));
    press(&mut app, "kx");
    let screen = screen(&mut app, 80, 24);
    assert!(screen.contains("--- block 3 at 100: cut ---") && screen.ends_with("\nblock 3 at 100: cut\n"), "{screen}");
}

#[test]
fn colours_are_only_where_they_are_wanted() {
    for has_color in [false, true] {
        let mut app = app(told().store(), About { has_color, ..About::default() });
        app.end(None);
        while app.work(3) {}
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        terminal.draw(|frame| draw(&mut app, frame)).unwrap();
        let mut cells = terminal.backend().buffer().content().iter();
        assert_eq!(cells.any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset), has_color);
    }
}

#[test]
fn nothing_but_printable_ascii_is_shown() {
    let mut app = shown();
    app.about.title = "\x1b[2J\u{202e}name\u{7}".into();
    for keys in ["", "2", "3", "4", "G1", "k", "/\u{1b}\u{e9}"] {
        press(&mut app, keys);
        let text = screen(&mut app, 100, 24);
        assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\n')), "{text}");
    }
}
