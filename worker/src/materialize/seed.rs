//! `dbt seed`: a CSV file as a table.

use std::path::Path;

use common::RelationType;
use common::diagnostic::Code;
use common::relation::{Relation, quote_identifier, quote_literal};
use common::table::{Column, Response};
use common::target::AdapterType;

use super::plan::{Plan, other};
use super::{Request, docs, grants, indexes, table};
use crate::failure::{Failure, Result};
use crate::warehouse::Statement;

/// How the rows reach the warehouse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Load<'a> {
    /// The warehouse reads the file itself (DuckDB's way, dbt-duckdb's default).
    Copy { path: &'a Path, delimiter: &'a str },
    /// The worker sends the rows into this relation, between staging and publication.
    Rows { into: Relation },
}

/// Whether a seed's table is made anew or keeps its columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seeding {
    Create,
    /// The table exists: its rows are replaced, its columns stay.
    Refill,
}

impl Seeding {
    pub fn of(request: &Request<'_>) -> Result<Self> {
        match request.existing_type() {
            None => Ok(Self::Create),
            Some(RelationType::Table) => Ok(if request.full_refresh { Self::Create } else { Self::Refill }),
            Some(kind) => {
                let kind = kind.as_str();
                let message = format!("Cannot seed to '{}', it is a {kind}", request.target);
                Err(Failure::user(Code::CompilerError, message))
            }
        }
    }

    /// dbt's response: `INSERT 3`, or `CREATE 3` with a full refresh.
    pub fn response(request: &Request<'_>, rows: u64) -> Response {
        let code = if request.full_refresh { "CREATE" } else { "INSERT" };
        Response {
            message: format!("{code} {rows}"),
            code: Some(code.to_owned()),
            rows_affected: i64::try_from(rows).ok(),
        }
    }
}

/// The relation that `Load::Rows` fills: where a new table can be swapped in it has the final columns already.
pub fn rows_into(request: &Request<'_>, seeding: Seeding) -> Relation {
    match (request.dialect, seeding) {
        (AdapterType::Postgres, Seeding::Create) => request.staging(RelationType::Table),
        _ => request.temporary(),
    }
}

/// The plan; rows are loaded by the worker between its staging and its publication where `load` says so.
pub fn plan(request: &Request<'_>, seeding: Seeding, columns: &[Column], load: &Load<'_>) -> Result<Plan> {
    let target = request.target;
    let definition = definition(request, columns);
    let names = columns.iter().map(|column| written(request, &column.name)).collect::<Vec<_>>().join(", ");
    let mut plan = Plan::default();
    match (load, seeding, request.dialect) {
        (Load::Rows { into }, Seeding::Create, AdapterType::Postgres) => {
            plan.staging.push(other(format!("create table {into} {definition}")));
            plan.publication.push(Statement::Swap { staging: into.clone(), target: request.target_as_found() });
            plan.abandon.push(format!("drop table if exists {into}"));
        }
        (Load::Rows { into }, Seeding::Refill, AdapterType::Postgres) => {
            plan.staging.push(other(format!("create temporary table {into} (like {target} including defaults)")));
            plan.cleanup.push(format!("drop table if exists {into}"));
            // `truncate` would show an empty table to readers whose snapshot is older.
            plan.publication.push(other(format!("delete from {target}")));
            plan.publication.push(other(format!("insert into {target} ({names}) select {names} from {into}")));
        }
        (Load::Rows { into }, seeding, AdapterType::Duckdb) => {
            plan.staging.push(other(format!("create temporary table {into} {definition}")));
            plan.cleanup.push(format!("drop table if exists {into}"));
            plan.publication.extend(make_room(request, seeding, &definition));
            plan.publication.push(other(format!("insert into {target} ({names}) select {names} from {into}")));
        }
        (Load::Copy { path, delimiter }, seeding, _) => {
            plan.publication.extend(make_room(request, seeding, &definition));
            plan.publication.push(other(format!(
                "copy {target} from {} (format csv, header true, delimiter {})",
                quote_literal(&path.to_string_lossy()),
                quote_literal(delimiter),
            )));
        }
    }
    if seeding == Seeding::Create {
        plan.publication.extend(indexes::statements(request, target)?.into_iter().map(other));
    }
    let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
    let comments = docs::comments(request.node, target, RelationType::Table, &names)?;
    plan.publication.extend(grants::statements(request).into_iter().chain(comments).map(other));
    Ok(plan)
}

/// An empty table under the target's name, inside the publication.
fn make_room(request: &Request<'_>, seeding: Seeding, definition: &str) -> Vec<Statement> {
    let target = request.target;
    match (seeding, request.existing_type()) {
        (Seeding::Refill, _) => vec![other(format!("truncate table {target}"))],
        (Seeding::Create, Some(RelationType::Table)) => {
            vec![other(format!("create or replace table {target} {definition}"))]
        }
        (Seeding::Create, _) => table::drop_other_kind(request)
            .into_iter()
            .chain([format!("create table {target} {definition}")])
            .map(other)
            .collect(),
    }
}

fn definition(request: &Request<'_>, columns: &[Column]) -> String {
    let columns: Vec<String> =
        columns.iter().map(|column| format!("{} {}", written(request, &column.name), column.data_type)).collect();
    format!("({})", columns.join(", "))
}

/// Names are quoted unless `quote_columns` is false.
fn written(request: &Request<'_>, name: &str) -> String {
    if request.node.config.quote_columns.unwrap_or(true) { quote_identifier(name) } else { name.to_owned() }
}
