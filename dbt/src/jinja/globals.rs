//! Global functions: jinja2's own (`range`, `dict`, …), and those that dbt adds and that are pure functions of values.

use super::value::Value;

/// `range`, `dict`, `lipsum`, `cycler`, `joiner`, `namespace`
pub fn jinja() -> Vec<(&'static str, Value)> {
    Vec::new()
}

/// `tojson`, `fromjson`, `toyaml`, `fromyaml`, `set`, `set_strict`, `zip`, `zip_strict`, `local_md5`, `diff_of_two_dicts`,
/// `modules`
pub fn dbt_functions() -> Vec<(&'static str, Value)> {
    Vec::new()
}
