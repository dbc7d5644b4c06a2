// SPDX-License-Identifier: GPL-2.0-or-later
//! The Debian packages of `cargo qemu deb`: what is in them, that they come out alike, and that installing and removing them is all they do.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use tests::guest::{qemu, setting};

/// The packages of one run.
struct Packages {
    place: tempfile::TempDir,
    tracer: PathBuf,
    kernel: PathBuf,
}

impl Packages {
    fn make() -> Result<Self> {
        Self::make_with(&[])
    }

    /// Made with these options of the machine.
    fn make_with(options: &[&str]) -> Result<Self> {
        let place = tempfile::tempdir()?;
        let run = qemu(&[options, &["deb", "-o", &place.path().to_string_lossy()]].concat())?;
        ensure!(run.status == Some(0), "{}", run.stderr);
        let files: Vec<PathBuf> =
            run.stdout.lines().filter_map(|line| line.strip_prefix("written  ")).map(PathBuf::from).collect();
        let [tracer, kernel] = <[PathBuf; 2]>::try_from(files).map_err(|files| anyhow::anyhow!("{files:?}"))?;
        assert_eq!(fs::read_dir(place.path())?.count(), 2, "nothing else is left behind");
        Ok(Self { place, tracer, kernel })
    }

    /// A package unpacked: its files, and the folder with its control files.
    fn unpack(&self, package: &Path, name: &str) -> Result<(PathBuf, PathBuf)> {
        let (files, control) = (self.place.path().join(name), self.place.path().join(format!("{name}.control")));
        dpkg_deb(&["-x".as_ref(), package, &files])?;
        dpkg_deb(&["-e".as_ref(), package, &control])?;
        Ok((files, control))
    }
}

fn dpkg_deb(arguments: &[&Path]) -> Result<String> {
    output(Command::new("dpkg-deb").args(arguments))
}

fn output(command: &mut Command) -> Result<String> {
    let Output { status, stdout, stderr } = command.output().with_context(|| format!("starting {command:?}"))?;
    ensure!(status.success(), "{command:?}: {}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}

/// Files of a package with their modes and owners, as `dpkg-deb -c` lists them.
fn listed(package: &Path) -> Result<BTreeMap<String, String>> {
    let listing = dpkg_deb(&["-c".as_ref(), package])?;
    let entry = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        Some((words.get(5)?.trim_start_matches('.').to_owned(), format!("{} {}", words.first()?, words.get(1)?)))
    };
    Ok(listing.lines().filter_map(entry).collect())
}

/// The fields of a control file; lines of a description are joined.
fn fields(control: &Path) -> Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(control.join("control"))?.replace("\n ", "\u{1}");
    let field =
        |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.replace('\u{1}', "\n ")));
    Ok(text.lines().filter_map(field).collect())
}

fn unzipped(file: &Path) -> Result<String> {
    output(Command::new("gzip").arg("-dc").arg(file))
}

const FOLDER: &str = "drwxr-xr-x root/root";
const PLAIN: &str = "-rw-r--r-- root/root";
const PROGRAM: &str = "-rwxr-xr-x root/root";

/// The files but folders, which have all one mode and owner.
fn files(package: &Path) -> Result<Vec<(String, String)>> {
    let mut all = listed(package)?;
    all.retain(|path, mode| {
        assert!(!path.ends_with('/') || mode == FOLDER, "{path} {mode}");
        !path.ends_with('/')
    });
    Ok(all.into_iter().collect())
}

