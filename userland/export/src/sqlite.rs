// SPDX-License-Identifier: GPL-2.0-or-later
//! `--to sqlite`: a database, written to a file of its own and then to where it goes.

use std::fmt;
use std::io::{self, Write};

use mig_defs::table::Tables;
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, params};
use tempfile::NamedTempFile;

use crate::json;
use crate::model::{About, Call, Contents, End, Field, Half, Port, Remark, Value};
use crate::{Format, Out};

/// The tables. `user_version` is the form's version.
const SCHEMA: &str = "
pragma journal_mode = off;
pragma synchronous = off;
pragma user_version = 1;
begin;
create table facts (name text primary key, text text not null);
create table tasks (id integer primary key, number integer not null, name text not null);
create table threads (task integer not null references tasks, number integer not null, label text not null, primary key (task, number));
create table ports (number integer primary key, kind text, label text not null);
create table exchanges (id integer primary key, task integer not null references tasks, thread integer not null, role text not null,
  asker integer, name text not null, routine text, subsystem text, msgh_id integer, outcome text not null, failed integer not null,
  code integer, result text, started integer not null, ended integer, duration integer, queue integer, server integer, reply integer,
  port integer, correlation integer);
create table arguments (exchange integer not null references exchanges, part text not null, place integer not null, path text not null,
  type text not null, number integer, text text, data blob);
create table losses (time integer not null, records integer not null);
create table marks (time integer not null, text text not null);
";

/// What makes looking things up quick, once all is there.
const INDICES: &str = "
create index exchanges_routine on exchanges (routine);
create index exchanges_task on exchanges (task, started);
create index arguments_exchange on arguments (exchange);
create index arguments_path on arguments (path);
commit;
";

struct Sqlite {
    out: Out,
    file: NamedTempFile,
    database: Connection,
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Sqlite")
    }
}

/// Begins one.
pub(crate) fn begin(out: Out, about: &About, _: Tables<'_>) -> io::Result<Box<dyn Format>> {
    let file = NamedTempFile::new()?;
    let database = Connection::open(file.path()).map_err(io::Error::other)?;
    database.execute_batch(SCHEMA).map_err(io::Error::other)?;
    let sqlite = Sqlite { out, file, database };
    for (name, text) in &about.facts {
        sqlite.run("insert into facts values (?, ?)", params![name, text])?;
    }
    Ok(Box::new(sqlite))
}

/// A number that fits is one; SQLite has none beyond 63 bits and a sign.
fn number(value: u64) -> Option<i64> {
    i64::try_from(value).ok()
}

/// A value as a number, as text and as data.
fn columns(value: &Value) -> [Sql; 3] {
    let (number_of, text_of, data_of) = match value {
        Value::Bool(value) => (Some(i64::from(*value)), None, None),
        Value::Signed(value, name) => (Some(*value), name.clone(), None),
        Value::Unsigned(value, name) => {
            let fits = number(*value);
            (fits, name.clone().or_else(|| fits.is_none().then(|| value.to_string())), None)
        }
        Value::Code(code, name) => (Some((*code).into()), Some(name.clone()), None),
        Value::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => (None, Some(text.into()), None),
            Err(_) => (None, None, Some(text.clone())),
        },
        Value::Bytes(bytes) => (None, None, Some(bytes.clone())),
        Value::Port(port) => (port.number.map(i64::from), Some(port.label.clone()), None),
        Value::Memory { size, address, contents } => {
            let bytes = if let Contents::Read { bytes, .. } = contents { Some(bytes.clone()) } else { None };
            (number(*size), Some(address.map_or("out of line".into(), |address| format!("{address:#x}"))), bytes)
        }
        Value::Rights { count, .. } => (Some((*count).into()), None, None),
        Value::Wrong(what) => (None, Some(what.clone()), None),
        Value::List(_) | Value::Struct(_) => (None, None, None),
    };
    let or_null = |value: Option<Sql>| value.unwrap_or(Sql::Null);
    [or_null(number_of.map(Sql::Integer)), or_null(text_of.map(Sql::Text)), or_null(data_of.map(Sql::Blob))]
}

