// SPDX-License-Identifier: GPL-2.0-or-later
//! A console in a test's hand: what is typed where, and that nothing is typed anywhere else.

use super::*;

const BOOT: u64 = 600;
const STEP: u64 = 120;
const TIME: u64 = 300;

struct Console {
    typist: Typist,
    now: Instant,
}

impl Console {
    fn new(change: impl FnOnce(&mut Script)) -> Self {
        let mut script = Script {
            shell: Regex::new(SHELL).unwrap(),
            password: None,
            before: "mount it".into(),
            command: "rpctrace2 ls".into(),
            after: None,
            boot: Duration::from_secs(BOOT),
            step: Duration::from_secs(STEP),
            time: Duration::from_secs(TIME),
        };
        change(&mut script);
        let now = Instant::now();
        Self { typist: Typist::new(script, now).unwrap(), now }
    }

    /// Something comes, and is followed by nothing for so long.
    fn says(&mut self, text: &str, quiet: Duration) -> (Shown, Result<Option<Act>, String>) {
        let shown = self.typist.hear(text.as_bytes(), self.now);
        self.now += quiet;
        (shown, self.typist.act(self.now))
    }

    fn types(&mut self, text: &str) -> String {
        match self.says(text, QUIET).1 {
            Ok(Some(Act::Type(keys))) => String::from_utf8(keys).unwrap(),
            other => panic!("{text:?}: {other:?}"),
        }
    }

    fn waits(&mut self, text: &str) {
        assert_eq!(self.says(text, QUIET).1, Ok(None), "{text:?}");
    }

    /// What the shell prints for a typed line: its echo, the marks, and this between them.
    fn runs(&mut self, typed: &str, output: &str, status: i32) -> (String, Result<Option<Act>, String>) {
        let words: Vec<&str> = typed.split(' ').collect();
        let mark =
            |word: &str| word.replace("\"\"", "").trim_end_matches([';', '\r']).replace("$?", &status.to_string());
        let text = format!("{typed}\n{}\r\n{output}{}\r\n", mark(words[1]), mark(words[words.len() - 1]));
        let mut printed = String::new();
        // However it is cut.
        for byte in text.as_bytes() {
            printed += &String::from_utf8(self.typist.hear(&[*byte], self.now).output).unwrap();
        }
        (printed, self.typist.act(self.now))
    }
}

#[test]
fn root_logs_in_mounts_and_runs_the_command() {
    let mut console = Console::new(|_| ());
    console.waits("GNU Mach\r\nstarting # \r\n");
    assert_eq!(console.types("\r\nDebian GNU/Hurd\r\n\r\ndebian login: "), "root\r");
    let mount = console.types("root\r\nLinux is not here.\r\n\x1b[?2004hroot@debian:~# ");
    assert!(mount.starts_with("echo ") && mount.contains("; mount it; echo ") && mount.ends_with(":$?:\r"), "{mount}");
    assert_eq!(console.runs(&mount, "", 0).1, Ok(None));
    let command = console.types("root@debian:~# ");
    assert!(command.contains("; rpctrace2 ls; echo "), "{command}");
    assert_ne!(command.split(' ').nth(1), mount.split(' ').nth(1), "marks are new each time");
    let (printed, act) = console.runs(&command, "a\r\nb c\rd", 3);
    assert_eq!((printed.as_str(), act), ("a\nb c\rd", Ok(Some(Act::Done(3)))));
}

#[test]
fn a_shell_without_a_login_is_a_prompt_too() {
    for prompt in ["# ", "$ ", "sh-5.2# ", "bash-5.2$ ", "root@hurd:/# ", "/# "] {
        assert!(Console::new(|_| ()).types(&format!("up\r\n{prompt}")).contains("mount it"), "{prompt}");
    }
    let mut own = Console::new(|script| script.shell = Regex::new("^ready> $").unwrap());
    own.waits("root@hurd:/# ");
    assert!(own.types("\r\nready> ").contains("mount it"));
}

#[test]
fn what_is_no_prompt_is_typed_nothing_into() {
    for text in ["db> ", "mach> ", "login", "100% # of files", "Last login: yesterday", "a # b", "root@hurd:~# x"] {
        Console::new(|_| ()).waits(text);
    }
    // It goes on before anybody could have typed.
    let mut console = Console::new(|_| ());
    assert_eq!(console.says("debian login: ", QUIET / 2).1, Ok(None));
    console.waits("rumpdisk: something\r\n");
    assert_eq!(console.types("debian login: "), "root\r");
    // Nothing is typed twice.
    console.waits("");
    // Nobody has said who it is that is to have a password; and there is nothing to be done before the limit.
    let mut console = Console::new(|_| ());
    console.waits("Password: ");
    assert!(console.typist.due() > console.now + Duration::from_secs(60));
    // The command asks for something that looks like a prompt.
    let mut console = Console::new(|_| ());
    let mount = console.types("# ");
    assert_eq!(console.runs(&mount, "", 0).1, Ok(None));
    drop(console.types("# "));
    console.waits("x\n# ");
    console.waits("password: ");
}

