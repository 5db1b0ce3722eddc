//! From a plan to a published relation, exactly once.

use std::time::Instant;

use common::node_config::Hook;
use common::relation::{Relation, RelationType};
use common::table::Response;
use common::task::FailureKind;
use common::telemetry::attribute;
use common::transcript::Level;
use dbt::compile::Session;

use super::group::Deferred;
use super::{Attempt, Until, hook};
use crate::failure::{Failure, Result};
use crate::materialize::Plan;
use crate::trace::Scope;
use crate::transcript;
use crate::warehouse::{Publication, Statement, staging};

/// What an attempt finds in its node's place.
pub(super) enum Approach {
    /// An earlier attempt of this run did the work.
    Published,
    Open {
        existing: Option<Relation>,
    },
}

impl Attempt<'_> {
    /// An attempt after a lost one may find its work done: then the result in the publish log is this attempt's, too.
    fn adopt(&mut self) -> Result<bool> {
        if !self.follows_another() {
            return Ok(false);
        }
        let published = self.adapter.connection()?.published(self.assignment.run, &self.assignment.node)?;
        let found = published.is_some();
        if found {
            Scope::step("adopt").set(attribute::ADOPTED, true);
            transcript::note(Level::Info, || "an earlier attempt had published: its result is adopted");
        }
        if let Some(published) = published {
            self.respond(published.response);
        }
        Ok(found)
    }

    /// Makes the schema, takes the node's fence, and finds what stands in its place. The publish log is read behind the fence:
    /// before it, an earlier attempt could still publish.
    pub(super) fn approach(&mut self, target: &Relation) -> Result<Approach> {
        let _scope = Scope::step("claim");
        let follows_another = self.follows_another();
        let existing = {
            let mut connection = self.adapter.connection()?;
            self.run.ensure_schema(connection.as_mut(), target)?;
            // What may be deferred has nothing to build: its publication takes the fence.
            if !self.may_defer() {
                connection.claim(target, self.assignment.epoch)?;
            }
            self.run.existing(connection.as_mut(), target, follows_another)?
        };
        Ok(if self.adopt()? { Approach::Published } else { Approach::Open { existing } })
    }

    /// Whether the publication may be left to the group. An attempt that follows another publishes alone, behind its claim.
    fn may_defer(&self) -> bool {
        self.until == Until::Publication && !self.follows_another() && self.run.is_light(&self.node.unique_id)
    }

    /// Runs a plan to its end, the hooks after the build included; or leaves its publication to the group.
    pub(super) fn carry_out(
        &mut self,
        session: &mut Session<'_>,
        plan: Plan,
        target: &Relation,
        kind: RelationType,
    ) -> Result<()> {
        self.write_run(&plan.run_sql())?;
        let hooks = &self.node.config.post_hook;
        if self.may_defer() {
            if plan.only_replaces_a_view() {
                let publication = self.publication(session, &plan, target, hooks, None)?;
                self.deferred = Some(Deferred { publication, kind });
                return Ok(());
            }
            self.adapter.connection()?.claim(target, self.assignment.epoch)?;
        }
        let published =
            self.stage(&plan, None).and_then(|response| self.publish(session, &plan, target, hooks, response));
        self.tidy(&plan, published.is_err());
        let response = published?;
        self.run.built(target, kind);
        self.collect(target);
        self.respond(response);
        Ok(())
    }

    /// Runs what comes before the publication; `response` is what an earlier step answered.
    pub(super) fn stage(&self, plan: &Plan, mut response: Option<Response>) -> Result<Option<Response>> {
        if !plan.staging.is_empty() {
            let target = self.node.relation(self.run.manifest().quoting);
            let name = staging::name(target.identifier.as_deref().unwrap_or_default(), self.builder());
            self.adapter.connection()?.hold(&target.with_identifier(name))?;
        }
        for statement in &plan.staging {
            let Statement::Sql { sql, main } = statement else {
                unreachable!("staging holds plain statements only: swaps change what readers see");
            };
            let answer = self.adapter.run(sql)?;
            if *main {
                response = Some(answer);
            }
        }
        Ok(response)
    }

    /// The one transaction in which readers see a change; `hooks` that belong into it come last.
    pub(super) fn publish(
        &self,
        session: &mut Session<'_>,
        plan: &Plan,
        target: &Relation,
        hooks: &[Hook],
        response: Option<Response>,
    ) -> Result<Response> {
        let publication = self.publication(session, plan, target, hooks, response)?;
        let mut scope = Scope::step("publish");
        let began = Instant::now();
        let published = self.adapter.connection().and_then(|mut connection| connection.publish(&publication));
        scope.answered(published.as_ref());
        let took = began.elapsed();
        transcript::note(Level::Debug, || match &published {
            Ok(_) => format!("published in {}", transcript::seconds(took)),
            Err(error) => format!("not published after {} ({})", transcript::seconds(took), error.code.as_str()),
        });
        Ok(published?)
    }

    fn publication(
        &self,
        session: &mut Session<'_>,
        plan: &Plan,
        target: &Relation,
        hooks: &[Hook],
        response: Option<Response>,
    ) -> Result<Publication> {
        let after = hook::render(session, hooks, true)?;
        let bare = self.bare_publication(target, response);
        let after = after.into_iter().map(|sql| Statement::Sql { sql, main: false });
        let statements = plan.publication.iter().cloned().chain(after).map(|statement| match statement {
            Statement::Sql { sql, main } => Statement::Sql { sql: self.adapter.commented(&sql).into_owned(), main },
            other => other,
        });
        Ok(Publication { statements: statements.collect(), ..bare })
    }

    /// A publication that changes nothing but the publish log.
    pub(super) fn bare_publication(&self, target: &Relation, response: Option<Response>) -> Publication {
        Publication {
            run: self.assignment.run,
            node: self.assignment.node.clone(),
            epoch: self.assignment.epoch,
            relation: target.clone(),
            statements: Vec::new(),
            response,
        }
    }

    /// Notes what a deferred publication did.
    pub(super) fn published(&mut self, deferred: &Deferred, response: Response) {
        self.run.built(&deferred.publication.relation, deferred.kind);
        self.respond(response);
    }

    /// Looks again after what others left in the schema, where there was something. That it cannot be dropped is not this node's
    /// failure.
    pub(super) fn collect(&self, target: &Relation) {
        if let Ok(mut connection) = self.adapter.connection() {
            self.run.collect_leftovers(connection.as_mut(), target, self.follows_another());
        }
    }

    /// Drops what the plan left on this connection and, after a failure, what it staged.
    pub(super) fn tidy(&self, plan: &Plan, failed: bool) {
        if failed {
            // A statement that failed may have left its transaction open, in which nothing can be dropped.
            drop(self.adapter.rollback());
            self.adapter.run_quietly(&plan.abandon);
            self.adapter.release();
        }
        self.adapter.run_quietly(&plan.cleanup);
    }
}

/// A failure that stands for a warehouse's answer that is not of the form the protocol has.
pub(super) fn unexpected(message: impl Into<String>) -> Failure {
    Failure { kind: FailureKind::User, ..Failure::system(common::diagnostic::Code::SqlError, message) }
}
