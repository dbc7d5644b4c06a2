// SPDX-License-Identifier: GPL-2.0-or-later
//! What is in the two packages.

use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::deb::package::{Package, Packed};
use crate::deb::{DebError, Source, Stock, strip};

/// The version of this tool and of all that it makes.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Revision of packages of what has no other.
const REVISION: &str = "1";
/// Who is asked about the packages; the domain is one that cannot exist.
const MAINTAINER: &str = "The authors of rpctrace2 <rpctrace2@packages.invalid>";
/// Our directory in `/usr/share`: tables, and the layouts of kernels, which must not be called `/boot/gnumach*`, as all that is called so gets
/// entries in GRUB's menu.
const SHARE: &str = "usr/share/rpctrace2";
/// The name of the package with the program, and of the program.
const RPCTRACE2: &str = "rpctrace2";

/// What the package `rpctrace2` is made of.
#[derive(Clone, Copy, Debug)]
pub struct Tracer<'a> {
    /// The program's file.
    pub path: &'a Path,
    /// Its bytes.
    pub program: &'a [u8],
    /// Its tables.
    pub tables: &'a [u8],
    /// Its manual page.
    pub manual: &'a str,
    /// What has changed from version to version.
    pub changes: &'a str,
}

/// What the package with a kernel is made of.
#[derive(Clone, Copy, Debug)]
pub struct Kernel<'a> {
    /// The stock kernel.
    pub stock: &'a Stock,
    /// The instrumented one, for GRUB.
    pub kernel: &'a [u8],
    /// The plan by which it was made.
    pub layout: &'a [u8],
}

/// The package `rpctrace2`, which goes with this kernel.
pub fn tracer(tracer: &Tracer<'_>, stock: &Stock, source: &Source) -> Result<Package, DebError> {
    let program =
        strip::strip(tracer.program).map_err(|why| DebError::Program { path: tracer.path.to_owned(), why })?;
    let version = format!("{VERSION}-{REVISION}");
    let documents = format!("usr/share/doc/{RPCTRACE2}");
    let files = vec![
        Packed::program(format!("usr/bin/{RPCTRACE2}"), program),
        Packed::plain(format!("{SHARE}/interfaces.mdt"), tracer.tables),
        Packed::gzipped(format!("usr/share/man/man1/{RPCTRACE2}.1.gz"), tracer.manual),
        Packed::plain(format!("usr/share/lintian/overrides/{RPCTRACE2}"), include_str!("files/overrides")),
        Packed::plain(format!("{documents}/copyright"), include_str!("files/copyright")),
        Packed::gzipped(format!("{documents}/changelog.gz"), tracer.changes),
        Packed::gzipped(format!("{documents}/changelog.Debian.gz"), &changelog(RPCTRACE2, &version, &[], source)),
    ];
    let description = "print the Mach messages of programs\n \
        rpctrace2 runs a command and prints every Mach message that it and its\n \
        children send and receive: names of routines, values of their arguments,\n \
        which port is which. It needs a kernel with a trace port, such as that of\n \
        a package gnumach-image-...-rpctrace2.\n .\n \
        It starts a command as its child, or attaches to processes that run. As a\n \
        boot module it traces the first tasks of a system.";
    let fields = fields("devel", vec![("Recommends", kernel_package(stock))], description);
    Ok(Package { name: RPCTRACE2.to_owned(), version, fields, scripts: Vec::new(), files })
}

