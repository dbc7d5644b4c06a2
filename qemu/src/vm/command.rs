// SPDX-License-Identifier: GPL-2.0-or-later
//! QEMU's command line as data.

use std::ffi::OsString;
use std::path::PathBuf;

use protocol::channel::Key;

use crate::vm::{gdb, line, pit};

/// Names of the boot files in the directory QEMU runs in: its `-initrd` syntax gives spaces and commas a meaning, so the
/// files have names without.
pub const KERNEL: &str = "kernel.elf32";
/// The boot server.
pub const BOOTSTRAP: &str = "bootstrap";
/// The boot archive.
pub const ARCHIVE: &str = "archive.tar";

/// What QEMU writes of the processors' resets, in the directory it runs in.
pub(super) const RESETS: &str = "resets.log";

/// A virtual machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The QEMU program.
    pub qemu: PathBuf,
    /// Memory in MiB.
    pub memory: u32,
    /// How many processors.
    pub processors: u32,
    /// Use the host's processor instead of an emulated one.
    pub kvm: bool,
    /// Let guest time follow the instructions executed, so that a run is the same each time.
    pub icount: bool,
    /// Boot this disk image through the BIOS and not the files in the directory.
    pub disc: Option<PathBuf>,
    /// Boot this system and not ours.
    pub foreign: Option<Foreign>,
    /// What stands in the console's marks; with one, a second serial line leads to the boot server.
    pub key: Key,
    /// Further words of the kernel's command line, where QEMU's own loader gives it one.
    pub words: String,
    /// The machine's memory is this file, which others may read and write while it runs, and which stays.
    pub memory_file: Option<PathBuf>,
    /// Wait for a debugger at the socket [`gdb::SOCKET`] in the directory before the first instruction.
    pub debugged: bool,
}

impl Machine {
    /// A machine with one emulated processor and so many MiB of memory, and nothing else out of the ordinary.
    pub const fn plain(qemu: PathBuf, memory: u32) -> Self {
        Self {
            qemu,
            memory,
            processors: 1,
            kvm: false,
            icount: false,
            disc: None,
            foreign: None,
            key: Key::NONE,
            words: String::new(),
            memory_file: None,
            debugged: false,
        }
    }

    /// Whether its kernel may need help with the interval timer, see [`pit`].
    pub(super) const fn needs_pit(&self) -> bool {
        self.processors > 1
    }

    /// Whether the boot server can be told something while programs run: it is told the key in a boot script of ours.
    pub(super) fn has_line(&self) -> bool {
        self.key != Key::NONE && self.disc.is_none()
    }

    /// The key that the boot server is told.
    pub(super) fn key(&self) -> Key {
        if self.disc.is_none() { self.key } else { Key::NONE }
    }

    /// QEMU's arguments, to be run in the directory with the boot files.
    pub fn arguments(&self) -> Vec<OsString> {
        let memory = self.memory.to_string();
        let processors = self.processors.to_string();
        let modules = modules(&self.key);
        let fixed: &[&str] = &[
            // /dev/kvm may exist and still hang, so emulation is the default.
            "-accel",
            if self.kvm { "kvm" } else { "tcg" },
            "-cpu",
            "core2duo-v1",
            "-m",
            &memory,
            "-smp",
            &processors,
            // Nothing that is not used: no display, network or disk drives.
            "-nodefaults",
            "-display",
            "none",
            "-serial",
            "stdio",
            // The guest's reboot ends the machine; whether it was one or a triple fault stands in this file.
            "-no-reboot",
            "-d",
            "cpu_reset",
            "-D",
            RESETS,
        ];
        let words = format!("console=com0{}{}", if self.words.is_empty() { "" } else { " " }, self.words);
        let files: &[&str] = &["-kernel", KERNEL, "-append", &words, "-initrd", &modules];
        let socket = format!("unix:{},server=on,wait=off", gdb::SOCKET);
        let debugger: &[&str] = if self.debugged { &["-S", "-gdb", &socket] } else { &[] };
        let monitor = format!("unix:{},server=on,wait=off", pit::SOCKET);
        let monitor: &[&str] = if self.needs_pit() { &["-monitor", &monitor] } else { &[] };
        let line = format!("unix:{},server=on,wait=off", line::SOCKET);
        let line: &[&str] = if self.has_line() { &["-serial", &line] } else { &[] };
        let icount: &[&str] = if self.icount { &["-icount", "shift=0,sleep=off"] } else { &[] };
        let mut arguments: Vec<OsString> =
            fixed.iter().chain(line).chain(icount).chain(debugger).chain(monitor).map(OsString::from).collect();
        if let Some(file) = &self.memory_file {
            let mut object = OsString::from(format!("memory-backend-file,id=memory,size={memory}M,share=on,mem-path="));
            // A comma would begin another of its properties.
            object.push(file.to_string_lossy().replace(',', ",,"));
            arguments.extend(["-object".into(), object, "-machine".into(), "pc,memory-backend=memory".into()]);
        }
        match (&self.foreign, &self.disc) {
            (Some(foreign), _) => arguments.extend(foreign.arguments()),
            (None, Some(image)) => arguments.extend(["-cdrom".into(), image.clone().into_os_string()]),
            (None, None) => arguments.extend(files.iter().map(OsString::from)),
        }
        arguments
    }
}

