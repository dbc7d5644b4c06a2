// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo qemu hurd`: disk images that are built here, booted, and many that cannot be.

use std::fs;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use qemu::cache::Cache;
use qemu::disk::{self, Disk, Found};
use qemu::fetch::packages::{self, PRODUCTION};
use qemu::fetch::programs::{Consent, mke2fs};
use qemu::ui::Progress;
use tests::guest::{Run, qemu, setting};

use boot_files::boot_files;

mod boot_files;

/// As GRUB's helper writes it for a Debian GNU/Hurd.
const DEBIAN: &str = include_str!("../../qemu/src/disk/grub/debian.cfg");
/// The file system's name in it.
const UUID: &str = "6d0d0b94-0000-4000-8000-000000000001";
const MENU: &str = "boot/grub/grub.cfg";
/// Where the first partition begins.
const FIRST: usize = 2048;
const SECTOR: usize = 512;

/// Files of a file system, by path.
type Files<'a> = &'a [(&'a str, &'a [u8])];

/// An ext2 file system with these files, as the Hurd makes it.
fn ext2(files: Files<'_>) -> Result<Vec<u8>> {
    file_system(files, &["-t", "ext2", "-o", "hurd"])
}

/// A file system with these files, made with these options.
fn file_system(files: Files<'_>, options: &[&str]) -> Result<Vec<u8>> {
    let place = tempfile::tempdir()?;
    let (tree, image) = (place.path().join("tree"), place.path().join("image"));
    fs::create_dir(&tree)?;
    for (path, bytes) in files {
        let path = tree.join(path);
        fs::create_dir_all(path.parent().context("a file has a folder")?)?;
        fs::write(path, bytes)?;
    }
    let size: usize = files.iter().map(|(_, bytes)| bytes.len() / 900 + 10).sum();
    let mut command = Command::new(mke2fs(Consent::default(), &Progress::new(1))?);
    command.args(["-q", "-F", "-b", "1024", "-U", UUID]).args(options).arg("-d").arg(&tree).arg(&image);
    let output = command.arg((size + 1024).to_string()).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(fs::read(image)?)
}

/// A disk with an MBR: of each partition its type and contents, on whole mebibytes.
fn mbr(partitions: &[(u8, &[u8])]) -> Vec<u8> {
    let mut disk = vec![0; FIRST * SECTOR];
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    for ((kind, contents), entry) in partitions.iter().zip([446, 462, 478, 494]) {
        let start = disk.len() / SECTOR;
        disk.extend_from_slice(contents);
        disk.resize(disk.len().next_multiple_of(FIRST * SECTOR), 0);
        let sectors = disk.len() / SECTOR - start;
        disk[entry + 4] = *kind;
        disk[entry + 8..entry + 12].copy_from_slice(&(start as u32).to_le_bytes());
        disk[entry + 12..entry + 16].copy_from_slice(&(sectors as u32).to_le_bytes());
    }
    disk
}

/// A disk with a GPT whose second partition this is.
fn gpt(contents: &[u8]) -> Result<Vec<u8>> {
    let sectors = contents.len().div_ceil(SECTOR);
    let mut disk = Cursor::new(vec![0; (FIRST + sectors + 64) * SECTOR]);
    let mut table = gptman::GPT::new_from(&mut disk, SECTOR as u64, [1; 16])?;
    table[2] = gptman::GPTPartitionEntry {
        partition_type_guid: [2; 16],
        unique_partition_guid: [3; 16],
        starting_lba: FIRST as u64,
        ending_lba: (FIRST + sectors - 1) as u64,
        attribute_bits: 0,
        partition_name: "hurd".into(),
    };
    table.write_into(&mut disk)?;
    gptman::GPT::write_protective_mbr_into(&mut disk, SECTOR as u64)?;
    let mut disk = disk.into_inner();
    disk[FIRST * SECTOR..][..contents.len()].copy_from_slice(contents);
    Ok(disk)
}

