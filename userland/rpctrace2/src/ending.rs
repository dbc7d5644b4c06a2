//! Tasks that are traced no longer although they go on: who asked for it, as far as the trace shows.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// What became of the command's trace port when no task was traced any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untraced {
    /// The command has none.
    Cleared,
    /// It has one that is not ours.
    Replaced,
}

/// What tells an answer from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The number of a traced task's call.
    Call(u64),
    /// The correlation number of an exchange on a control port.
    Control(u64),
    /// There will be none.
    Unanswered,
}

/// A request to set a task's trace port that has not been answered.
#[derive(Debug)]
struct Asked {
    key: Key,
    by: String,
    target: String,
}

/// The last such request, and whose trace was told to have ended.
#[derive(Debug, Default)]
pub struct Ending {
    asked: Option<Asked>,
    told: Vec<String>,
}

impl Ending {
    /// A task, called `by`, asks to set the trace port of one called `target`.
    pub fn asked(&mut self, key: Key, by: String, target: String) {
        self.asked = Some(Asked { key, by, target });
    }

    /// A request was answered. What is to be said if it was this one, and succeeded.
    pub fn answered(&mut self, key: Key, succeeded: impl FnOnce() -> bool) -> Option<String> {
        let Asked { by, target, .. } = self.asked.take_if(|asked| asked.key == key).filter(|_| succeeded())?;
        let remark = format!("--- {target} is traced no longer: {by} set its trace port ---");
        self.told.push(target);
        Some(remark)
    }

    /// No task is traced any more, but the command goes on. What is to be said if it was not told.
    pub fn untraced(&mut self, command: &str, now: Untraced) -> Option<String> {
        if self.told.iter().any(|told| told == command) {
            return None;
        }
        let what = match now {
            Untraced::Cleared => "its trace port was taken away",
            Untraced::Replaced => "another trace port was set in place of ours",
        };
        let asked = self.asked.take_if(|asked| asked.target == command);
        let asked = asked.map_or(String::new(), |asked| format!(", as {} asked", asked.by));
        Some(format!("--- {command} is traced no longer, and goes on: {what}{asked} ---"))
    }

    /// The trace is over. What is to be said if it may have ended before a task did.
    pub fn finished(&mut self) -> Option<String> {
        let Asked { by, target, .. } = self.asked.take()?;
        Some(format!(
            "--- {target} may not have been traced to its end: {by} set its trace port, and no answer was seen ---"
        ))
    }
}
