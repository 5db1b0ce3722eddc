//! Settings that DuckDB has no use for. As dbt-duckdb does, they are passed over with a warning.

use common::Json;
use common::diagnostic::Code;
use common::target::AdapterType;

use super::Request;
use crate::failure::{Failure, Result};

/// Settings by which a DuckLake table would be laid out: both spellings, the first that is set counts.
const LAYOUTS: [[&str; 2]; 2] = [["partitioned_by", "partition_by"], ["sorted_by", "sort_by"]];

/// What dbt-duckdb warns of when it builds the node; `makes_table` tells whether a whole table is written.
pub fn warnings(request: &Request<'_>, makes_table: bool) -> Result<Vec<String>> {
    if request.dialect != AdapterType::Duckdb {
        return Ok(Vec::new());
    }
    let mut warnings = Vec::new();
    for spellings in LAYOUTS.iter().filter(|_| makes_table) {
        let extra = &request.node.config.extra;
        let is_set = |value: &&Json| !value.is_null() && value.as_str() != Some("");
        let Some(value) = spellings.iter().find_map(|name| extra.get(*name).filter(is_set)) else { continue };
        let setting = spellings.join("/");
        check(value, &setting)?;
        warnings.push(format!(
            "DuckDB adapter: {setting} is only supported for DuckLake relations; ignoring for {}",
            request.target
        ));
    }
    if !request.node.config.grants.is_empty() {
        warnings.push("DuckDB adapter: Grants for relations are not supported by DuckDB".to_owned());
    }
    Ok(warnings)
}

/// Refuses what dbt-duckdb refuses, though nothing would come of it.
fn check(value: &Json, setting: &str) -> Result<()> {
    let message = match value {
        Json::String(_) => return Ok(()),
        Json::Array(items) if items.is_empty() => "must contain at least one column",
        Json::Array(items) if items.iter().all(Json::is_string) => return Ok(()),
        Json::Array(_) => "list values must be non-empty strings",
        _ => "must be a list of strings or a string",
    };
    Err(Failure::user(Code::CompilerError, format!("{setting} {message}")))
}
