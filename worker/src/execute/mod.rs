//! Runs one attempt: compiles the node, builds it, publishes it, and tells how it went.
//!
//! ```text
//! compile ─▶ take the fence ─▶ published already? ── yes ─▶ adopt
//!                                     │ no
//!                                     └▶ look up ─▶ plan (pure) ─▶ staging ─▶ publication ─▶ cleanup
//! ```
//!
//! Invariants: whatever happens, a report comes back; nothing stays open on the connection; only the publication changes what
//! readers see.

mod artifact;
mod freshness;
mod group;
mod hook;
mod microbatch;
mod model;
mod operation;
mod overrides;
mod own;
mod publish;
mod seed;
mod test;
mod unit_test;

use std::rc::Rc;
use std::time::Instant;

use common::Timestamp;
use common::diagnostic::Code;
use common::manifest::{Node, ResourceType};
use common::microbatch::BadKey;
use common::run::Verb;
use common::table::Response;
use common::task::{Assignment, FailureKind, NodeResult, NodeStatus, TaskOutcome, TaskReport};
use common::transcript::{Level, Packed};

use crate::adapter::Adapter;
use crate::comment::Comment;
use crate::failure::{Failure, Result};
use crate::run::{Artifacts, Run};
use crate::trace::Scope;
use crate::transcript::{self, Writing};
use crate::warehouse::staging;

use group::Deferred;
use microbatch::Part;

pub(crate) use group::together;
pub use operation::{create_schemas, operation, preview};

/// Executes one attempt over the adapter's connection. `thread` is the name that results show.
pub fn execute(assignment: &Assignment, run: &Run, adapter: &Adapter, thread: &str) -> TaskReport {
    match execute_until(assignment, run, adapter, thread, Until::End) {
        Ended::Reported(report) => *report,
        Ended::Deferred(_) => unreachable!("only an attempt of a group leaves its publication to others"),
    }
}

/// How far an attempt goes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    End,
    /// A publication that may share its transaction is left to the caller.
    Publication,
}

/// What became of an attempt.
enum Ended<'a> {
    Reported(Box<TaskReport>),
    Deferred(Box<(Attempt<'a>, Deferred)>),
}

fn execute_until<'a>(
    assignment: &'a Assignment,
    run: &'a Run,
    adapter: &Adapter,
    thread: &str,
    until: Until,
) -> Ended<'a> {
    if let Some(source) = run.manifest().sources.get(&assignment.node) {
        return Ended::Reported(Box::new(freshness::execute(assignment, run, source, adapter, thread)));
    }
    let Some(node) = run.manifest().nodes.get(&assignment.node) else {
        let report = refused(assignment, FailureKind::System, Code::Internal, "the manifest has no such node");
        return Ended::Reported(Box::new(report));
    };
    let mut scope = Scope::attempt(assignment);
    let mut attempt = Attempt::new(assignment, run, node, adapter, thread, until);
    let outcome = attempt.perform(adapter, Attempt::run);
    match (outcome, attempt.deferred.take()) {
        (Ok(()), Some(deferred)) => Ended::Deferred(Box::new((attempt, deferred))),
        (outcome, _) => {
            let report = attempt.report(outcome);
            scope.ended(&report);
            Ended::Reported(Box::new(report))
        }
    }
}

/// The report of an attempt that never began.
pub fn refused(assignment: &Assignment, kind: FailureKind, code: Code, message: &str) -> TaskReport {
    let now = now();
    let outcome = match kind {
        FailureKind::Canceled => TaskOutcome::Canceled,
        kind => TaskOutcome::Failure { kind, code, message: message.to_owned() },
    };
    TaskReport {
        run: assignment.run,
        node: assignment.node.clone(),
        attempt: assignment.attempt,
        epoch: assignment.epoch,
        outcome,
        result: NodeResult {
            status: if kind == FailureKind::Canceled { NodeStatus::Skipped } else { NodeStatus::Error },
            thread: String::new(),
            compile_started_at: now,
            compile_completed_at: now,
            execute_started_at: now,
            execute_completed_at: now,
            message: Some(message.to_owned()),
            failures: None,
            response: Response::default(),
            relation_name: None,
            compiled_code: None,
            batches: None,
        },
        transcript: Packed::default(),
    }
}

/// An attempt under way, with what is known of its result so far.
struct Attempt<'a> {
    assignment: &'a Assignment,
    run: &'a Run,
    node: &'a Node,
    adapter: Adapter,
    result: NodeResult,
    until: Until,
    /// The publication, where it is left to the attempt's group.
    deferred: Option<Deferred>,
    /// Where somebody will read it; on the thread while the attempt is under way.
    transcript: Option<Writing>,
    /// The batch, where it is one of a microbatch model's that is built.
    part: Option<Part>,
}

impl<'a> Attempt<'a> {
    fn new(
        assignment: &'a Assignment,
        run: &'a Run,
        node: &'a Node,
        adapter: &Adapter,
        thread: &str,
        until: Until,
    ) -> Self {
        let now = now();
        let transcript = (run.artifacts == Artifacts::Report).then(Writing::default);
        let result = NodeResult {
            status: NodeStatus::Success,
            thread: thread.to_owned(),
            compile_started_at: now,
            compile_completed_at: now,
            execute_started_at: now,
            execute_completed_at: now,
            message: None,
            failures: None,
            response: Response::default(),
            relation_name: node.relation_name.clone(),
            compiled_code: None,
            batches: None,
        };
        Self { assignment, run, node, adapter: adapter.clone(), result, until, deferred: None, transcript, part: None }
    }

