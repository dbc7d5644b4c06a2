// SPDX-License-Identifier: GPL-2.0-or-later
//! The command line as words: what is taken, what is refused and how, and the texts that are made of the table.

use std::path::Path;

use crate::common::*;
use report::{Stamp, Strings, Style};
use rpctrace2::options::absent::ABSENT;
use rpctrace2::options::filter::{CLASSES, FilterError, Matcher, expand, no_patterns};
use rpctrace2::options::owner::Owner;
use rpctrace2::options::place::{Here, Place};
use rpctrace2::options::row::Action;
use rpctrace2::options::table;
use rpctrace2::options::{Color, Host, Output, Policy, Report, Status, guest_words, parse, text};
use rpctrace2::{Options, Request, Trace};

fn refusal(arguments: &[&str]) -> String {
    parse(arguments.iter().copied(), Here::Host).expect_err("must be refused").to_string()
}

fn accepted(arguments: &[&str]) -> (Options, Vec<String>) {
    match parse(arguments.iter().copied(), Here::Host) {
        Ok(Request::Trace { options, command }) => (*options, command),
        other => panic!("expected a command to trace, found {other:?}"),
    }
}

#[test]
fn mistakes_are_named() {
    const USAGE: &str = "no command to trace; usage: rpctrace2 [OPTION]... COMMAND [ARGUMENT]...";
    for (arguments, expected) in [
        (&["-R", "hello"][..], "unknown option `-R`; `rpctrace2 -h` lists the options"),
        (&["--frob", "hello"], "unknown option `--frob`; `rpctrace2 -h` lists the options"),
        (
            &["--sumary", "hello"],
            "unknown option `--sumary`; did you mean `--summary`?; `rpctrace2 -h` lists the options",
        ),
        (&["-p", "3"], "option `-p`: needs a Hurd, which has processes; here a trace begins with its command"),
        (&["-s"], "option `-s` needs a value: SIZE"),
        (&["--string-limit"], "option `--string-limit` needs a value: SIZE"),
        (&["-e"], "option `-e` needs a value: [trace=]SET or status=SET"),
        (&["-s", "x", "hello"], "option `-s`: expected a number of bytes, found `x`"),
        (&["-s-1", "hello"], "option `-s`: expected a number of bytes, found `-1`"),
        (&["--summary=x", "hello"], "option `--summary` takes no value"),
        (&["-e", "signal=x", "hello"], "option `-e`: expected trace=SET or status=SET, found `signal=x`"),
        (
            &["-e", "tarce=x", "hello"],
            "option `-e`: expected trace=SET or status=SET, found `tarce=x`; did you mean `trace`?",
        ),
        (&["-e", "trace=", "hello"], "option `-e`: expected trace=SET or status=SET, found `trace=`"),
        (
            &["-e", "status=faild", "hello"],
            "option `-e status=`: expected successful, failed, unfinished, found `faild`; did you mean `failed`?",
        ),
        (&["--color=blue", "hello"], "option `--color`: expected auto, always or never, found `blue`"),
        (&["--as"], "option `--as` needs a value: NAME"),
        (&["--as", "", "hello"], "option `--as`: expected a name of at most 32 letters, digits and signs, found ``"),
        (&["--as=a b", "hello"], "option `--as`: expected a name of at most 32 letters, digits and signs, found `a b`"),
        (&["--as=a", "--policy=wait", "hello"], "option `--policy`: expected block or drop, found `wait`"),
        (
            &["--kernel-filter", "hello"],
            "option `--kernel-filter`: needs --as, which names the engine that it is about",
        ),
        (&["--policy=drop", "hello"], "option `--policy`: needs --as, which names the engine that it is about"),
        (&["--engines"], "option `--engines`: needs a Hurd, which has processes; here a trace begins with its command"),
        (&["--live", "hello"], "option `--live`: needs --ask=top, whose figures it draws"),
        (&["--live", "--ask=stuck", "hello"], "option `--live`: needs --ask=top, whose figures it draws"),
        (
            &["--live", "--ask=top", "-o", "file", "hello"],
            "option `--live`: draws on a terminal; `-o` leads to a file or a command",
        ),
        (&["-A", "hello"], "option `-A`: needs -o with a FILE, to which it appends"),
        (&["-A", "-o", "|cat", "hello"], "option `-A`: needs -o with a FILE, to which it appends"),
        (&["-a", "1001", "hello"], "option `-a`: expected a column up to 1000, found `1001`"),
        (
            &["--min=1ms", "hello"],
            "option `--min`: needs --ask=tree, whose calls it selects; --slower selects those of everything else",
        ),
        (&["-S", "calls", "hello"], "option `-S`: needs -c or -C, whose table it is about"),
        (&["-U", "calls", "--ask=top", "hello"], "option `-U`: needs -c or -C, whose table it is about"),
        (&[], USAGE),
        (&["-t", "--"], USAGE),
    ] {
        assert_eq!(refusal(arguments), expected, "{arguments:?}");
    }
}

