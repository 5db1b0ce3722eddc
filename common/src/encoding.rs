//! The encoded form of types that got fields after they were first written to a log.
//!
//! postcard writes a struct as its fields and an enum as the number of its variant and that variant's fields. So a struct whose first
//! field is an enum reads as an enum of structs, and what is new can be a further variant of that: bytes written before read as ever,
//! and what does not use the new fields is written as ever.
//!
//! Invariant: variants are only added, at the end.

use serde::{Deserialize, Serialize};

use crate::microbatch::{BatchResults, EventTime};
use crate::run::{RunOptions, Verb};
use crate::table::Response;
use crate::task::{NodeResult, NodeStatus};
use crate::{JsonMap, Timestamp};

/// [`RunOptions`].
#[derive(Serialize, Deserialize)]
pub enum EncodedOptions {
    Build(Flags),
    Run(Flags),
    Test(Flags),
    Seed(Flags),
    Snapshot(Flags),
    Compile(Flags),
    Show(Flags),
    Freshness(Flags),
    Timed(Verb, Flags, EventTime),
}

#[derive(Serialize, Deserialize)]
pub struct Flags {
    full_refresh: bool,
    fail_fast: bool,
    store_failures: bool,
    empty: bool,
    #[serde(with = "crate::json_codec::map")]
    vars: JsonMap,
}

impl From<RunOptions> for EncodedOptions {
    fn from(options: RunOptions) -> Self {
        let RunOptions { verb, full_refresh, fail_fast, store_failures, empty, vars, event_time } = options;
        let flags = Flags { full_refresh, fail_fast, store_failures, empty, vars };
        if event_time != EventTime::default() {
            return Self::Timed(verb, flags, event_time);
        }
        match verb {
            Verb::Build => Self::Build(flags),
            Verb::Run => Self::Run(flags),
            Verb::Test => Self::Test(flags),
            Verb::Seed => Self::Seed(flags),
            Verb::Snapshot => Self::Snapshot(flags),
            Verb::Compile => Self::Compile(flags),
            Verb::Show => Self::Show(flags),
            Verb::Freshness => Self::Freshness(flags),
        }
    }
}

impl From<EncodedOptions> for RunOptions {
    fn from(encoded: EncodedOptions) -> Self {
        let (verb, flags, event_time) = match encoded {
            EncodedOptions::Build(flags) => (Verb::Build, flags, EventTime::default()),
            EncodedOptions::Run(flags) => (Verb::Run, flags, EventTime::default()),
            EncodedOptions::Test(flags) => (Verb::Test, flags, EventTime::default()),
            EncodedOptions::Seed(flags) => (Verb::Seed, flags, EventTime::default()),
            EncodedOptions::Snapshot(flags) => (Verb::Snapshot, flags, EventTime::default()),
            EncodedOptions::Compile(flags) => (Verb::Compile, flags, EventTime::default()),
            EncodedOptions::Show(flags) => (Verb::Show, flags, EventTime::default()),
            EncodedOptions::Freshness(flags) => (Verb::Freshness, flags, EventTime::default()),
            EncodedOptions::Timed(verb, flags, event_time) => (verb, flags, event_time),
        };
        let Flags { full_refresh, fail_fast, store_failures, empty, vars } = flags;
        Self { verb, full_refresh, fail_fast, store_failures, empty, vars, event_time }
    }
}

/// [`NodeResult`].
#[derive(Serialize, Deserialize)]
pub enum EncodedResult {
    Success(Told),
    Error(Told),
    Skipped(Told),
    Pass(Told),
    Fail(Told),
    Warn(Told),
    NoOp(Told),
    Batched(NodeStatus, Told, Option<BatchResults>),
}

#[derive(Serialize, Deserialize)]
pub struct Told {
    thread: String,
    compile_started_at: Timestamp,
    compile_completed_at: Timestamp,
    execute_started_at: Timestamp,
    execute_completed_at: Timestamp,
    message: Option<String>,
    failures: Option<i64>,
    response: Response,
    relation_name: Option<String>,
    compiled_code: Option<String>,
}

impl From<NodeResult> for EncodedResult {
    fn from(result: NodeResult) -> Self {
        let NodeResult {
            status,
            thread,
            compile_started_at,
            compile_completed_at,
            execute_started_at,
            execute_completed_at,
            message,
            failures,
            response,
            relation_name,
            compiled_code,
            batches,
        } = result;
        let told = Told {
            thread,
            compile_started_at,
            compile_completed_at,
            execute_started_at,
            execute_completed_at,
            message,
            failures,
            response,
            relation_name,
            compiled_code,
        };
        match (status, batches) {
            (NodeStatus::Success, None) => Self::Success(told),
            (NodeStatus::Error, None) => Self::Error(told),
            (NodeStatus::Skipped, None) => Self::Skipped(told),
            (NodeStatus::Pass, None) => Self::Pass(told),
            (NodeStatus::Fail, None) => Self::Fail(told),
            (NodeStatus::Warn, None) => Self::Warn(told),
            (NodeStatus::NoOp, None) => Self::NoOp(told),
            (status, batches) => Self::Batched(status, told, batches),
        }
    }
}

impl From<EncodedResult> for NodeResult {
    fn from(encoded: EncodedResult) -> Self {
        let (status, told, batches) = match encoded {
            EncodedResult::Success(told) => (NodeStatus::Success, told, None),
            EncodedResult::Error(told) => (NodeStatus::Error, told, None),
            EncodedResult::Skipped(told) => (NodeStatus::Skipped, told, None),
            EncodedResult::Pass(told) => (NodeStatus::Pass, told, None),
            EncodedResult::Fail(told) => (NodeStatus::Fail, told, None),
            EncodedResult::Warn(told) => (NodeStatus::Warn, told, None),
            EncodedResult::NoOp(told) => (NodeStatus::NoOp, told, None),
            EncodedResult::Batched(status, told, batches) => (status, told, batches),
        };
        let Told {
            thread,
            compile_started_at,
            compile_completed_at,
            execute_started_at,
            execute_completed_at,
            message,
            failures,
            response,
            relation_name,
            compiled_code,
        } = told;
        Self {
            status,
            thread,
            compile_started_at,
            compile_completed_at,
            execute_started_at,
            execute_completed_at,
            message,
            failures,
            response,
            relation_name,
            compiled_code,
            batches,
        }
    }
}
