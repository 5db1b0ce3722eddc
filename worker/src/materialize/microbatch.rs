//! The `microbatch` strategy on DuckDB: the batch's rows are deleted, and inserted again.

use common::diagnostic::Code;
use common::{Json, microbatch::Span};

use super::Request;
use super::incremental::quoted_names;
use super::overrides::StrategyArguments;
use crate::failure::{Failure, Result};

/// Two statements; the response of the second is the batch's.
pub fn sql(request: &Request<'_>, arguments: StrategyArguments<'_>) -> Result<Vec<String>> {
    let refuse = |message: &str| Err(Failure::user(Code::CompilerError, message));
    let Some(column) = request.node.config.event_time.as_ref().and_then(Json::as_str) else {
        return refuse("microbatch incremental strategy requires an 'event_time' model config");
    };
    if !request.node.config.unique_key.is_empty() {
        return refuse(
            "microbatch incremental strategy does not support 'unique_key'. Remove it, or use incremental_strategy='merge'",
        );
    }
    let Some(Span { start, end }) = request.batch else {
        return refuse("microbatch incremental strategy requires a batch");
    };
    let StrategyArguments { target, temporary, columns, predicates, .. } = arguments;
    let in_batch = format!("{column} >= '{}' and {column} < '{}'", start.to_sql(), end.to_sql());
    let filters: String = predicates.iter().map(|predicate| format!("\n    and ({predicate})")).collect();
    let columns = quoted_names(columns);
    Ok(vec![
        format!("delete from {target}\nwhere {in_batch}{filters}"),
        format!("insert into {target} ({columns})\nselect {columns}\nfrom {temporary}\nwhere {in_batch}"),
    ])
}