/// A disk with swap space and then the system, as Debian's installer makes it.
fn debian_disk(files: Files<'_>) -> Result<Vec<u8>> {
    Ok(mbr(&[(0x82, &[0; SECTOR]), (0x83, &ext2(files)?)]))
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut child = Command::new("gzip")
        .arg("-c1")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()?;
    let mut input = child.stdin.take().context("the input of gzip")?;
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&bytes));
    let output = child.wait_with_output()?;
    writer.join().map_err(|_| anyhow::anyhow!("the writer"))??;
    Ok(output.stdout)
}

/// What would be booted of these bytes, or the line that says why nothing can be, without the image's name.
fn found(bytes: &[u8], choice: Option<&str>) -> Result<Result<Found, String>> {
    let place = tempfile::tempdir()?;
    let image = place.path().join("disk.img");
    fs::write(&image, bytes)?;
    Ok(at(&image, choice))
}

fn at(image: &Path, choice: Option<&str>) -> Result<Found, String> {
    let found = Disk::open(image).and_then(|mut disk| disk::find(&mut disk, choice));
    found.map_err(|error| {
        let text = error.to_string();
        assert_eq!(text.lines().count(), 1, "{text}");
        text.strip_prefix(&format!("{}: ", image.display())).expect("the image is named first").to_owned()
    })
}

/// Files of a Hurd, whose contents nobody looks at here.
const HURD: [(&str, &[u8]); 6] = [
    ("hurd/acpi.static", b"acpi"),
    ("hurd/pci-arbiter.static", b"pci-arbiter"),
    ("hurd/rumpdisk.static", b"rumpdisk"),
    ("hurd/ext2fs.static", b"ext2fs"),
    ("lib/ld-x86-64.so.1", b"ld"),
    (MENU, DEBIAN.as_bytes()),
];

#[test]
#[ignore = "needs mke2fs: run cargo qemu test"]
fn the_entry_is_found_behind_every_kind_of_table() -> Result<()> {
    let kernel = gzip(b"the kernel")?;
    let files = [&HURD[..], &[("boot/gnumach-1.8-amd64-up.gz", &kernel)]].concat();
    let on_gpt = DEBIAN.replace("hd0,msdos2", "hd0,gpt2");
    let bare = DEBIAN.replace("hd0,msdos2", "hd0");
    let with = |menu: &str| {
        let files: Vec<_> =
            files.iter().map(|(path, bytes)| (*path, if *path == MENU { menu.as_bytes() } else { bytes })).collect();
        ext2(&files)
    };
    // Where the file system is looked for by its UUID, that counts; the other entry knows the partition alone.
    for (image, device) in
        [(debian_disk(&files)?, "hd0,msdos2"), (gpt(&with(&on_gpt)?)?, "hd0,gpt2"), (with(&bare)?, "hd0")]
    {
        for choice in [None, Some("1>0")] {
            let found = found(&image, choice)?.map_err(|error| anyhow::anyhow!("{device}: {error}"))?;
            assert_eq!(found.file, format!("({device})/boot/gnumach-1.8-amd64-up.gz"));
            assert_eq!((&*found.kernel, &*found.words), (&b"the kernel"[..], &b"root=part:2:device:wd0"[..]));
        }
        let all = found(&image, None)?.map_err(|error| anyhow::anyhow!(error))?;
        let contents: Vec<&[u8]> = all.modules.iter().map(|module| &*module.contents).collect();
        assert_eq!(contents, [&b"acpi"[..], b"pci-arbiter", b"rumpdisk", b"ext2fs", b"ld"]);
    }
    Ok(())
}

