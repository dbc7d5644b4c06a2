// SPDX-License-Identifier: GPL-2.0-or-later
//! From a trace to what is kept of it: decoded once by `export`, the bytes beside.

use std::cell::RefCell;
use std::rc::Rc;

use exchanges::exchange::{Exchange, Remark, Tally};
use exchanges::{Actor, Event, Names, Outcome, Sink};
use export::{Export, Wanted};
use mig_defs::table::Tables;
use report::{Analysis, Found};

use crate::store::{Collect, Store};

/// Takes a trace.
#[derive(Debug)]
pub struct Feed<'t> {
    export: Export<'t>,
    store: Rc<RefCell<Store>>,
    takes: Takes,
}

struct Takes {
    is_any: bool,
    has: Rc<dyn Fn(Outcome) -> bool>,
}

impl std::fmt::Debug for Takes {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Takes").field("is_any", &self.is_any).finish_non_exhaustive()
    }
}

impl<'t> Feed<'t> {
    /// What takes a trace with these tables, of which exchanges are wanted that end so, and where they are put. `is_any`: that is all of them; `is_all`:
    /// and everything is selected.
    pub fn new(
        tables: Tables<'t>,
        has: impl Fn(Outcome) -> bool + 'static,
        is_any: bool,
        is_all: bool,
    ) -> (Self, Rc<RefCell<Store>>) {
        let collect = Collect::default();
        let store = collect.store();
        let has: Rc<dyn Fn(Outcome) -> bool> = Rc::new(has);
        let outcome = Rc::clone(&has);
        let wanted = Wanted { outcome: Box::new(move |end| outcome(end)), is_any, is_all };
        let (export, _) = Export::new(tables, Box::new(collect), wanted);
        (Self { export, store: Rc::clone(&store), takes: Takes { is_any, has } }, store)
    }
}

impl<'t> Sink<'t> for Feed<'t> {
    fn opened(&mut self, names: &Names, exchange: &Exchange<'t>) {
        if self.takes.is_any {
            self.store.borrow_mut().bytes_of(exchange);
        }
        self.export.opened(names, exchange);
    }

    fn closed(&mut self, names: &Names, exchange: &Exchange<'t>) {
        if (self.takes.has)(exchange.outcome) {
            self.store.borrow_mut().bytes_of(exchange);
        }
        self.export.closed(names, exchange);
    }

    fn counted(&mut self, tally: Tally) {
        self.export.counted(tally);
    }

    fn given(&mut self, names: &Names, actor: Actor, event: &Event) {
        self.export.given(names, actor, event);
    }

    fn remark(&mut self, names: &Names, time: u64, remark: &Remark) {
        self.export.remark(names, time, remark);
    }

    fn event(&mut self, event: &Event) {
        self.export.event(event);
    }
}

impl<'t> Analysis<'t> for Feed<'t> {
    fn finish(&mut self, names: &Names, out: &mut String) -> Found {
        self.export.finish(names, out)
    }
}
