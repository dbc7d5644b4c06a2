//! Every program of userland/programs: the same with and without tracing, and its trace as its golden says.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tests::golden;
use tests::guest::qemu;
use tests::normalise::{self, Order};

fn golden_file(program: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../userland/programs/golden/{program}.trace"))
}

/// Runs a program untraced and traced and compares: its own output, its exit status, its trace.
fn check(program: &str, order: Order) -> Result<()> {
    let untraced = qemu(&["--icount", "run", program]).context("untraced")?;
    let out = tempfile::NamedTempFile::new()?;
    let file = out.path().to_string_lossy().into_owned();
    let traced = qemu(&["--icount", "rpctrace2", "-o", &file, program]).context("traced")?;
    assert_eq!(traced.stdout, untraced.stdout, "output of `{program}` with and without tracing");
    assert_eq!(traced.status, untraced.status, "exit status of `{program}` with and without tracing");
    assert_eq!(untraced.status, Some(0), "`{program}` itself:\n{}{}", untraced.stdout, untraced.stderr);
    let trace = std::fs::read_to_string(out.path())?;
    golden::compare(&golden_file(program), &normalise::trace(&trace, order))
}

macro_rules! programs {
    ($($name:ident: $order:expr;)*) => {$(
        #[test]
        #[ignore = "needs a kernel and QEMU: run cargo qemu test"]
        fn $name() -> Result<()> {
            check(stringify!($name), $order)
        }
    )*};
}

programs! {
    hello: Order::Whole;
    ports: Order::Whole;
    vm: Order::Whole;
    ping: Order::WithinTasks;
    timeouts: Order::Whole;
    threads: Order::Nothing;
}
