//! Unit tests: the model's query over given rows, side by side with the rows that it should give.
//!
//! ```text
//! compile over fixtures ─▶ types of the query's columns ─▶ actual rows and expected rows ─▶ difference
//! ```
//! Invariant: a unit test leaves nothing behind in the warehouse; what it creates to learn the types is taken back.

use std::rc::Rc;

use common::diagnostic::Code;
use common::relation::{Relation, RelationType};
use common::table::Column;
use common::task::{FailureKind, NodeStatus};
use common::unit_test::{FixtureRows, UnitTest};
use dbt::compile::{Session, Sides, values};
use dbt::jinja::value::Value;

use super::Attempt;
use super::publish::unexpected;
use crate::diff;
use crate::failure::{Failure, Heading, Result};
use crate::warehouse::staging;

impl Attempt<'_> {
    pub(super) fn unit_test(&mut self, session: &mut Session<'_>) -> Result<()> {
        let node = self.node;
        let Some(test) = &node.unit_test else { return Err(Failure::unsupported("a unit test without rows")) };
        let sides = self.compare(test, session).map_err(|failure| self.doubt(failure))?;
        let difference = diff::describe(&sides);
        self.result.failures = Some(i64::from(difference.is_some()));
        self.result.status = if difference.is_some() { NodeStatus::Fail } else { NodeStatus::Pass };
        self.result.message.clone_from(&difference);
        match difference {
            None => Ok(()),
            Some(message) => Err(Failure {
                kind: FailureKind::TestFailed,
                code: Code::UnitTestFailed,
                heading: Heading::Runtime,
                message,
                sql: None,
                position: None,
            }),
        }
    }

    /// Runs the query that gives both sides.
    fn compare(&mut self, test: &UnitTest, session: &mut Session<'_>) -> Result<Sides> {
        let query = self.compiled().to_owned();
        let columns = self.columns_of(&query)?;
        let by_name = |text: &dyn Fn(&Column) -> String| {
            Value::record(
                columns.iter().map(|column| (Rc::from(column.name.to_lowercase()), Value::from(text(column)))),
            )
        };
        let types = by_name(&|column| values::column_type(column, self.adapter.kind()));
        let expected_names: Vec<String> = match &test.expect.rows {
            FixtureRows::Table(rows) if !rows.is_empty() => rows[0].keys().map(|name| name.to_lowercase()).collect(),
            _ => columns.iter().map(|column| column.name.to_lowercase()).collect(),
        };
        let expected = match &test.expect.rows {
            FixtureRows::Sql(query) => query.clone(),
            FixtureRows::Table(rows) => {
                let arguments =
                    vec![(None, values::rows(rows)), (None, types), (None, by_name(&values::quoted_column))];
                values::text(&session.call_macro("get_expected_sql", arguments)?)
            }
        };
        let named = |name: &String| {
            columns.iter().find(|column| column.name.to_lowercase() == *name).map(values::quoted_column)
        };
        let names: Vec<String> = expected_names.iter().filter_map(named).collect();
        let arguments = [Value::str(query), Value::str(expected), values::texts(&names)];
        let arguments = arguments.into_iter().map(|value| (None, value)).collect();
        let sql = values::text(&session.call_macro("get_unit_test_sql", arguments)?);
        let (response, table) = self.adapter.query(&sql)?;
        self.result.response = response;
        Sides::of(&table).ok_or_else(|| unexpected("the unit test's query has no column actual_or_expected"))
    }

    /// The columns that the query gives, with their types, from an empty table of its form.
    fn columns_of(&self, query: &str) -> Result<Vec<Column>> {
        let relation = Relation {
            database: None,
            schema: None,
            identifier: Some(staging::name(&self.node.alias, self.builder())),
            relation_type: Some(RelationType::Table),
            quoting: self.run.manifest().quoting,
        };
        let create = format!(
            "create temporary table {relation} as select * from (\n{query}\n) as __dbt_sbq where false limit 0"
        );
        self.rehearse(&[], &[create], |attempt| Ok(attempt.adapter.connection()?.columns(&relation)?))
    }

    /// dbt's words where the warehouse, or a macro, refuses: most often the given rows are not of the right types.
    fn doubt(&self, failure: Failure) -> Failure {
        if failure.kind != FailureKind::User || failure.code == Code::Unsupported {
            return failure;
        }
        let message = format!(
            "An error occurred during execution of unit test '{}'. There may be an error in the unit test definition: check the \
             data types.\n {}",
            self.node.name, failure.message
        );
        Failure { message, heading: Heading::Runtime, ..failure }
    }
}