#[test]
#[ignore = "needs mke2fs: run cargo qemu test"]
fn an_image_that_is_none_is_one_line() -> Result<()> {
    let place = tempfile::tempdir()?;
    let folder = place.path().join("folder");
    fs::create_dir(&folder)?;
    for (path, expected) in [
        (place.path().join("none"), "cannot read it: No such file or directory (os error 2)"),
        (folder, "expected a disk image, found a directory"),
        (PathBuf::from("/dev/null"), "expected a disk image, found a device, pipe or socket"),
        (PathBuf::from("/proc/self/mem"), "cannot read it: Invalid argument (os error 22)"),
    ] {
        assert_eq!(at(&path, None).unwrap_err(), expected);
    }
    let hurd = debian_disk(&HURD)?;
    let cut = |sectors: usize| hurd[..sectors * SECTOR].to_vec();
    let none = "expected a partition table (MBR or GPT) or an ext2 file system, found";
    for (bytes, expected) in [
        (vec![], "expected a disk image, found an empty file".to_owned()),
        (
            b"QFI\xfb\0\0\0\x03".to_vec(),
            "expected the bytes of a disk, found a qcow2 image; qemu-img convert -O raw makes one of it".to_owned(),
        ),
        (
            gzip(&hurd)?,
            "expected the bytes of a disk, found a gzip-packed image; qemu-img convert -O raw makes one of it"
                .to_owned(),
        ),
        (b"no disk at all\n".repeat(1000), format!("{none} neither")),
        (mbr(&[]), format!("{none} a boot sector without partitions")),
        (
            mbr(&[(0x0c, b"FAT")]),
            "expected a partition with an ext2 file system, found partition 1 (type 0x0c)".to_owned(),
        ),
        (
            cut(2 * FIRST),
            format!(
                "partition 2: expected {} bytes of the image, found {}: it is cut off",
                hurd.len(),
                2 * FIRST * SECTOR
            ),
        ),
        (
            mbr(&[(0x82, &[0; SECTOR]), (0x83, &file_system(&[(MENU, b"")], &["-t", "ext4", "-O", "^metadata_csum"])?)]),
            "expected a partition with an ext2 file system, found partition 1 (type 0x82), partition 2 (type 0x83, ext2 \
             file system: features 0x2c0 of ext3 or ext4)"
                .to_owned(),
        ),
        (debian_disk(&[("etc/x", b"")])?, "expected /boot/grub/grub.cfg in partition 2, found none".to_owned()),
    ] {
        assert_eq!(found(&bytes, None)?.unwrap_err(), expected);
    }
    let cut = found(&cut(2 * FIRST + 64), None)?.unwrap_err();
    assert!(cut.starts_with("the file system of partition 2: expected ") && cut.ends_with(": it is cut off"), "{cut}");
    Ok(())
}

#[test]
#[ignore = "needs mke2fs: run cargo qemu test"]
fn a_menu_that_leads_nowhere_is_one_line() -> Result<()> {
    let entry = |lines: &str| format!("menuentry 'x' {{\n{lines}\n}}\n");
    let kernel = "(hd0,msdos2)/boot/k (/boot/grub/grub.cfg, line 2)";
    for (menu, expected) in [
        (entry("linux /vmlinuz\ninitrd /i"), "/boot/grub/grub.cfg, entry `x`: expected a line with multiboot or multiboot2, found `linux /vmlinuz` in line 2".to_owned()),
        (entry("true"), "/boot/grub/grub.cfg, entry `x`: expected a line with multiboot or multiboot2, found none".to_owned()),
        (String::new(), "/boot/grub/grub.cfg: expected an entry, found none".to_owned()),
        (entry("multiboot '/boot/k"), "/boot/grub/grub.cfg, line 2: expected a second ', found the end of the file".to_owned()),
        (entry("multiboot /boot/none"), "(hd0,msdos2)/boot/none (/boot/grub/grub.cfg, line 2): expected a file, found none".to_owned()),
        (entry("multiboot /boot"), "(hd0,msdos2)/boot (/boot/grub/grub.cfg, line 2): expected a file, found a directory".to_owned()),
        (entry("multiboot (hd1,msdos2)/boot/k"), "(hd1,msdos2)/boot/k (/boot/grub/grub.cfg, line 2): expected a device of this image with an ext2 file system (hd0,msdos2), found none".to_owned()),
        (entry("multiboot /boot/k\nmodule"), "/boot/grub/grub.cfg, line 3: expected the name of a file to load, found none".to_owned()),
        (entry("multiboot /boot/k\nmodule /none none"), "(hd0,msdos2)/none (/boot/grub/grub.cfg, line 3): expected a file, found none".to_owned()),
        (entry("multiboot /boot/damaged.gz"), "(hd0,msdos2)/boot/damaged.gz (/boot/grub/grub.cfg, line 2): cannot unpack it: corrupt gzip stream does not have a matching checksum".to_owned()),
    ] {
        let mut damaged = gzip(b"the kernel")?;
        let end = damaged.len() - 6;
        damaged[end] ^= 1;
        let files: Files<'_> = &[(MENU, menu.as_bytes()), ("boot/k", b"kernel"), ("boot/damaged.gz", &damaged)];
        assert_eq!(found(&debian_disk(files)?, None)?.unwrap_err(), expected, "{menu}");
    }
    let image = debian_disk(&[(MENU, DEBIAN.as_bytes())])?;
    assert_eq!(
        found(&image, Some("Linux"))?.unwrap_err(),
        "/boot/grub/grub.cfg: expected an entry `Linux`, found Debian GNU/Hurd, Advanced options for Debian GNU/Hurd >"
    );
    let image = place_of(&debian_disk(&[(MENU, entry("multiboot /boot/k").as_bytes()), ("boot/k", b"no kernel")])?)?;
    let run = qemu(&["hurd", &image.1])?;
    assert_eq!(
        (run.status, run.stderr),
        (
            Some(125),
            format!(
                "error: {}: {}: not an ELF file (the first bytes are not 7f 45 4c 46)\n",
                image.1,
                kernel.split(' ').next().unwrap_or_default()
            )
        )
    );
    Ok(())
}

