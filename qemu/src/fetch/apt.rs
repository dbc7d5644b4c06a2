// SPDX-License-Identifier: GPL-2.0-or-later
//! A private apt root: Debian packages without touching the system, without root, with apt's own signature checks.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::cache::Cache;
use crate::fetch::FetchError;
use crate::fetch::packages::AMD64;

/// Places of Debian's keyring; the suffix changed with trixie.
const KEYRINGS: [&str; 2] =
    ["/usr/share/keyrings/debian-archive-keyring.pgp", "/usr/share/keyrings/debian-archive-keyring.gpg"];

/// An apt configuration of our own in the cache.
#[derive(Clone, Debug)]
pub struct AptRoot {
    root: PathBuf,
    architecture: &'static str,
}

impl AptRoot {
    /// The private root for the given suites. Writes its files; the network comes with [`AptRoot::update`].
    pub fn create(cache: &Cache, suites: &[&str]) -> Result<Self, FetchError> {
        let root = cache.path(format!("apt-{}", suites.join("+")));
        fs::create_dir_all(root.join("lists/partial"))?;
        fs::create_dir_all(root.join("cache/archives/partial"))?;
        let keyring = keyring().ok_or(FetchError::NoKeyring)?;
        let mirror = mirror()?;
        let sources: String = suites
            .iter()
            .map(|suite| format!("deb [signed-by={}] {mirror} {suite} main\n", keyring.display()))
            .collect();
        fs::write(root.join("sources.list"), sources)?;
        Ok(Self { root, architecture: AMD64 })
    }

    /// This root for packages of another architecture; for a cache that holds no others.
    pub fn of_architecture(self, architecture: &'static str) -> Self {
        Self { architecture, ..self }
    }

    /// Fetches the lists of packages. A mirror that has stopped following its suite serves lists that say they are out of date: they are
    /// taken, as they are signed, and `tell` gets a line about it.
    pub fn update(&self, tell: impl FnOnce(&str)) -> Result<(), FetchError> {
        match self.fetch_lists(true) {
            Err(FetchError::Apt { what, reason }) => match expired(&reason) {
                Some(since) => {
                    let what = what.trim_start_matches("cannot fetch ");
                    tell(&format!("{what} are {since} out of date, as they say themselves; their signature is good"));
                    self.fetch_lists(false)
                }
                None => Err(FetchError::Apt { what, reason }),
            },
            other => other,
        }
    }

    fn fetch_lists(&self, are_checked_for_age: bool) -> Result<(), FetchError> {
        let mut command = self.apt("apt-get");
        // Without this option a list that cannot be fetched is only a warning.
        command.args(["-o", "APT::Update::Error-Mode=any"]);
        command.args(["-o", &format!("Acquire::Check-Valid-Until={are_checked_for_age}")]);
        run_apt(command.arg("update"), &self.fetching("the package lists")).map(drop)
    }

    /// Versions of a package, newest first.
    pub fn versions(&self, package: &str) -> Result<Vec<String>, FetchError> {
        let output =
            run_apt(self.apt("apt-cache").args(["madison", package]), &format!("apt-cache madison {package}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.lines().filter_map(|line| Some(line.split('|').nth(1)?.trim().to_owned())).collect())
    }

    /// Downloads and checks one package into `directory`, and says which file it is.
    pub fn download(&self, package: &str, version: &str, directory: &Path) -> Result<PathBuf, FetchError> {
        let mut command = self.apt("apt-get");
        command.arg("download").arg(format!("{package}={version}")).current_dir(directory);
        run_apt(&mut command, &self.fetching(&format!("{package} {version}")))?;
        let file = fs::read_dir(directory)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"));
        file.ok_or_else(|| io::Error::other(format!("apt-get download {package} left no .deb file")).into())
    }

    fn fetching(&self, what: &str) -> String {
        // The sources.list is ours, and was written by `create`.
        let sources = fs::read_to_string(self.root.join("sources.list")).unwrap_or_default();
        let mirror = sources.split_whitespace().find(|word| word.contains("://")).unwrap_or("the mirror");
        format!("cannot fetch {what} from {mirror}")
    }

    fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let place = |option: &str, path: &str| format!("{option}={}", self.root.join(path).display());
        for option in [
            place("Dir::Etc::sourcelist", "sources.list"),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            "Dir::Etc::preferencesparts=/dev/null".to_owned(),
            "Dir::Etc::preferences=/dev/null".to_owned(),
            place("Dir::State::Lists", "lists"),
            place("Dir::Cache", "cache"),
            "Dir::State::status=/dev/null".to_owned(),
            "Debug::NoLocking=1".to_owned(),
            "APT::Sandbox::User=root".to_owned(),
            // The guest's architecture, whatever the host's is.
            format!("APT::Architecture={}", self.architecture),
            format!("APT::Architectures::={}", self.architecture),
            "Acquire::Languages=none".to_owned(),
        ] {
            command.arg("-o").arg(option);
        }
        command.env("LC_ALL", "C");
        command
    }
}

/// Debian's keyring, if it is installed.
pub fn keyring() -> Option<&'static Path> {
    KEYRINGS.into_iter().map(Path::new).find(|path| path.exists())
}