#[test]
fn options_know_where_they_are_followed() {
    for row in table::rows() {
        let name =
            row.longs.first().map_or_else(|| format!("-{}", row.letter.unwrap_or('?')), |long| format!("--{long}"));
        let value = if name == "--output" { "-" } else { "auto" };
        for here in [Here::Host, Here::Guest, Here::Hurd, Here::Show] {
            let answer = parse([name.as_str(), value, "hello"], here).map_err(|error| error.to_string());
            let refused = answer
                .err()
                .filter(|error| ["files inside", "Hurd", "needs a capture"].iter().any(|part| error.contains(part)));
            assert_eq!(refused.is_some(), !here.follows(row.place), "{name} {here:?}: {refused:?}");
        }
    }
    let refused = |words: &[&str], here| parse(words.iter().copied(), here).expect_err("must be refused").to_string();
    assert_eq!(
        refused(&["-p", "7"], Here::Host),
        "option `-p`: needs a Hurd, which has processes; here a trace begins with its command"
    );
    assert_eq!(refused(&["-E", "A", "x"], Here::Hurd), "option `-E`: not on a Hurd; `cargo qemu rpctrace2` takes it");
    assert_eq!(
        refused(&["-a"], Here::Hurd),
        "option `-a`: the host tool moves results to a column; every task of a Hurd is `-p all`"
    );
    assert_eq!(
        refused(&["-p", "7", "hello"], Here::Hurd),
        "option `-p`: traces processes that run already; a command cannot be traced at the same time"
    );
    let Ok(Request::Trace { options, command }) = parse(["-p7", "-p", "ext2fs"], Here::Hurd) else {
        panic!("must be taken");
    };
    assert_eq!(
        refused(&["--engines", "hello"], Here::Hurd),
        "option `--engines`: needs -p, which names the processes whose engines are listed"
    );
    assert_eq!((options.attach, command), (vec!["7".to_owned(), "ext2fs".to_owned()], vec![]));
    let Ok(Request::Trace { options, .. }) = parse(["--all-tasks"], Here::Hurd) else { panic!("must be taken") };
    assert_eq!(options.attach, ["all"]);
    for (words, expected) in [
        (&["--capture", "a", "b"][..], "option `--capture`: is about a trace that is being made; this one has been"),
        (&["-E", "A=1", "b"], "option `-E`: is about a trace that is being made; this one has been"),
    ] {
        assert_eq!(refused(words, Here::Show), expected);
    }
    assert_eq!(
        refused(&["--follow", "x"], Here::Host),
        "option `--follow`: needs a capture; `cargo rpctrace2 show FILE` takes it"
    );
}