/// Bytes of the tables and of the file system's own, damaged: nothing panics, and what is said is one line.
#[test]
#[ignore = "needs mke2fs: run cargo qemu test"]
fn damaged_images_are_refused_or_read() -> Result<()> {
    let files = [&HURD[..], &[("boot/gnumach-1.8-amd64-up.gz", b"the kernel")]].concat();
    let place = tempfile::tempdir()?;
    let image = place.path().join("disk.img");
    let mut state = 7u64;
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    for whole in [debian_disk(&files)?, gpt(&ext2(&files)?)?] {
        // Where there is something: zeros tell nothing of how they are read.
        let filled: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] != 0).collect();
        for _ in 0..400 {
            let mut bytes = whole.clone();
            for _ in 0..=below(3) {
                bytes[filled[below(filled.len())]] = below(256) as u8;
            }
            fs::write(&image, &bytes)?;
            drop(at(&image, None));
        }
    }
    Ok(())
}

/// An image in a folder of its own, and its path.
fn place_of(bytes: &[u8]) -> Result<(tempfile::TempDir, String)> {
    let place = tempfile::tempdir()?;
    let image = place.path().join("disk, of a Hurd.img");
    fs::write(&image, bytes)?;
    let path = image.to_string_lossy().into_owned();
    Ok((place, path))
}

/// What QEMU is told of a Hurd with its servers: each word of the kernel and of each module as GRUB would hand it over.
#[test]
#[ignore = "needs a kernel and mke2fs: run cargo qemu test"]
fn qemu_is_told_what_grub_would_hand_over() -> Result<()> {
    let kernel = gzip(&fs::read(setting("RPCTRACE2_KERNEL")?)?)?;
    let image = place_of(&debian_disk(&[&HURD[..], &[("boot/gnumach-1.8-amd64-up.gz", &kernel)]].concat())?)?;
    for (options, snapshot, memory) in [(&[][..], "on", "2048"), (&["--write"], "off", "2048")] {
        let run = qemu(&[&["hurd", "--show", &image.1], options].concat())?;
        assert_eq!(run.status, Some(0), "{}", run.stderr);
        let words: Vec<&str> = run.stdout.lines().collect();
        let after = |option: &str| words.iter().skip_while(|word| **word != option).nth(1).copied().unwrap_or_default();
        assert_eq!(
            (after("-kernel"), after("-append"), after("-m")),
            ("root=part:2:device:wd0", "console=com0", memory)
        );
        assert_eq!(
            after("-initrd"),
            "acpi --host-priv-port=${host-port} --device-master-port=${device-port} --next-task=${pci-task} \
             $(acpi-task=task-create) $(task-resume),\
             pci-arbiter --next-task=${disk-task} $(pci-task=task-create),\
             rumpdisk --next-task=${fs-task} $(disk-task=task-create),\
             ext2fs --readonly --multiboot-command-line=${kernel-command-line} --exec-server-task=${exec-task} -T typed \
             ${root} $(fs-task=task-create),\
             exec /hurd/exec $(exec-task=task-create)"
        );
        let drives: Vec<&&str> = words.iter().filter(|word| word.starts_with("format=raw")).collect();
        assert_eq!(
            *drives[0],
            format!("format=raw,if=ide,media=disk,index=0,snapshot={snapshot},file={}", image.1.replace(',', ",,"))
        );
        assert!(drives[1].starts_with("format=raw,if=ide,media=disk,index=1,snapshot=on,file="), "{drives:?}");
        assert_eq!(drives.len(), 2);
    }
    Ok(())
}

