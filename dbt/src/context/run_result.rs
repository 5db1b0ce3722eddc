//! `results`, as `on-run-end` sees them: objects with attributes and `to_dict()`, not mappings.
//!
//! Source: dbt's documentation of "results"; which attributes there are, and what `to_dict` gives, was observed from dbt-core 1.11.

use std::any::Any;
use std::rc::Rc;

use common::{Json, JsonMap};

use super::arguments::argument;
use super::time;
use crate::jinja::Interpreter;
use crate::jinja::error::Result;
use crate::jinja::value::{Object, Value};

/// Keys of a result, in dbt's order.
const KEYS: [&str; 10] = [
    "status",
    "timing",
    "thread_id",
    "execution_time",
    "adapter_response",
    "message",
    "failures",
    "node",
    "agate_table",
    "batch_results",
];

/// The objects of entries of `run_results.json`, each with the `node` it is about.
pub fn list(entries: &Json) -> Value {
    Value::list(entries.as_array().into_iter().flatten().map(result).collect::<Vec<_>>())
}

fn result(entry: &Json) -> Value {
    let field = |key: &str| entry.get(key).cloned().unwrap_or_default();
    let fields: JsonMap = KEYS.iter().map(|key| ((*key).to_owned(), field(key))).collect();
    let timing: Vec<Value> = field("timing").as_array().into_iter().flatten().map(timing).collect();
    let own = vec![("timing", Value::list(timing)), ("node", node(&field("node")))];
    Record { type_name: "RunResult", fields, own }.into_value()
}

/// Times are text in JSON only.
fn timing(entry: &Json) -> Value {
    let moment = |key: &str| {
        let text = entry.get(key).and_then(Json::as_str).unwrap_or_default();
        time::from_iso(text.trim_end_matches('Z'))
    };
    let own = vec![("started_at", moment("started_at")), ("completed_at", moment("completed_at"))];
    Record { type_name: "TimingInfo", fields: object(entry), own }.into_value()
}

fn node(entry: &Json) -> Value {
    let config = object(&entry.get("config").cloned().unwrap_or_default());
    let config = Record { type_name: "NodeConfig", fields: config, own: Vec::new() };
    Record { type_name: "CompiledNode", fields: object(entry), own: vec![("config", config.into_value())] }.into_value()
}

fn object(json: &Json) -> JsonMap {
    json.as_object().cloned().unwrap_or_default()
}

/// A dataclass of dbt's.
struct Record {
    type_name: &'static str,
    /// What `to_dict` gives.
    fields: JsonMap,
    /// Attributes that are more than their JSON.
    own: Vec<(&'static str, Value)>,
}

impl Record {
    fn into_value(self) -> Value {
        Value::object(self)
    }
}

impl Object for Record {
    fn type_name(&self) -> &'static str {
        self.type_name
    }

    fn get_attr(self: Rc<Self>, _interpreter: &mut Interpreter, name: &str) -> Result<Option<Value>> {
        if let Some((_, value)) = self.own.iter().find(|(own, _)| *own == name) {
            return Ok(Some(value.clone()));
        }
        if let Some(value) = self.fields.get(name) {
            return Ok(Some(Value::from(value)));
        }
        Ok(match name {
            "to_dict" => Some(Value::function("to_dict", move |_, args| {
                let omit_none = argument(&args, 0, "omit_none").is_some_and(|omit| omit.is_true());
                let kept = self.fields.iter().filter(|(_, value)| !(omit_none && value.is_null()));
                let kept: JsonMap = kept.map(|(key, value)| (key.clone(), value.clone())).collect();
                Ok(Value::from(&Json::Object(kept)))
            })),
            // The one method that dbt's configs share with mappings.
            "get" if self.type_name == "NodeConfig" => Some(Value::function("get", move |_, args| {
                let [key, default] = args.bind("get", ["key", "default"], 1)?;
                let found = key.as_ref().and_then(Value::as_str).and_then(|key| self.fields.get(key));
                Ok(found.map(Value::from).or(default).unwrap_or(Value::None))
            })),
            _ => None,
        })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::jinja::{Limits, Resolver, Template, UndefinedMode};

    struct Results(Value);

    impl Resolver for Results {
        fn resolve(&self, name: &str) -> Option<Value> {
            (name == "r").then(|| self.0.clone())
        }
    }

    fn rendered(template: &str) -> String {
        let entry = json!({
            "status": "success",
            "timing": [{"name": "execute", "started_at": "2024-05-01T10:00:00.250000Z", "completed_at": null}],
            "execution_time": 0.5,
            "adapter_response": {"_message": "OK"},
            "node": {"unique_id": "model.p.a", "config": {"materialized": "view"}},
            "compiled": true,
        });
        let Value::List(list) = list(&json!([entry])) else { panic!("a list") };
        let results: Rc<dyn Resolver> = Rc::new(Results(list.borrow()[0].clone()));
        let template = Template::parse("t".into(), template.into()).expect("a template");
        let mut interpreter = Interpreter::new(Limits::default());
        interpreter.render(&template, &results, UndefinedMode::Default).expect("it renders")
    }

    #[test]
    fn results_have_attributes_and_turn_into_mappings() {
        assert_eq!(
            rendered("{{ r.status }} {{ r.node.unique_id }} {{ r.compiled is defined }}"),
            "success model.p.a False"
        );
        assert_eq!(rendered("{{ r.timing[0].started_at.strftime('%H:%M:%S.%f') }}"), "10:00:00.250000");
        assert_eq!(rendered("{{ r.to_dict()['timing'][0]['started_at'] }}"), "2024-05-01T10:00:00.250000Z");
        assert_eq!(rendered("{{ r.node.config.get('materialized') }} {{ r.node.config.get('x', 1) }}"), "view 1");
        assert_eq!(rendered("{{ r.to_dict().keys() | list | length }} {{ r['status'] }}"), "10 success");
        assert_eq!(
            rendered("{{ r.to_dict(omit_none=true).keys() | list }}"),
            "['status', 'timing', 'execution_time', 'adapter_response', 'node']"
        );
    }
}