/// The package with the instrumented kernel. It replaces nothing and conflicts with nothing.
pub fn kernel(kernel: &Kernel<'_>, source: &Source) -> Package {
    let Stock { stem, version: of, .. } = kernel.stock;
    let (name, version) = (kernel_package(kernel.stock), format!("{of}+{VERSION}-{REVISION}"));
    let documents = format!("usr/share/doc/{name}");
    let terms = kernel.stock.copyright.as_deref();
    let terms = terms.map(|terms| format!("GNU Mach itself comes under these terms:\n\n{terms}"));
    let terms = terms.unwrap_or_else(|| format!("The terms of GNU Mach are in the package of gnumach-{stem}.\n"));
    let made = format!("Made of gnumach-{stem}, version {of}.");
    let files = vec![
        Packed::plain(format!("boot/{}", kernel_file(kernel.stock)), kernel.kernel),
        Packed::plain(format!("{SHARE}/{}.layout", kernel_file(kernel.stock)), kernel.layout),
        Packed::plain(format!("{documents}/copyright"), [include_str!("files/copyright.kernel"), &terms].concat()),
        Packed::gzipped(format!("{documents}/changelog.Debian.gz"), &changelog(&name, &version, &[&made], source)),
    ];
    let description = format!(
        "GNU Mach {stem} with a trace port\n \
         Debian's kernel gnumach-{stem}\n \
         with a trace port added to its binary: the messages of a task are copied\n \
         to the task's special port 5, which rpctrace2 and other programs receive.\n .\n \
         It gets an entry of its own in GRUB's menu. The stock kernel is neither\n \
         needed nor changed."
    );
    let mut others = vec![("Suggests", RPCTRACE2.to_owned())];
    if kernel.stock.is_packaged {
        others.insert(0, ("Built-Using", format!("gnumach (= {of})")));
    }
    let scripts = vec![("postinst", include_str!("files/postinst")), ("postrm", include_str!("files/postrm"))];
    Package { name, version, fields: fields("kernel", others, &description), scripts, files }
}

/// The package of a kernel.
fn kernel_package(stock: &Stock) -> String {
    format!("gnumach-image-{}-rpctrace2", stock.stem)
}

/// The kernel's name in `/boot`, as GRUB's `update-grub` looks for kernels.
fn kernel_file(stock: &Stock) -> String {
    format!("gnumach-{}-rpctrace2", stock.stem)
}

fn fields(section: &str, others: Vec<(&'static str, String)>, description: &str) -> Vec<(&'static str, String)> {
    let first = [("Maintainer", MAINTAINER), ("Section", section), ("Priority", "optional")];
    let first = first.map(|(field, value)| (field, value.to_owned()));
    let last = [("Description", description.to_owned())];
    first.into_iter().chain(others).chain(last).collect()
}

/// The changelog of the package itself, whose one entry says what it is made of.
fn changelog(name: &str, version: &str, lines: &[&str], source: &Source) -> String {
    let time = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(source.epoch));
    // Debian's date has the offset of the zone in the place of its name.
    let time = time.replace("GMT", "+0000");
    let commit = source.commit.as_ref().map(|commit| format!("Source: commit {commit}."));
    let version_of = format!("rpctrace2 {VERSION}.");
    let lines = [version_of.as_str()].into_iter().chain(commit.as_deref()).chain(lines.iter().copied());
    let lines: String = lines.map(|line| format!("  * {line}\n")).collect();
    format!("{name} ({version}) unstable; urgency=medium\n\n{lines}\n -- {MAINTAINER}  {time}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stock(version: &str, is_packaged: bool) -> Stock {
        Stock { stem: "1.8-amd64-up".to_owned(), version: version.to_owned(), is_packaged, copyright: None }
    }

    #[test]
    fn a_changelog_has_the_form_of_debians() {
        let source = Source { epoch: 1_795_710_586, commit: Some("0123abcd".to_owned()) };
        assert_eq!(
            changelog("a", "1-1", &["More."], &source),
            format!(
                "a (1-1) unstable; urgency=medium\n\n  * rpctrace2 {VERSION}.\n  * Source: commit 0123abcd.\n  * \
                 More.\n\n -- {MAINTAINER}  Thu, 26 Nov 2026 16:29:46 +0000\n"
            )
        );
    }

    #[test]
    fn a_kernels_package_names_what_it_was_built_of_and_leaves_others_alone() {
        let source = Source { epoch: 0, commit: None };
        let of = |stock: &Stock| kernel(&Kernel { stock, kernel: b"k", layout: b"l" }, &source);
        let package = of(&stock("2:1.8+git1-1", true));
        assert_eq!(package.name, "gnumach-image-1.8-amd64-up-rpctrace2");
        assert_eq!(package.version, format!("2:1.8+git1-1+{VERSION}-1"));
        let field =
            |name: &str| package.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value.as_str());
        assert_eq!(field("Built-Using"), Some("gnumach (= 2:1.8+git1-1)"));
        for none in ["Conflicts", "Replaces", "Breaks", "Provides"] {
            assert_eq!(field(none), None);
        }
        let unknown = of(&stock("1.8-0", false));
        assert!(unknown.fields.iter().all(|(field, _)| *field != "Built-Using"));
    }
}
