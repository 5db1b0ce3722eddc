//! `materialized: incremental`, when the relation exists and only new rows are computed.
//!
//! The new rows go into a temporary table first, so that the model's SQL may read the relation it extends; then, in the
//! publication, the relation's columns are brought in line and the rows are appended, replaced or merged.

use common::diagnostic::Code;
use common::microbatch;
use common::relation::quote_identifier;
use common::table::Column;
use common::target::AdapterType;
use common::{Json, RelationType};

use super::ddl::{self, Creation};
use super::overrides::StrategyArguments;
use super::plan::{Plan, other};
use super::{MacroCall, Overrides, Request, docs, grants, merge, schema_change};
use crate::failure::{Failure, Result};

/// How new rows come into the relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strategy {
    Append,
    DeleteInsert,
    Merge,
    /// The rows of one batch of event time.
    Microbatch,
    /// `get_incremental_<name>_sql` of the project.
    Custom(String),
}

/// The columns on both sides, looked up after `stage`.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'c> {
    pub new: &'c [Column],
    pub existing: &'c [Column],
}

impl Strategy {
    /// The configured strategy, or the adapter's own default.
    pub fn of(request: &Request<'_>) -> Result<Self> {
        let keyed = !request.node.config.unique_key.is_empty();
        let name = request.node.config.incremental_strategy.as_deref().unwrap_or("default");
        Ok(match (name, request.dialect) {
            ("default", AdapterType::Duckdb) => Self::DeleteInsert,
            ("default", AdapterType::Postgres) if keyed => Self::DeleteInsert,
            ("default", AdapterType::Postgres) | ("append", _) => Self::Append,
            ("delete+insert", _) => Self::DeleteInsert,
            ("merge", _) => Self::Merge,
            (microbatch::STRATEGY, _) => Self::Microbatch,
            ("insert_overwrite", dialect) => {
                let message =
                    format!("The incremental strategy 'insert_overwrite' is not valid for this adapter ({dialect})");
                return Err(Failure::user(Code::InvalidConfig, message));
            }
            (custom, _) => Self::Custom(custom.to_owned()),
        })
    }

    fn macro_name(&self) -> String {
        match self {
            Self::Append => "append".to_owned(),
            Self::DeleteInsert => "delete_insert".to_owned(),
            Self::Merge => "merge".to_owned(),
            Self::Microbatch => microbatch::STRATEGY.to_owned(),
            Self::Custom(name) => name.replace('+', "_"),
        }
    }
}

/// Statements that compute the new rows.
pub fn stage(request: &Request<'_>, overrides: &mut dyn Overrides) -> Result<Plan> {
    let temporary = request.temporary();
    let create = ddl::create_table(request, &temporary, Creation::Temporary, overrides)?;
    Ok(Plan {
        staging: create.into_iter().map(other).collect(),
        cleanup: vec![format!("drop table if exists {temporary}")],
        ..Plan::default()
    })
}

/// Completes the plan of `stage` now that the columns of the new rows are known.
pub fn publish(
    request: &Request<'_>,
    mut plan: Plan,
    columns: Columns<'_>,
    overrides: &mut dyn Overrides,
) -> Result<Plan> {
    let target = request.target.clone().with_type(RelationType::Table);
    let config = &request.node.config;
    if request.dialect == AdapterType::Postgres && !config.contract.enforced {
        plan.publication.extend(schema_change::widen(&target, columns.new, columns.existing).into_iter().map(other));
    }
    let (changes, inserted) =
        schema_change::reconcile(config.on_schema_change, request.dialect, &target, columns.new, columns.existing)?;
    plan.publication.extend(changes.into_iter().map(other));

    let temporary = request.temporary();
    let predicates = predicates(request);
    let arguments = StrategyArguments {
        target: &target,
        temporary: &temporary,
        unique_key: &config.unique_key,
        unique_key_is_list: config.unique_key_is_list,
        columns: inserted,
        predicates: &predicates,
    };
    let statements = strategy_sql(request, &Strategy::of(request)?, arguments, overrides)?;
    plan.publication.extend(super::table::last_is_main(statements));

    let comments = docs::comments(request.node, request.target, RelationType::Table, request.columns)?;
    plan.publication.extend(grants::statements(request).into_iter().chain(comments).map(other));
    Ok(plan)
}

