// SPDX-License-Identifier: GPL-2.0-or-later
//! Records on their way to engines: whose turn it is, and when none is on its way any more.

use trace_port::record::add_lost;

use super::State;
use crate::engines::{Engine, EngineKey, Turn};
use crate::gnumach::{Kernel, Key, SendRight};
use crate::rings::RingKey;
use crate::table::Table;

/// A record that is on its way to an engine. It ends with [`State::sent_to`].
#[must_use]
#[derive(Debug)]
pub(crate) struct Sending {
    /// The engine.
    pub(crate) engine: EngineKey,
    /// A right to its trace port.
    pub(crate) right: SendRight,
    /// What the record is to say was lost before it.
    pub(crate) dropped: u32,
    /// Whether the thread waits for room.
    pub(crate) blocks: bool,
    /// Most bytes of a message.
    pub(crate) bytes: u32,
    /// What the look at the engine has found it to want.
    pub(crate) wanted: u8,
    /// The ring of its trace port, and whether records of the task may go there.
    pub(crate) ring: Option<(RingKey, bool)>,
}

/// Whose turn it is.
#[must_use]
#[derive(Debug)]
pub(crate) enum Next {
    /// Nobody's any more.
    None,
    /// An engine's whose trace port is dead: the caller ends it.
    Dead(EngineKey),
    /// An engine's.
    Engine(Sending),
}

impl State {
    /// Whose turn it is to be told of a trace's event. `look` says what an engine that was attached before the event wants of it: `since` says
    /// when that was.
    #[inline(never)]
    pub(crate) fn next_engine(
        &self,
        kernel: &impl Kernel,
        key: Key,
        turn: &mut Turn,
        look: impl Fn(&Engine, u64) -> u8,
    ) -> Next {
        let mut table = self.table.lock();
        let Some(list) = table.of(key).map(|entry| entry.list()) else { return Next::None };
        let Table { lists, engines, .. } = &mut *table;
        let Some(list) = lists.get(list) else { return Next::None };
        while let Some(attached) = turn.next(list) {
            let found = engines.get(attached.engine.place).filter(|engine| engine.number() == attached.engine.number);
            let Some(engine) = found else { continue };
            let wanted = look(engine, attached.since);
            if wanted == 0 {
                continue;
            }
            let Some(right) = kernel.ipc_port_copy_send(engine.port()) else { return Next::Dead(attached.engine) };
            engine.flying += 1;
            let is_introduced = |ring: &RingKey| attached.introduced == ring.given() && attached.dropped == 0;
            let ring = self.rings.of(engine.port()).map(|ring| (ring, is_introduced(&ring)));
            return Next::Engine(Sending {
                ring,
                engine: attached.engine,
                right,
                dropped: core::mem::take(&mut attached.dropped),
                blocks: engine.blocks(),
                bytes: engine.bytes(),
                wanted,
            });
        }
        Next::None
    }

    /// A record is on its way to one of a trace's engines, if that asks for these events.
    pub(crate) fn sending_to(&self, kernel: &impl Kernel, key: Key, engine: EngineKey, events: u32) -> Option<Sending> {
        let mut table = self.table.lock();
        let list = table.of(key)?.list();
        let Table { lists, engines, .. } = &mut *table;
        let attached = lists.get(list)?.iter_mut().find(|each| each.engine == engine)?;
        let found = engines.get(engine.place).filter(|found| found.number() == engine.number)?;
        if found.events() & events == 0 {
            return None;
        }
        let right = kernel.ipc_port_copy_send(found.port())?;
        found.flying += 1;
        let dropped = core::mem::take(&mut attached.dropped);
        Some(Sending { engine, right, dropped, blocks: true, bytes: found.bytes(), wanted: 1, ring: None })
    }

    /// A record that has waited is on its way to an engine again, if the engine still has the task. Returns that.
    pub(crate) fn send_again(&self, key: Key, engine: EngineKey) -> bool {
        let mut table = self.table.lock();
        let is_attached = table.list_of(key).is_some_and(|list| list.iter().any(|each| each.engine == engine));
        if is_attached && let Some(engine) = table.engine(engine) {
            engine.flying += 1;
            return true;
        }
        false
    }

    /// A record has gone its way, or waits. `lost` records are to be told of: how many were lost with it, and those it was to tell of.
    #[inline(never)]
    pub(crate) fn sent_to(&self, kernel: &impl Kernel, key: Key, engine: EngineKey, (carried, lost): (u32, u32)) {
        let mut table = self.table.lock();
        if lost != 0
            && let Some(list) = table.list_of(key)
            && let Some(attached) = list.iter_mut().find(|each| each.engine == engine)
        {
            attached.dropped = add_lost(add_lost(attached.dropped, carried), lost);
            // The next record is to be one that says so.
            attached.introduced = 0;
            self.count_wanted(kernel, &mut table, key.entry);
        }
        if let Some(known) = table.engine(engine) {
            known.lost = known.lost.saturating_add(lost);
            known.flying = known.flying.saturating_sub(1);
        }
    }

    /// Records of a trace were lost before anybody was told.
    pub(crate) fn lose_for_engines(&self, kernel: &impl Kernel, key: Key, lost: u32) {
        let mut table = self.table.lock();
        let Some(list) = table.of(key).map(|entry| entry.list()) else { return };
        let Table { lists, engines, .. } = &mut *table;
        for attached in lists.get(list).into_iter().flatten() {
            attached.dropped = add_lost(attached.dropped, lost);
            attached.introduced = 0;
            if let Some(engine) = engines.get(attached.engine.place) {
                engine.lost = engine.lost.saturating_add(lost);
            }
        }
        self.count_wanted(kernel, &mut table, key.entry);
    }

    /// Whether a record is on its way to an engine.
    pub(crate) fn is_sending_to(&self, engine: EngineKey) -> bool {
        self.table.lock().engine(engine).is_some_and(|engine| engine.flying != 0)
    }
}
