//! Models and snapshots: views, tables, incremental tables, materialized views, tables of versions.

use common::relation::{Relation, RelationType};
use common::table::Column;
use common::target::AdapterType;
use common::task::NodeStatus;
use dbt::compile::Session;

use super::overrides::ProjectMacros;
use super::publish::{Approach, unexpected};
use super::{Attempt, hook};
use crate::failure::Result;
use crate::materialize::incremental::Columns;
use crate::materialize::snapshot::{Sides, Snapshot};
use crate::materialize::{
    Plan, Request, Shape, contract, grants, ignored, incremental, materialized_view, should_full_refresh, snapshot,
    table, view,
};

impl Attempt<'_> {
    pub(super) fn model(&mut self, session: &mut Session<'_>) -> Result<()> {
        let node = self.node;
        let target = node.relation(self.run.manifest().quoting);
        let sql = self.compiled().to_owned();
        let mut request = Request {
            node,
            target: &target,
            existing: None,
            sql: &sql,
            dialect: self.adapter.kind(),
            full_refresh: match &self.part {
                Some(part) if part.extends => false,
                _ => should_full_refresh(node, self.run.options.full_refresh),
            },
            builder: self.builder(),
            columns: &[],
            held_grants: &[],
            batch: self.part.map(|part| part.batch.span),
        };
        if Shape::of(&request)? == Shape::Nothing {
            self.result.status = NodeStatus::NoOp;
            return Ok(());
        }
        let Approach::Open { existing } = self.approach(&target)? else {
            return self.run_outside(session, &node.config.post_hook);
        };
        request.existing = existing.as_ref();
        let shape = Shape::of(&request)?;
        self.warn(&ignored::warnings(&request, shape == Shape::Table)?);

        self.run_outside(session, &node.config.pre_hook)?;
        let before = hook::render(session, &node.config.pre_hook, true)?;
        if node.config.contract.enforced {
            self.check_contract(&before, &sql)?;
        }
        let columns = match shape.needs_columns(&request) {
            true => self.query_columns(&before, &sql)?.into_iter().map(|column| column.name).collect(),
            false => Vec::new(),
        };
        request.columns = &columns;
        let held_grants = if shape.needs_grants(&request) { self.held_grants(&target)? } else { Vec::new() };
        request.held_grants = &held_grants;

        let (plan, kind) = match shape {
            Shape::Nothing => return Ok(()),
            Shape::View => (view::plan(&request, &mut self.macros(session))?, RelationType::View),
            Shape::Table => (table::plan(&request, &mut self.macros(session))?, RelationType::Table),
            Shape::MaterializedView => (materialized_view::create(&request)?, RelationType::MaterializedView),
            Shape::Refresh => (materialized_view::refresh(&request)?, RelationType::MaterializedView),
            Shape::NewSnapshot => {
                let first = Snapshot::of(&request)?.first_versions(&request);
                let request = Request { sql: &first, ..request };
                (table::plan(&request, &mut self.macros(session))?, RelationType::Table)
            }
            Shape::Incremental => {
                self.incremental(session, &request, before)?;
                return self.run_outside(session, &node.config.post_hook);
            }
            Shape::Snapshot => {
                self.snapshot(session, &request, before)?;
                return self.run_outside(session, &node.config.post_hook);
            }
        };
        self.carry_out(session, plan.after_hooks(before), &target, kind)?;
        self.run_outside(session, &node.config.post_hook)
    }

    pub(super) fn warn(&self, warnings: &[String]) {
        for warning in warnings {
            self.run.compiler.warn_once(warning);
        }
    }

    fn incremental(&mut self, session: &mut Session<'_>, request: &Request<'_>, before: Vec<String>) -> Result<()> {
        let plan = incremental::stage(request, &mut self.macros(session))?;
        self.extend(session, request, before, plan, |plan, columns, macros| {
            incremental::publish(request, plan, columns, macros)
        })
    }

    fn snapshot(&mut self, session: &mut Session<'_>, request: &Request<'_>, before: Vec<String>) -> Result<()> {
        let snapshot = Snapshot::of(request)?;
        let existing = self.columns(request.target)?;
        snapshot.check_table(&existing)?;
        let query = self.query_columns(&before, request.sql)?;
        let checked = match snapshot.check_query(request) {
            Some(sql) => self.query_columns(&before, &sql)?,
            None => Vec::new(),
        };
        let changes = snapshot.changes(request, Sides { query: &query, existing: &existing, checked: &checked });
        let plan = snapshot::stage(request, &changes, &mut self.macros(session))?;
        let changed = Request { sql: &changes, ..*request };
        self.extend(session, &changed, before, plan, |plan, columns, _| {
            snapshot::publish(request, &snapshot, plan, columns)
        })
    }

    /// New rows first, then the difference in columns, then the publication, which `complete` plans.
    fn extend(
        &mut self,
        session: &mut Session<'_>,
        request: &Request<'_>,
        before: Vec<String>,
        plan: Plan,
        complete: impl FnOnce(Plan, Columns<'_>, &mut ProjectMacros<'_, '_>) -> Result<Plan>,
    ) -> Result<()> {
        let temporary = request.temporary();
        // Hooks inside of the transaction may make what the model's SQL reads: then the new rows are computed in the publication,
        // and only their columns are looked up before.
        let staged = before.is_empty();
        let new = if staged {
            let staged = self.stage(&plan, None).and_then(|_| self.columns(&temporary));
            if staged.is_err() {
                self.tidy(&plan, true);
            }
            staged?
        } else {
            self.rehearse(
                &before,
                &[format!(
                    "create temporary table {temporary} as select * from (\n{}\n) as __dbt_sbq limit 0",
                    request.sql
                )],
                |attempt| attempt.columns(&temporary),
            )?
        };
        let existing = self.columns(request.target)?;
        let columns = Columns { new: &new, existing: &existing };
        let plan = match complete(plan.clone(), columns, &mut self.macros(session)) {
            Ok(plan) => plan,
            Err(failure) => {
                self.tidy(&plan, true);
                return Err(failure);
            }
        };
        let run_sql = plan.run_sql();
        let plan = if staged { Plan { staging: Vec::new(), ..plan } } else { plan.after_hooks(before) };
        self.write_run(&run_sql)?;
        let published = self.publish(session, &plan, request.target, &self.node.config.post_hook, None);
        self.tidy(&plan, published.is_err());
        let response = published?;
        self.run.built(request.target, RelationType::Table);
        self.collect(request.target);
        self.respond(response);
        Ok(())
    }

    pub(super) fn macros<'s, 'c>(&self, session: &'s mut Session<'c>) -> ProjectMacros<'s, 'c> {
        ProjectMacros { session, adapter: self.adapter.kind() }
    }

    fn columns(&self, relation: &Relation) -> Result<Vec<Column>> {
        Ok(self.adapter.connection()?.columns(relation)?)
    }

    /// The columns a query gives, as the warehouse describes them, without running it.
    fn query_columns(&self, before: &[String], sql: &str) -> Result<Vec<Column>> {
        let empty = format!("select * from (\n{sql}\n) as __dbt_sbq where false limit 0");
        self.rehearse(before, &[], |attempt| Ok(attempt.adapter.query(&empty)?.1.columns))
    }

    /// Looks something up as it will be once `before` has run, and takes all of that back.
    pub(super) fn rehearse<T>(
        &self,
        before: &[String],
        statements: &[String],
        look_up: impl FnOnce(&Self) -> Result<T>,
    ) -> Result<T> {
        if before.is_empty() && statements.is_empty() {
            return look_up(self);
        }
        self.adapter.connection()?.begin()?;
        let mut found = Ok(());
        for sql in before.iter().chain(statements) {
            found = self.adapter.run(sql).map(drop).map_err(Into::into);
            if found.is_err() {
                break;
            }
        }
        let found = found.and_then(|()| look_up(self));
        self.adapter.rollback()?;
        found
    }

    fn check_contract(&self, before: &[String], sql: &str) -> Result<()> {
        let promised = contract::empty_query(self.node)?;
        let promised = self.adapter.query(&promised)?.1.columns;
        let defined = self.query_columns(before, sql)?;
        contract::compare(self.adapter.kind(), &defined, &promised)
    }

    fn held_grants(&self, relation: &Relation) -> Result<Vec<(String, String)>> {
        debug_assert_eq!(self.adapter.kind(), AdapterType::Postgres, "DuckDB has no grants");
        let (_, table) = self.adapter.query(&grants::held_query(relation))?;
        table
            .rows
            .into_iter()
            .map(|row| match <[_; 2]>::try_from(row) {
                Ok([common::table::Datum::Text(grantee), common::table::Datum::Text(privilege)]) => {
                    Ok((privilege, grantee))
                }
                Ok(_) | Err(_) => Err(unexpected("the query for grants gave something other than two texts a row")),
            })
            .collect()
    }
}