/// The address of the main Debian archive in the machine's own configuration.
pub fn mirror() -> Result<String, FetchError> {
    let format = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)";
    let output = run(Command::new("apt-get").args(["indextargets", "--format", format]))?;
    choose(&String::from_utf8_lossy(&output.stdout)).ok_or(FetchError::NoMirror)
}

/// Picks the main archive among index targets: component main of a whole suite, not its updates or security fixes.
fn choose(targets: &str) -> Option<String> {
    let candidates = targets.lines().filter_map(|line| {
        let [uri, release, component, origin] = line.split('|').collect::<Vec<_>>().try_into().ok()?;
        let whole_suite = !release.contains(['-', '/']);
        (component == "main" && whole_suite).then_some((uri, origin))
    });
    // The origin is known only after an `apt-get update`; before that the path has to do.
    candidates
        .clone()
        .find(|&(_, origin)| origin == "Debian")
        .or_else(|| candidates.clone().find(|&(uri, _)| uri.trim_end_matches('/').ends_with("/debian")))
        .map(|(uri, _)| uri.to_owned())
}

/// Runs apt; when it fails, `what` could not be done, for the reason that is somewhere in what apt wrote.
pub fn run_apt(command: &mut Command, what: &str) -> Result<Output, FetchError> {
    run(command).map_err(|error| match error {
        FetchError::Command { status, output, .. } => {
            let reason = reason(&output).unwrap_or(status);
            FetchError::Apt { what: what.to_owned(), reason }
        }
        other => other,
    })
}

/// What apt writes if a host cannot be reached.
const UNREACHABLE: [&str; 7] = [
    "Temporary failure resolving",
    "Could not resolve",
    "Could not connect",
    "Cannot initiate the connection",
    "Unable to connect",
    "Network is unreachable",
    "Connection timed out",
];

/// The one line of what apt wrote that says why it failed; `None` if none does.
fn reason(output: &str) -> Option<String> {
    let unreachable = output.lines().find_map(|line| {
        let at = UNREACHABLE.iter().filter_map(|words| line.find(words)).min()?;
        Some(format!("no network ({})", line[at..].trim()))
    });
    let errors = || output.lines().find_map(|line| line.strip_prefix("E: "));
    unreachable.or_else(|| errors().map(|line| line.trim().to_owned()))
}

/// For how long lists are out of date, where that is why apt refused them.
fn expired(reason: &str) -> Option<&str> {
    let (_, since) = reason.split_once(" is expired (invalid since ")?;
    since.split_once(')').map(|(since, _)| since)
}

/// Runs a command and takes its output into the error when it fails.
pub fn run(command: &mut Command) -> Result<Output, FetchError> {
    let shown = || format!("{command:?}").replace('"', "");
    let shown = shown();
    let output = command.output().map_err(|error| FetchError::Command {
        command: shown.clone(),
        status: error.to_string(),
        output: String::new(),
    })?;
    if output.status.success() {
        return Ok(output);
    }
    // Cargo's JSON messages, say, explain nothing; a program that fails says why on its standard error.
    let text = if output.stderr.is_empty() { output.stdout } else { output.stderr };
    Err(FetchError::Command {
        command: shown,
        status: output.status.to_string(),
        output: String::from_utf8_lossy(&text).trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::{choose, expired, reason};

    #[test]
    fn a_long_failure_becomes_its_reason() {
        let away = "Ign:1 http://mirror.example/debian trixie InRelease\nErr:1 http://mirror.example/debian trixie \
                    InRelease\n  Temporary failure resolving 'mirror.example'\nE: Failed to fetch \
                    http://mirror.example/debian/dists/trixie/InRelease  Temporary failure resolving \
                    'mirror.example'\nE: Some index files failed to download.\n";
        assert_eq!(reason(away).unwrap(), "no network (Temporary failure resolving 'mirror.example')");
        let held = "W: old\nE: Packages need to be removed but remove is disabled.\n";
        assert_eq!(reason(held).unwrap(), "Packages need to be removed but remove is disabled.");
        assert_eq!(reason("Killed\n"), None);
        let old = "E: Release file for http://mirror.example/debian/dists/sid/InRelease is expired (invalid since 20d 5h \
                   42min 58s). Updates for this repository will not be applied.\n";
        assert_eq!(reason(old).as_deref().and_then(expired), Some("20d 5h 42min 58s"));
        assert_eq!(expired(&reason(held).unwrap()), None);
    }

    #[test]
    fn the_main_archive_is_chosen() {
        let known = "http://a.example/debian-security/|bookworm-security|main|Debian\n\
                     http://b.example/linux/|bookworm|main|Other\n\
                     http://c.example/mirror/|bookworm|main|Debian\n";
        assert_eq!(choose(known).as_deref(), Some("http://c.example/mirror/"));
        let before_update = "http://b.example/linux/|bookworm|main|\n\
                             http://d.example/debian/|trixie-updates|main|\n\
                             http://d.example/debian/|trixie|contrib|\n\
                             http://d.example/debian/|trixie|main|\n";
        assert_eq!(choose(before_update).as_deref(), Some("http://d.example/debian/"));
        assert_eq!(choose("http://b.example/linux/|bookworm|main|Other\n"), None);
        assert_eq!(choose(""), None);
    }
}