#[test]
fn the_hosts_options_stay_there() {
    for row in table::rows().filter(|row| row.place == Place::Host) {
        let name =
            row.longs.first().map_or_else(|| format!("-{}", row.letter.unwrap_or('?')), |long| format!("--{long}"));
        let refused = parse([name.as_str(), "1", "hello"], Here::Guest).expect_err("must be refused").to_string();
        assert!(refused.starts_with(&format!("option `{name}`: there are no files inside the guest; ")), "{refused}");
    }
    let line = [
        "-A",
        "-o",
        "f",
        "-I",
        "/a",
        "-i",
        "r.msgids",
        "--capture",
        "c",
        "--nostdinc",
        "-I/b",
        "-E",
        "A=1",
        "--color=never",
        "-a40",
        "hello",
    ];
    let expected = Host {
        output: Output::File("f".into()),
        append: true,
        capture: Some("c".into()),
        follow: false,
        to: None,
        directories: ["/a", "/b"].map(String::from).into(),
        rpc_lists: vec!["r.msgids".into()],
        nostdinc: true,
        environment: vec!["A=1".into()],
        color: Color::Never,
        column: 40,
    };
    let options = accepted(&line).0;
    assert_eq!(options.host, expected);
    assert_eq!(guest_words(&options), [""; 0]);
    for (value, output) in
        [("-", Output::Standard), ("|less -S", Output::Command("less -S".into())), ("x", Output::File("x".into()))]
    {
        assert_eq!(accepted(&["-o", value, "hello"]).0.host.output, output);
        assert_eq!(accepted(&[&format!("--output={value}"), "hello"]).0.host.output, output);
    }
}

#[test]
fn options_end_at_the_command() {
    let (options, command) = accepted(&["-vTs5", "-e", "vm_protect", "-fq", "hello", "-x", "--", "-s"]);
    assert_eq!(command, ["hello", "-x", "--", "-s"]);
    let expected = Options {
        style: Style { string_size: 5, durations: true, verbose: true, quiet: true, ..Style::default() },
        expressions: vec!["vm_protect".to_string()],
        ..Options::default()
    };
    assert_eq!(options, expected);
    let long =
        ["--no-abbrev", "--syscall-times", "--string-limit=5", "--expr", "vm_protect", "--follow-forks", "--quiet"];
    assert_eq!(accepted(&[&long[..], &["hello"]].concat()).0, expected);
    assert_eq!(accepted(&["-C", "--", "-t"]).1, ["-t"]);
    assert_eq!(accepted(&["-"]).1, ["-"]);
    for (argument, stamp) in [
        ("-t", Stamp::Day),
        ("-tt", Stamp::DayMicroseconds),
        ("-ttt", Stamp::Epoch),
        ("-tttt", Stamp::Epoch),
        ("-tr", Stamp::Relative),
    ] {
        assert_eq!(accepted(&[argument, "hello"]).0.style.stamp, stamp, "{argument}");
    }
    assert_eq!(accepted(&["-c", "hello"]).0.report, Report::Summary);
}

