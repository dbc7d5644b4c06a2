// SPDX-License-Identifier: GPL-2.0-or-later
//! Configuration files: one in the form that GRUB's own helper for the Hurd writes, and many that are broken.

use std::collections::BTreeMap;

use super::*;

/// A disk with one file system.
struct Disk(BTreeMap<&'static str, &'static str>);

const ROOT: &[u8] = b"hd0,msdos2";
const UUID: &[u8] = b"6d0d0b94-0000-4000-8000-000000000001";

impl Drives for Disk {
    fn kind(&self, device: &[u8], path: &[u8]) -> Option<Kind> {
        let text = self.text(device, path)?;
        Some(Kind::File(text.len() as u64))
    }

    fn text(&self, device: &[u8], path: &[u8]) -> Option<Vec<u8>> {
        let path = std::str::from_utf8(path).ok()?;
        self.0.get(path).filter(|_| device == ROOT).map(|text| text.as_bytes().to_vec())
    }

    fn search(&self, by: Search, what: &[u8]) -> Option<Vec<u8>> {
        (by == Search::Uuid && what == UUID).then(|| ROOT.to_vec())
    }
}

fn entry_of(
    text: &str,
    files: &[(&'static str, &'static str)],
    choice: Option<&str>,
) -> Result<Option<Loads>, GrubError> {
    menu(text.as_bytes(), ROOT, &Disk(files.iter().copied().collect()))?.entry(choice)
}

fn default_of(text: &str) -> Loads {
    entry_of(text, &[], None).unwrap().unwrap()
}

fn kernel(loads: &Loads) -> String {
    let kernel = loads.kernel.as_ref().unwrap();
    format!("{} {}", kernel.file, String::from_utf8_lossy(&kernel.text())).trim_end().to_owned()
}

fn modules(loads: &Loads) -> Vec<String> {
    let module = |load: &Load| format!("{} {}", load.file, String::from_utf8_lossy(&load.text()));
    loads.modules.iter().map(module).collect()
}

/// As on a Debian GNU/Hurd for amd64, with what its helper puts around the entries.
const DEBIAN: &str = include_str!("debian.cfg");

#[test]
fn the_entry_of_a_debian_hurd_is_read_byte_for_byte() {
    let loads = default_of(DEBIAN);
    assert_eq!(loads.title, "Debian GNU/Hurd");
    assert_eq!(kernel(&loads), "(hd0,msdos2)/boot/gnumach-1.8-amd64-up.gz root=part:2:device:wd0");
    assert_eq!(
        modules(&loads),
        [
            "(hd0,msdos2)/hurd/acpi.static acpi --host-priv-port=${host-port} --device-master-port=${device-port} \
             --next-task=${pci-task} $(acpi-task=task-create) $(task-resume)",
            "(hd0,msdos2)/hurd/pci-arbiter.static pci-arbiter --next-task=${disk-task} $(pci-task=task-create)",
            "(hd0,msdos2)/hurd/rumpdisk.static rumpdisk --next-task=${fs-task} $(disk-task=task-create)",
            "(hd0,msdos2)/hurd/ext2fs.static ext2fs --readonly --multiboot-command-line=${kernel-command-line} \
             --exec-server-task=${exec-task} -T typed ${root} $(fs-task=task-create)",
            "(hd0,msdos2)/lib/ld-x86-64.so.1 exec /hurd/exec $(exec-task=task-create)",
        ]
    );
}

#[test]
fn another_entry_is_chosen_by_number_title_or_identifier() {
    for choice in ["1>1", "Advanced options for Debian GNU/Hurd>1", "gnuhurd-advanced-x>gnuhurd-recovery-x"] {
        let loads = entry_of(DEBIAN, &[], Some(choice)).unwrap().unwrap();
        assert!(
            loads.title.starts_with("Advanced options for Debian GNU/Hurd > Debian GNU/Hurd, with Hurd "),
            "{choice}"
        );
        assert_eq!(kernel(&loads), "(hd0,msdos2)/boot/gnumach-1.8-amd64-up.gz root=part:2:device:wd0 -s");
    }
    for choice in ["7", "1>7", "Linux", "1>Linux"] {
        assert_eq!(entry_of(DEBIAN, &[], Some(choice)).unwrap(), None, "{choice}");
    }
    // Of a menu without a word for what is in it, the first.
    let loads = entry_of(DEBIAN, &[], Some("1")).unwrap().unwrap();
    assert_eq!(kernel(&loads), "(hd0,msdos2)/boot/gnumach-1.8-amd64-up.gz root=part:2:device:wd0");
    let titles = menu(DEBIAN.as_bytes(), ROOT, &Disk(BTreeMap::new())).unwrap().titles();
    assert_eq!(titles, ["Debian GNU/Hurd", "Advanced options for Debian GNU/Hurd >"]);
}

#[test]
fn what_grub_kept_decides_the_default() {
    let text = "if [ -s $prefix/grubenv ]; then load_env; fi\nset default=\"${saved_entry}\"\n\
                menuentry one { multiboot /1 }\nmenuentry two --id=second { multiboot /2\n}\n";
    let kept = [("/boot/grub/grubenv", "# GRUB Environment Block\nsaved_entry=second\n#####")];
    assert_eq!(kernel(&entry_of(text, &kept, None).unwrap().unwrap()), "(hd0,msdos2)/2");
    // As GRUB does where nothing is kept, or what is kept has gone.
    assert_eq!(kernel(&default_of(text)), "(hd0,msdos2)/1");
    let kept = [("/boot/grub/grubenv", "saved_entry=third\n")];
    assert_eq!(kernel(&entry_of(text, &kept, None).unwrap().unwrap()), "(hd0,msdos2)/1");
}

