//! `'…' % values`

use super::arguments::type_error;
use super::error::Result;
use super::value::Value;

/// Formats as `template % values`.
pub fn format(_template: &str, values: &Value) -> Result<String> {
    Err(type_error(format!("% of {} is not there yet", values.type_name())))
}