/// What the host tool makes of the options says the same to rpctrace2 in the guest.
#[test]
fn the_guest_is_told_the_same() {
    let failed = Status { successful: false, failed: true, unfinished: false };
    for (line, expected) in [
        (&["-c"][..], Options { report: Report::Summary, ..Options::default() }),
        (&["-Z"], Options { status: failed, status_by_letter: true, ..Options::default() }),
        (&["-e", "status=!successful,unfinished"], Options { status: failed, ..Options::default() }),
        (
            &["-x"],
            Options { style: Style { strings: Strings::OtherHexadecimal, ..Style::default() }, ..Options::default() },
        ),
        (
            &["-xx"],
            Options { style: Style { strings: Strings::Hexadecimal, ..Style::default() }, ..Options::default() },
        ),
        (&["--as", "one"], Options { engine: Some("one".into()), ..Options::default() }),
        (
            &["--as", "one", "--policy", "drop"],
            Options { engine: Some("one".into()), policy: Policy::Drop, ..Options::default() },
        ),
        (
            &["-e", "inject=vm_map:retval=ENOENT:when=2+"],
            accepted(&["--inject", "vm_map:retval=ENOENT:when=2+", "hello"]).0,
        ),
        (
            &["-rvqT", "--dump-messages", "-s3", "-e", "!none", "-Ce", "trace=all"],
            accepted(&["-vrqT", "--dump-messages", "-s", "3", "-C", "-e", "!none", "-e", "all", "hello"]).0,
        ),
    ] {
        let options = accepted(&[line, &["hello"]].concat()).0;
        assert_eq!(options, expected, "{line:?}");
        let words = guest_words(&options);
        let again = parse(words.iter().map(String::as_str).chain(["hello"]), Here::Guest);
        assert_eq!(
            again,
            Ok(Request::Trace { options: Box::new(options), command: vec!["hello".into()] }),
            "{words:?}"
        );
    }
    for row in table::rows().filter(|row| row.place == Place::Everywhere && matches!(row.action, Action::Set(_))) {
        let needed = if row.longs[0] == "live" { "--ask=top" } else { "--as=one" };
        let options = accepted(&[needed, &format!("--{}", row.longs[0]), "hello"]).0;
        let words = guest_words(&options);
        let again = parse(words.iter().map(String::as_str).chain(["hello"]), Here::Guest);
        assert_eq!(
            again,
            Ok(Request::Trace { options: Box::new(options), command: vec!["hello".into()] }),
            "--{}",
            row.longs[0]
        );
    }
}

#[test]
fn help_lists_every_option() {
    for words in [&["-h"][..], &["-t", "--help", "hello"]] {
        assert_eq!(parse(words.iter().copied(), Here::Host), Ok(Request::Help));
    }
    assert_eq!(parse(["-V"], Here::Guest), Ok(Request::Version));
    assert_eq!(text::version(), format!("rpctrace2 {}\n", env!("CARGO_PKG_VERSION")));
    let help = text::help();
    for row in table::rows() {
        let name = row.letter.map_or_else(|| format!("  --{}", row.longs[0]), |letter| format!("  -{letter}"));
        assert!(help.contains(&format!("\n{name}")), "{name} is not in:\n{help}");
    }
    assert!(help.lines().all(|line| line.len() <= 100), "{help}");
}

/// No two options have one name, and none is said not to be there.
#[test]
fn every_option_is_one() {
    let letters = table::rows().filter_map(|row| row.letter).map(|letter| format!("-{letter}"));
    let longs = table::rows().flat_map(|row| row.longs).map(|long| format!("--{long}"));
    let absent = ABSENT.iter().flat_map(|absent| absent.names).map(ToString::to_string);
    let mut names: Vec<String> = letters.chain(longs).chain(absent).collect();
    names.sort();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    for absent in ABSENT.iter().flat_map(|absent| absent.names).filter(|name| !name.starts_with("-ff")) {
        assert!(refusal(&[absent]).starts_with(&format!("option `{absent}` of ")), "{}", refusal(&[absent]));
    }
}

/// docs/options.md and docs/rpctrace2.1 are what the table gives, and each test that it names is there. `BLESS=1` writes the files.
#[test]
fn the_documents_are_made_of_the_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (name, made) in [("docs/options.md", text::markdown()), ("docs/rpctrace2.1", text::manual())] {
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(root.join(name), &made).expect("written");
        }
        let found = std::fs::read_to_string(root.join(name)).unwrap_or_default();
        assert!(found == made, "{name} is not what the table gives: BLESS=1 cargo test -p rpctrace2 documents");
    }
    let mut sources = String::new();
    for folder in [
        "userland/rpctrace2/src",
        "userland/rpctrace2/src/host",
        "userland/rpctrace2/tests",
        "userland/rpctrace2/tests/stages",
        "userland/rpctrace2/tests/export",
        "tests/tests",
        "qemu/src/vm",
        "qemu/src/cmd",
    ] {
        for entry in std::fs::read_dir(root.join(folder)).expect("a folder") {
            sources += &std::fs::read_to_string(entry.expect("an entry").path()).unwrap_or_default();
        }
    }
    for row in table::rows() {
        assert!(sources.contains(&format!("fn {}()", row.test)), "there is no test {}", row.test);
    }
}

