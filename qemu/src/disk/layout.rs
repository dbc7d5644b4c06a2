// SPDX-License-Identifier: GPL-2.0-or-later
//! Files and words for QEMU's own multiboot loader, so that the kernel and its modules are told what GRUB would tell them.
//!
//! QEMU puts the names of files into what it tells: the kernel's before its command line, a module's as the first word of its own. So the
//! files are called in the directory that QEMU runs in by the first word of the text that GRUB would hand over.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use crate::disk::error::{DiskError, Problem};
use crate::disk::take::Found;
use crate::vm::command::Foreign;

/// What turns the kernel's console to the serial line.
const CONSOLE: &[u8] = b"console=com0";

/// Puts the modules, and the kernel in the form that QEMU takes, into `directory`; answers what QEMU is to be told. `image` is the image's
/// path, for errors.
pub fn lay_out(found: &Found, kernel: &[u8], image: &Path, directory: &Path) -> Result<Foreign, DiskError> {
    write(found, kernel, directory).map_err(|problem| problem.of(image))
}

fn write(found: &Found, kernel: &[u8], directory: &Path) -> Result<Foreign, Problem> {
    let mut words: Vec<&[u8]> = found.words.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).collect();
    if !words.iter().any(|word| word.starts_with(b"console=")) {
        words.push(CONSOLE);
    }
    let refuse = |line: usize| move |why: String| Problem::Line { line, why };
    let kernel_file = file_name(words[0], "the kernel's first word").map_err(refuse(found.line))?;
    put(directory, &kernel_file, kernel, refuse(found.line))?;
    let mut modules = Vec::new();
    for module in &found.modules {
        let name = module.text.split(|byte| *byte == b' ').next().unwrap_or_default();
        let file = file_name(name, "the word after the module's file").map_err(refuse(module.line))?;
        put(directory, &file, &module.contents, refuse(module.line))?;
        modules.push(doubled(&module.text));
    }
    Ok(Foreign {
        kernel: OsString::from_vec(words[0].to_vec()),
        words: OsString::from_vec(words[1..].join(&b' ')),
        modules: OsString::from_vec(modules.join(&b',')),
        drives: Vec::new(),
    })
}

/// In a list of modules a comma ends one, and two are one.
fn doubled(text: &[u8]) -> Vec<u8> {
    let mut doubled = Vec::new();
    for byte in text {
        doubled.push(*byte);
        if *byte == b',' {
            doubled.push(b',');
        }
    }
    doubled
}

/// The word as a name of a file below the directory: QEMU's loader takes the word for one.
fn file_name(word: &[u8], what: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(OsString::from_vec(word.to_vec()));
    let plain = path.components().all(|component| matches!(component, Component::Normal(_)));
    // Slashes that a path swallows would be missing.
    let is_whole = path.components().collect::<PathBuf>().as_os_str().len() == word.len();
    match !word.is_empty() && plain && is_whole && !word.starts_with(b"\"") {
        true => Ok(path),
        false => Err(format!(
            "{what}: expected a name that can be one of a file (QEMU's loader asks for it), found `{}`",
            String::from_utf8_lossy(word)
        )),
    }
}

fn put(directory: &Path, name: &Path, bytes: &[u8], refuse: impl Fn(String) -> Problem) -> Result<(), Problem> {
    let path = directory.join(name);
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => {
            refuse(format!("expected a name that no other file of the entry has, found `{}` twice", name.display()))
        }
        _ => Problem::Io(error),
    };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    if path.exists() {
        // One program may be loaded twice with other words.
        return match fs::read(&path).is_ok_and(|there| there == bytes) {
            true => Ok(()),
            false => Err(failed(io::ErrorKind::AlreadyExists.into())),
        };
    }
    fs::write(&path, bytes).map_err(failed)
}

#[cfg(test)]
mod tests {
    use crate::disk::take::Module;

    use super::*;

    fn found(words: &str, modules: &[(&str, &str)]) -> Found {
        let module = |(text, contents): &(&str, &str)| Module {
            line: 7,
            text: text.as_bytes().to_vec(),
            contents: contents.as_bytes().to_vec(),
        };
        Found {
            title: "t".to_owned(),
            file: "(hd0)/k".to_owned(),
            name: "k".to_owned(),
            kernel: Vec::new(),
            words: words.as_bytes().to_vec(),
            line: 6,
            modules: modules.iter().map(module).collect(),
        }
    }

    fn laid_out(found: &Found) -> Result<(Foreign, tempfile::TempDir), String> {
        let place = tempfile::tempdir().unwrap();
        let foreign = lay_out(found, b"elf", Path::new("a.img"), place.path()).map_err(|error| error.to_string())?;
        Ok((foreign, place))
    }

    #[test]
    fn the_kernel_reads_what_grub_would_hand_over() {
        let modules =
            [("acpi --x=${host-port} $(a=task-create)", "1"), ("exec /hurd/exec a,b", "2"), ("acpi other", "1")];
        let (foreign, place) = laid_out(&found("root=part:2:device:wd0 -s", &modules)).unwrap();
        assert_eq!(foreign.kernel, "root=part:2:device:wd0");
        assert_eq!(foreign.words, "-s console=com0");
        assert_eq!(foreign.modules, "acpi --x=${host-port} $(a=task-create),exec /hurd/exec a,,b,acpi other");
        for (name, contents) in [("root=part:2:device:wd0", "elf"), ("acpi", "1"), ("exec", "2")] {
            assert_eq!(fs::read_to_string(place.path().join(name)).unwrap(), contents);
        }
    }

    #[test]
    fn a_console_that_is_chosen_stays() {
        let (foreign, _place) = laid_out(&found("console=com1", &[])).unwrap();
        assert_eq!((foreign.kernel, foreign.words), ("console=com1".into(), "".into()));
        let (foreign, place) = laid_out(&found("root=/dev/hd0", &[])).unwrap();
        assert_eq!((foreign.kernel, foreign.words), ("root=/dev/hd0".into(), "console=com0".into()));
        assert!(place.path().join("root=/dev/hd0").is_file());
    }

    #[test]
    fn what_qemu_cannot_be_told_is_one_line() {
        for (text, expected) in [
            ("/hurd/exec x", "found `/hurd/exec`"),
            ("", "found ``"),
            ("../x", "found `../x`"),
            ("a//b", "found `a//b`"),
            ("\"a b\"", "found `\"a`"),
        ] {
            let error = laid_out(&found("a", &[(text, "1")])).unwrap_err();
            assert!(error.starts_with("a.img: /boot/grub/grub.cfg, line 7: ") && error.ends_with(expected), "{error}");
        }
        for modules in [[("m x", "1"), ("m y", "2")], [("m", "1"), ("m/n", "2")], [("m/n", "1"), ("m", "2")]] {
            let error = laid_out(&found("a", &modules)).unwrap_err();
            assert!(error.ends_with(" twice"), "{error}");
        }
    }
}
