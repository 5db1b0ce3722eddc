//! Tasks, attempts and how they ended.

use common::diagnostic::Code;
use common::table::Response;
use common::task::{Assignment, FailureKind, NodeResult, NodeStatus};
use common::telemetry::{self, Context, SpanId, TraceId};
use common::{Attempt, Epoch, NodeId};

use crate::invalid::Invalid;
use crate::microbatch;
use crate::scalar::{timestamp, to_run, to_timestamp};
use crate::v1;

pub fn failure_kind(kind: FailureKind) -> v1::FailureKind {
    match kind {
        FailureKind::User => v1::FailureKind::User,
        FailureKind::TestFailed => v1::FailureKind::TestFailed,
        FailureKind::Transient => v1::FailureKind::Transient,
        FailureKind::System => v1::FailureKind::System,
        FailureKind::Timeout => v1::FailureKind::Timeout,
        FailureKind::WorkerLost => v1::FailureKind::WorkerLost,
        FailureKind::Fenced => v1::FailureKind::Fenced,
        FailureKind::Canceled => v1::FailureKind::Canceled,
    }
}

pub fn to_failure_kind(kind: v1::FailureKind) -> Result<FailureKind, Invalid> {
    Ok(match kind {
        v1::FailureKind::User => FailureKind::User,
        v1::FailureKind::TestFailed => FailureKind::TestFailed,
        v1::FailureKind::Transient => FailureKind::Transient,
        v1::FailureKind::System => FailureKind::System,
        v1::FailureKind::Timeout => FailureKind::Timeout,
        v1::FailureKind::WorkerLost => FailureKind::WorkerLost,
        v1::FailureKind::Fenced => FailureKind::Fenced,
        v1::FailureKind::Canceled => FailureKind::Canceled,
        v1::FailureKind::Unspecified => return Err(Invalid::missing("failure.kind")),
    })
}

pub fn failure(kind: FailureKind, code: Code, message: &str) -> v1::Failure {
    v1::Failure { kind: failure_kind(kind).into(), code: code.as_str().to_owned(), message: message.to_owned() }
}

pub fn to_failure(failure: v1::Failure) -> Result<(FailureKind, Code, String), Invalid> {
    let kind = to_failure_kind(failure.kind())?;
    Ok((kind, to_code(&failure.code), failure.message))
}

/// A code that only a newer version knows is a defect here.
fn to_code(text: &str) -> Code {
    Code::ALL.iter().copied().find(|code| code.as_str() == text).unwrap_or(Code::Internal)
}

fn status(status: NodeStatus) -> v1::NodeStatus {
    match status {
        NodeStatus::Success => v1::NodeStatus::Success,
        NodeStatus::Error => v1::NodeStatus::Error,
        NodeStatus::Skipped => v1::NodeStatus::Skipped,
        NodeStatus::Pass => v1::NodeStatus::Pass,
        NodeStatus::Fail => v1::NodeStatus::Fail,
        NodeStatus::Warn => v1::NodeStatus::Warn,
        NodeStatus::NoOp => v1::NodeStatus::NoOp,
        NodeStatus::PartialSuccess => v1::NodeStatus::PartialSuccess,
    }
}

fn to_status(status: v1::NodeStatus) -> Result<NodeStatus, Invalid> {
    Ok(match status {
        v1::NodeStatus::Success => NodeStatus::Success,
        v1::NodeStatus::Error => NodeStatus::Error,
        v1::NodeStatus::Skipped => NodeStatus::Skipped,
        v1::NodeStatus::Pass => NodeStatus::Pass,
        v1::NodeStatus::Fail => NodeStatus::Fail,
        v1::NodeStatus::Warn => NodeStatus::Warn,
        v1::NodeStatus::NoOp => NodeStatus::NoOp,
        v1::NodeStatus::PartialSuccess => NodeStatus::PartialSuccess,
        v1::NodeStatus::Unspecified => return Err(Invalid::missing("result.status")),
    })
}

pub fn result(result: &NodeResult) -> v1::NodeResult {
    v1::NodeResult {
        status: status(result.status).into(),
        thread: result.thread.clone(),
        compile_started_at: Some(timestamp(result.compile_started_at)),
        compile_completed_at: Some(timestamp(result.compile_completed_at)),
        execute_started_at: Some(timestamp(result.execute_started_at)),
        execute_completed_at: Some(timestamp(result.execute_completed_at)),
        message: result.message.clone(),
        failures: result.failures,
        response_message: result.response.message.clone(),
        response_code: result.response.code.clone(),
        response_rows_affected: result.response.rows_affected,
        relation_name: result.relation_name.clone(),
        compiled_code: result.compiled_code.clone(),
        batches: result.batches.as_ref().map(microbatch::results),
    }
}

pub fn to_result(result: v1::NodeResult) -> Result<NodeResult, Invalid> {
    Ok(NodeResult {
        status: to_status(result.status())?,
        thread: result.thread,
        compile_started_at: to_timestamp(result.compile_started_at),
        compile_completed_at: to_timestamp(result.compile_completed_at),
        execute_started_at: to_timestamp(result.execute_started_at),
        execute_completed_at: to_timestamp(result.execute_completed_at),
        message: result.message,
        failures: result.failures,
        response: Response {
            message: result.response_message,
            code: result.response_code,
            rows_affected: result.response_rows_affected,
        },
        relation_name: result.relation_name,
        compiled_code: result.compiled_code,
        batches: result.batches.map(microbatch::to_results).transpose()?,
    })
}

/// What `run_results.json` says of a task; none while it has not ended.
pub fn to_outcome(task: v1::Task) -> Result<Option<(NodeId, NodeResult)>, Invalid> {
    use v1::TaskState as S;
    let state = task.state();
    let result = task.result.map(to_result).transpose()?;
    let told = match (state, result) {
        (S::Success | S::Failed, Some(result)) => result,
        (S::Success, None) => NodeResult::untold(NodeStatus::Success, None),
        (S::Failed, None) => NodeResult::untold(NodeStatus::Error, task.failure.map(|failure| failure.message)),
        (S::UpstreamFailed | S::Skipped | S::Canceled, _) => NodeResult::untold(NodeStatus::Skipped, None),
        (S::Unspecified | S::Pending | S::Ready | S::Running | S::UpForRetry, _) => return Ok(None),
    };
    Ok(Some((task.node_id.into(), told)))
}

pub fn assignment(assignment: &Assignment) -> v1::Assignment {
    v1::Assignment {
        run_id: assignment.run.to_string(),
        node_id: assignment.node.to_string(),
        attempt: assignment.attempt.0,
        epoch: assignment.epoch.0,
        traceparent: if telemetry::is_on() { attempt_context(assignment).to_string() } else { String::new() },
    }
}

pub fn to_assignment(assignment: v1::Assignment) -> Result<Assignment, Invalid> {
    Ok(Assignment {
        run: to_run("assignment.run_id", &assignment.run_id)?,
        node: assignment.node_id.into(),
        attempt: Attempt(assignment.attempt),
        epoch: Epoch(assignment.epoch),
    })
}

/// The attempt's own span, for workers that are not ours: ours derive it.
fn attempt_context(Assignment { run, node, attempt, .. }: &Assignment) -> Context {
    Context { trace: TraceId::of_run(*run), span: SpanId::of_attempt(*run, node, *attempt) }
}
