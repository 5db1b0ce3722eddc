//! The `merge` strategy of incremental models.

use common::Json;
use common::diagnostic::Code;
use common::relation::quote_identifier;
use common::table::Column;
use common::target::AdapterType;

use super::Request;
use super::incremental::quoted_names;
use super::overrides::StrategyArguments;
use crate::failure::{Failure, Result};

/// One `merge` statement in the adapter's own form.
pub fn sql(request: &Request<'_>, arguments: StrategyArguments<'_>) -> Result<String> {
    match request.dialect {
        AdapterType::Postgres => postgres(request, arguments),
        AdapterType::Duckdb => duckdb(request, arguments),
    }
}

fn postgres(request: &Request<'_>, arguments: StrategyArguments<'_>) -> Result<String> {
    let StrategyArguments { target, temporary, unique_key, columns, predicates, .. } = arguments;
    let mut conditions = predicates.to_vec();
    conditions.extend(key_matches(unique_key));
    let on = conditions.join(") and (");
    let update = if unique_key.is_empty() {
        String::new()
    } else {
        let updates: Vec<String> = update_columns(request, columns)?
            .into_iter()
            .map(|column| format!("{column} = DBT_INTERNAL_SOURCE.{column}"))
            .collect();
        format!("\nwhen matched then update set {}", updates.join(", "))
    };
    let names = quoted_names(columns);
    Ok(format!(
        "merge into {target} as DBT_INTERNAL_DEST\nusing {temporary} as DBT_INTERNAL_SOURCE\non ({on}){update}\nwhen not \
         matched then insert ({names})\nvalues ({names})"
    ))
}

fn duckdb(request: &Request<'_>, arguments: StrategyArguments<'_>) -> Result<String> {
    let StrategyArguments { target, temporary, unique_key, columns, predicates, .. } = arguments;
    if request.node.config.extra.get("merge_clauses").is_some_and(|clauses| !clauses.is_null()) {
        return Err(Failure::unsupported("config 'merge_clauses'"));
    }
    let using_columns = string_list(request, "merge_on_using_columns")?;
    let join = if using_columns.is_empty() {
        let mut conditions = key_matches(unique_key);
        conditions.extend(predicates.iter().cloned());
        format!("on ({})", conditions.join(") and ("))
    } else {
        let filters =
            if predicates.is_empty() { String::new() } else { format!("\non ({})", predicates.join(") and (")) };
        format!("using ({}){filters}", using_columns.join(", "))
    };
    let expressions = set_expressions(request)?;
    let config = &request.node.config;
    let explicit =
        !config.merge_update_columns.is_empty() || !config.merge_exclude_columns.is_empty() || !expressions.is_empty();
    let update = if explicit {
        let overridden = |column: &str| expressions.iter().any(|(name, _)| *name == column.replace(['"', '\''], ""));
        let copied = update_columns(request, columns)?
            .into_iter()
            .filter(|column| !overridden(column))
            .map(|column| format!("{column} = DBT_INTERNAL_SOURCE.{column}"));
        let all: Vec<String> =
            expressions.iter().map(|(column, expression)| format!("{column} = {expression}")).chain(copied).collect();
        format!("update set {}", all.join(", "))
    } else {
        "update by name".to_owned()
    };
    let condition = |key: &str| -> Result<String> {
        Ok(string(request, key)?.map(|condition| format!(" and {condition}")).unwrap_or_default())
    };
    let (on_match, on_new) = (condition("merge_update_condition")?, condition("merge_insert_condition")?);
    let returning = string_list(request, "merge_returning_columns")?;
    let returning = if returning.is_empty() { String::new() } else { format!("\nreturning {}", returning.join(", ")) };
    Ok(format!(
        "merge into {target} as DBT_INTERNAL_DEST\nusing {temporary} as DBT_INTERNAL_SOURCE\n{join}\nwhen matched{on_match} \
         then {update}\nwhen not matched{on_new} then insert by name{returning}"
    ))
}

fn key_matches(unique_key: &[String]) -> Vec<String> {
    if unique_key.is_empty() {
        return vec!["FALSE".to_owned()];
    }
    unique_key.iter().map(|key| format!("DBT_INTERNAL_SOURCE.{key} = DBT_INTERNAL_DEST.{key}")).collect()
}

/// Columns that a matched row takes over, as SQL.
fn update_columns(request: &Request<'_>, columns: &[Column]) -> Result<Vec<String>> {
    let config = &request.node.config;
    match (config.merge_update_columns.as_slice(), config.merge_exclude_columns.as_slice()) {
        ([], []) => Ok(columns.iter().map(|column| quote_identifier(&column.name)).collect()),
        (update, []) => Ok(update.to_vec()),
        ([], exclude) => Ok(columns
            .iter()
            .filter(|column| !exclude.iter().any(|name| name.to_lowercase() == column.name.to_lowercase()))
            .map(|column| quote_identifier(&column.name))
            .collect()),
        _ => {
            let message = "Model cannot specify merge_update_columns and merge_exclude_columns. Please update model to use \
                           only one config";
            Err(Failure::user(Code::CompilerError, message))
        }
    }
}

fn string<'r>(request: &Request<'r>, key: &str) -> Result<Option<&'r str>> {
    match request.node.config.extra.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => Ok((!text.is_empty()).then_some(text.as_str())),
        Some(other) => Err(invalid(key, "must be a string", other)),
    }
}

fn string_list<'r>(request: &Request<'r>, key: &str) -> Result<Vec<&'r str>> {
    match request.node.config.extra.get(key) {
        None | Some(Json::Null) => Ok(Vec::new()),
        Some(Json::Array(items)) => items
            .iter()
            .map(|item| item.as_str().ok_or_else(|| invalid(key, "must contain only string values", item)))
            .collect(),
        Some(other) => Err(invalid(key, "must be a list", other)),
    }
}

fn set_expressions<'r>(request: &Request<'r>) -> Result<Vec<(&'r str, &'r str)>> {
    let key = "merge_update_set_expressions";
    match request.node.config.extra.get(key) {
        None | Some(Json::Null) => Ok(Vec::new()),
        Some(Json::Object(map)) => map
            .iter()
            .map(|(column, value)| match value.as_str() {
                Some(expression) => Ok((column.as_str(), expression)),
                None => Err(invalid(key, "must map columns to expressions", value)),
            })
            .collect(),
        Some(other) => Err(invalid(key, "must be a dictionary", other)),
    }
}

fn invalid(key: &str, rule: &str, found: &Json) -> Failure {
    Failure::user(Code::InvalidConfig, format!("MERGE configuration errors:\n{key} {rule}, found: {found}"))
}