/// What every package of ours has in common.
fn check(files: &Path, control: &Path, listed: &[(String, String)]) -> Result<()> {
    let fields = fields(control)?;
    assert_eq!(fields["Architecture"], "hurd-amd64");
    assert_eq!(fields["Priority"], "optional");
    assert!(fields["Maintainer"].contains(" <") && fields["Maintainer"].ends_with('>'), "{fields:?}");
    assert!(fields["Installed-Size"].parse::<u64>()? > 0);
    let description: Vec<&str> = fields["Description"].lines().collect();
    assert!(description.len() > 3 && description[0].len() < 80, "{description:#?}");
    assert!(description.iter().all(|line| line.len() <= 80), "{description:#?}");
    for none in ["Conflicts", "Replaces", "Breaks", "Provides", "Depends"] {
        assert!(!fields.contains_key(none), "{fields:?}");
    }
    // All that is installed, in the form that md5sum checks.
    let sums = fs::read_to_string(control.join("md5sums"))?;
    assert_eq!(sums.lines().count(), listed.len());
    output(Command::new("md5sum").arg("-c").arg(control.join("md5sums")).current_dir(files))?;
    let documents = files.join("usr/share/doc").join(&fields["Package"]);
    let changes = unzipped(&documents.join("changelog.Debian.gz"))?;
    assert!(changes.starts_with(&format!("{} ({}) unstable;", fields["Package"], fields["Version"])), "{changes}");
    assert!(fs::read_to_string(documents.join("copyright"))?.contains("/usr/share/common-licenses/GPL-2"));
    Ok(())
}

#[test]
#[ignore = "needs a kernel: run cargo qemu test"]
fn the_package_of_rpctrace2_has_program_tables_and_manual() -> Result<()> {
    let packages = Packages::make()?;
    let (root, control) = packages.unpack(&packages.tracer, "tracer")?;
    let listed = files(&packages.tracer)?;
    let expected = [
        ("/usr/bin/rpctrace2", PROGRAM),
        ("/usr/share/doc/rpctrace2/changelog.Debian.gz", PLAIN),
        ("/usr/share/doc/rpctrace2/changelog.gz", PLAIN),
        ("/usr/share/doc/rpctrace2/copyright", PLAIN),
        ("/usr/share/lintian/overrides/rpctrace2", PLAIN),
        ("/usr/share/man/man1/rpctrace2.1.gz", PLAIN),
        ("/usr/share/rpctrace2/interfaces.mdt", PLAIN),
    ];
    assert_eq!(listed, expected.map(|(path, mode)| (path.to_owned(), mode.to_owned())));
    check(&root, &control, &listed)?;
    let fields = fields(&control)?;
    assert_eq!((&*fields["Package"], &*fields["Section"]), ("rpctrace2", "devel"));
    assert!(fields["Recommends"].ends_with("-rpctrace2"), "{fields:?}");
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let manual = unzipped(&root.join("usr/share/man/man1/rpctrace2.1.gz"))?;
    assert_eq!(manual, fs::read_to_string(repository.join("docs/rpctrace2.1"))?);
    let program = fs::read(root.join("usr/bin/rpctrace2"))?;
    assert!(program.starts_with(b"\x7fELF\x02\x01\x01"));
    assert!(!program.windows(12).any(|bytes| bytes == b".debug_info\0"), "no debugging information");
    assert!(fs::read(root.join("usr/share/rpctrace2/interfaces.mdt"))?.starts_with(b"MACHMDT\n"));
    assert!(!fs::read_dir(&control)?.any(|file| file.is_ok_and(|file| file.file_name() == "postinst")));
    Ok(())
}

#[test]
#[ignore = "needs a kernel: run cargo qemu test"]
fn the_package_of_a_kernel_has_it_where_grub_looks_and_its_layout_elsewhere() -> Result<()> {
    let packages = Packages::make()?;
    let (root, control) = packages.unpack(&packages.kernel, "kernel")?;
    let listed = files(&packages.kernel)?;
    let fields = fields(&control)?;
    let package = &fields["Package"];
    let stem = package.strip_prefix("gnumach-image-").and_then(|rest| rest.strip_suffix("-rpctrace2"));
    let stem = stem.context("the name of the kernel's package")?;
    let file = format!("gnumach-{stem}-rpctrace2");
    let expected = [
        (format!("/boot/{file}"), PLAIN.to_owned()),
        (format!("/usr/share/doc/{package}/changelog.Debian.gz"), PLAIN.to_owned()),
        (format!("/usr/share/doc/{package}/copyright"), PLAIN.to_owned()),
        (format!("/usr/share/rpctrace2/{file}.layout"), PLAIN.to_owned()),
    ];
    assert_eq!(listed, expected);
    check(&root, &control, &listed)?;
    assert_eq!(fields["Section"], "kernel");
    // The version is the stock kernel's with ours behind it, and the source is named whose binary is in the package.
    let of = fields["Built-Using"].strip_prefix("gnumach (= ").and_then(|rest| rest.strip_suffix(")"));
    let of = of.context("the version of gnumach")?;
    assert_eq!(fields["Version"], format!("{of}+{}-1", env!("CARGO_PKG_VERSION")));
    for script in ["postinst", "postrm"] {
        assert_eq!(fs::metadata(control.join(script))?.permissions().mode() & 0o777, 0o755);
    }
    // As GRUB's helper orders kernels, the stock one stays before ours, and so the default.
    let order = format!("printf '/boot/gnumach-{stem}.gz 2\\n/boot/{file} 2\\n' | sort -rV | head -1");
    assert_eq!(output(Command::new("sh").args(["-c", &order]))?, format!("/boot/gnumach-{stem}.gz 2\n"));

    Ok(())
}

