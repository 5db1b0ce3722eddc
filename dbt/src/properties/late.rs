//! Which strings of a properties file are not rendered when it is read.
//!
//! Source: dbt's behaviour. Descriptions are rendered when docs are resolved, test arguments when the test is compiled, hooks
//! when they run; everything else at once.

use crate::yaml::KeyPart;

/// Whether the value at `path` within an entry of `section` stays a template.
pub fn is_late(section: &str, path: &[KeyPart<'_>]) -> bool {
    let key = |index: usize| path.get(index).and_then(|part| part.key());
    match section {
        "sources" => {
            matches!(key(0), Some("description" | "loaded_at_query"))
                || (key(0) == Some("config") && key(1) == Some("loaded_at_query"))
                || (key(0) == Some("tables") && path.len() > 2 && is_late_in_node(&path[2..]))
        }
        "macros" if key(0) == Some("arguments") => is_late_in_node(&path[1..]),
        _ => is_late_in_node(path),
    }
}

fn is_late_in_node(path: &[KeyPart<'_>]) -> bool {
    let key = |index: usize| path.get(index).and_then(|part| part.key());
    let is_late_key =
        |key: Option<&str>| matches!(key, Some("tests" | "data_tests" | "description" | "loaded_at_query"));
    is_late_key(key(0))
        || (path.len() == 2 && is_late_key(key(1)))
        || (key(0) == Some("config") && matches!(key(1), Some("pre_hook" | "post_hook" | "loaded_at_query")))
        || (path.len() == 5 && key(4) == Some("description"))
        || (matches!(key(0), Some("columns" | "dimensions" | "measures" | "entities"))
            && matches!(key(2), Some("tests" | "data_tests" | "description")))
}