fn expanded(expression: &str) -> Result<String, String> {
    // As good as any that knows what matches what.
    let compile = |pattern: &str| -> Result<Matcher, String> {
        let pattern = pattern.to_string();
        if pattern == "(" { Err("unclosed".into()) } else { Ok(Box::new(move |name: &str| name.contains(&pattern))) }
    };
    expand("-e", expression, sample_tables(), &compile).map_err(|error| error.to_string())
}

#[test]
fn sets_of_routines_are_expanded() {
    for (expression, expected) in [
        ("vm_protect,7002", "vm_protect,7002"),
        ("!sample,mach_msg", "!sample,mach_msg"),
        ("?vm_protect,?nothing_like_it", "vm_protect"),
        ("?nothing_like_it", "none"),
        ("!?nothing_like_it", "!none"),
        ("/protect/", "7001"),
        ("/protect", "7001"),
        ("%memory,task_set_name", "7000,7001,task_set_name"),
    ] {
        assert_eq!(expanded(expression).as_deref(), Ok(expected), "{expression}");
    }
    assert!(expanded("%port").expect("a class").ends_with("mach_reply_port"), "traps have names, too");
    for (expression, expected) in [
        (
            "vm_protekt",
            "option `-e`: no routine, subsystem or msgh_id is called `vm_protekt`; did you mean `vm_protect`?",
        ),
        ("%memori", "option `-e`: there is no class `%memori`; did you mean `%memory`?"),
        ("/(/", "option `-e`: regular expression `(`: unclosed"),
        ("/nothing_like_it/", "option `-e`: no routine matches `/nothing_like_it/`"),
    ] {
        assert_eq!(expanded(expression), Err(expected.into()));
    }
    assert!(CLASSES.iter().all(|(class, _)| class.starts_with('%')));
    let refused = expand("-e", "/x/", sample_tables(), &no_patterns);
    assert!(matches!(refused, Err(FilterError::Pattern { .. })), "{refused:?}");
    let options = accepted(&["-e", "trace=vm_protect,vm_protekt", "hello"]).0;
    let refused = Trace::new(sample_tables(), &options, "hello").expect_err("must be refused");
    assert!(refused.to_string().contains("`vm_protekt`; did you mean `vm_protect`?"), "{refused}");
}

/// `owner` is the first word, or a program that is called so.
#[test]
fn the_owner_is_asked_for_by_one_word() {
    for (words, expected) in [
        (&["owner"][..], Owner::Show),
        (&["owner", "claim"], Owner::Claim),
        (&["owner", "release"], Owner::Release),
        (&["owner", "background"], Owner::Background),
    ] {
        for here in [Here::Host, Here::Guest, Here::Hurd] {
            assert_eq!(parse(words.iter().copied(), here), Ok(Request::Owner(expected)));
        }
        assert_eq!(expected.words().collect::<Vec<_>>(), words);
    }
    for words in [&["--", "owner"][..], &["-q", "owner"]] {
        let Ok(Request::Trace { command, .. }) = parse(words.iter().copied(), Here::Guest) else { panic!("a program") };
        assert_eq!(command, ["owner"]);
    }
    for (words, found) in [(&["owner", "clam"][..], "`clam` "), (&["owner", "claim", "x"], "`x` ")] {
        let refused = parse(words.iter().copied(), Here::Hurd).expect_err("must be refused").to_string();
        let expected = format!("`owner`: expected claim, release, background or nothing, found {found}");
        assert!(refused.starts_with(&expected), "{refused}");
    }
}