#[test]
#[ignore = "needs a kernel: run cargo qemu test"]
fn the_kernel_in_a_package_is_what_instrument_writes() -> Result<()> {
    let stock = setting("RPCTRACE2_KERNEL")?;
    let packages = Packages::make_with(&["--kernel", &stock])?;
    let (root, control) = packages.unpack(&packages.kernel, "kernel")?;
    // The file is called otherwise, so the kernel says itself what it is.
    let fields = fields(&control)?;
    assert!(
        fields["Package"].starts_with("gnumach-image-1.8+git") && !fields.contains_key("Built-Using"),
        "{fields:?}"
    );
    let out = packages.place.path().join("instrumented").to_string_lossy().into_owned();
    let run = qemu(&["instrument", &stock, "-o", &out])?;
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    let listed = files(&packages.kernel)?;
    let found = |end: &str| -> Result<Vec<u8>> {
        let path = listed.iter().find(|(path, _)| path.ends_with(end)).with_context(|| format!("no file {end}"))?;
        Ok(fs::read(root.join(&path.0[1..]))?)
    };
    assert!(found("-rpctrace2")? == fs::read(&out)?, "the kernel is another");
    assert!(found(".layout")? == fs::read(format!("{out}.layout"))?, "the layout is another");
    Ok(())
}

#[test]
#[ignore = "needs a kernel: run cargo qemu test"]
fn two_runs_make_the_same_packages_of_the_same_source() -> Result<()> {
    let (first, second) = (Packages::make()?, Packages::make()?);
    for (one, other) in [(&first.tracer, &second.tracer), (&first.kernel, &second.kernel)] {
        assert_eq!(one.file_name(), other.file_name());
        assert!(fs::read(one)? == fs::read(other)?, "{} differs", one.display());
    }
    Ok(())
}

#[test]
#[ignore = "needs a kernel: run cargo qemu test"]
fn a_package_that_cannot_be_written_takes_the_other_back() -> Result<()> {
    let names: Vec<_> = {
        let made = Packages::make()?;
        [made.tracer, made.kernel].into_iter().filter_map(|path| path.file_name().map(ToOwned::to_owned)).collect()
    };
    for name in &names {
        let place = tempfile::tempdir()?;
        // No file can take the place of a folder.
        fs::create_dir(place.path().join(name))?;
        let run = qemu(&["deb", "-o", &place.path().to_string_lossy()])?;
        assert_eq!(run.status, Some(125), "{}", run.stderr);
        assert_eq!(
            run.stderr.lines().filter(|line| line.starts_with("error: cannot write ")).count(),
            1,
            "{}",
            run.stderr
        );
        assert_eq!(fs::read_dir(place.path())?.count(), 1, "only the folder is there");
    }
    Ok(())
}

