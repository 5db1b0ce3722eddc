//! What a project may be called.

/// Names that templates already use. Source: dbt's list of reserved project names.
const RESERVED: &[&str] = &[
    "_sql_results",
    "adapter",
    "api",
    "column",
    "config",
    "context",
    "database",
    "env",
    "env_var",
    "exceptions",
    "execute",
    "flags",
    "fromjson",
    "fromyaml",
    "graph",
    "invocation_id",
    "load_agate_table",
    "load_result",
    "log",
    "model",
    "modules",
    "post_hooks",
    "pre_hooks",
    "ref",
    "render",
    "return",
    "run_started_at",
    "schema",
    "source",
    "sql",
    "sql_now",
    "store_result",
    "store_raw_result",
    "target",
    "this",
    "tojson",
    "toyaml",
    "try_or_compiler_error",
    "var",
    "write",
];

/// Why a project cannot have this name, if it cannot.
pub fn objection(name: &str) -> Option<String> {
    if RESERVED.contains(&name) {
        return Some(format!("'{name}' cannot be the name of a project: it is a reserved word"));
    }
    let starts_well = name.starts_with(|first: char| first == '_' || first.is_alphabetic());
    let is_word = name.chars().all(|c| c == '_' || c.is_alphanumeric());
    (!starts_well || !is_word).then(|| {
        format!(
            "'{name}' cannot be the name of a project: only letters, digits and '_' are allowed, and no digit first"
        )
    })
}
