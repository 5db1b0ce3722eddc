//! One finished span.

use std::borrow::Cow;
use std::time::Duration;

use super::{Context, SpanId, TraceId};
use crate::{RunId, Timestamp};

/// Something that took time, and has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    pub trace: TraceId,
    pub id: SpanId,
    pub parent: Option<SpanId>,
    pub name: Cow<'static, str>,
    pub kind: Kind,
    pub started_at: Timestamp,
    pub ended_at: Timestamp,
    pub attributes: Vec<(&'static str, Value)>,
    pub links: Vec<Link>,
    pub status: Status,
}

/// Who is on the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Internal,
    /// Answers a request.
    Server,
    /// Asks, and waits for the answer.
    Client,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(Cow<'static, str>),
    Int(i64),
    Bool(bool),
}

/// A span elsewhere that this one follows from.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    pub to: Context,
    /// The attribute `kontiki.link`: what the other one is to this one.
    pub what: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nothing went wrong.
    Unset,
    /// One line for people; never a credential.
    Error(String),
}

impl Span {
    /// A span of the run's trace, below its root.
    pub fn of_run(
        run: RunId,
        id: SpanId,
        name: impl Into<Cow<'static, str>>,
        started_at: Timestamp,
        ended_at: Timestamp,
    ) -> Self {
        let place = Context { trace: TraceId::of_run(run), span: id };
        let parent = Some(SpanId::of_run(run)).filter(|root| *root != id);
        Self { parent, ..Self::new(place, name, started_at, ended_at) }
    }

    /// A span of that id in that trace, below nothing yet.
    pub fn new(place: Context, name: impl Into<Cow<'static, str>>, started_at: Timestamp, ended_at: Timestamp) -> Self {
        Self {
            trace: place.trace,
            id: place.span,
            parent: None,
            name: name.into(),
            kind: Kind::Internal,
            started_at,
            // A clock that was set back must not make a span of negative length.
            ended_at: ended_at.max(started_at),
            attributes: Vec::new(),
            links: Vec::new(),
            status: Status::Unset,
        }
    }

    pub fn below(self, parent: SpanId) -> Self {
        Self { parent: Some(parent), ..self }
    }

    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.attributes.push((key, value.into()));
        self
    }

    pub fn attribute(&self, key: &str) -> Option<&Value> {
        self.attributes.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    pub fn duration(&self) -> Duration {
        self.ended_at.since(self.started_at)
    }

    /// Adds the attribute where there is a value.
    pub fn with_some(self, key: &'static str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }
}

impl Value {
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Int(_) | Self::Bool(_) => None,
        }
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

/// Names of attributes: OpenTelemetry's semantic conventions 1.42 where they have one, `kontiki.*` else.
pub mod attribute {
    pub const PIPELINE: &str = "cicd.pipeline.name";
    pub const RUN: &str = "cicd.pipeline.run.id";
    pub const RESULT: &str = "cicd.pipeline.result";
    pub const TASK: &str = "cicd.pipeline.task.name";
    pub const TASK_RUN: &str = "cicd.pipeline.task.run.id";
    pub const TASK_RESULT: &str = "cicd.pipeline.task.run.result";
    pub const TASK_TYPE: &str = "cicd.pipeline.task.type";
    pub const WORKER: &str = "cicd.worker.id";
    pub const ERROR_TYPE: &str = "error.type";
    pub const DB_SYSTEM: &str = "db.system.name";
    pub const DB_OPERATION: &str = "db.operation.name";
    pub const DB_SUMMARY: &str = "db.query.summary";
    pub const DB_STATUS: &str = "db.response.status_code";
    pub const RPC_SYSTEM: &str = "rpc.system.name";
    pub const RPC_METHOD: &str = "rpc.method";
    pub const RPC_STATUS: &str = "rpc.response.status_code";
    pub const SERVER_ADDRESS: &str = "server.address";
    pub const RAFT_INDEX: &str = "kontiki.raft.index";
    pub const VERB: &str = "kontiki.verb";
    pub const ATTEMPT: &str = "kontiki.attempt";
    pub const EPOCH: &str = "kontiki.epoch";
    pub const ROWS_AFFECTED: &str = "kontiki.rows_affected";
    pub const ADOPTED: &str = "kontiki.adopted";
    pub const BATCH: &str = "kontiki.batch";
    pub const GROUP: &str = "kontiki.group.size";
    pub const TASKS: &str = "kontiki.tasks";
    pub const LINK: &str = "kontiki.link";
}