fn strategy_sql(
    request: &Request<'_>,
    strategy: &Strategy,
    arguments: StrategyArguments<'_>,
    overrides: &mut dyn Overrides,
) -> Result<Vec<String>> {
    let name = strategy.macro_name();
    if let Some(sql) = overrides.call(&MacroCall::Strategy { name: &name, arguments })? {
        return Ok(vec![sql]);
    }
    match strategy {
        Strategy::Append => append(arguments, overrides),
        Strategy::DeleteInsert => match overrides.call(&MacroCall::DeleteInsert(arguments))? {
            Some(sql) => Ok(vec![sql]),
            None => Ok(delete(request.dialect, arguments).into_iter().chain([insert(arguments)]).collect()),
        },
        Strategy::Merge => match overrides.call(&MacroCall::Merge(arguments))? {
            Some(sql) => Ok(vec![sql]),
            None => Ok(request
                .sql_header()
                .map(str::to_owned)
                .into_iter()
                .chain([merge::sql(request, arguments)?])
                .collect()),
        },
        Strategy::Microbatch => match request.dialect {
            AdapterType::Duckdb => super::microbatch::sql(request, arguments),
            AdapterType::Postgres if request.node.config.unique_key.is_empty() => {
                let message = "dbt-postgres 'microbatch' requires a `unique_key` config";
                Err(Failure::user(Code::CompilerError, message))
            }
            AdapterType::Postgres => strategy_sql(request, &Strategy::Merge, arguments, overrides),
        },
        Strategy::Custom(_) => {
            let message = format!(
                "dbt could not find an incremental strategy macro with the name \"get_incremental_{name}_sql\" in {}",
                request.node.package_name
            );
            Err(Failure::user(Code::UnknownMacro, message))
        }
    }
}

fn append(arguments: StrategyArguments<'_>, overrides: &mut dyn Overrides) -> Result<Vec<String>> {
    Ok(vec![overrides.call(&MacroCall::InsertInto(arguments))?.unwrap_or_else(|| insert(arguments))])
}

fn insert(arguments: StrategyArguments<'_>) -> String {
    let columns = quoted_names(arguments.columns);
    let StrategyArguments { target, temporary, .. } = arguments;
    format!("insert into {target} ({columns}) (\n    select {columns}\n    from {temporary}\n)")
}

/// Deletes the rows that the new ones replace; the two adapters differ in how predicates name the relations.
fn delete(dialect: AdapterType, arguments: StrategyArguments<'_>) -> Option<String> {
    let StrategyArguments { target, temporary, unique_key, unique_key_is_list, predicates, .. } = arguments;
    if unique_key.is_empty() {
        return None;
    }
    let filters: String = predicates.iter().map(|predicate| format!("\n    and {predicate}")).collect();
    Some(match dialect {
        AdapterType::Postgres => {
            let key = unique_key.join(", ");
            format!(
                "delete from {target} as DBT_INTERNAL_DEST\nwhere ({key}) in (\n    select distinct {key}\n    from \
                 {temporary} as DBT_INTERNAL_SOURCE\n){filters}"
            )
        }
        AdapterType::Duckdb if unique_key_is_list => {
            let matches: Vec<String> =
                unique_key.iter().map(|key| format!("{temporary}.{key} = DBT_INCREMENTAL_TARGET.{key}")).collect();
            format!(
                "delete from {target} as DBT_INCREMENTAL_TARGET\nusing {temporary}\nwhere (\n    {}{filters}\n)",
                matches.join("\n    and ")
            )
        }
        AdapterType::Duckdb => {
            let key = unique_key.join(", ");
            format!("delete from {target}\nwhere ({key}) in (\n    select ({key})\n    from {temporary}\n){filters}")
        }
    })
}

/// `predicates` wins over `incremental_predicates`, as in dbt.
fn predicates(request: &Request<'_>) -> Vec<String> {
    match request.node.config.extra.get("predicates") {
        Some(Json::String(predicate)) if !predicate.is_empty() => vec![predicate.clone()],
        Some(Json::Array(list)) if !list.is_empty() => {
            list.iter().filter_map(Json::as_str).map(str::to_owned).collect()
        }
        _ => request.node.config.incremental_predicates.clone(),
    }
}

pub(super) fn quoted_names(columns: &[Column]) -> String {
    columns.iter().map(|column| quote_identifier(&column.name)).collect::<Vec<_>>().join(", ")
}
