//! Microbatch models: each batch is compiled, built and published by itself.
//!
//! ```text
//! decide the batches ─▶ of those not published in this run yet, one after the other: compile ─▶ build ─▶ publish
//! ```
//!
//! Which batches a run builds is decided once, by its first attempt, and written into the publish log: the table that exists from the
//! first batch on would make a later attempt decide otherwise, and leave out what the first had not come to.
//!
//! Invariants: a batch is published once in a run, however many attempts it takes; a failure of one batch leaves the others as they
//! are, but where the first one fails none follows, as in dbt.

use std::time::{Duration, Instant};

use common::diagnostic::Code;
use common::manifest::Node;
use common::microbatch::{Batch, BatchResults, BatchSize, Batches, Microbatch, Span};
use common::relation::{Relation, RelationType};
use common::table::Response;
use common::task::{Assignment, FailureKind, NodeStatus};
use common::telemetry::attribute;
use common::transcript::Level;
use common::{Json, NodeId, Timestamp};
use dbt::context::invocation::{BatchEvent, BatchStep};
use serde_json::json;

use super::publish::{Approach, unexpected};
use super::{Attempt, Until, now, overrides};
use crate::failure::{Failure, Result};
use crate::materialize::should_full_refresh;
use crate::trace::Scope;
use crate::transcript;

/// The batch that an attempt is at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub batch: Batch,
    /// Adds to the table that is there, whatever `--full-refresh` says: so does every batch but the first of a model built anew.
    pub extends: bool,
}

/// What a run builds of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Decided {
    batches: Batches,
    is_incremental: bool,
}

/// What became of the batches so far.
struct Progress {
    decided: Decided,
    /// By number.
    built: Vec<bool>,
    /// Of the first batch that failed, and how many did.
    failed: Option<(Failure, usize)>,
}

