//! `ref` and `source`: recorded while parsing, resolved at run time.

use std::rc::Rc;

use common::manifest::{Node, Ref, ResourceType, Source};
use common::node_config::Materialization;
use common::relation::{Quoting, Relation};

use super::arguments::text_of;
use super::batch;
use super::parsing::RECORD_BYTES;
use super::relation::RelationObject;
use super::rendering::{Mode, Rendering, raise};
use super::unit_test;
use crate::jinja::Interpreter;
use crate::jinja::error::{Interrupt, Result};
use crate::jinja::value::{Args, Value};

/// `ref('model')`, `ref('package', 'model')`, `ref('model', v=2)`
pub fn reference(context: &Rc<Rendering>, interpreter: &mut Interpreter, mut args: Args) -> Result<Value> {
    let version = args.take_keyword("version").or_else(|| args.take_keyword("v"));
    let texts: Vec<Option<String>> = args.positional.iter().map(|value| value.as_str().map(str::to_owned)).collect();
    let (package, name) = match texts.as_slice() {
        [name] => (None, name.clone()),
        [package, name] => (package.clone(), name.clone()),
        many => return Err(raise(format!("ref() takes at most two arguments ({} given)", many.len()))),
    };
    let Some(name) = name else {
        return Err(raise("The name argument to ref() must be a string"));
    };
    let item = Ref { name, package, version: version.as_ref().and_then(text_of) };
    if context.mode == Mode::Run {
        return resolve(context, &item);
    }
    interpreter.charge_memory(RECORD_BYTES + item.name.len())?;
    context.recorded.borrow_mut().refs.push(item);
    Ok(context.this().map_or(Value::None, RelationObject::into_value))
}

/// `source('source', 'table')`
pub fn source(context: &Rc<Rendering>, interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let texts: Vec<Option<String>> = args.positional.iter().map(text_of).collect();
    let Ok([Some(source), Some(table)]) = <[Option<String>; 2]>::try_from(texts) else {
        return Err(raise(format!("source() takes exactly two arguments ({} given)", args.positional.len())));
    };
    if context.mode != Mode::Run {
        interpreter.charge_memory(RECORD_BYTES + source.len() + table.len())?;
        context.recorded.borrow_mut().sources.push([source, table]);
        return Ok(context.this().map_or(Value::None, RelationObject::into_value));
    }
    let shared = &context.shared;
    let found = shared
        .manifest
        .as_ref()
        .and_then(|manifest| shared.lookup.source(manifest, &source, &table, [&context.package, &shared.name]));
    match found {
        Some(found) if is_unit_test(context) => match unit_test::input(context, &found.unique_id) {
            Some(relation) => Ok(relation.into_value()),
            None => Err(unknown_source(context, &source, &table)),
        },
        Some(found) => Ok(of_source(context, found)?.into_value()),
        None => Err(unknown_source(context, &source, &table)),
    }
}

fn unknown_source(context: &Rendering, source: &str, table: &str) -> Interrupt {
    raise(format!("{} depends on a source named '{source}.{table}' which was not found", subject(context)))
}

fn resolve(context: &Rendering, item: &Ref) -> Result<Value> {
    let shared = &context.shared;
    let found = shared.manifest.as_ref().and_then(|manifest| {
        let order = [context.package.as_str(), shared.name.as_str()];
        shared.lookup.node(manifest, &item.name, item.package.as_deref(), item.version.as_deref(), order)
    });
    let Some(target) = found else {
        return Err(unknown_node(context, &item.name));
    };
    if is_unit_test(context) {
        let input = unit_test::input(context, &target.unique_id);
        return input.map(RelationObject::into_value).ok_or_else(|| unknown_node(context, &item.name));
    }
    let free = context.node.as_ref().is_none_or(|node| {
        matches!(node.resource_type, ResourceType::Operation | ResourceType::SqlOperation)
            || node.depends_on.nodes.contains(&target.unique_id)
    });
    if !free {
        let name = context.node_name();
        let shown = match &item.package {
            Some(package) => format!("ref('{package}', '{}')", item.name),
            None => format!("ref('{}')", item.name),
        };
        return Err(raise(format!(
            "dbt was unable to infer all dependencies for the model \"{name}\": {shown} was not seen while parsing, as happens \
             inside of a conditional block.\n\nTo fix this, add this line to the top of the model \"{name}\":\n\n-- depends_on: \
             {{{{ {shown} }}}}"
        )));
    }
    Ok(of_node(context, target).into_value())
}

fn unknown_node(context: &Rendering, name: &str) -> Interrupt {
    raise(format!("{} depends on a node named '{name}' which was not found", subject(context)))
}

/// Then only what is given for the test can be referenced.
fn is_unit_test(context: &Rendering) -> bool {
    context.node.as_ref().is_some_and(|node| node.unit_test.is_some())
}

fn subject(context: &Rendering) -> String {
    match &context.node {
        Some(node) => format!("{} '{}' ({})", node.resource_type, node.unique_id, node.original_file_path),
        None => "The template".to_owned(),
    }
}

fn of_node(context: &Rendering, target: &Node) -> RelationObject {
    let adapter = context.shared.target.adapter_type;
    let limit = context.shared.invocation.empty.then_some(0);
    let event_time = batch::filter(context, target.config.event_time.as_ref(), &target.columns, false);
    let ephemeral =
        target.resource_type == ResourceType::Model && target.config.materialized == Materialization::Ephemeral;
    if ephemeral {
        let mut seen = context.ephemeral.borrow_mut();
        if !seen.contains(&target.unique_id) {
            seen.push(target.unique_id.clone());
        }
        return RelationObject { limit, event_time, ..RelationObject::ephemeral(&target.alias, adapter) };
    }
    RelationObject { limit, event_time, ..RelationObject::new(target.relation(context.shared.quoting), adapter) }
}

fn of_source(context: &Rendering, source: &Source) -> Result<RelationObject> {
    let relation = Relation {
        database: source.database.clone(),
        schema: Some(source.schema.clone()),
        identifier: Some(source.identifier.clone()),
        relation_type: None,
        // The project's quoting does not reach sources; only their own does.
        quoting: source.quoting.over(Quoting::default()),
    };
    let adapter = context.shared.target.adapter_type;
    let limit = context.shared.invocation.empty.then_some(0);
    let external = super::external::location(source, adapter).map_err(raise)?;
    let quoted = source.quoting.column.unwrap_or(false);
    let event_time = batch::filter(context, source.config.get("event_time"), &source.columns, quoted);
    Ok(RelationObject { limit, external, event_time, ..RelationObject::new(relation, adapter) })
}
