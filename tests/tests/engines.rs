// SPDX-License-Identifier: GPL-2.0-or-later
//! rpctrace2 as one of several tracers of a task: by engines, which do not notice each other.

use anyhow::Result;
use tests::guest::{Run, qemu};
use tests::normalise::{Order, trace};

/// Runs hurd-engines in the small Hurd.
fn scene(name: &str) -> Result<Run> {
    let run = qemu(&["--icount", "run", "small-hurd", "hurd-engines", name])?;
    let run = Run { stdout: run.stdout.replace('\r', ""), ..run };
    assert_eq!(run.status, Some(0), "{name}: {}{}", run.stdout, run.stderr);
    Ok(run)
}

/// The lines of a trace that hurd-engines printed, without those about what others ask of the traced task's control ports: they ask for its
/// engines until they see one.
fn lines(run: &Run, name: &str) -> String {
    let mark = format!("{name}: ");
    let lines = run.stdout.lines().filter_map(|line| line.strip_prefix(&mark));
    let lines = lines.filter(|line| !line.contains("] (task) ")).map(|line| format!("{line}\n"));
    trace(&with_own_ports(&lines.collect::<String>()), Order::WithinTasks)
}

/// The second port that a task makes is so called in every trace, and may have the number that the kernel has for another.
fn with_own_ports(text: &str) -> String {
    let mut parts = text.split("port ");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_own = part.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with(" made by ");
        whole += if is_own { "port-" } else { "port " };
        whole += part;
    }
    whole
}

/// How many calls of a routine a trace has.
fn calls(trace: &str, routine: &str) -> usize {
    trace.lines().filter(|line| line.contains(&format!("] {routine}("))).count()
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn an_engine_is_told_what_a_trace_port_is() -> Result<()> {
    for (program, status) in [("hello", 0), ("ping", 0), ("crash", 129)] {
        let run = |words: &[&str]| -> Result<String> {
            let run = qemu(&[&["--icount", "rpctrace2"], words, &[program]].concat())?;
            assert_eq!(run.status, Some(status), "{program} {words:?}: {}", run.stderr);
            Ok(trace(&run.stderr, Order::WithinTasks))
        };
        assert_eq!(run(&[])?, run(&["--as", "one"])?, "{program}");
    }
    Ok(())
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_kernel_without_engines_gives_one_clear_line() -> Result<()> {
    let run = qemu(&["--stock", "rpctrace2", "--as", "one", "hello"])?;
    let said = "rpctrace2: this kernel has no engines, which `--as`, `--inject`, `--stop-at`, `--ool`, `--engines`, `-p all` and `owner` need (trace_version: MIG_BAD_ID)";
    assert!(run.stderr.contains(said) && run.stdout.is_empty(), "{}{}", run.stdout, run.stderr);
    assert_eq!(run.status, Some(125));
    Ok(())
}

/// One is killed, one stands still and loses what it has no room for, one takes a record at a time while the task waits, one stops a thread before
/// each call of a routine: what the fifth one writes is what it writes alone.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn two_tracers_of_one_task_do_not_notice_each_other() -> Result<()> {
    let (alone, crowd) = (lines(&scene("alone")?, "one"), lines(&scene("crowd")?, "one"));
    assert_eq!(calls(&alone, "proc_getpids"), 60, "{alone}");
    assert!(alone.ends_with("exited with 0 +++\n") || alone.ends_with("ended +++\n"), "{alone}");
    assert_eq!(alone, crowd);
    Ok(())
}

#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_slow_tracer_that_drops_says_how_much() -> Result<()> {
    let run = scene("crowd")?;
    assert!(run.stdout.contains("still: says what it has lost\n"), "{}", run.stdout);
    Ok(())
}

/// The list of engines, and who is refused what: another of a name, and a ninth, while the trace port goes on working.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn engines_are_listed() -> Result<()> {
    let run = scene("refused")?;
    let mut said: Vec<&str> = run.stdout.lines().collect();
    let listed = said.remove(1);
    let (before, after) = listed.split_once(" of port ").unwrap_or_default();
    assert_eq!(before, "hurd-engines(12): engine one", "{}", run.stdout);
    let (owner, rest) = after.split_once(": ").unwrap_or_default();
    assert!(owner.parse::<u32>().is_ok_and(|owner| owner > 0), "{listed}");
    assert_eq!(rest, "events messages, policy drop, rules 0, tasks 1 and their children, records lost 0");
    let expected = [
        "no engines",
        "rpctrace2: hurd-engines(12): has an engine that is called one; `rpctrace2 --engines -p` lists them",
        "rpctrace2: hurd-engines(12): has as many engines as there may be; `rpctrace2 --engines -p` lists them",
    ];
    assert_eq!(said, expected, "{}", run.stdout);
    Ok(())
}

/// Without `--as` an engine is made only where the trace port is another tracer's, and that is said.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn a_task_whose_trace_port_is_taken_is_traced_by_an_engine() -> Result<()> {
    let run = scene("beside")?;
    let (port, engine) = (lines(&run, "port"), lines(&run, "engine"));
    let said = "rpctrace2: hurd-engines(12): its trace port is another tracer's; traced by an engine beside it\n";
    assert!(engine.contains(said), "{engine}");
    assert!(!port.contains("rpctrace2"), "{port}");
    assert_eq!((calls(&port, "proc_getpids"), calls(&engine, "proc_getpids")), (60, 60), "{}", run.stdout);
    Ok(())
}

/// After Ctrl-C the engine has let go before the last line, and the work goes on.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn an_interrupted_tracer_lets_go_of_its_engine() -> Result<()> {
    let run = scene("interrupt")?;
    let trace = lines(&run, "one");
    let seen = calls(&trace, "proc_getpids");
    assert!(seen > 0 && seen < 60, "{seen}: {trace}");
    assert!(run.stdout.ends_with("one: --- detached ---\n"), "{}", run.stdout);
    Ok(())
}

/// Whoever has the tracer's task has its engine: the tracer says that its trace has ended before its command has.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn an_engine_that_ends_before_its_command_is_told_of() -> Result<()> {
    let trace = lines(&scene("ended")?, "one");
    let said = "is traced no longer, and goes on: its engine has ended, or has let go of it ---\n";
    assert!(trace.contains(said), "{trace}");
    assert!(trace.ends_with("exited with 0 +++\n") && calls(&trace, "proc_getpids") == 0, "{trace}");
    Ok(())
}

/// What is selected is shown as without a filter. A tracer that stands still loses nothing of 60 calls that are not sent to it, as it does
/// without a filter in `a_slow_tracer_that_drops_says_how_much`.
#[test]
#[ignore = "needs a kernel and QEMU: run cargo qemu test"]
fn the_kernel_leaves_out_what_is_not_selected() -> Result<()> {
    let run = scene("filtered")?;
    let (one, few, still) = (lines(&run, "one"), lines(&run, "few"), lines(&run, "still"));
    assert_eq!(calls(&one, "processor_set_default"), 60, "{one}");
    assert_eq!(one, few);
    let still: Vec<&str> = still.lines().collect();
    let [exit, end] = still[..] else { panic!("{still:?}") };
    assert!(exit.contains("] proc_mark_exit(") && exit.ends_with(" = 0"), "{exit}");
    assert_eq!(end, "+++ hurd-engines(12)[1] ended +++");
    Ok(())
}
