// SPDX-License-Identifier: GPL-2.0-or-later
//! The checked-in ceilings (qemu/bench-ceilings*.json): a figure above its ceiling fails the bench; one well below names the
//! line that lowers it.

use serde_json::{Map, Value, json};

use crate::bench::figures::Figure;

/// A figure this far below its ceiling should lower it.
const SLACK: f64 = 0.01;

/// Ceilings by figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Ceilings(Map<String, Value>);

/// How a figure stands to its ceiling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// At the ceiling or less than 1 % below.
    Holds,
    /// So far below that the ceiling should come down.
    CouldBeLower,
    /// Above.
    Exceeded,
    /// There is none.
    NoCeiling,
}

impl Ceilings {
    /// Reads a ceiling file.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text).map(Self)
    }

    /// A figure's ceiling.
    pub fn of(&self, name: &str) -> Option<f64> {
        self.0.get(name)?.as_f64()
    }

    /// Names of all ceilings.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Judges a figure.
    pub fn judge(&self, figure: &Figure) -> Verdict {
        match self.of(&figure.name) {
            None => Verdict::NoCeiling,
            Some(ceiling) if rounded(figure.value) > ceiling => Verdict::Exceeded,
            Some(ceiling) if figure.value < ceiling - ceiling.abs() * SLACK => Verdict::CouldBeLower,
            Some(_) => Verdict::Holds,
        }
    }

    /// Ceilings that are higher here than in an `older` version of the file, or gone.
    pub fn raised_since(&self, older: &Ceilings) -> Vec<String> {
        let raised = |name: &&str| self.of(name).is_none_or(|now| older.of(name).is_some_and(|then| now > then));
        older.names().filter(raised).map(str::to_owned).collect()
    }
}

/// Three places after the point are what the table shows and what a ceiling says.
pub fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// All figures as JSON.
pub fn json(figures: &[Figure], ceilings: &Ceilings) -> Value {
    let one = |figure: &Figure| {
        json!({
            "name": figure.name,
            "stock": figure.stock.map(rounded),
            "instrumented": rounded(figure.ours),
            "counted": figure.counted,
            "value": rounded(figure.value),
            "unit": figure.unit,
            "ceiling": ceilings.of(&figure.name),
        })
    };
    Value::Array(figures.iter().map(one).collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;

    fn figure(value: f64) -> Figure {
        Figure { name: "a".into(), stock: None, ours: value, value, unit: "", counted: "" }
    }

    #[test]
    fn a_figure_is_judged_by_its_ceiling() {
        let ceilings = Ceilings::parse(r#"{"a": 100}"#).unwrap();
        assert_eq!(ceilings.judge(&figure(100.0)), Verdict::Holds);
        assert_eq!(ceilings.judge(&figure(99.5)), Verdict::Holds);
        assert_eq!(ceilings.judge(&figure(98.9)), Verdict::CouldBeLower);
        assert_eq!(ceilings.judge(&figure(100.1)), Verdict::Exceeded);
        assert_eq!(Ceilings::parse("{}").unwrap().judge(&figure(0.0)), Verdict::NoCeiling);
    }

    #[test]
    fn a_raised_or_removed_ceiling_is_noticed() {
        let older = Ceilings::parse(r#"{"a": 3, "b": 2, "c": 1}"#).unwrap();
        let newer = Ceilings::parse(r#"{"a": 4, "b": 2, "d": 9}"#).unwrap();
        assert_eq!(newer.raised_since(&older), ["a", "c"]);
    }

    /// The rule of the files: in no commit of its history was a ceiling lower than it is now.
    /// A ceiling may rise, or go, where the commit says `Raises-ceiling: NAME: why`.
    #[test]
    fn ceilings_only_go_down() {
        let debug = ["bench-ceilings.json", "bench-ceilings-smp.json"];
        let production = ["bench-ceilings-production.json", "bench-ceilings-production-smp.json"];
        debug.into_iter().chain(production).for_each(check_history);
    }

    fn check_history(file: &str) {
        const RAISES: &str = "Raises-ceiling: ";
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let now = std::fs::read_to_string(package.join(file)).expect("a file of ceilings");
        let now = Ceilings::parse(&now).unwrap();
        assert!(now.names().next().is_some());
        let git = |arguments: &[&str]| {
            let output = Command::new("git").args(arguments).current_dir(package).output().expect("git runs");
            String::from_utf8(output.stdout).expect("git prints UTF-8")
        };
        // Names that a later commit has raised, each with a reason.
        let mut reasons: Vec<String> = Vec::new();
        // Outside of a repository, in an unpacked release, there is no history to compare with.
        for commit in git(&["log", "--format=%H", "--", file]).lines() {
            let text = git(&["show", &format!("{commit}:./{file}")]);
            let Ok(older) = Ceilings::parse(&text) else { continue };
            let raised = now.raised_since(&older).into_iter();
            let raised: Vec<_> = raised.filter(|name| !reasons.iter().any(|reason| reason.starts_with(name))).collect();
            assert!(raised.is_empty(), "{file}: higher than in commit {commit}, or gone: {raised:?}");
            let body = git(&["show", "--no-patch", "--format=%B", commit]);
            let reason = |line: &str| Some(line.strip_prefix(RAISES)?.to_owned());
            reasons.extend(body.lines().filter_map(reason).filter(|reason| reason.contains(": ")));
        }
    }
}
