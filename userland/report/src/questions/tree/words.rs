// SPDX-License-Identifier: GPL-2.0-or-later
//! What [`Tree`] has found, in words.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use exchanges::Names;
use trace_port::Port;

use super::{Node, Served, Tree};
use crate::number::{decimal, padded};
use crate::questions::say::{self, thread};

/// Ports that are told of at the end: those whose servers had the most to do.
const PORTS: usize = 10;

impl Tree {
    /// Makes text of the calls that have ended.
    pub(super) fn flush(&mut self, names: &Names) {
        for node in core::mem::take(&mut self.finished) {
            // What the kernel alone has done is no tree.
            if node.received.is_some() || !node.children.is_empty() {
                self.write_node(names, &node, 0);
            }
        }
    }

    fn write_node(&mut self, names: &Names, node: &Node, indent: usize) {
        if node.total().is_some_and(|total| total < self.min) {
            return;
        }
        let out = &mut self.text;
        (0..indent).for_each(|_| out.push_str("  "));
        match node.by {
            Some(by) => thread(out, names, by),
            None => out.push_str("somebody"),
        }
        out.push(' ');
        out.push_str(&node.text);
        if let Some(port) = &node.port {
            out.push_str(" to ");
            say::port(out, names, port);
        }
        match (node.total(), node.received) {
            (Some(total), _) => {
                out.push_str(": ");
                time(out, total);
                write_parts(out, node);
            }
            (None, _) => out.push_str(": not answered"),
        }
        match (node.received, &node.port) {
            (Some((by, _)), _) => {
                out.push_str(", by ");
                thread(out, names, by);
            }
            (None, Some(port)) if port.is_kernels() => out.push_str(", by the kernel"),
            _ => {}
        }
        if let Some(by) = node.passed_on {
            out.push_str(", passed on by ");
            thread(out, names, by);
        }
        out.push_str(if node.failed { ", failed\n" } else { "\n" });
        for child in &node.children {
            self.write_node(names, child, indent + 1);
        }
    }

    /// The trees, and then where the time went.
    pub(super) fn write(&self, names: &Names, out: &mut String) {
        out.push_str(&self.text);
        if self.text.is_empty() {
            out.push_str("no call that a task of the trace served");
            if self.min > 0 {
                out.push_str(" took ");
                time(out, self.min);
            }
            out.push('\n');
        }
        let mut served: Vec<&Served> = self.ports.values().filter(|served| served.requests > 0).collect();
        served.sort_by_key(|served| (u64::MAX - served.own, served.port.number.get()));
        for (place, served) in served.iter().take(PORTS).enumerate() {
            write_served(names, served, place == 0 && served.own > 0, out);
        }
        if let Some(queue) = served.iter().max_by_key(|served| served.queued).filter(|served| served.queued > 0) {
            out.push_str("longest in queues: requests to ");
            port(out, names, &queue.port);
            out.push_str(", ");
            time(out, queue.queued);
            out.push_str(" in all, at most ");
            decimal(out, queue.most);
            out.push_str(" at once\n");
        }
        if self.lost > 0 {
            let _ = writeln!(out, "{} records are lost: what they would have shown is missing above", self.lost);
        }
    }
}

/// Appends the parts of a call's time, as far as they are known.
fn write_parts(out: &mut String, node: &Node) {
    let parts = [("queue", node.queued()), ("server", node.served()), ("reply", node.returned())];
    let mut separator = " = ";
    for (name, part) in parts {
        // Of a call that nobody is seen to serve there are none.
        let Some(part) = part else { continue };
        if name == "reply" && node.sent.is_none() {
            continue;
        }
        out.push_str(core::mem::replace(&mut separator, " + "));
        out.push_str(name);
        out.push(' ');
        time(out, part);
        if let (true, Some(own)) = (name == "server" && !node.children.is_empty(), node.own()) {
            out.push_str(" (its own ");
            time(out, own);
            out.push(')');
        }
    }
}

fn write_served(names: &Names, served: &Served, is_first: bool, out: &mut String) {
    out.push_str(if is_first { "most time of its own: " } else { "" });
    thread(out, names, (served.task, 0));
    out.push_str(" by ");
    port(out, names, &served.port);
    out.push_str(": ");
    say::count(out, served.requests, "request", "requests");
    out.push_str(", queue ");
    time(out, served.queued);
    out.push_str(", server ");
    time(out, served.served);
    out.push_str(", its own ");
    time(out, served.own);
    out.push_str(", at most ");
    decimal(out, served.most);
    out.push_str(" in the queue\n");
}

fn port(out: &mut String, names: &Names, port: &Port) {
    say::port(out, names, port);
}

/// Appends nanoseconds as seconds, to the microsecond.
fn time(out: &mut String, nanoseconds: u64) {
    decimal(out, nanoseconds / 1_000_000_000);
    out.push('.');
    padded(out, nanoseconds / 1000 % 1_000_000, 6);
}