impl Sqlite {
    fn run(&self, statement: &str, values: impl rusqlite::Params) -> io::Result<()> {
        let mut prepared = self.database.prepare_cached(statement).map_err(io::Error::other)?;
        prepared.execute(values).map_err(io::Error::other)?;
        Ok(())
    }

    fn port(&self, port: &Port) -> io::Result<()> {
        let Some(number) = port.number else { return Ok(()) };
        self.run("insert or replace into ports values (?, ?, ?)", params![number, port.kind, port.label])
    }

    /// A row for each value that is not made of others, by its path: `new_state.rip`, `ports[0]`.
    fn argument(&self, of: (u64, &str), place: &mut i64, path: &str, ty: &str, value: &Value) -> io::Result<()> {
        match value {
            Value::List(values) => {
                for (index, value) in values.iter().enumerate() {
                    self.argument(of, place, &format!("{path}[{index}]"), ty, value)?;
                }
                return Ok(());
            }
            Value::Struct(members) => {
                for (index, Field { ty, value, .. }) in members.iter().enumerate() {
                    self.argument(of, place, &format!("{path}.{}", json::key(members, index)), ty, value)?;
                }
                return Ok(());
            }
            Value::Rights { ports, .. } => {
                for (index, port) in ports.iter().enumerate() {
                    self.argument(of, place, &format!("{path}[{index}]"), ty, &Value::Port(port.clone()))?;
                }
            }
            Value::Port(port) => self.port(port)?,
            _ => {}
        }
        let ([number, text, data], (exchange, part), at) = (columns(value), of, *place);
        *place += 1;
        let values = params![exchange as i64, part, at, path, ty, number, text, data];
        self.run("insert into arguments values (?, ?, ?, ?, ?, ?, ?, ?)", values)
    }

    fn half(&self, exchange: u64, part: &str, half: &Half) -> io::Result<()> {
        let mut place = 0;
        for (index, field) in half.arguments.iter().enumerate() {
            let path = json::key(&half.arguments, index);
            self.argument((exchange, part), &mut place, &path, &field.ty, &field.value)?;
        }
        half.port.as_ref().map_or(Ok(()), |port| self.port(port))
    }
}

impl Format for Sqlite {
    fn closed(&mut self, call: &Call) -> io::Result<()> {
        let Call { task, thread, .. } = call;
        let known = "insert into tasks values (?, ?, ?) on conflict (id) do update set number = excluded.number, name = excluded.name";
        self.run(known, params![task.index as i64, task.number, task.name])?;
        self.run("insert or replace into threads values (?, ?, ?)", params![task.index as i64, thread, call.label])?;
        let split = call.split;
        let time = |time: Option<u64>| time.and_then(number);
        let port = call.request.as_ref().and_then(|request| request.port.as_ref()?.number);
        let correlation = call.request.as_ref().or(call.reply.as_ref()).and_then(|half| number(half.correlation));
        self.run(
            "insert into exchanges values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            params![
                call.id as i64,
                task.index as i64,
                thread,
                call.role,
                call.asker.as_ref().map(|asker| asker.index as i64),
                call.name,
                call.routine,
                call.subsystem,
                call.msgh_id,
                call.outcome,
                call.has_failed,
                call.result.as_ref().map(|code| code.number),
                call.result.as_ref().map(|code| code.name.as_str()),
                number(call.start()),
                time(call.end()),
                time(call.duration()),
                time(split.map(|split| split.queue)),
                time(split.map(|split| split.server)),
                time(split.map(|split| split.reply)),
                port,
                correlation,
            ],
        )?;
        for (part, half) in [("request", &call.request), ("reply", &call.reply)] {
            if let Some(half) = half {
                self.half(call.id, part, half)?;
            }
        }
        Ok(())
    }

    fn remark(&mut self, remark: &Remark) -> io::Result<()> {
        let time = number(remark.time);
        if let Some(lost) = remark.lost {
            self.run("insert into losses values (?, ?)", params![time, lost])?;
        }
        self.run("insert into marks values (?, ?)", params![time, remark.text])
    }

    fn finish(&mut self, _: &End) -> io::Result<()> {
        self.database.execute_batch(INDICES).map_err(io::Error::other)?;
        io::copy(&mut self.file.reopen()?, &mut self.out)?;
        self.out.flush()
    }
}