/// A system that is not ours, by what QEMU's own multiboot loader is told of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Foreign {
    /// The kernel's file in the directory QEMU runs in; QEMU puts this before the command line.
    pub kernel: OsString,
    /// The rest of the kernel's command line.
    pub words: OsString,
    /// The modules, with commas between them; of each the first word is its file.
    pub modules: OsString,
    /// Disks, as `-drive` has them.
    pub drives: Vec<OsString>,
}

impl Foreign {
    fn arguments(&self) -> Vec<OsString> {
        let mut arguments = vec!["-kernel".into(), self.kernel.clone(), "-append".into(), self.words.clone()];
        if !self.modules.is_empty() {
            arguments.extend(["-initrd".into(), self.modules.clone()]);
        }
        arguments.extend(self.drives.iter().flat_map(|drive| ["-drive".into(), drive.clone()]));
        arguments
    }
}

/// The multiboot modules with their boot-script lines: the archive becomes `rd0` before the boot server starts.
fn modules(key: &Key) -> String {
    let modules = [ARCHIVE, BOOTSTRAP].map(|file| format!("{file} {}", module_arguments(file))).join(",");
    // The boot server's, which comes last.
    let key = String::from_utf8_lossy(key.bytes());
    if key.is_empty() { modules } else { modules.replace(PORTS, &format!("{PORTS} {key}")) }
}

/// The boot server's first two arguments.
const PORTS: &str = "${host-port} ${device-port}";

/// What follows a module's name on its boot-script line.
pub fn module_arguments(file: &str) -> &'static str {
    match file {
        ARCHIVE => "$(ramdisk-create)",
        _ => "${host-port} ${device-port} $(task-create) $(task-resume)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine::plain("qemu".into(), 512)
    }

    #[test]
    fn emulation_unless_kvm_is_asked_for() {
        let machine = machine();
        let arguments = machine.arguments();
        assert_eq!(arguments[..6], ["-accel", "tcg", "-cpu", "core2duo-v1", "-m", "512"]);
        assert!(!arguments.contains(&"-icount".into()));
        let machine = Machine { kvm: true, memory: 64, ..machine };
        assert_eq!(machine.arguments()[..6], ["-accel", "kvm", "-cpu", "core2duo-v1", "-m", "64"]);
    }

    #[test]
    fn only_a_machine_with_several_processors_has_a_monitor() {
        assert!(!machine().arguments().contains(&"-monitor".into()));
        assert!(Machine { processors: 2, ..machine() }.arguments().contains(&"-monitor".into()));
    }

    #[test]
    fn memory_may_be_a_file_and_the_kernel_told_more() {
        let plain = machine().arguments();
        assert!(plain.contains(&"console=com0".into()) && !plain.contains(&"-object".into()));
        let file = Some("/t/a,b".into());
        let arguments = Machine { memory_file: file, words: "rpctrace2=all".to_owned(), ..machine() }.arguments();
        assert!(arguments.contains(&"console=com0 rpctrace2=all".into()), "{arguments:?}");
        let object = "memory-backend-file,id=memory,size=512M,share=on,mem-path=/t/a,,b";
        let expected = ["-object", object, "-machine", "pc,memory-backend=memory"].map(OsString::from);
        assert!(arguments.windows(4).any(|words| words == expected), "{arguments:?}");
    }

    #[test]
    fn a_disc_is_booted_by_the_bios() {
        let machine = Machine { disc: Some("/t/a.iso".into()), ..machine() };
        let arguments = machine.arguments();
        assert!(arguments.ends_with(&["-cdrom".into(), "/t/a.iso".into()]));
        assert!(!arguments.contains(&"-kernel".into()));
    }

    #[test]
    fn a_foreign_system_is_told_its_own_words_and_has_its_disks() {
        let foreign = Foreign {
            kernel: "root=x".into(),
            words: "console=com0".into(),
            modules: "a b,c".into(),
            drives: vec!["file=d".into()],
        };
        let arguments = Machine { foreign: Some(foreign.clone()), ..machine() }.arguments();
        let expected = ["-kernel", "root=x", "-append", "console=com0", "-initrd", "a b,c", "-drive", "file=d"];
        assert!(arguments.ends_with(&expected.map(OsString::from)), "{arguments:?}");
        let without = Machine { foreign: Some(Foreign { modules: OsString::new(), ..foreign }), ..machine() };
        assert!(!without.arguments().contains(&"-initrd".into()));
    }

    #[test]
    fn the_ram_disk_exists_before_the_boot_server_starts() {
        assert_eq!(
            modules(&Key::NONE),
            "archive.tar $(ramdisk-create),bootstrap ${host-port} ${device-port} $(task-create) $(task-resume)"
        );
        let keyed = modules(&Key::new(b"a1b2d").unwrap());
        assert!(
            keyed.ends_with(",bootstrap ${host-port} ${device-port} a1b2d $(task-create) $(task-resume)"),
            "{keyed}"
        );
    }

    #[test]
    fn a_second_line_leads_to_a_boot_server_that_is_told_the_key() {
        let machine = Machine { key: Key::new(b"a1b2d").unwrap(), ..machine() };
        assert_eq!(machine.arguments().iter().filter(|word| *word == "-serial").count(), 2);
        // GRUB's menu is not ours to write into.
        let disc = Machine { disc: Some("/t/a.iso".into()), ..machine };
        assert_eq!(disc.arguments().iter().filter(|word| *word == "-serial").count(), 1);
        assert_eq!(disc.key(), Key::NONE);
    }
}
