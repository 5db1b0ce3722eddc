//! A batch of a microbatch model, as the model's templates see it: `model.batch`, and inputs that give its rows only.

use common::Json;
use common::manifest::ColumnInfo;
use common::microbatch::{Batch, Span};
use indexmap::IndexMap;

use super::relation::EventTimeFilter;
use super::rendering::Rendering;
use super::time;
use crate::jinja::value::Value;

/// `model.batch`
pub fn value(batch: &Batch) -> Value {
    let Span { start, end } = batch.span;
    Value::record([
        ("id", Value::from(batch.id())),
        ("event_time_start", time::from_timestamp(start)),
        ("event_time_end", time::from_timestamp(end)),
    ])
}

/// The configs by which macros of before `model.batch` know the batch.
pub fn config(batch: &Batch, key: &str) -> Option<Value> {
    match key {
        "__dbt_internal_microbatch_event_time_start" => Some(time::from_timestamp(batch.span.start)),
        "__dbt_internal_microbatch_event_time_end" => Some(time::from_timestamp(batch.span.end)),
        _ => None,
    }
}

/// What selects the batch's rows of an input. None outside of batches, and where the input has no event time. `quoted` says how the
/// input's columns are written where a column itself does not say.
pub fn filter(
    context: &Rendering,
    event_time: Option<&Json>,
    columns: &IndexMap<String, ColumnInfo>,
    quoted: bool,
) -> Option<EventTimeFilter> {
    let Span { start, end } = context.batch.get()?.span;
    let name = event_time?.as_str().filter(|name| !name.is_empty())?;
    let own = columns.values().find(|column| column.name == name).and_then(|column| column.quote);
    let column = if own.unwrap_or(quoted) { format!("\"{name}\"") } else { name.to_owned() };
    Some(EventTimeFilter { column, start: start.to_sql(), end: end.to_sql() })
}
