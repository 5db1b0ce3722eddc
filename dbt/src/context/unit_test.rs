//! What the templates of a unit test see: given rows instead of inputs, and what the test overrides.
//!
//! Source: dbt's documentation of unit tests, "Overrides". Invariant: a reference in a unit test never leads to a relation of the
//! warehouse, only to a CTE of given rows.

use std::rc::Rc;

use common::manifest::Manifest;
use common::unit_test::{Overrides, UnitTest};
use common::{Json, NodeId};

use super::relation::RelationObject;
use super::rendering::Rendering;
use crate::builtin;
use crate::jinja::Resolver;
use crate::jinja::value::{Object, Value};

fn of(context: &Rendering) -> Option<&UnitTest> {
    context.node.as_ref()?.unit_test.as_deref()
}

/// What the node's test overrides, where it is a unit test.
pub fn overrides(context: &Rendering) -> Option<&Overrides> {
    of(context)?.overrides.as_ref()
}

/// The rows that are given for a node or source; the code needs them from now on.
pub fn input(context: &Rendering, id: &NodeId) -> Option<RelationObject> {
    let given = of(context)?.given.iter().find(|given| given.node.as_ref() == Some(id))?;
    let name = cte_name(context.shared.manifest.as_deref()?, given.node.as_ref()?)?;
    let mut seen = context.ephemeral.borrow_mut();
    if !seen.contains(id) {
        seen.push(id.clone());
    }
    Some(RelationObject::ephemeral(&name, context.shared.target.adapter_type))
}

/// `this`: the rows of what the model built before; none where there are no such rows.
pub fn this(context: &Rendering) -> Value {
    let given = of(context).and_then(|test| test.given.iter().find(|given| given.is_this()));
    let id = given.and_then(|given| given.node.as_ref());
    match id.and_then(|id| input(context, id)) {
        Some(relation) => Value::str(relation.to_str()),
        None => Value::None,
    }
}

/// What follows `__dbt__cte__` in the name of an input's CTE.
pub fn cte_name(manifest: &Manifest, id: &NodeId) -> Option<String> {
    let source = || manifest.sources.get(id).map(|source| format!("{}__{}", source.source_name, source.name));
    manifest.nodes.get(id).map(|node| node.alias.clone()).or_else(source)
}

/// Lets macros return what the test says, for the names that templates know. A name without a package wins over one with it.
pub fn override_macros(context: &Rc<Rendering>) {
    let Some(overrides) = overrides(context) else { return };
    let (of_packages, global): (Vec<_>, Vec<_>) = overrides.macros.iter().partition(|(name, _)| name.contains('.'));
    let index = &context.shared.macros;
    for (name, value) in of_packages {
        let Some((package, name)) = name.split_once('.') else { continue };
        if index.get(package, name).is_none() {
            continue;
        }
        let returning = returning(value);
        if package == builtin::PACKAGE {
            context.extra.borrow_mut().insert(name.into(), returning.clone());
        }
        context.overrides.borrow_mut().insert((package.to_owned(), name.to_owned()), returning);
    }
    for (name, value) in global {
        let packages = [context.package.as_str(), &context.shared.name, builtin::PACKAGE];
        let is_macro = packages.into_iter().any(|package| index.get(package, name).is_some());
        if is_macro {
            context.extra.borrow_mut().insert(name.as_str().into(), returning(value));
        } else if context.resolve(name).is_some() {
            context.extra.borrow_mut().insert(name.as_str().into(), Value::from(value));
        }
    }
}

/// Takes all of that back: the macros that compare results are those of the project.
pub fn restore_macros(context: &Rendering) {
    context.overrides.borrow_mut().clear();
    context.extra.borrow_mut().clear();
}

fn returning(value: &Json) -> Value {
    let value = value.clone();
    Value::function("macro", move |_, _| Ok(Value::from(&value)))
}