#[test]
fn a_password_is_typed_where_one_is_asked_for() {
    let mut console = Console::new(|script| script.password = Some("secret".into()));
    assert_eq!(console.types("debian login: "), "root\r");
    assert_eq!(console.types("root\r\nPassword for root: "), "secret\r");
    assert!(console.types("\r\nroot@debian:~# ").contains("mount it"));
}

#[test]
fn who_is_not_let_in_is_told_why() {
    let refused = |script: fn(&mut Script), texts: &[&str]| {
        let mut console = Console::new(script);
        let mut last = Ok(None);
        for text in texts {
            last = console.says(text, QUIET).1;
        }
        last.unwrap_err()
    };
    let none: fn(&mut Script) = |_| ();
    let some: fn(&mut Script) = |script| script.password = Some("x".into());
    assert_eq!(
        refused(none, &["debian login: ", "root\r\nPassword: "]),
        "`Password:`: root has a password; --password-file FILE has it"
    );
    assert_eq!(
        refused(some, &["debian login: ", "root\r\nPassword: ", "\r\nLogin incorrect\r\n"]),
        "root is not let in: Login incorrect"
    );
    assert_eq!(refused(none, &["a login: ", "root\r\na login: "]), "root is not let in: `a login:` again");
}

#[test]
fn each_step_has_its_time() {
    let late = |console: &mut Console, seconds: u64| {
        assert_eq!(console.says("", Duration::from_secs(seconds - 1)).1, Ok(None));
        console.says("", Duration::from_secs(2)).1.unwrap_err()
    };
    let mut console = Console::new(|_| ());
    assert!(
        late(&mut console, BOOT).starts_with("no prompt 600 seconds after the start: expected `login:` or a shell's")
    );
    let mut console = Console::new(|_| ());
    drop(console.types("a login: "));
    console.waits("root\r\nmotd\r\n> ");
    let text = late(&mut console, STEP);
    assert!(text.starts_with("no prompt of a shell after 120 seconds: ") && text.ends_with("found `>`"), "{text}");
    let mut console = Console::new(|_| ());
    let mount = console.types("# ");
    assert_eq!(
        late(&mut console, STEP),
        "no end of `mount it` after 120 seconds; a longer limit: --step-timeout SECONDS"
    );
    console = Console::new(|_| ());
    drop(mount);
    let mount = console.types("# ");
    assert_eq!(console.runs(&mount, "", 0).1, Ok(None));
    drop(console.types("# "));
    assert_eq!(
        late(&mut console, TIME),
        "no end of `rpctrace2 ls` after 300 seconds; a longer limit: --timeout SECONDS"
    );
}

#[test]
fn what_cannot_be_mounted_ends_it() {
    let mut console = Console::new(|_| ());
    let mount = console.types("# ");
    let (_, act) = console.runs(&mount, "settrans: no such file\r\n", 2);
    assert_eq!(act, Err("`mount it` ended with 2: settrans: no such file".into()));
}

#[test]
fn what_is_written_is_synchronised_and_the_status_is_the_commands() {
    let mut console = Console::new(|script| script.after = Some("sync".into()));
    let mount = console.types("# ");
    assert_eq!(console.runs(&mount, "mounted\r\n", 0).1, Ok(None));
    let command = console.types("# ");
    assert_eq!(console.runs(&command, "x", 4), ("x".into(), Ok(None)));
    let sync = console.types("# ");
    assert!(sync.contains("; sync; "), "{sync}");
    assert_eq!(console.runs(&sync, "", 0), (String::new(), Ok(Some(Act::Done(4)))));
}

#[test]
fn words_are_typed_as_they_are() {
    let words = ["ls", "-l", "", "a b", "it's", "$HOME"].map(quoted);
    assert_eq!(words.join(" "), r"ls -l '' 'a b' 'it'\''s' '$HOME'");
    let refused = |command: &str| {
        let mut script = Console::new(|_| ()).typist.script;
        script.command = command.into();
        Typist::new(script, Instant::now()).unwrap_err()
    };
    assert!(refused("a\tb").contains("a\\tb cannot be typed"), "{}", refused("a\tb"));
    assert!(refused(&"x".repeat(300)).contains("a terminal takes 255"));
}
