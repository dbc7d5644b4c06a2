// SPDX-License-Identifier: GPL-2.0-or-later
//! `--to jsonl`: an object a line.

use std::fmt;
use std::io::{self, Write};

use exchanges::{Actor, Event, Names};
use mach_abi::trap;
use mig_defs::table::Tables;
use report::words;

use crate::json::{self, Json};
use crate::model::{About, Call, End, Half, Remark};
use crate::{Format, Out};

/// What the first line says the form's version is. It grows with what a script would notice; new members it need not.
const VERSION: u32 = 1;

struct Jsonl {
    out: Out,
    line: String,
}

impl fmt::Debug for Jsonl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Jsonl")
    }
}

/// Begins one: the first line says what it is.
pub(crate) fn begin(out: Out, about: &About, _: Tables<'_>) -> io::Result<Box<dyn Format>> {
    let mut jsonl = Jsonl { out, line: String::new() };
    jsonl.line(|json| {
        json.text("kind", "trace").plain("version", VERSION).text("writer", &about.writer);
        json.nested("facts", |json| {
            about.facts.iter().for_each(|(name, text)| {
                json.text(name, text);
            })
        });
    })?;
    Ok(Box::new(jsonl))
}

impl Jsonl {
    fn line(&mut self, write: impl FnOnce(&mut Json<'_>)) -> io::Result<()> {
        self.line.clear();
        let mut json = Json::object(&mut self.line);
        write(&mut json);
        json.end();
        self.line.push('\n');
        self.out.write_all(self.line.as_bytes())
    }
}

fn half(json: &mut Json<'_>, half: &Half) {
    json.plain("time", half.time).plain("sequence", half.sequence).plain("correlation", half.correlation);
    json.text("direction", if half.is_sent { "send" } else { "receive" });
    json.plain("thread", half.thread).plain("size", half.size);
    if half.missing > 0 {
        json.plain("not_captured", half.missing);
    }
    if let Some(port) = &half.port {
        json.nested(if half.is_sent { "to" } else { "on" }, |json| json::port(json, port));
    }
    json.nested("arguments", |json| json::fields(json, &half.arguments));
}

impl Format for Jsonl {
    fn closed(&mut self, call: &Call) -> io::Result<()> {
        self.line(|json| {
            json.text("kind", "exchange").plain("id", call.id);
            json.nested("task", |json| {
                json.plain("index", call.task.index).plain("number", call.task.number).text("name", &call.task.name);
            });
            json.plain("thread", call.thread).text("label", &call.label).text("role", call.role);
            json.maybe("asker", call.asker.as_ref().map(|asker| asker.index));
            if let (Some(routine), Some(subsystem)) = (&call.routine, &call.subsystem) {
                json.text("routine", routine).text("subsystem", subsystem);
            }
            json.maybe("msgh_id", call.msgh_id).text("outcome", call.outcome).plain("failed", call.has_failed);
            if let Some(result) = &call.result {
                json.nested("result", |json| json::code(json, result));
            }
            json.plain("start", call.start()).maybe("end", call.end()).maybe("duration", call.duration());
            if let Some(split) = call.split {
                json.nested("split", |json| {
                    json.plain("queue", split.queue).plain("server", split.server).plain("reply", split.reply);
                });
            }
            for (key, part) in [("request", &call.request), ("reply", &call.reply)] {
                if let Some(part) = part {
                    json.nested(key, |json| half(json, part));
                }
            }
        })
    }

    fn given(&mut self, names: &Names, actor: Actor, event: &Event) -> io::Result<()> {
        self.line(|json| {
            json.text("kind", "right").plain("time", event.time).plain("sequence", event.sequence);
            json.text("label", &words::label(names.label(actor.task, actor.thread))).plain("thread", actor.thread);
            json.text("trap", trap::giving(event.options).unwrap_or("trap"));
            let number = event.port(event.rcv_name).map(|port| port.number.get()).filter(|number| *number != 0);
            json.nested("right", |json| {
                json.text("port", &words::port(names, actor, event, event.rcv_name));
                json.maybe("number", number).plain("name", event.rcv_name);
            });
        })
    }

    fn remark(&mut self, remark: &Remark) -> io::Result<()> {
        self.line(|json| {
            json.text("kind", "remark").plain("time", remark.time).text("text", &remark.text);
            json.maybe("lost", remark.lost).maybe("ended", remark.ended);
        })
    }

    fn finish(&mut self, end: &End) -> io::Result<()> {
        self.line(|json| {
            json.text("kind", "end").plain("exchanges", end.exchanges).plain("lost", end.lost).plain("time", end.time);
        })?;
        self.out.flush()
    }
}
