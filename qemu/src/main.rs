//! The command line `cargo qemu`.
#![forbid(unsafe_code)]
fn main() -> anyhow::Result<()> {
    let a: Vec<String> = std::env::args().collect();
    let linker = qemu::link::Linker::find()?;
    let plan = qemu::instrument::instrument(
        qemu::instrument::read_kernel(a[1].as_ref())?,
        a[2].as_ref(),
        &linker,
        &qemu::instrument::Outputs::beside(a[3].as_ref()),
    )?;
    print!("{plan}");
    Ok(())
}