/// In the form of GRUB's helper, with our boot server in the place of the Hurd's servers.
const OURS: &str = "set default=\"0\"\nmenuentry 'GNU/Hurd of ours' --class gnu $menuentry_id_option 'gnuhurd-simple-x' {\n\
    \tinsmod part_msdos\n\tset root='hd0,msdos2'\n\techo\t\t'Loading GNU Mach ...'\n\
    \tmultiboot\t/boot/gnumach.gz root=part:2:device:wd0  \n\techo\t\t'Loading the servers ...'\n\
    \tmodule          /boot/archive.tar.gz archive.tar \\\n\t\t\t'$(ramdisk-create)'\n\
    \tmodule          /hurd/bootstrap.static bootstrap \\\n\t\t\t'${host-port}' '${device-port}' \\\n\
    \t\t\t'$(task-create)' '$(task-resume)'\n}\n";

fn boot(kernel: &[u8], files: &[Vec<u8>; 2], options: &[&str], command: &[&str]) -> Result<Run> {
    let [bootstrap, archive] = files;
    let files: Files<'_> = &[
        (MENU, OURS.as_bytes()),
        ("boot/gnumach.gz", &gzip(kernel)?),
        ("boot/archive.tar.gz", &gzip(archive)?),
        ("hurd/bootstrap.static", bootstrap),
    ];
    let bytes = debian_disk(files)?;
    let image = place_of(&bytes)?;
    let run = qemu(&[options, &["hurd", &image.1], command].concat())?;
    assert!(fs::read(&image.1)? == bytes, "the image has changed");
    Ok(run)
}

/// The kernel in the image is instrumented, boots with the image's modules, and a trace of its command comes to its end: a kernel with
/// names, one without, and one that is instrumented already.
#[test]
#[ignore = "needs a kernel, QEMU and mke2fs: run cargo qemu test"]
fn an_image_boots_on_its_own_kernel_with_a_trace_port() -> Result<()> {
    let files = boot_files(&["rpctrace2", "hello"])?;
    let place = tempfile::tempdir()?;
    let out = place.path().join("instrumented").to_string_lossy().into_owned();
    let instrument = qemu(&["instrument", &setting("RPCTRACE2_KERNEL")?, "-o", &out])?;
    assert_eq!(instrument.status, Some(0), "{}", instrument.stderr);
    let cache = Cache::open()?;
    let production = packages::fetch(&cache, &[PRODUCTION], &Progress::new(1))?;
    let production = packages::kernel_file(production.first().context("the production kernel")?);
    for kernel in [setting("RPCTRACE2_KERNEL")?.into(), production, PathBuf::from(out)] {
        let run = boot(&qemu::instrument::read_kernel(&kernel)?, &files, &[], &[])?;
        assert_eq!(run.status, Some(0), "{}: {}{}", kernel.display(), run.stdout, run.stderr);
        assert!(run.stdout.contains("trace port armed"), "{}: {}", kernel.display(), run.stdout);
        // The kernel prints what it is handed with a module.
        let handed = "module 1: bootstrap ${host-port} ${device-port} $(task-create) $(task-resume)";
        assert!(run.stdout.contains(handed), "{}: {}", kernel.display(), run.stdout);
        assert!(run.stdout.contains("\nhello, world\n"), "{}: {}", kernel.display(), run.stdout);
        assert!(run.stdout.contains("+++ hello[1] exited with 0 +++"), "{}: {}", kernel.display(), run.stdout);
        assert!(
            run.stderr.contains("GNU/Hurd of ours boots (hd0,msdos2)/boot/gnumach.gz with 2 modules"),
            "{}",
            run.stderr
        );
    }
    Ok(())
}