#[test]
#[ignore = "needs the host tool: run cargo qemu test"]
fn what_is_missing_for_packages_is_one_line() -> Result<()> {
    let place = tempfile::tempdir()?;
    let file = place.path().join("file");
    fs::write(&file, "")?;
    let onto = qemu(&["deb", "-o", &file.to_string_lossy()])?;
    assert_eq!(
        onto.stderr,
        format!("error: cannot write packages to {}: expected a directory, found a file\n", file.display())
    );
    let stock = qemu(&["--stock", "deb", "-o", &place.path().to_string_lossy()])?;
    assert_eq!((stock.stderr.lines().count(), stock.status), (1, Some(125)), "{}", stock.stderr);
    let mut without = Command::new(setting("RPCTRACE2_QEMU")?);
    let without = without.args(["deb", "-o"]).arg(place.path()).env("PATH", place.path()).output()?;
    let said = String::from_utf8_lossy(&without.stderr);
    assert!(said.starts_with("error: dpkg-deb is missing; install it with: ") && said.lines().count() == 1, "{said}");
    assert_eq!(fs::read_dir(place.path())?.count(), 1);
    Ok(())
}

/// dpkg for a system in a folder, whose scripts run with what is in `bin` alone before the host's programs. Without root it is root of a
/// name space of its own.
fn dpkg(root: &Path, bin: &Path, arguments: &[&str]) -> Result<String> {
    let is_root = output(Command::new("id").arg("-u"))?.trim() == "0";
    let mut command = if is_root { Command::new("env") } else { Command::new("unshare") };
    command.args(if is_root { &[][..] } else { &["--map-root-user", "env"] });
    let path = format!("PATH={}:/usr/bin:/bin", bin.display());
    command.arg(path).args(["dpkg", "--force-script-chrootless", "--force-architecture", "--force-bad-path"]);
    command.arg(format!("--root={}", root.display())).arg("--force-depends").args(arguments);
    output(&mut command)
}

/// Installed and removed by dpkg itself: every file comes and goes, GRUB's menu is written each time, and the stock kernel stays.
#[test]
#[ignore = "needs a kernel: run cargo qemu test"]
fn installing_and_removing_leaves_the_stock_kernel_alone() -> Result<()> {
    let packages = Packages::make()?;
    let place = tempfile::tempdir()?;
    let (root, bin) = (place.path().join("root"), place.path().join("bin"));
    for folder in ["root/var/lib/dpkg/info", "root/var/lib/dpkg/updates", "root/boot/grub", "bin"] {
        fs::create_dir_all(place.path().join(folder))?;
    }
    let menu = root.join("boot/grub/grub.cfg");
    for (file, text) in
        [("var/lib/dpkg/status", ""), ("boot/gnumach-1.8-amd64-up.gz", "stock"), ("boot/grub/grub.cfg", "menu")]
    {
        fs::write(root.join(file), text)?;
    }
    let log = place.path().join("log");
    let updates = || fs::read_to_string(&log).map_or(0, |text| text.lines().count());
    let script = bin.join("update-grub");
    fs::write(&script, format!("#!/bin/sh\necho updated >> {}\n", log.display()))?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    let both = [packages.tracer.to_string_lossy(), packages.kernel.to_string_lossy()];
    dpkg(&root, &bin, &["-i", &both[0], &both[1]])?;
    assert_eq!(updates(), 1, "once for the kernel");
    let installed: Vec<String> =
        [files(&packages.tracer)?, files(&packages.kernel)?].concat().into_iter().map(|(path, _)| path).collect();
    assert!(installed.iter().all(|path| root.join(&path[1..]).is_file()));
    let name = packages.kernel.file_name().and_then(|name| name.to_str()).and_then(|name| name.split('_').next());
    dpkg(&root, &bin, &["-r", name.context("a name")?])?;
    assert_eq!(updates(), 2);
    // Where there is no menu, or no GRUB, nothing is written and nothing fails.
    fs::remove_file(&menu)?;
    dpkg(&root, &bin, &["-i", &both[1]])?;
    fs::write(&menu, "menu")?;
    fs::remove_file(&script)?;
    dpkg(&root, &bin, &["-P", name.context("a name")?, "rpctrace2"])?;
    assert_eq!(updates(), 2);
    assert!(installed.iter().all(|path| !root.join(&path[1..]).exists()));
    assert_eq!(fs::read_to_string(root.join("boot/gnumach-1.8-amd64-up.gz"))?, "stock");
    assert_eq!(fs::read_to_string(&menu)?, "menu");
    Ok(())
}
