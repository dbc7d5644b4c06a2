// SPDX-License-Identifier: GPL-2.0-or-later
//! Files that are no kernels, and outputs that may not be written.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use qemu::instrument::{self, KERNEL, Outputs};
use qemu::link::Linker;
use rpctrace2::host::outputs::Role;

use crate::synthetic::{Kernel, payload};

fn refusal(path: &Path) -> String {
    instrument::read_kernel(path).unwrap_err().to_string()
}

#[test]
fn what_is_no_file_is_said_at_once() {
    let root = tempfile::tempdir().unwrap();
    let line = |path: &Path, kind: &str| format!("cannot read {}: expected a file, found {kind}", path.display());
    assert_eq!(refusal(root.path()), line(root.path(), "a directory"));
    let zero = Path::new("/dev/zero");
    assert_eq!(refusal(zero), line(zero, "a device, pipe or socket"));
    let pipe = root.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    assert_eq!(refusal(&pipe), line(&pipe, "a device, pipe or socket"));
}

#[test]
fn a_file_without_end_is_not_read_to_it() {
    let root = tempfile::tempdir().unwrap();
    let most = 64 << 20;
    let line =
        |path: &Path| format!("cannot read {}: expected a kernel of at most {most} bytes, found more", path.display());
    let sparse = root.path().join("sparse");
    File::create(&sparse).unwrap().set_len(1 << 40).unwrap();
    assert_eq!(refusal(&sparse), line(&sparse));
    let zeros = root.path().join("zeros.gz");
    let mut packed = GzEncoder::new(File::create(&zeros).unwrap(), Compression::fast());
    for _ in 0..65 {
        packed.write_all(&vec![0; 1 << 20]).unwrap();
    }
    packed.finish().unwrap();
    assert_eq!(refusal(&zeros), line(&zeros));
}

#[test]
fn a_packed_kernel_whose_checksum_is_wrong() {
    let root = tempfile::tempdir().unwrap();
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&Kernel::complete().build()).unwrap();
    let mut packed = packed.finish().unwrap();
    let path = root.path().join("kernel.gz");
    fs::write(&path, &packed).unwrap();
    assert_eq!(instrument::read_kernel(&path).unwrap(), Kernel::complete().build());
    let checksum = packed.len() - 8;
    packed[checksum] ^= 1;
    fs::write(&path, &packed).unwrap();
    assert!(refusal(&path).starts_with(&format!("cannot read {}: ", path.display())));
}

#[test]
fn the_kernel_that_is_read_is_not_written_under_any_name() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    let kernel = at("kernel");
    fs::write(&kernel, "stock").unwrap();
    symlink(&kernel, at("link")).unwrap();
    fs::hard_link(&kernel, at("second")).unwrap();
    fs::hard_link(&kernel, at("out.elf32")).unwrap();
    symlink(&kernel, at("other.layout")).unwrap();
    let dotted = root.path().join("./kernel");
    for (out, is) in
        [("kernel", "kernel"), ("link", "link"), ("second", "second"), ("out", "out.elf32"), ("other", "other.layout")]
    {
        for kernel in [&kernel, &dotted] {
            let text = Outputs::beside(&at(out)).keep(&[Role { role: KERNEL, path: kernel }]).unwrap_err().to_string();
            let expected =
                format!("cannot write {}: it is the kernel that is read, {}", at(is).display(), kernel.display());
            assert_eq!(text, expected);
        }
    }
    Outputs::beside(&at("new")).keep(&[Role { role: KERNEL, path: &kernel }]).unwrap();
    fs::write(at("old"), "old").unwrap();
    Outputs::beside(&at("old")).keep(&[Role { role: KERNEL, path: &kernel }]).unwrap();
}

#[test]
fn three_files_appear_or_none() {
    let root = tempfile::tempdir().unwrap();
    let library = payload::write(root.path(), None, None);
    let outputs = Outputs::beside(&root.path().join("out"));
    let linker = Linker::find().unwrap();
    let run = || instrument::instrument(Kernel::complete().build(), &library, &linker, &outputs);
    // A directory is in the way of one of them.
    for taken in [&outputs.elf64, &outputs.elf32, &outputs.layout] {
        fs::create_dir(taken).unwrap();
        let text = run().unwrap_err().to_string();
        assert!(text.starts_with(&format!("cannot write {}: ", taken.display())), "{text}");
        fs::remove_dir(taken).unwrap();
        let left: Vec<_> = fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["libpayload.a"]);
    }
    run().unwrap();
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 4);
}
