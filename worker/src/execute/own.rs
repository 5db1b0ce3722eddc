//! Materializations that the project or a package defines, in place of ours or beside them.
//!
//! The macro sends its statements itself, in one transaction. The publish log is written after that transaction, so a worker that
//! dies between the two leaves work that the next attempt does again: such materializations run at least once, not exactly once.

use common::Json;
use common::diagnostic::Code;
use common::manifest::ResourceType;
use common::relation::Relation;
use common::table::Response;
use dbt::compile::Session;

use super::Attempt;
use super::publish::Approach;
use super::test::{Count, stored_as};
use crate::failure::{Failure, Result};
use crate::materialize::Plan;

impl Attempt<'_> {
    /// Whether the project brings the node's materialization itself.
    pub(super) fn has_own_materialization(&self, session: &Session<'_>) -> bool {
        let name = self.node.config.materialized.as_str();
        let adapters = [self.adapter.kind().as_str(), "default"];
        adapters.into_iter().any(|adapter| session.overridden(&format!("materialization_{name}_{adapter}")))
    }

    /// Runs the project's materialization.
    pub(super) fn run_own(&mut self, session: &mut Session<'_>) -> Result<()> {
        let target = self.node.relation(self.run.manifest().quoting);
        let counts = self.node.resource_type == ResourceType::Test;
        let publishes = !counts || stored_as(self.node, self.run.options.store_failures)?.is_some();
        if publishes {
            let approach = self.approach(&target)?;
            if !counts && matches!(approach, Approach::Published) {
                return Ok(());
            }
        }
        let main = self.run_macro(session)?;
        let response = Response {
            message: main.get("response").and_then(Json::as_str).unwrap_or_default().to_owned(),
            ..Response::default()
        };
        self.run.forget(&target);
        if counts {
            self.result.response = response;
            return self.judge(count_of(&main)?);
        }
        self.record(&target, session, response)
    }

    /// What the macro stored under the name `main`.
    fn run_macro(&self, session: &mut Session<'_>) -> Result<common::JsonMap> {
        let name = self.node.config.materialized.as_str();
        self.adapter.connection()?.begin()?;
        let Some(returned) = session.run_materialization(name) else {
            return Err(Failure::unsupported(format_args!("materialization '{name}'")));
        };
        returned?;
        self.adapter.connection()?.commit()?;
        let missing = || Failure::user(Code::CompilerError, "the materialization has no statement named 'main'");
        session.main_result().ok_or_else(missing)
    }

    fn record(&mut self, target: &Relation, session: &mut Session<'_>, response: Response) -> Result<()> {
        let empty = Plan::default();
        // Hooks are the macro's own business.
        let response = self.publish(session, &empty, target, &[], Some(response))?;
        self.respond(response);
        Ok(())
    }
}

/// The one row that a test's materialization selects.
fn count_of(main: &common::JsonMap) -> Result<Count> {
    let row = main.get("data").and_then(|rows| rows.get(0)).and_then(Json::as_array);
    let truth = |cell: &Json| cell.as_bool().or_else(|| cell.as_i64().map(|number| number != 0));
    let count = row.and_then(|row| match row.as_slice() {
        [failures, warn, error] => {
            Some(Count { failures: failures.as_i64()?, should_warn: truth(warn)?, should_error: truth(error)? })
        }
        _ => None,
    });
    count.ok_or_else(|| {
        super::publish::unexpected("the test did not return one row of failures, should_warn, should_error")
    })
}
