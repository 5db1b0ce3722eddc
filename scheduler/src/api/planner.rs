//! From what somebody asked for to the run that can be proposed: with the bundle, parsed, as it is deployed now.

use std::sync::Arc;

use common::Diagnostic;
use common::run::RunRequest;
use proto::run::Submit;
use tonic::Status;

use super::manifests::{Key, Manifests};
use super::planning::{self, Known};
use super::{findings, refusal};
use crate::replica::{Consistency, Handle};
use crate::state::Submission;

/// Shared by everybody who begins runs, since parsed bundles are kept in it.
pub struct Planner {
    handle: Handle,
    manifests: Manifests,
}

/// A run that can be proposed, and what there is to say about its project.
pub struct Planned {
    pub submission: Submission,
    pub findings: Vec<Diagnostic>,
}

impl Planner {
    pub fn new(handle: Handle) -> Arc<Self> {
        Arc::new(Self { manifests: Manifests::new(handle.clone()), handle })
    }

    /// Asks this replica's state, as it is.
    pub async fn plan_from_here(&self, submit: Submit) -> Result<Planned, Status> {
        let known =
            self.handle.read_live(Consistency::Stale, |state, leader| Known::of(state, leader, &submit.run)).await;
        self.plan(known.map_err(|error| refusal::failed(&error))?, submit).await
    }

    /// The refusal says whether the project is not deployed, or what is wrong with it.
    pub async fn plan(&self, known: Known, submit: Submit) -> Result<Planned, Status> {
        let bundle = known.bundle.ok_or_else(|| not_deployed(&submit.run))?;
        let key = Key { bundle, target: submit.run.target.clone().into(), vars: submit.run.options.vars.clone() };
        let parsed = self.manifests.get(&key).await?;
        let planned = tokio::task::spawn_blocking(move || {
            let mut findings = parsed.findings.clone();
            let ready = parsed.project.as_ref();
            let submission = ready.and_then(|ready| planning::plan(submit, bundle, ready, &known, &mut findings));
            (submission, findings)
        });
        let (submission, findings) =
            planned.await.map_err(|_| Status::internal("the run could not be planned: a defect"))?;
        match submission {
            Some(submission) => Ok(Planned { submission, findings }),
            None => Err(findings::refuse(&findings)),
        }
    }
}

fn not_deployed(run: &RunRequest) -> Status {
    refusal::not_found(match run.bundle {
        None => format!("project '{}' was never deployed", run.project),
        Some(bundle) => format!("project '{}' has no bundle {bundle}", run.project),
    })
}
