//! `config`: recorded while parsing, looked up at run time.

use std::any::Any;
use std::rc::{Rc, Weak};

use common::{Json, JsonMap};

use super::arguments::{argument, json_of, text_of};
use super::batch;
use super::parsing::RECORD_BYTES;
use super::rendering::{Mode, Rendering, gone, raise};
use crate::artifacts;
use crate::jinja::Interpreter;
use crate::jinja::error::Result;
use crate::jinja::value::{Args, Object, Value};

pub struct ConfigObject {
    pub context: Weak<Rendering>,
}

const METHODS: &[&str] =
    &["get", "require", "set", "meta_get", "meta_require", "persist_relation_docs", "persist_column_docs"];

impl ConfigObject {
    fn record(context: &Rendering, interpreter: &mut Interpreter, args: Args) -> Result<Value> {
        let mut fields = match (args.positional.as_slice(), args.keyword.as_slice()) {
            ([Value::Dict(_)], []) => match json_of(&args.positional[0]) {
                Json::Object(fields) => fields,
                _ => JsonMap::new(),
            },
            ([], [_, ..]) => args.keyword.iter().map(|(name, value)| (name.to_string(), json_of(value))).collect(),
            _ => return Err(raise("Invalid inline model config: config() takes either one dict or keyword arguments")),
        };
        for (old, new) in [("pre_hook", "pre-hook"), ("post_hook", "post-hook")] {
            if let Some(value) = fields.shift_remove(old) {
                if fields.contains_key(new) {
                    return Err(raise(format!("Invalid config, has conflicting keys \"{old}\" and \"{new}\"")));
                }
                fields.insert(new.to_owned(), value);
            }
        }
        keep(context, interpreter, fields)?;
        Ok(Value::str(""))
    }

    /// The value of a key: known keys even where they are none, as dbt does.
    fn find(context: &Rendering, name: &str) -> Option<Json> {
        let node = context.node.as_ref()?;
        let fields = artifacts::config(node);
        fields.get(name).or_else(|| fields.get(&name.replace('_', "-"))).cloned()
    }

    fn method(context: &Rendering, interpreter: &mut Interpreter, name: &str, args: Args) -> Result<Value> {
        if context.mode == Mode::Parse {
            return Ok(match name {
                "set" => {
                    let key = argument(&args, 0, "name").as_ref().and_then(text_of).unwrap_or_default();
                    let value = argument(&args, 1, "value").map_or(Json::Null, |value| json_of(&value));
                    keep(context, interpreter, JsonMap::from_iter([(key, value)]))?;
                    Value::str("")
                }
                "persist_relation_docs" | "persist_column_docs" => Value::Bool(false),
                _ => Value::str(""),
            });
        }
        let persisted = |part: &str| {
            let docs = Self::find(context, "persist_docs");
            Value::Bool(docs.as_ref().and_then(|docs| docs.get(part)).and_then(Json::as_bool).unwrap_or(false))
        };
        match name {
            "set" => return Ok(Value::str("")),
            "persist_relation_docs" => return Ok(persisted("relation")),
            "persist_column_docs" => return Ok(persisted("columns")),
            _ => {}
        }
        let key = argument(&args, 0, "name").as_ref().and_then(text_of).unwrap_or_default();
        if let Some(value) = context.batch.get().and_then(|batch| batch::config(&batch, &key)) {
            return Ok(value);
        }
        let found = if name.starts_with("meta_") {
            Self::find(context, "meta").and_then(|meta| meta.get(&key).cloned())
        } else {
            Self::find(context, &key)
        };
        let required = name.ends_with("require");
        let default = if required { None } else { argument(&args, 1, "default") };
        if required && found.is_none() {
            let id = context.node.as_ref().map_or_else(String::new, |node| node.unique_id.to_string());
            return Err(raise(format!("Model '{id}' does not define a required config parameter '{key}'.")));
        }
        let validator =
            argument(&args, if required { 1 } else { 2 }, "validator").filter(|validator| !validator.is_none());
        let checked = required || default.as_ref().is_some_and(|default| !default.is_none());
        let value = found.as_ref().map(Value::from).or(default).unwrap_or(Value::None);
        if let Some(validator) = validator.filter(|_| checked) {
            interpreter.call(&validator, Args::new(vec![value.clone()]))?;
        }
        Ok(value)
    }
}

/// Remembers a call. The budget pays for it: a template that calls `config` in a loop must not fill the memory.
fn keep(context: &Rendering, interpreter: &mut Interpreter, fields: JsonMap) -> Result<()> {
    interpreter.charge_memory(RECORD_BYTES + 4 * Json::Object(fields.clone()).to_string().len())?;
    context.recorded.borrow_mut().config_calls.push(fields);
    Ok(())
}

impl Object for ConfigObject {
    fn type_name(&self) -> &'static str {
        "RuntimeConfigObject"
    }

    fn is_callable(&self) -> bool {
        true
    }

    fn call(self: Rc<Self>, interpreter: &mut Interpreter, args: Args) -> Result<Value> {
        let context = self.context.upgrade().ok_or_else(gone)?;
        if context.mode == Mode::Parse { Self::record(&context, interpreter, args) } else { Ok(Value::str("")) }
    }

    fn get_attr(self: Rc<Self>, _interpreter: &mut Interpreter, name: &str) -> Result<Option<Value>> {
        if name == "model" {
            return Ok(Some(self.context.upgrade().ok_or_else(gone)?.model()));
        }
        if !METHODS.contains(&name) {
            return Ok(None);
        }
        let name: Rc<str> = name.into();
        Ok(Some(Value::function("config method", move |interpreter, args| {
            let context = self.context.upgrade().ok_or_else(gone)?;
            Self::method(&context, interpreter, &name, args)
        })))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
