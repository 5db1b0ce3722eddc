//! `exceptions`: how macros stop with a message of their own, or warn.

use std::rc::Rc;

use super::arguments::{argument, text_of};
use super::members::bound;
use super::relation::RelationObject;
use super::rendering::{Rendering, raise};
use crate::jinja::error::{Error, ErrorKind};
use crate::jinja::value::{Args, Value};

/// Functions that raise their first argument as it is.
const PLAIN: &[&str] = &[
    "raise_compiler_error",
    "raise_dependency_error",
    "raise_fail_fast_error",
    "raise_cache_inconsistent",
    "raise_not_implemented",
    "raise_dataclass_not_dict",
];
/// Functions whose arguments become the message.
const LISTED: &[&str] = &[
    "raise_ambiguous_alias",
    "raise_ambiguous_catalog_match",
    "raise_dep_not_found",
    "raise_duplicate_patch_name",
    "raise_duplicate_resource_name",
    "raise_invalid_property_yml_version",
    "missing_materialization",
];

pub fn create(context: &Rc<Rendering>) -> Value {
    let message =
        |args: &Args| argument(args, 0, "msg").or_else(|| argument(args, 0, "message")).as_ref().and_then(text_of);
    let mut functions: Vec<(&'static str, Value)> = Vec::new();
    for name in PLAIN {
        let raise = Value::function(name, move |_, args| Err(raise(message(&args).unwrap_or_default())));
        functions.push((name, raise));
    }
    for name in LISTED {
        let raise = Value::function(name, move |_, args| {
            let parts: Vec<String> = args.positional.iter().map(|value| value.to_str().to_string()).collect();
            Err(raise(format!("{name}: {}", parts.join(", "))))
        });
        functions.push((name, raise));
    }
    let database = move |args: &Args| {
        let mut error = Error::new(ErrorKind::Database, message(args).unwrap_or_default());
        error.source = None;
        error
    };
    functions.push((
        "raise_database_error",
        Value::function("raise_database_error", move |_, args| Err(database(&args).into())),
    ));
    functions.push((
        "warn",
        bound(context, |context, _, args| {
            let text = argument(&args, 0, "msg").as_ref().and_then(text_of).unwrap_or_default();
            context.shared.invocation.output.warn(&text);
            Ok(Value::str(""))
        }),
    ));
    functions.push((
        "warn_snapshot_timestamp_data_types",
        bound(context, |context, _, args| {
            let types: Vec<String> = args.positional.iter().map(|value| value.to_str().to_string()).collect();
            let text = format!("Data type of snapshot table timestamp columns ({}) does not match", types.join(", "));
            context.shared.invocation.output.warn(&text);
            Ok(Value::None)
        }),
    ));
    functions.push((
        "missing_config",
        Value::function("missing_config", |_, args| {
            let key = argument(&args, 1, "name").as_ref().and_then(text_of).unwrap_or_default();
            Err(raise(format!("Model does not define a required config parameter '{key}'.")))
        }),
    ));
    functions.push((
        "missing_relation",
        Value::function("missing_relation", |_, args| {
            let name = argument(&args, 0, "relation").as_ref().and_then(text_of).unwrap_or_default();
            Err(raise(format!("Relation {name} not found!")))
        }),
    ));
    functions.push((
        "relation_wrong_type",
        Value::function("relation_wrong_type", |_, args| {
            let relation = argument(&args, 0, "relation");
            let expected = argument(&args, 1, "expected_type").as_ref().and_then(text_of).unwrap_or_default();
            let object = relation.as_ref().and_then(RelationObject::of);
            let actual = object.and_then(|object| object.relation.relation_type).map_or("None", |kind| kind.as_str());
            let name = object.map_or_else(String::new, RelationObject::render);
            Err(raise(format!(
                "Trying to create {expected} {name}, but it is a {actual}: drop it, or let `--full-refresh` do so."
            )))
        }),
    ));
    functions.push((
        "column_type_missing",
        Value::function("column_type_missing", |_, args| {
            let names = argument(&args, 0, "column_names").as_ref().and_then(text_of).unwrap_or_default();
            Err(raise(format!(
                "Contracted models require data_type to be defined for each column. It is missing from {names}."
            )))
        }),
    ));
    functions.push(("raise_contract_error", Value::function("raise_contract_error", |interpreter, args| {
        let promised = argument(&args, 0, "yaml_columns").unwrap_or(Value::None);
        let actual = argument(&args, 1, "sql_columns").unwrap_or(Value::None);
        let list = |interpreter: &mut crate::jinja::Interpreter, value: &Value| -> crate::jinja::error::Result<Vec<String>> {
            let mut lines = Vec::new();
            for column in crate::jinja::access::iterate(interpreter, value)? {
                let formatted = crate::jinja::access::find_item(interpreter, &column, &Value::str("formatted"))?;
                lines.push(formatted.map_or_else(|| column.to_str().to_string(), |text| text.to_str().to_string()));
            }
            Ok(lines)
        };
        let promised = list(interpreter, &promised)?;
        let actual = list(interpreter, &actual)?;
        Err(raise(format!(
            "This model has an enforced contract that failed.\nIts query gives other columns than the contract names.\n\n\
             contract: {}\nmodel: {}",
            promised.join(", "),
            actual.join(", ")
        )))
    })));
    Value::record(functions)
}
