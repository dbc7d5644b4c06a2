// SPDX-License-Identifier: GPL-2.0-or-later
//! `--to perfetto`, read with types of the published schema.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use prost::Message;

use crate::perfetto::{BEGIN, COUNTER, Data, END, STATE, Trace, TrackDescriptor, TrackEvent};
use crate::{captured, exported, made_of_nothing};

/// A trace, taken apart.
struct Timeline {
    tracks: BTreeMap<u64, TrackDescriptor>,
    events: Vec<(u64, TrackEvent)>,
    names: BTreeMap<u64, String>,
    keys: BTreeMap<u64, String>,
}

impl Timeline {
    fn of(file: &Path, options: &[&str]) -> Self {
        Self::read(&exported(file, "perfetto", options))
    }

    pub(crate) fn read(bytes: &[u8]) -> Self {
        let trace = Trace::decode(bytes).expect("sound");
        let mut timeline =
            Self { tracks: BTreeMap::new(), events: Vec::new(), names: BTreeMap::new(), keys: BTreeMap::new() };
        for (place, packet) in trace.packet.into_iter().enumerate() {
            assert_eq!(packet.trusted_packet_sequence_id, Some(1));
            assert_eq!(packet.sequence_flags, Some(if place == 0 { 3 } else { 2 }));
            for (known, new) in packet
                .interned_data
                .into_iter()
                .flat_map(|data| [(false, data.event_names), (true, data.debug_annotation_names)])
            {
                let known = if known { &mut timeline.keys } else { &mut timeline.names };
                known.extend(new.into_iter().map(|entry| (entry.iid.unwrap(), entry.name.unwrap())));
            }
            match packet.data.expect("one of those that are known") {
                // What is in it is looked at in typed.rs.
                Data::ExtensionDescriptor(extension) => assert!(extension.extension_set.is_some()),
                Data::ClockSnapshot(snapshot) => assert_eq!(snapshot.clocks.len(), 2),
                Data::TrackDescriptor(track) => drop(timeline.tracks.insert(track.uuid.unwrap(), track)),
                Data::TrackEvent(event) => timeline.events.push((packet.timestamp.unwrap(), event)),
            }
        }
        timeline.check();
        timeline
    }

    fn name(&self, event: &TrackEvent) -> &str {
        event.name_iid.map_or("", |iid| &self.names[&iid])
    }

    /// What no viewer would forgive: tracks that are not described, slices that are not ended, or stand in one another.
    fn check(&self) {
        let mut open: BTreeMap<u64, u64> = BTreeMap::new();
        let mut events: Vec<&(u64, TrackEvent)> = self.events.iter().collect();
        events.sort_by_key(|(time, _)| *time);
        for (time, event) in events {
            let track = &self.tracks[&event.track_uuid.unwrap()];
            assert!(track.parent_uuid.is_none_or(|parent| self.tracks.contains_key(&parent)));
            let kind = event.r#type.unwrap();
            assert_eq!(kind == COUNTER, track.counter.is_some());
            assert_eq!(kind == STATE, track.state.is_some());
            match kind {
                BEGIN => assert_eq!(open.insert(track.uuid.unwrap(), *time), None, "{}", self.name(event)),
                END => assert!(open.remove(&track.uuid.unwrap()).is_some_and(|start| start <= *time)),
                COUNTER => assert!(event.counter_value.unwrap() >= 0),
                _ => {}
            }
            for note in &event.debug_annotations {
                assert!(self.keys.contains_key(&note.name_iid.unwrap()));
            }
        }
        assert!(open.is_empty(), "all slices have ended");
    }

