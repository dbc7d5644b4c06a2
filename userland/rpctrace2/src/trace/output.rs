// SPDX-License-Identifier: GPL-2.0-or-later
//! Where exchanges go: what the gate lets through of them becomes lines, figures and answers.

use alloc::string::String;

use exchanges::exchange::{Exchange, Remark, Role, Tally};
use exchanges::{Actor, Event, Names, Sink};
use report::{Analysis, Lines, Posix, Summary};

use crate::gate::{Gate, History, Step};

/// Where exchanges go: lines are appended to `out`.
pub(super) struct Output<'a, 't> {
    pub(super) gate: &'a mut Gate,
    pub(super) history: &'a mut History,
    pub(super) lines: Option<&'a mut Lines<'t>>,
    pub(super) summary: Option<&'a mut Summary>,
    pub(super) posix: Option<&'a mut Posix<'t>>,
    pub(super) analysis: Option<&'a mut (dyn Analysis<'t> + 't)>,
    pub(super) out: &'a mut String,
}

impl<'t> Output<'_, 't> {
    /// Has lines written where they belong at this step.
    #[inline]
    fn show(&mut self, step: Step, write: impl FnOnce(&mut Lines<'t>, &mut String)) {
        let Some(lines) = &mut self.lines else { return };
        if !step.is_before {
            if step.shows {
                write(lines, self.out);
            }
            return;
        }
        lines.count_own();
        if step.shows {
            write(lines, &mut self.history.text);
        }
        if step.fires {
            self.history.release(if step.shows { lines.own() } else { 0 }, self.out);
        } else {
            self.history.trim();
        }
    }

    /// Nothing more is shown, if that is so: what was held back is.
    pub(super) fn conclude(&mut self) {
        if self.gate.is_over()
            && let Some(lines) = &mut self.lines
        {
            lines.interrupt(self.out);
        }
    }

    /// Calls of programmers that are held back are shown now.
    pub(super) fn conclude_calls(&mut self, names: &Names) {
        if let Some(posix) = &mut self.posix {
            posix.interrupt(names, self.out);
        }
    }

    /// What is held back is shown now.
    pub(super) fn interrupt(&mut self) {
        let step = self.gate.remark();
        self.show(step, |lines, out| lines.interrupt(out));
    }
}

impl<'t> Sink<'t> for Output<'_, 't> {
    fn opened(&mut self, names: &Names, exchange: &Exchange<'t>) {
        let step = self.gate.opened(names, exchange);
        let counts = step.is_in && (step.counts || step.fires);
        if let Some(summary) = self.summary.as_mut().filter(|_| counts) {
            summary.opened(exchange);
        }
        if let Some(analysis) = self.analysis.as_mut().filter(|_| counts) {
            analysis.opened(names, exchange);
        }
        if let Some(posix) = self.posix.as_mut().filter(|_| step.is_in) {
            posix.opened(names, exchange, self.out);
        }
        self.show(step, |lines, out| lines.opened(names, exchange, out));
    }

    fn closed(&mut self, names: &Names, exchange: &Exchange<'t>) {
        let step = self.gate.closed(names, exchange);
        let counts = step.is_in && step.counts;
        if let Some(summary) = self.summary.as_mut().filter(|_| counts) {
            if step.counts_late {
                summary.opened(exchange);
            }
            summary.closed(exchange);
        }
        if let Some(analysis) = self.analysis.as_mut().filter(|_| counts) {
            if step.counts_late {
                analysis.opened(names, exchange);
            }
            analysis.closed(names, exchange);
        }
        if let Some(posix) = self.posix.as_mut().filter(|_| step.is_in) {
            posix.closed(names, exchange, self.out);
        }
        self.show(step, |lines, out| {
            if step.is_late && exchange.role != Role::Failed {
                lines.opened(names, exchange, out);
            }
            lines.closed(names, exchange, out);
        });
        self.gate.after(exchange, step);
        self.conclude();
    }

    fn counted(&mut self, tally: Tally) {
        self.gate.counted(tally);
        if let Some(summary) = &mut self.summary {
            summary.counted(tally);
        }
    }

    fn given(&mut self, names: &Names, actor: Actor, event: &Event) {
        let step = self.gate.given(names, actor, event);
        self.show(step, |lines, out| lines.given(names, actor, event, out));
        if let Some(analysis) = self.analysis.as_mut().filter(|_| step.is_in && step.counts) {
            analysis.given(names, actor, event);
        }
    }

    fn remark(&mut self, names: &Names, time: u64, remark: &Remark) {
        let step = self.gate.remark();
        if let (Some(summary), Remark::Lost(records)) = (self.summary.as_mut().filter(|_| step.counts), remark) {
            summary.lost(*records);
        }
        if let Some(posix) = self.posix.as_mut().filter(|_| step.shows) {
            posix.remark(names, time, remark, self.out);
        }
        self.show(step, |lines, out| lines.remark(names, time, remark, out));
        if let Some(analysis) = self.analysis.as_mut().filter(|_| step.counts) {
            analysis.remark(names, time, remark);
        }
    }

    fn event(&mut self, event: &Event) {
        if !self.gate.is_plain() {
            self.gate.comes(event.time);
            self.conclude();
        }
        let step = self.gate.remark();
        if let Some(analysis) = self.analysis.as_mut().filter(|_| step.counts) {
            analysis.event(event);
        }
    }
}