#[test]
fn devices_are_kept_with_the_files() {
    let text = format!(
        "menuentry a {{\n set root=(hd1,gpt3)\n multiboot /k\n module ($root)/m m\n search --fs-uuid --set=root {}\n module /n n\n \
         search --fs-uuid --set=root 0\n module2 (hd9)/o o\n}}",
        String::from_utf8_lossy(UUID)
    );
    let loads = default_of(&text);
    assert_eq!(kernel(&loads), "(hd1,gpt3)/k");
    assert_eq!(modules(&loads), ["(hd1,gpt3)/m m", "(hd0,msdos2)/n n", "(hd9)/o o"]);
}

#[test]
fn words_are_handed_over_as_grub_does() {
    let text = r#"menuentry a { multiboot /k "a b" c\'d "e\"f" g\\h '\x41' '' i,j
        module --nounzip /m m '$(x)' "$(y)" ${none} "" }"#;
    let loads = default_of(text);
    assert_eq!(kernel(&loads), r#"(hd0,msdos2)/k "a b" c\'d e\"f g\\h \x41  i,j"#);
    assert_eq!(modules(&loads), ["(hd0,msdos2)/m m $(x) $(y) "]);
    assert!(loads.modules[0].is_raw);
}

#[test]
fn functions_loops_and_other_files_are_followed() {
    let text = "function load { multiboot /k $1x; for m in a b; do module /$m $m; done; }\n\
                if false; then menuentry never { multiboot /never }\nelif [ -f /custom.cfg ]; then source /custom.cfg; fi\n";
    let loads = entry_of(text, &[("/custom.cfg", "menuentry c { load }\n")], None).unwrap().unwrap();
    assert_eq!((kernel(&loads).as_str(), modules(&loads).len()), ("(hd0,msdos2)/k x", 2));
    assert_eq!(entry_of(text, &[], None).unwrap(), None);
}

#[test]
fn an_entry_of_another_system_says_what_it_loads() {
    let loads = default_of("menuentry Linux {\n\n linux /vmlinuz root=x\n initrd /i\n}");
    assert_eq!((loads.kernel, loads.other), (None, Some(("linux /vmlinuz".to_owned(), 3))));
}

#[test]
fn what_cannot_be_understood_is_one_line() {
    for (text, expected) in [
        ("menuentry a {\n module /m m\n}", "line 2: expected a kernel before its modules, found `module`"),
        ("menuentry a {\n multiboot\n}", "line 2: expected the name of a file to load, found none"),
        (
            "menuentry a {\n multiboot /k\n module --nounzip\n}",
            "line 3: expected the name of a file to load, found none",
        ),
        ("menuentry a\n", "line 1: expected `{` on the line of a menu's entry, found none"),
        ("menuentry a {\n multiboot '/k\n}", "line 2: expected a second ', found the end of the file"),
        ("while true; do x=1; done", "line 1: expected an end of the commands, found more than 100000 of them"),
        (
            "function f { f; }\nf",
            "line 1: expected functions and files that call each other less deeply, found more than 32",
        ),
    ] {
        let error = entry_of(text, &[], None).unwrap_err().to_string();
        assert_eq!(error, expected, "{text}");
    }
    let growing = "x=ab\nwhile true; do x=$x$x; done";
    assert!(entry_of(growing, &[], None).unwrap_err().to_string().contains("expected words that end"));
    let itself = [("/self", "source /self\n")];
    assert!(entry_of("source /self", &itself, None).unwrap_err().to_string().contains("less deeply"));
}

/// A generator of numbers that is the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// Damaged files, and files made of the language's own words: nothing panics, everything ends, and errors are one line.
#[test]
fn nothing_that_a_file_says_is_followed_without_bound() {
    let mut numbers = Numbers(7);
    let pieces = [
        "menuentry",
        " 'a' ",
        "{",
        "}",
        "\n",
        ";",
        "if",
        " then ",
        " else ",
        " fi",
        "for x in",
        " do ",
        " done",
        "while",
        " true",
        "function f ",
        " f",
        " $x",
        "${x}",
        "\"",
        "'",
        "\\",
        " set x=$x$x",
        " multiboot /k",
        " module /m m",
        " [ -s x ]",
        " source /self",
        " submenu b ",
        "#",
        " search --fs-uuid u",
        "|",
        "\0",
        " default=1",
        " --id ",
    ];
    let files = [("/self", "x=$x$x\nmenuentry b { f }\nsource /self")];
    let check = |text: &[u8]| {
        let disk = Disk(files.into_iter().collect());
        let done = menu(text, ROOT, &disk).and_then(|menu| menu.entry(None));
        if let Err(error) = done {
            assert_eq!(error.to_string().lines().count(), 1, "{error}");
        }
    };
    for _ in 0..2000 {
        let mut text = DEBIAN.as_bytes().to_vec();
        for _ in 0..=numbers.below(4) {
            let (at, length) = (numbers.below(text.len()), numbers.below(40));
            match numbers.below(3) {
                0 => text[at] = numbers.below(256) as u8,
                1 => drop(text.drain(at..(at + length).min(text.len()))),
                _ => drop(text.splice(at..at, pieces[numbers.below(pieces.len())].bytes())),
            }
        }
        check(&text);
        let made: String = (0..numbers.below(60)).map(|_| pieces[numbers.below(pieces.len())]).collect();
        check(made.as_bytes());
        let noise: Vec<u8> = (0..numbers.below(200)).map(|_| numbers.below(256) as u8).collect();
        check(&noise);
    }
}