    fn begins<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a TrackEvent> {
        let events = self.events.iter().map(|(_, event)| event);
        events.filter(move |event| event.r#type == Some(BEGIN) && self.name(event) == name)
    }

    /// The process, by its number, and the name of the track of an event.
    fn place(&self, event: &TrackEvent) -> (i32, &str) {
        let track = &self.tracks[&event.track_uuid.unwrap()];
        let above = &self.tracks[&track.parent_uuid.unwrap()];
        let pid =
            above.thread.as_ref().and_then(|thread| thread.pid).or(above.process.as_ref().and_then(|one| one.pid));
        (pid.unwrap(), track.name.as_deref().unwrap())
    }
}

#[test]
fn flows_lead_from_a_client_to_its_server() {
    let timeline = Timeline::of(&captured("deadlock.mtrc"), &[]);
    let mut flows: BTreeMap<u64, BTreeSet<(i32, &str)>> = BTreeMap::new();
    for event in timeline.begins("ping") {
        assert_eq!(event.correlation_id, event.flow_ids.first().copied());
        flows.entry(event.flow_ids[0]).or_default().insert(timeline.place(event));
    }
    let both = |client, server| BTreeSet::from([(client, "calls"), (server, "serves")]);
    let answered = flows.values().filter(|ends| ends.len() == 2);
    assert_eq!(answered.cloned().collect::<Vec<_>>(), [both(2, 1), both(1, 2)]);
    assert_eq!(flows.len(), 4, "two more, which nobody received");
}

#[test]
fn threads_say_what_they_wait_for() {
    let timeline = Timeline::of(&captured("deadlock.mtrc"), &[]);
    let states = |thread: &str| {
        let of_thread = |event: &&TrackEvent| {
            let track = &timeline.tracks[&event.track_uuid.unwrap()];
            event.r#type == Some(STATE) && timeline.tracks[&track.parent_uuid.unwrap()].name.as_deref() == Some(thread)
        };
        timeline
            .events
            .iter()
            .map(|(_, event)| event)
            .filter(of_thread)
            .map(|event| timeline.name(event))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        states("(deadlock)[2]"),
        ["waits for port made by deadlock[1]", "", "waits for port made by deadlock[1]", ""]
    );
    let mut first = states("deadlock[1]");
    let end = first.split_off(first.len() - 2);
    assert_eq!(end, ["waits for port 2 made by deadlock[1]", ""]);
    assert_eq!(first[0], "waits for the kernel: self");
}

#[test]
fn queues_are_counted_where_somebody_receives() {
    let timeline = Timeline::of(&captured("deadlock.mtrc"), &[]);
    let depths = |name: &str| {
        let of_queue = |event: &&TrackEvent| timeline.tracks[&event.track_uuid.unwrap()].name.as_deref() == Some(name);
        timeline
            .events
            .iter()
            .map(|(_, event)| event)
            .filter(of_queue)
            .map(|event| event.counter_value.unwrap())
            .collect::<Vec<_>>()
    };
    let queues: Vec<&str> = timeline
        .tracks
        .values()
        .filter(|track| track.counter.is_some())
        .filter_map(|track| track.name.as_deref())
        .collect();
    assert_eq!(queues, ["queue of port 4", "queue of port 5"]);
    // Received, and then one more that nobody receives.
    assert_eq!((depths(queues[0]), depths(queues[1])), (vec![0, 1], vec![0, 1]));
}

#[test]
fn slices_of_many_threads_never_stand_in_one_another() {
    for options in [&[][..], &["-Z"], &["-z"], &["-e", "%port"], &["-e", "/^vm_"]] {
        let timeline = Timeline::of(&captured("echo.mtrc"), options);
        assert!(timeline.events.len() > 2, "{options:?}");
        let pids: BTreeSet<i32> = timeline.tracks.values().filter_map(|track| track.process.as_ref()?.pid).collect();
        let tids = timeline.tracks.values().filter_map(|track| track.thread.as_ref()?.tid);
        assert!(tids.into_iter().all(|tid| !pids.contains(&i32::try_from(tid).unwrap())));
    }
}

#[test]
fn an_empty_timeline_is_one() {
    made_of_nothing().iter().for_each(|file| drop(Timeline::of(file.path(), &[])));
}