    /// Does the work with the node's comment at each statement and its log kept, and leaves nothing open on the connection.
    fn perform(&mut self, adapter: &Adapter, work: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        transcript::resume(self.transcript.take());
        let outcome = Comment::of(self.run, self.node).and_then(|comment| {
            self.adapter = adapter.with_comment(comment);
            work(self)
        });
        self.transcript = transcript::pause();
        // A template may have left a transaction open; the next task must not inherit it.
        let cleared = adapter.rollback().map_err(Failure::from);
        outcome.and(cleared)
    }

    fn run(&mut self) -> Result<()> {
        if self.node.resource_type == ResourceType::Operation {
            return self.operation();
        }
        if let Some(microbatch) = self.run.manifest().microbatch(self.node).filter(|_| self.builds()) {
            let bad = |bad: BadKey| Failure::user(Code::InvalidConfig, format!("{}: {}", bad.key, bad.message));
            return self.microbatch(&microbatch.map_err(bad)?);
        }
        let mut session = self.run.compiler.session(&self.node.unique_id, self.shared_adapter())?;
        if self.node.resource_type != ResourceType::Seed {
            let mut scope = Scope::step("compile");
            let began = Instant::now();
            let compiled = session.compile().map_err(|error| {
                let failure = Failure::from(error);
                scope.failed(failure.kind, failure.code.as_str());
                failure
            })?;
            drop(scope);
            transcript::note(Level::Debug, || format!("compiled in {}", transcript::seconds(began.elapsed())));
            self.result.compiled_code = Some(compiled.compiled_code);
        }
        self.result.compile_completed_at = now();
        self.result.execute_started_at = self.result.compile_completed_at;
        self.write_compiled()?;
        if !self.builds() {
            return Ok(());
        }
        let is_built = matches!(
            self.node.resource_type,
            ResourceType::Model | ResourceType::Seed | ResourceType::Snapshot | ResourceType::Test
        );
        if is_built && self.has_own_materialization(&session) {
            return self.run_own(&mut session);
        }
        overrides::refuse_unheard(&session, self.node)?;
        match self.node.resource_type {
            ResourceType::Model | ResourceType::Snapshot => self.model(&mut session),
            ResourceType::Seed => self.seed(&mut session),
            ResourceType::Test => self.test(&mut session),
            ResourceType::UnitTest => self.unit_test(&mut session),
            ResourceType::Analysis => Ok(()),
            other => Err(Failure::unsupported(format_args!("running a {other}"))),
        }
    }

    /// Whether the run builds nodes, or only looks at their SQL.
    fn builds(&self) -> bool {
        !matches!(self.run.options.verb, Verb::Compile | Verb::Show)
    }

    /// Whether an attempt may have come before this one, with a publication whose report was lost.
    fn follows_another(&self) -> bool {
        self.assignment.attempt.0 > 1
    }

    fn builder(&self) -> staging::Builder {
        staging::Builder { run: self.assignment.run, epoch: self.assignment.epoch }
    }

    fn shared_adapter(&self) -> Rc<dyn dbt::adapter::Adapter> {
        Rc::new(self.adapter.clone())
    }

    fn compiled(&self) -> &str {
        self.result.compiled_code.as_deref().unwrap_or_default()
    }

    fn respond(&mut self, response: Response) {
        self.result.message = Some(response.message.clone());
        self.result.response = response;
    }

    fn report(mut self, outcome: Result<()>) -> TaskReport {
        self.result.execute_completed_at = now();
        let outcome = match outcome {
            Ok(()) => TaskOutcome::Success,
            Err(mut failure) => {
                if let (Some(compiled), Some(path)) = (&self.result.compiled_code, self.compiled_path()) {
                    failure.locate(compiled, &path);
                }
                let outcome = failure.outcome(self.node);
                self.result.status = match failure.kind {
                    FailureKind::TestFailed => NodeStatus::Fail,
                    FailureKind::Canceled => NodeStatus::Skipped,
                    _ if self.result.status == NodeStatus::PartialSuccess => NodeStatus::PartialSuccess,
                    _ => NodeStatus::Error,
                };
                if failure.kind != FailureKind::TestFailed {
                    let description = failure.describe(self.node);
                    // dbt's words for what became of the batches go first.
                    let batches = self.result.message.take().filter(|_| self.result.batches.is_some());
                    self.result.message = Some(match batches {
                        Some(batches) => format!("{batches}\n{description}"),
                        None => description,
                    });
                }
                outcome
            }
        };
        let transcript = match self.transcript.take() {
            Some(transcript) => {
                let (level, line) = last_line(&outcome, &self.result);
                // It travels once.
                transcript.finish(self.result.compiled_code.take(), level, line)
            }
            None => Packed::default(),
        };
        TaskReport {
            run: self.assignment.run,
            node: self.assignment.node.clone(),
            attempt: self.assignment.attempt,
            epoch: self.assignment.epoch,
            outcome,
            result: self.result,
            transcript,
        }
    }
}

/// The last line of an attempt's log.
fn last_line(outcome: &TaskOutcome, result: &NodeResult) -> (Level, String) {
    match outcome {
        TaskOutcome::Success => {
            let level = if result.status == NodeStatus::Warn { Level::Warn } else { Level::Info };
            (level, result.message.clone().unwrap_or_else(|| "OK".to_owned()))
        }
        TaskOutcome::Failure { code, message, .. } => (Level::Error, format!("{} {message}", code.as_str())),
        TaskOutcome::Canceled => (Level::Warn, "the attempt was canceled".to_owned()),
    }
}

fn now() -> Timestamp {
    Timestamp::from_micros(chrono::Utc::now().timestamp_micros())
}
