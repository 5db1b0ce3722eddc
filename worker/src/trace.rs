//! Spans of what this thread does: an attempt, and within it compiling, each statement, the publication.
//!
//! Invariant: scopes nest as the calls do, since a slot is a thread and nothing in it waits for another; where nobody listens, a scope
//! costs one load. No span holds SQL, a value or an error's words: only names, codes and counts.

use std::borrow::Cow;
use std::cell::Cell;

use common::table::Response;
use common::target::AdapterType;
use common::task::{Assignment, FailureKind, TaskOutcome, TaskReport};
use common::telemetry::{self, Kind, Span, SpanId, Status, Value, attribute};
use common::{RunId, Timestamp};

use crate::metrics;
use crate::warehouse::Error;
use crate::warehouse::script;

/// Longest summary of a statement, in bytes.
const SUMMARY_MAX: usize = 255;

thread_local! {
    static CURRENT: Cell<Option<Place>> = const { Cell::new(None) };
}

/// Where in a trace this thread is.
#[derive(Clone, Copy)]
struct Place {
    run: RunId,
    span: SpanId,
    /// Spans begun below it.
    children: u64,
}

/// A span under way; recorded when dropped.
#[must_use]
pub struct Scope(Option<Box<Open>>);

struct Open {
    /// What this thread was at before.
    outer: Option<Place>,
    /// `None` where another process records the span: then this one only goes below it.
    span: Option<Span>,
}

pub(crate) fn now() -> Timestamp {
    Timestamp::from_micros(chrono::Utc::now().timestamp_micros())
}

impl Scope {
    /// What is done for a run outside of its tasks: hooks.
    pub fn of_run(run: RunId) -> Self {
        if !is_on() {
            return Self(None);
        }
        let place = Place { run, span: SpanId::of_run(run), children: 0 };
        Self(Some(Box::new(Open { outer: CURRENT.replace(Some(place)), span: None })))
    }

    /// The worker's part of an attempt.
    pub(crate) fn attempt(assignment: &Assignment) -> Self {
        let Assignment { run, node, attempt, epoch } = assignment;
        if !is_on() {
            return Self(None);
        }
        let parent = SpanId::of_attempt(*run, node, *attempt);
        let id = parent.child("execute", 0);
        let span = span(*run, id, parent, "execute")
            .with(attribute::TASK, node.to_string())
            .with(attribute::ATTEMPT, i64::from(attempt.0))
            .with(attribute::EPOCH, i64::try_from(epoch.0).unwrap_or(i64::MAX));
        let place = Place { run: *run, span: id, children: 0 };
        Self(Some(Box::new(Open { outer: CURRENT.replace(Some(place)), span: Some(span) })))
    }

    /// A step of what this thread is at.
    pub(crate) fn step(name: &'static str) -> Self {
        let Some(mut outer) = CURRENT.get().filter(|_| is_on()) else { return Self(None) };
        let id = outer.span.child(name, outer.children);
        outer.children += 1;
        let span = span(outer.run, id, outer.span, name);
        CURRENT.set(Some(Place { run: outer.run, span: id, children: 0 }));
        Self(Some(Box::new(Open { outer: Some(outer), span: Some(span) })))
    }

    /// One call of the warehouse.
    pub(crate) fn statement(adapter_type: AdapterType, sql: &str) -> Self {
        let mut scope = Self::step("statement");
        if let Some(span) = scope.span() {
            let summary = summary(sql);
            span.kind = Kind::Client;
            span.name = if summary.is_empty() { "statement".into() } else { summary.clone().into() };
            let operation = script::first_word(sql).to_uppercase();
            span.attributes.extend([
                (attribute::DB_SYSTEM, system(adapter_type).into()),
                (attribute::DB_OPERATION, operation.into()),
                (attribute::DB_SUMMARY, summary.into()),
            ]);
        }
        scope
    }

    fn span(&mut self) -> Option<&mut Span> {
        self.0.as_mut()?.span.as_mut()
    }

    pub(crate) fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(span) = self.span() {
            span.attributes.push((key, value.into()));
        }
    }

    /// Notes what the warehouse answered.
    pub(crate) fn answered(&mut self, answer: Result<&Response, &Error>) {
        let Some(span) = self.span() else { return };
        match answer {
            Ok(response) => {
                if let Some(rows) = response.rows_affected.filter(|rows| *rows >= 0) {
                    span.attributes.push((attribute::ROWS_AFFECTED, rows.into()));
                }
            }
            Err(error) => {
                if let Some(native) = &error.native_code {
                    span.attributes.push((attribute::DB_STATUS, native.clone().into()));
                }
                fail(span, error.kind, error.code.as_str());
            }
        }
    }

    /// Notes how the attempt ended.
    pub(crate) fn ended(&mut self, report: &TaskReport) {
        let Some(span) = self.span() else { return };
        if let TaskOutcome::Failure { kind, code, .. } = &report.outcome {
            fail(span, *kind, code.as_str());
        }
    }

    pub(crate) fn failed(&mut self, kind: FailureKind, code: &'static str) {
        if let Some(span) = self.span() {
            fail(span, kind, code);
        }
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        let Some(open) = self.0.take() else { return };
        CURRENT.set(open.outer);
        if let Some(mut span) = open.span {
            span.ended_at = now().max(span.started_at);
            if let Some(metrics) = metrics::get() {
                metrics.span(&span);
            }
            telemetry::record(span);
        }
    }
}

