//! `indexes`: created with the relation, before readers see it.

use common::Json;
use common::diagnostic::Code;
use common::relation::Relation;
use common::target::AdapterType;

use super::Request;
use crate::failure::{Failure, Result};

/// `create index` statements on `relation`, which may still be staging.
pub fn statements(request: &Request<'_>, relation: &Relation) -> Result<Vec<String>> {
    let Some(indexes) = request.node.config.extra.get("indexes").filter(|indexes| !indexes.is_null()) else {
        return Ok(Vec::new());
    };
    let Some(indexes) = indexes.as_array() else {
        return Err(invalid(indexes));
    };
    indexes.iter().map(|index| statement(request, relation, index)).collect()
}

fn statement(request: &Request<'_>, relation: &Relation, index: &Json) -> Result<String> {
    let columns: Option<Vec<&str>> = index
        .get("columns")
        .and_then(Json::as_array)
        .and_then(|columns| columns.iter().map(Json::as_str).collect())
        .filter(|columns: &Vec<&str>| !columns.is_empty());
    let Some(columns) = columns else {
        return Err(invalid(index));
    };
    let unique = if index.get("unique").and_then(Json::as_bool).unwrap_or(false) { "unique " } else { "" };
    let using = match (index.get("type").and_then(Json::as_str), request.dialect) {
        (Some(method), AdapterType::Postgres) => format!(" using {method}"),
        _ => String::new(),
    };
    // Indexes of the relation that is being replaced still hold their names, so a name carries the attempt's staging relation.
    let seed = format!("{}_{}_{unique}{using}", columns.join("_"), request.staging_name());
    let name = format!("{:016x}{:016x}", digest(seed.as_bytes()), digest(relation.render().as_bytes()));
    Ok(format!("create {unique}index \"{name}\" on {relation}{using} ({})", columns.join(", ")))
}

fn invalid(found: &Json) -> Failure {
    let message = format!("Could not parse index config: a list of {{columns, unique, type}} is wanted, found {found}");
    Failure::user(Code::InvalidConfig, message)
}

/// FNV-1a: names need to differ, not to resist anyone.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