impl Attempt<'_> {
    pub(super) fn microbatch(&mut self, microbatch: &Microbatch) -> Result<()> {
        self.result.compile_completed_at = now();
        self.result.execute_started_at = self.result.compile_completed_at;
        let target = self.node.relation(self.run.manifest().quoting);
        let Approach::Open { existing } = self.approach(&target)? else { return Ok(()) };
        let decided = self.decide(microbatch, &target, existing.as_ref())?;
        let batches: Vec<Batch> = decided.batches.iter().collect();
        let mut progress = Progress { decided, built: vec![false; batches.len()], failed: None };
        if self.follows_another() {
            for (built, batch) in progress.built.iter_mut().zip(&batches) {
                let node = batch.node(&self.node.unique_id);
                *built = self.adapter.connection()?.published(self.assignment.run, &node)?.is_some();
            }
        }
        let outcome = self.build_batches(&batches, &mut progress);
        let results = BatchResults::new(decided.batches, |number| progress.built[number]);
        let (built, all) = results.counts();
        self.result.batches = Some(results);
        self.result.failures = Some(0);
        self.result.message = Some(match built {
            0 => "ERROR".to_owned(),
            built if built == all => "SUCCESS".to_owned(),
            built => format!("PARTIAL SUCCESS ({built}/{all})"),
        });
        if (1..all).contains(&built) {
            self.result.status = NodeStatus::PartialSuccess;
        }
        outcome?;
        progress.failed.map_or(Ok(()), |(failure, _)| Err(failure))
    }

    /// The batches of this run: those that an earlier attempt decided on, or else decided now and kept for attempts to come.
    fn decide(&self, microbatch: &Microbatch, target: &Relation, existing: Option<&Relation>) -> Result<Decided> {
        let key = NodeId::from(format!("{}[]", self.node.unique_id));
        if self.follows_another()
            && let Some(known) = self.adapter.connection()?.published(self.assignment.run, &key)?
        {
            let unreadable = || unexpected(format!("the publish log says of {key}: {}", known.response.message));
            return Decided::read(&known.response.message).ok_or_else(unreadable);
        }
        let is_table = existing.is_some_and(|found| found.relation_type == Some(RelationType::Table));
        let is_incremental = is_table && !should_full_refresh(self.node, self.run.options.full_refresh);
        let event_time = self.run.options.event_time;
        let batches = microbatch.batches(is_incremental, event_time, self.run.compiler.run_started_at());
        let batches = batches.ok_or_else(|| {
            let most = common::microbatch::BATCHES_MAX;
            let message = format!("the model has more than {most} batches of one {}", microbatch.size.as_str());
            Failure::user(Code::InvalidConfig, message)
        })?;
        let decided = Decided { batches, is_incremental };
        let mut publication = self.bare_publication(target, Some(decided.written()));
        publication.node = key;
        self.adapter.connection()?.publish(&publication)?;
        Ok(decided)
    }

    /// Builds what is left. An error ends the attempt; failures of batches alone are in `progress`.
    fn build_batches(&self, batches: &[Batch], progress: &mut Progress) -> Result<()> {
        let pending: Vec<usize> = (0..batches.len()).filter(|number| !progress.built[*number]).collect();
        for (place, &number) in pending.iter().enumerate() {
            let tell = |step: BatchStep<'_>, took: Duration| {
                let name = batches[number].name();
                let (number, total, relation) = (place + 1, pending.len(), self.shown_relation());
                self.tell_batch(&BatchEvent { number, total, name, relation, step, took });
            };
            // dbt gives up where the very first fails.
            if place > 0 && !progress.built[pending[0]] {
                tell(BatchStep::Skipped, Duration::ZERO);
                continue;
            }
            tell(BatchStep::Started, Duration::ZERO);
            let began = Instant::now();
            let part = Part { batch: batches[number], extends: progress.decided.is_incremental || number > 0 };
            let edges = (place == 0, place + 1 == pending.len());
            match self.build_batch(part, edges) {
                Ok(response) => {
                    tell(BatchStep::Built(&response), began.elapsed());
                    progress.built[number] = true;
                }
                Err(failure) => {
                    self.adapter.rollback()?;
                    self.adapter.release();
                    tell(BatchStep::Failed(&failure.message), began.elapsed());
                    // What is not the model's fault is worth another attempt, which finds what is published.
                    if failure.kind != FailureKind::User {
                        return Err(failure);
                    }
                    let failure =
                        Failure { message: format!("batch {}: {}", part.batch.name(), failure.message), ..failure };
                    let (first, count) = progress.failed.take().unwrap_or((failure, 0));
                    progress.failed = Some((first, count + 1));
                }
            }
        }
        if let Some((first, count)) = &mut progress.failed
            && *count > 1
        {
            first.message = format!("{}\n\n{} more batches failed", first.message.trim_end(), *count - 1);
        }
        Ok(())
    }

    /// One batch from template to publication. Hooks run before the first and after the last of an attempt's batches.
    fn build_batch(&self, part: Part, (is_first, is_last): (bool, bool)) -> Result<Response> {
        let mut scope = Scope::step("batch");
        scope.set(attribute::BATCH, part.batch.name());
        let mut node = self.node.clone();
        if !is_first {
            node.config.pre_hook.clear();
        }
        if !is_last {
            node.config.post_hook.clear();
        }
        let assignment = Assignment { node: part.batch.node(&node.unique_id), ..self.assignment.clone() };
        let mut child = Attempt {
            assignment: &assignment,
            run: self.run,
            node: &node,
            adapter: self.adapter.clone(),
            result: self.result.clone(),
            until: Until::End,
            deferred: None,
            transcript: None,
            part: Some(part),
        };
        let built = child.build_part(part);
        built.map_err(|mut failure| {
            if let (Some(compiled), Some(path)) = (&child.result.compiled_code, child.compiled_path()) {
                failure.locate(compiled, &path);
            }
            scope.failed(failure.kind, failure.code.as_str());
            failure
        })?;
        Ok(child.result.response)
    }

    fn build_part(&mut self, part: Part) -> Result<()> {
        let session = self.run.compiler.session_for(self.node.clone(), self.shared_adapter());
        let mut session = session.of_batch(part.batch);
        self.result.compiled_code = Some(session.compile()?.compiled_code);
        self.write_compiled()?;
        if part.extends {
            session.extend_relation();
        }
        if self.has_own_materialization(&session) {
            return self.run_own(&mut session);
        }
        overrides::refuse_unheard(&session, self.node)?;
        self.model(&mut session)
    }

    /// dbt leaves out the database where it is the target's.
    fn shown_relation(&self) -> String {
        let Node { database, schema, alias, .. } = self.node;
        if *database == self.run.target.database {
            format!("{schema}.{alias}")
        } else {
            format!("{database}.{schema}.{alias}")
        }
    }

    fn tell_batch(&self, event: &BatchEvent<'_>) {
        self.run.compiler.tell_batch(event);
        let BatchEvent { name, step, took, .. } = event;
        match step {
            BatchStep::Started => {}
            BatchStep::Built(response) => {
                let message = &response.message;
                transcript::note(Level::Info, || format!("batch {name}: {message} in {}", transcript::seconds(*took)));
            }
            BatchStep::Failed(message) => transcript::note(Level::Error, || format!("batch {name} failed: {message}")),
            BatchStep::Skipped => transcript::note(Level::Warn, || format!("batch {name} is skipped")),
        }
    }
}

impl Decided {
    /// As the publish log keeps it: `{"size": "day", "start": 1704067200000000, "end": …, "is_incremental": false}`
    fn written(self) -> Response {
        let Batches { size, span } = self.batches;
        let message = json!({
            "size": size.as_str(),
            "start": span.start.as_micros(),
            "end": span.end.as_micros(),
            "is_incremental": self.is_incremental,
        });
        Response { message: message.to_string(), ..Response::default() }
    }

    fn read(text: &str) -> Option<Self> {
        let fields: Json = serde_json::from_str(text).ok()?;
        let size = BatchSize::ALL.into_iter().find(|size| fields["size"] == size.as_str())?;
        let time = |key: &str| fields[key].as_i64().map(Timestamp::from_micros);
        let span = Span { start: time("start")?, end: time("end")? };
        Some(Self { batches: Batches { size, span }, is_incremental: fields["is_incremental"].as_bool()? })
    }
}
