// SPDX-License-Identifier: GPL-2.0-or-later
//! `--to otlp`: `TracesData` of OpenTelemetry's protocol in JSON. A span is an exchange; spans are for others where that is certain.

use std::fmt;
use std::io::{self, Write};

use mig_defs::table::Tables;

use crate::causes::Causes;
use crate::json::{self, Json};
use crate::model::{About, Call, End, Half, Remark};
use crate::{Format, Out};

/// `Span.SpanKind`.
const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
/// `Status.StatusCode`.
const ERROR: u8 = 2;

struct Otlp {
    out: Out,
    /// The trace of each open span: the time and the number of the exchange that all is for.
    causes: Causes<(u64, u64)>,
    is_empty: bool,
    text: String,
}

impl fmt::Debug for Otlp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Otlp")
    }
}

/// Begins one.
pub(crate) fn begin(mut out: Out, _: &About, _: Tables<'_>) -> io::Result<Box<dyn Format>> {
    out.write_all(b"{\"resourceSpans\":[")?;
    Ok(Box::new(Otlp { out, causes: Causes::default(), is_empty: true, text: String::new() }))
}

/// An attribute that is text.
fn attribute(json: &mut Json<'_>, key: &str, value: &str) {
    json.element(|json| {
        json.text("key", key).nested("value", |json| {
            json.text("stringValue", value);
        });
    });
}

/// An attribute that is a number; 64 bits are written as a string, as protocol buffers have it in JSON.
fn number(json: &mut Json<'_>, key: &str, value: i64) {
    json.element(|json| {
        json.text("key", key).nested("value", |json| {
            json.text("intValue", &value.to_string());
        });
    });
}

fn arguments(json: &mut Json<'_>, key: &str, half: &Half) {
    let mut text = String::new();
    let mut object = Json::object(&mut text);
    json::fields(&mut object, &half.arguments);
    object.end();
    attribute(json, key, &text);
}

fn attributes(json: &mut Json<'_>, call: &Call) {
    attribute(json, "rpc.system", "mach");
    if let (Some(routine), Some(subsystem)) = (&call.routine, &call.subsystem) {
        attribute(json, "rpc.method", routine);
        attribute(json, "rpc.service", subsystem);
    }
    attribute(json, "mach.outcome", call.outcome);
    attribute(json, "mach.role", call.role);
    number(json, "mach.thread", call.thread.into());
    if let Some(id) = call.msgh_id {
        number(json, "mach.msgh_id", id.into());
    }
    if let Some(code) = &call.result {
        number(json, "mach.code", code.number.into());
    }
    if let Some(request) = &call.request {
        if let Some(port) = &request.port {
            attribute(json, "mach.port", &port.label);
        }
        arguments(json, "mach.request", request);
    }
    if let Some(reply) = &call.reply {
        arguments(json, "mach.reply", reply);
    }
}

impl Otlp {
    fn span(&mut self, call: &Call, parent: Option<u64>, (time, root): (u64, u64)) -> io::Result<()> {
        let (mut text, start) = (std::mem::take(&mut self.text), call.start());
        let end = call.end().unwrap_or(if call.outcome == "unanswered" { call.closed_at } else { start }).max(start);
        text.clear();
        if !std::mem::replace(&mut self.is_empty, false) {
            text.push(',');
        }
        text.push('\n');
        let mut json = Json::object(&mut text);
        json.nested("resource", |json| {
            json.list("attributes", |json| {
                attribute(
                    json,
                    "service.name",
                    if call.task.name.is_empty() { "(not known)" } else { &call.task.name },
                );
                attribute(json, "service.instance.id", &call.task.index.to_string());
            });
        });
        json.list("scopeSpans", |json| {
            json.element(|json| {
                json.nested("scope", |json| {
                    json.text("name", "rpctrace2");
                });
                json.list("spans", |json| {
                    json.element(|json| {
                        json.text("traceId", &format!("{time:016x}{root:016x}"))
                            .text("spanId", &format!("{:016x}", call.id));
                        if let Some(parent) = parent {
                            json.text("parentSpanId", &format!("{parent:016x}"));
                        }
                        let kind = match call.role {
                            "client" => CLIENT,
                            "server" => SERVER,
                            _ => INTERNAL,
                        };
                        json.text("name", &call.name).plain("kind", kind);
                        json.text("startTimeUnixNano", &start.to_string()).text("endTimeUnixNano", &end.to_string());
                        json.list("attributes", |json| attributes(json, call));
                        if call.has_failed {
                            let message = call.result.as_ref().map_or("", |code| code.name.as_str());
                            json.nested("status", |json| {
                                json.text("message", message).plain("code", ERROR);
                            });
                        }
                    });
                });
            });
        });
        json.end();
        self.out.write_all(text.as_bytes())?;
        self.text = text;
        Ok(())
    }
}

impl Format for Otlp {
    fn opened(&mut self, call: &Call) -> io::Result<()> {
        let above = self.causes.parent(call).and_then(|parent| self.causes.get(parent)).copied();
        self.causes.opened(call, above.unwrap_or((call.start(), call.id)));
        Ok(())
    }

    fn closed(&mut self, call: &Call) -> io::Result<()> {
        match self.causes.closed(call) {
            Some((parent, root)) => self.span(call, parent, root),
            None => {
                let parent = self.causes.parent(call);
                let root = parent.and_then(|parent| self.causes.get(parent)).copied();
                self.span(call, parent, root.unwrap_or((call.start(), call.id)))
            }
        }
    }

    fn remark(&mut self, _: &Remark) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, _: &End) -> io::Result<()> {
        self.out.write_all(b"\n]}\n")?;
        self.out.flush()
    }
}
