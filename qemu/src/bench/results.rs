// SPDX-License-Identifier: GPL-2.0-or-later
//! The lines of the guest's measuring programs: `bench NAME TOTAL COUNT`.

use std::collections::BTreeMap;

/// What one kernel was measured to need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Results {
    cases: BTreeMap<String, (u64, u64)>,
}

/// A line that says nothing, or a case that was not measured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BenchError {
    /// A line that begins with `bench` and goes on otherwise than expected.
    #[error("line `{line}`: expected `bench NAME TOTAL COUNT` or `step NUMBER NAME`")]
    Line {
        /// The line.
        line: String,
    },
    /// No line for a case.
    #[error("the measuring program printed no line for {case}")]
    Missing {
        /// The case.
        case: String,
    },
    /// The kernel does not say where its stack is.
    #[error("where the kernel's stack is: expected percpu_array.active_stack, found: {why}")]
    Stack {
        /// What was found.
        why: String,
    },
}

impl Results {
    /// Reads what a measuring program printed; lines of other programs are skipped.
    pub fn parse(output: &str) -> Result<Self, BenchError> {
        let mut cases = BTreeMap::new();
        for line in output.lines() {
            let Some(rest) = line.strip_prefix("bench ") else { continue };
            let words: Vec<&str> = rest.split(' ').collect();
            let parsed = match words[..] {
                [name, total, count] => name_and_numbers(name, total, count),
                _ => None,
            };
            let (name, numbers) = parsed.ok_or_else(|| BenchError::Line { line: line.to_owned() })?;
            cases.insert(name, numbers);
        }
        Ok(Self { cases })
    }

    /// Instructions (or bytes) of one call of a case.
    pub fn each(&self, case: &str) -> Result<f64, BenchError> {
        let &(total, count) = self.cases.get(case).ok_or_else(|| BenchError::Missing { case: case.to_owned() })?;
        Ok(total as f64 / count as f64)
    }
}

fn name_and_numbers(name: &str, total: &str, count: &str) -> Option<(String, (u64, u64))> {
    let count = count.parse().ok().filter(|&count| count > 0)?;
    Some((name.to_owned(), (total.parse().ok()?, count)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_and_other_output_is_skipped() {
        let results = Results::parse("hello\nbench untraced/kernel-rpc 21 7\nbenches\n").unwrap();
        assert_eq!(results.each("untraced/kernel-rpc"), Ok(3.0));
        assert_eq!(results.each("x"), Err(BenchError::Missing { case: "x".to_owned() }));
    }

    #[test]
    fn a_damaged_line_is_refused() {
        for line in ["bench a 1", "bench a 1 0", "bench a x 1", "bench a 1 1 1"] {
            assert_eq!(Results::parse(line), Err(BenchError::Line { line: line.to_owned() }));
        }
    }
}
