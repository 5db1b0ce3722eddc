//! dbt's `modules`: the parts of Python's library that templates may use.

pub mod date;
pub mod datetime;
pub mod itertools;
pub mod pattern;
pub mod pytz;
pub mod re;
pub mod strftime;
pub mod strptime;
pub mod time;
pub mod timedelta;
pub mod zone;

use super::value::Value;

/// `modules`: dicts, as in dbt.
pub fn modules() -> Value {
    Value::record([
        ("pytz", pytz::module()),
        ("datetime", datetime::module()),
        ("re", re::module()),
        ("itertools", itertools::module()),
    ])
}
