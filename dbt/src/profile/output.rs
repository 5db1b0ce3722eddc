//! One output of a profile: what all warehouses have in common.

use common::Diagnostic;
use common::diagnostic::Code;
use common::target::{AdapterType, Connection, Target};

use super::{Choice, duckdb, postgres};
use crate::yaml::{Fields, Node, Source, Value};

const THREADS_MAX: i64 = 1024;

/// Validates a rendered output and splits it into what may be known and what is needed to connect. `names` are those of the
/// profile and the target.
pub fn read(
    output: &Node,
    names: (&str, &str),
    choice: &Choice,
    source: &Source,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<(Target, Connection)> {
    let before = diagnostics.len();
    let Value::Mapping(mapping) = &output.value else { return None };
    let (profile, target) = names;
    let what = format!("target '{target}' of profile '{profile}'");
    let mut fields = Fields::new(mapping.clone(), output.span, what, source, diagnostics).lenient();
    let threads = threads(&mut fields, choice);
    let adapter_type = adapter_type(&mut fields);
    let result = adapter_type.and_then(|adapter_type| {
        let credentials = match adapter_type {
            AdapterType::Duckdb => duckdb::read(fields),
            AdapterType::Postgres => postgres::read(fields),
        }?;
        let target = Target {
            profile_name: profile.to_owned(),
            name: target.to_owned(),
            adapter_type,
            database: credentials.database,
            schema: credentials.schema,
            threads,
            extra: credentials.extra,
        };
        Some((target, Connection { adapter_type, settings: credentials.settings }))
    });
    // Whatever is wrong with an output makes the profile unusable, whichever check found it.
    for diagnostic in diagnostics[before..].iter_mut().filter(|diagnostic| diagnostic.code == Code::YamlShape) {
        diagnostic.code = Code::ProfileInvalid;
    }
    let failed = diagnostics[before..].iter().any(Diagnostic::is_error);
    result.filter(|_| !failed)
}

/// What a warehouse's own reader returns.
pub struct Credentials {
    pub database: String,
    pub schema: String,
    /// Everything, under the canonical names of its keys.
    pub settings: common::JsonMap,
    /// What `{{ target.… }}` may show.
    pub extra: common::JsonMap,
}

fn threads(fields: &mut Fields<'_>, choice: &Choice) -> u32 {
    let node = fields.node("threads");
    if let Some(threads) = choice.threads {
        return threads.max(1);
    }
    let Some(node) = node else { return 1 };
    match node.as_i64().filter(|threads| (1..=THREADS_MAX).contains(threads)) {
        Some(threads) => u32::try_from(threads).unwrap_or(1),
        None => {
            fields.error(node.span, format!("'threads' must be a number from 1 to {THREADS_MAX}"));
            1
        }
    }
}

fn adapter_type(fields: &mut Fields<'_>) -> Option<AdapterType> {
    let span = fields.span();
    let Some(node) = fields.node("type") else {
        let message = format!("required field 'type' not found in {}", fields.what());
        fields.error(span, message);
        return None;
    };
    match node.as_str() {
        Some("duckdb") => Some(AdapterType::Duckdb),
        Some("postgres") => Some(AdapterType::Postgres),
        other => {
            let name = other.unwrap_or("something that is not text");
            let diagnostic =
                Diagnostic::error(Code::Unsupported, format!("the adapter type '{name}' is not supported"))
                    .hint("Kontiki runs on 'duckdb' and 'postgres'");
            fields.report(diagnostic, node.span);
            None
        }
    }
}