/// Whether anybody wants traces or metrics.
fn is_on() -> bool {
    telemetry::is_on() || metrics::get().is_some()
}

/// Notes how long an attempt that was heard of waited for a slot.
pub(crate) fn waited(Assignment { run, node, attempt, .. }: &Assignment, heard_at: Timestamp) {
    let parent = SpanId::of_attempt(*run, node, *attempt);
    let mut span = span(*run, parent.child("session", 0), parent, "session");
    span.started_at = heard_at.min(span.ended_at);
    telemetry::record(span);
}

/// Notes the one transaction in which several attempts were published, below each of them.
pub(crate) struct Together(Option<Timestamp>);

impl Together {
    pub fn begin() -> Self {
        Self(telemetry::is_on().then(now))
    }

    pub fn end<'a>(self, members: impl Iterator<Item = &'a Assignment> + Clone, answer: Result<(), &Error>) {
        let Some(started_at) = self.0 else { return };
        let size = i64::try_from(members.clone().count()).unwrap_or(i64::MAX);
        for Assignment { run, node, attempt, .. } in members {
            let parent = SpanId::of_attempt(*run, node, *attempt);
            let id = parent.child("publish together", 0);
            let mut span = span(*run, id, parent, "publish").with(attribute::GROUP, size);
            span.started_at = started_at;
            span.ended_at = now().max(started_at);
            if let Err(error) = answer {
                fail(&mut span, error.kind, error.code.as_str());
            }
            telemetry::record(span);
        }
    }
}

fn span(run: RunId, id: SpanId, parent: SpanId, name: &'static str) -> Span {
    let now = now();
    Span::of_run(run, id, name, now, now).below(parent)
}

fn fail(span: &mut Span, kind: FailureKind, code: &'static str) {
    span.attributes.push((attribute::ERROR_TYPE, code.into()));
    span.status = Status::Error(format!("{} ({code})", kind.as_str()));
}

fn system(adapter_type: AdapterType) -> &'static str {
    match adapter_type {
        AdapterType::Duckdb => "duckdb",
        AdapterType::Postgres => "postgresql",
    }
}

/// What a statement does and to which relation: its leading key words, and the name after them. Nothing that could be data.
pub(crate) fn summary(sql: &str) -> String {
    const WORDS: [&str; 30] = [
        "create",
        "or",
        "replace",
        "temporary",
        "temp",
        "unlogged",
        "table",
        "view",
        "materialized",
        "insert",
        "into",
        "delete",
        "from",
        "update",
        "merge",
        "drop",
        "alter",
        "if",
        "not",
        "exists",
        "truncate",
        "copy",
        "comment",
        "on",
        "grant",
        "refresh",
        "index",
        "schema",
        "column",
        "unique",
    ];
    const BEFORE_NAME: [&str; 7] = ["table", "view", "into", "from", "update", "exists", "truncate"];
    let first = script::first_word(sql);
    let code =
        sql.to_lowercase().find(&first).filter(|_| !first.is_empty()).map_or("", |at| sql.get(at..).unwrap_or(""));
    let mut words: Vec<Cow<'_, str>> = Vec::new();
    for word in code.split_whitespace() {
        let lower = word.to_lowercase();
        if words.is_empty() || WORDS.contains(&lower.as_str()) {
            words.push(lower.to_uppercase().into());
            continue;
        }
        let named = words.last().is_some_and(|last| BEFORE_NAME.contains(&last.to_lowercase().as_str()));
        let is_name = word.starts_with('"') || word.starts_with(|first: char| first.is_alphabetic() || first == '_');
        if named && is_name {
            words.push(word.split(['(', ';']).next().unwrap_or_default().to_owned().into());
        }
        break;
    }
    let mut text = words.join(" ");
    let mut length = text.len().min(SUMMARY_MAX);
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    text.truncate(length);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_names_the_relation_and_no_data() {
        for (sql, expected) in [
            (
                "/* {\"app\": \"x\"} */\ncreate table \"db\".\"main\".\"t\" as (select 1)",
                "CREATE TABLE \"db\".\"main\".\"t\"",
            ),
            ("create or replace view s.v as select 'secret'", "CREATE OR REPLACE VIEW s.v"),
            ("insert into t(a) values (1)", "INSERT INTO t"),
            ("delete from \"a b\".t where x = 'secret'", "DELETE FROM \"a"),
            ("select 'secret' from t", "SELECT"),
            ("update t set a = 'secret'", "UPDATE t"),
            ("with x as (select 1) select * from x", "WITH"),
            ("drop table if exists t", "DROP TABLE IF EXISTS t"),
            ("", ""),
        ] {
            assert_eq!(summary(sql), expected, "{sql}");
        }
        assert!(summary(&format!("create table {}", "é".repeat(300))).len() <= SUMMARY_MAX);
    }
}
