//! Strings of properties files that are templates.

use common::Json;

use super::draft::has_jinja;

/// Renders a string of a properties file in dbt's native environment.
pub fn native(text: &str) -> Result<Json, String> {
    if has_jinja(text) {
        return Err("templates in properties files are not supported yet".to_owned());
    }
    Ok(Json::String(text.to_owned()))
}
