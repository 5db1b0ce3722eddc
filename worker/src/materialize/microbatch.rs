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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use common::Timestamp;
    use common::table::Column;
    use common::target::AdapterType;
    use serde_json::json;

    use super::*;
    use crate::materialize::fixture::{node, request, target};

    #[test]
    fn a_batch_replaces_the_rows_of_its_event_times() {
        let mut node = node("incremental");
        let target = target();
        let temporary = target.clone().with_identifier("new");
        let columns = [Column { name: "id".to_owned(), data_type: "integer".to_owned() }];
        let arguments = StrategyArguments {
            target: &target,
            temporary: &temporary,
            unique_key: &[],
            unique_key_is_list: false,
            columns: &columns,
            predicates: &["n > 1".to_owned()],
        };
        let day = |day: i64| Timestamp(day * 86_400_000_000);
        let batch = Some(Span { start: day(19_723), end: day(19_724) });
        let with =
            |node: &_, batch| sql(&Request { batch, ..request(AdapterType::Duckdb, node, &target, None) }, arguments);
        assert!(with(&node, batch).unwrap_err().message.contains("requires an 'event_time'"));
        node.config.event_time = Some(json!("at"));
        assert!(with(&node, None).unwrap_err().message.contains("requires a batch"));
        let times = "at >= '2024-01-01 00:00:00+00:00' and at < '2024-01-02 00:00:00+00:00'";
        let expected = [
            format!("delete from {target}\nwhere {times}\n    and (n > 1)"),
            format!("insert into {target} (\"id\")\nselect \"id\"\nfrom {temporary}\nwhere {times}"),
        ];
        assert_eq!(with(&node, batch).unwrap(), expected);
        node.config.unique_key = vec!["id".to_owned()];
        assert!(with(&node, batch).unwrap_err().message.contains("does not support 'unique_key'"));
    }
}
