//! `var` and `env_var`.

use std::any::Any;
use std::rc::{Rc, Weak};

use common::{Json, JsonMap};

use super::arguments::{argument, text_of};
use super::rendering::{Mode, Rendering, gone, raise};
use super::unit_test;
use crate::jinja::Interpreter;
use crate::jinja::error::{Interrupt, Result};
use crate::jinja::value::{Args, Object, Value};

/// Environment variables that only profiles and packages may read.
pub const SECRET_PREFIX: &str = "DBT_ENV_SECRET";

/// `env_var('NAME', 'default')`
pub fn env_var(context: &Rc<Rendering>, _interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let name = argument(&args, 0, "var").as_ref().and_then(text_of).unwrap_or_default();
    if let Some(value) = unit_test::overrides(context).and_then(|overrides| overrides.env_vars.get(&name)) {
        return Ok(Value::from(value));
    }
    if name.starts_with(SECRET_PREFIX) {
        let message = "Secret env vars are allowed only in profiles.yml or packages.yml.";
        return Err(raise(format!("{message} Found '{name}' referenced elsewhere.")));
    }
    let found = context.shared.invocation.env.get(&name);
    let default = argument(&args, 1, "default").filter(|default| !default.is_none());
    if found.is_some() || default.is_some() {
        context.recorded.borrow_mut().env_vars.insert(name.clone(), found.cloned());
    }
    match (found, default) {
        (Some(value), _) => Ok(Value::str(value.as_str())),
        (None, Some(default)) => Ok(default),
        (None, None) => Err(raise(format!("Env var required but not provided: '{name}'"))),
    }
}

/// The callable `var`.
pub fn create(context: &Rc<Rendering>) -> Value {
    Value::object(Var { context: context.weak() })
}

struct Var {
    context: Weak<Rendering>,
}

/// The variable as the node sees it: what a unit test overrides first, then the command line, then the root project (what it sets for the node's package before
/// what it sets for all), then the package itself.
pub fn find<'a>(context: &'a Rendering, name: &str) -> Option<&'a Json> {
    let shared = &context.shared;
    if let Some(value) = unit_test::overrides(context).and_then(|overrides| overrides.vars.get(name)) {
        return Some(value);
    }
    if let Some(value) = shared.invocation.vars.get(name) {
        return Some(value);
    }
    let package = &context.package;
    let projects = [shared.packages.get(&shared.name), shared.packages.get(package)];
    projects.into_iter().flatten().find_map(|project| scoped(&project.vars, package, name))
}

/// What a project's `vars` say for a package: its own section before what is set for all.
pub fn scoped<'a>(vars: &'a JsonMap, package: &str, name: &str) -> Option<&'a Json> {
    let own = vars.get(package).and_then(Json::as_object).and_then(|vars| vars.get(name));
    own.or_else(|| vars.get(name))
}

fn all(context: &Rendering) -> JsonMap {
    let shared = &context.shared;
    let mut merged = JsonMap::new();
    for project in [shared.packages.get(&context.package), shared.packages.get(&shared.name)].into_iter().flatten() {
        merged.extend(project.vars.clone());
        if let Some(own) = project.vars.get(&context.package).and_then(Json::as_object) {
            merged.extend(own.clone());
        }
    }
    merged.extend((*shared.invocation.vars).clone());
    merged.extend(unit_test::overrides(context).map(|overrides| overrides.vars.clone()).unwrap_or_default());
    merged.retain(|name, _| !name.starts_with(SECRET_PREFIX));
    let mut sorted: Vec<_> = merged.into_iter().collect();
    sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
    sorted.into_iter().collect()
}

impl Object for Var {
    fn type_name(&self) -> &'static str {
        "Var"
    }

    fn is_callable(&self) -> bool {
        true
    }

    fn call(self: Rc<Self>, interpreter: &mut Interpreter, args: Args) -> Result<Value> {
        let context = self.context.upgrade().ok_or_else(gone)?;
        let [name, default] = args.bind("var", ["var_name", "default"], 1)?;
        let name = name.as_ref().and_then(text_of).unwrap_or_default();
        match find(&context, &name) {
            Some(Json::String(text)) => Ok(Value::from(context.render_text(interpreter, text)?)),
            Some(value) => Ok(Value::from(value)),
            None => match default {
                Some(default) => Ok(default),
                None if context.mode == Mode::Parse => Ok(Value::None),
                None => Err(missing(&context, &name)),
            },
        }
    }

    fn get_attr(self: Rc<Self>, _interpreter: &mut Interpreter, name: &str) -> Result<Option<Value>> {
        Ok((name == "has_var").then(|| {
            Value::function("has_var", move |_, args| {
                let context = self.context.upgrade().ok_or_else(gone)?;
                let [name] = args.bind("has_var", ["var_name"], 1)?;
                Ok(Value::Bool(find(&context, &name.as_ref().and_then(text_of).unwrap_or_default()).is_some()))
            })
        }))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn missing(context: &Rendering, name: &str) -> Interrupt {
    required(name, context.node_name(), &all(context))
}

/// dbt's error for a variable that nobody set.
pub fn required(name: &str, node: &str, supplied: &JsonMap) -> Interrupt {
    let mut shown = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut serializer = serde_json::Serializer::with_formatter(&mut shown, formatter);
    let written = serde::Serialize::serialize(supplied, &mut serializer);
    let shown = written.ok().and_then(|()| String::from_utf8(shown).ok()).unwrap_or_default();
    raise(format!("Required var '{name}' not found in config:\nVars supplied to {node} = {shown}"))
}