/// As it is, the kernel has no trace port; and a status other than 0 is the command's.
#[test]
#[ignore = "needs a kernel, QEMU and mke2fs: run cargo qemu test"]
fn an_image_boots_on_its_kernel_as_it_is() -> Result<()> {
    let files = boot_files(&["trace-port"])?;
    let run = boot(&fs::read(setting("RPCTRACE2_KERNEL")?)?, &files, &["--stock"], &[])?;
    assert_eq!(run.status, Some(3), "{}{}", run.stdout, run.stderr);
    assert!(run.stdout.contains("trace-port: this kernel has no trace port"), "{}", run.stdout);
    Ok(())
}

/// A console of ours that behaves like getty, login and a shell.
fn typed(scene: &str, options: &[&str], command: &[&str]) -> Result<Run> {
    let files = boot_files(&["console-login", scene])?;
    boot(&fs::read(setting("RPCTRACE2_KERNEL")?)?, &files, &[], &[options, &["--"], command].concat())
}

/// Root logs in, the command's output is all that standard output gets, and its status is the tool's.
#[test]
#[ignore = "needs a kernel, QEMU and mke2fs: run cargo qemu test"]
fn a_command_is_typed_and_its_status_is_the_tools() -> Result<()> {
    let place = tempfile::tempdir()?;
    let password = place.path().join("password");
    fs::write(&password, "secret\n")?;
    let password = ["--password-file", &password.to_string_lossy()];
    let hello = ["rpctrace2", "-e", "task_terminate", "hello"];
    for (scene, options, command, output, status) in [
        ("plain", &[][..], &hello[..], "hello, world\n", 0),
        ("password", &password, &["hello"], "hello, world\n", 0),
        ("shell", &["--write"], &["none", "it s"], "bootstrap: none: no such program\nsh: none: not found\n", 127),
        ("chatter", &["--prompt", "root@small:~# $"], &["echo", "x; y"], "x; y\n", 0),
    ] {
        let run = typed(scene, options, command)?;
        let text = format!("{scene}: {}{}", run.stdout, run.stderr);
        assert_eq!(run.status, Some(status), "{text}");
        assert!(run.stdout.starts_with(output) || scene == "plain" && run.stdout.contains(output), "{text}");
        let is_clean = |text: &str| !text.contains("small login") && !text.contains("echo ") && !text.contains("\x1b");
        assert!(is_clean(&run.stdout) && run.stderr.contains("root@small:~# "), "{text}");
        if scene == "plain" {
            assert!(run.stdout.ends_with("+++ hello[1] exited with 0 +++\n"), "{text}");
        }
    }
    Ok(())
}

#[test]
#[ignore = "needs a kernel, QEMU and mke2fs: run cargo qemu test"]
fn a_system_that_is_otherwise_is_one_line() -> Result<()> {
    for (scene, options, said) in [
        (
            "silent",
            &["--step-timeout", "20"][..],
            "no prompt 20 seconds after the start: expected `login:` or a shell's, which",
        ),
        ("refused", &[], "root is not let in: Login incorrect"),
        ("password", &[], "`Password:`: root has a password; --password-file FILE has it"),
        (
            "mountless",
            &[],
            "`PATH=/tmp/rpctrace2:$PATH; settrans -ac /tmp/rpctrace2 /hurd/ext2fs --readonly /dev/wd1` ended with 6: settrans: \
             /dev/wd1: No such device or address",
        ),
        (
            "plain",
            &["--step-timeout", "20", "--prompt", "never"],
            "no prompt of a shell after 20 seconds: expected one that looks",
        ),
        ("ends", &[], "the system has ended before the command did"),
    ] {
        let run = typed(scene, options, &["hello"])?;
        assert_eq!(run.status, Some(125), "{scene}: {}{}", run.stdout, run.stderr);
        let line = run.stderr.lines().find(|line| line.starts_with("error: ")).unwrap_or_default();
        assert!(line.starts_with(&format!("error: {said}")), "{scene}: {}", run.stderr);
    }
    let run = typed("plain", &["--prompt", "("], &["hello"])?;
    assert!(run.status == Some(125) && run.stderr.contains("error: --prompt: "), "{}", run.stderr);
    Ok(())
}
