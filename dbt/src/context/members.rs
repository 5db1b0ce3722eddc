//! The members of the context: every name that dbt itself puts in scope, made when it is first used.

use std::rc::{Rc, Weak};

use common::manifest::ResourceType;
use common::target::Target;
use common::{Json, JsonMap};
use serde_json::json;

use super::Invocation;
use super::adapter::AdapterObject;
use super::arguments::{argument, text_of};
use super::column::ColumnClass;
use super::config::ConfigObject;
use super::relation::RelationClass;
use super::rendering::{Mode, Namespace, NamespaceKind, Rendering, gone, raise};
use super::{exceptions, model, references, results, time, unit_test, variables};
use crate::artifacts;
use crate::jinja::Interpreter;
use crate::jinja::error::{Interrupt, Result};
use crate::jinja::functions::dbt_functions;
use crate::jinja::value::{Args, Value};

/// Names that are always there; functions of values (`tojson`, `modules`, …) come on top.
pub const NAMES: &[&str] = &[
    "adapter",
    "api",
    "builtins",
    "column",
    "compiled_code",
    "config",
    "context",
    "database",
    "dbt_metadata_envs",
    "dbt_version",
    "env",
    "env_var",
    "exceptions",
    "execute",
    "flags",
    "graph",
    "invocation_args_dict",
    "invocation_id",
    "load_result",
    "log",
    "model",
    "post_hooks",
    "pre_hooks",
    "print",
    "project_name",
    "ref",
    "render",
    "return",
    "run_started_at",
    "schema",
    "selected_resources",
    "source",
    "sql",
    "store_raw_result",
    "store_result",
    "submit_python_job",
    "target",
    "this",
    "thread_id",
    "try_or_compiler_error",
    "validation",
    "var",
    "write",
];

/// The member called `name`.
pub fn create(context: &Rc<Rendering>, name: &str) -> Option<Value> {
    let invocation = &context.shared.invocation;
    let adapter_type = context.shared.target.adapter_type;
    Some(match name {
        "adapter" => Value::object(AdapterObject { context: context.weak() }),
        "api" => Value::record([
            ("Relation", Value::object(RelationClass { adapter: adapter_type, quoting: context.shared.quoting })),
            ("Column", Value::object(ColumnClass(adapter_type))),
        ]),
        "column" => Value::object(ColumnClass(adapter_type)),
        "builtins" => Value::object(Namespace { context: context.weak(), kind: NamespaceKind::Members }),
        "context" => Value::object(Namespace { context: context.weak(), kind: NamespaceKind::All }),
        "config" => Value::object(ConfigObject { context: context.weak() }),
        "compiled_code" | "sql" if context.node.is_some() => Value::from(context.compiled_code.borrow().as_deref()),
        "database" => {
            Value::str(context.node.as_ref().map_or(context.shared.target.database.as_str(), |node| &node.database))
        }
        "schema" => {
            Value::str(context.node.as_ref().map_or(context.shared.target.schema.as_str(), |node| &node.schema))
        }
        "dbt_metadata_envs" => {
            let named = invocation.env.iter().filter_map(|(name, value)| {
                Some((name.strip_prefix("DBT_ENV_CUSTOM_ENV_")?, Value::str(value.as_str())))
            });
            Value::record(named)
        }
        "dbt_version" => Value::str(crate::project::DBT_VERSION),
        "env" | "target" => target(&context.shared.target),
        "env_var" => bound(context, variables::env_var),
        "exceptions" => exceptions::create(context),
        "execute" => Value::Bool(context.mode == Mode::Run),
        "flags" => flags(invocation),
        "graph" => graph(context),
        "invocation_args_dict" => Value::from(&Json::Object(arguments(invocation))),
        "invocation_id" => Value::str(invocation.invocation_id.as_str()),
        "run_started_at" => time::from_timestamp(invocation.run_started_at),
        "project_name" => Value::str(context.shared.name.as_str()),
        "selected_resources" => {
            Value::list(invocation.selected_resources.iter().map(|id| Value::str(id.as_str())).collect::<Vec<_>>())
        }
        "thread_id" => Value::str(std::thread::current().name().unwrap_or("MainThread")),
        "load_result" => bound(context, results::load),
        "store_result" => bound(context, results::store),
        "store_raw_result" => bound(context, results::store_raw),
        "log" => bound(context, log),
        "print" => bound(context, print),
        "return" => Value::function("return", |_, args| {
            let [value] = args.bind("return", ["data"], 1)?;
            Err(Interrupt::Return(value.unwrap_or(Value::None)))
        }),
        "model" => context.model(),
        "pre_hooks" | "post_hooks" => hooks(context, name),
        "ref" => bound(context, references::reference),
        "source" => bound(context, references::source),
        "metric" | "function" => {
            let name: Rc<str> = name.into();
            Value::function("unsupported", move |_, _| Err(raise(format!("{name}() is not supported"))))
        }
        "render" => bound(context, |context, interpreter, args| {
            let [text] = args.bind("render", ["string"], 1)?;
            let text = text.as_ref().and_then(text_of).unwrap_or_default();
            Ok(Value::from(context.render_text(interpreter, &text)?))
        }),
        "submit_python_job" => {
            Value::function("submit_python_job", |_, _| Err(raise("Python models are not supported")))
        }
        "this" => match &context.node {
            Some(node) if node.unit_test.is_some() => unit_test::this(context),
            Some(node) if node.resource_type != ResourceType::Operation => context.this()?.into_value(),
            Some(_) => Value::None,
            None => return None,
        },
        "try_or_compiler_error" => Value::function("try_or_compiler_error", |interpreter, mut args| {
            if args.positional.len() < 2 {
                return Err(raise("try_or_compiler_error() wants a message and a function"));
            }
            let message = args.positional.remove(0);
            let function = args.positional.remove(0);
            match interpreter.call(&function, args) {
                Err(Interrupt::Error(_)) => Err(raise(&*message.to_str())),
                other => other,
            }
        }),
        "validation" => Value::record([("any", Value::function("any", |_, args| Ok(validator(args.positional))))]),
        "var" => variables::create(context),
        "write" => Value::function("write", |_, _| Ok(Value::str(""))),
        _ => return dbt_functions().into_iter().find(|(known, _)| *known == name).map(|(_, value)| value),
    })
}

type Member = fn(&Rc<Rendering>, &mut Interpreter, Args) -> Result<Value>;

/// A function of the context that does not keep it alive.
pub fn bound(context: &Rc<Rendering>, member: Member) -> Value {
    let context: Weak<Rendering> = context.weak();
    Value::function("context member", move |interpreter, args| {
        let context = context.upgrade().ok_or_else(gone)?;
        member(&context, interpreter, args)
    })
}

/// `target`
pub fn target(target: &Target) -> Value {
    let mut fields = target.extra.clone();
    let own = json!({
        "database": target.database,
        "schema": target.schema,
        "type": target.adapter_type.as_str(),
        "threads": target.threads,
        "name": target.name,
        "target_name": target.name,
        "profile_name": target.profile_name,
    });
    fields.extend(own.as_object().cloned().unwrap_or_default());
    Value::from(&Json::Object(fields))
}

/// `flags`
pub fn flags(invocation: &Invocation) -> Value {
    let arguments = arguments(invocation);
    Value::record(arguments.iter().map(|(name, value)| (name.to_uppercase(), Value::from(value))))
}

fn arguments(invocation: &Invocation) -> JsonMap {
    let mut fields = (*invocation.flags).clone();
    let own = json!({
        "full_refresh": invocation.full_refresh,
        "store_failures": invocation.store_failures,
        "empty": invocation.empty,
        "which": invocation.verb,
        "vars": *invocation.vars,
    });
    fields.extend(own.as_object().cloned().unwrap_or_default());
    fields
}

fn graph(context: &Rendering) -> Value {
    let mut fields = JsonMap::new();
    if let Some(manifest) = &context.shared.manifest {
        // dbt's graph has no unit tests.
        let nodes = manifest.nodes.iter().filter(|(_, node)| node.unit_test.is_none());
        let nodes = nodes.map(|(id, node)| (id.to_string(), Json::Object(model::node(node, None))));
        fields.insert("nodes".to_owned(), Json::Object(nodes.collect()));
        let sources =
            manifest.sources.iter().map(|(id, source)| (id.to_string(), Json::Object(artifacts::source(source, 0.0))));
        fields.insert("sources".to_owned(), Json::Object(sources.collect()));
        let exposures = manifest
            .exposures
            .iter()
            .map(|(id, exposure)| (id.to_string(), Json::Object(artifacts::exposure(exposure, 0.0))));
        fields.insert("exposures".to_owned(), Json::Object(exposures.collect()));
    }
    for name in ["nodes", "sources", "exposures", "groups", "metrics", "semantic_models", "saved_queries", "functions"]
    {
        // While parsing, dbt's graph is an empty dict; macros guard with `execute`.
        if context.shared.manifest.is_some() && !fields.contains_key(name) {
            fields.insert(name.to_owned(), Json::Object(JsonMap::new()));
        }
    }
    Value::from(&Json::Object(fields))
}

fn hooks(context: &Rendering, name: &str) -> Value {
    let none = Value::list(Vec::new());
    let Some(node) = &context.node else { return none };
    if node.resource_type == ResourceType::Test {
        return none;
    }
    Value::from(&model::hooks(node, if name == "pre_hooks" { "pre-hook" } else { "post-hook" }))
}

fn log(context: &Rc<Rendering>, _interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let info = argument(&args, 1, "info").is_some_and(|info| info.is_true());
    let message = argument(&args, 0, "msg").map(|message| message.to_str());
    context.shared.invocation.output.log(message.as_deref().unwrap_or_default(), info);
    Ok(Value::str(""))
}

fn print(context: &Rc<Rendering>, _interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let message = argument(&args, 0, "msg").map(|message| message.to_str());
    context.shared.invocation.output.print(message.as_deref().unwrap_or_default());
    Ok(Value::str(""))
}

/// `validation.any[a, b]` gives a function that refuses anything else.
fn validator(allowed: Vec<Value>) -> Value {
    Value::function("validator", move |_, args| {
        let [value] = args.exact("validator")?;
        let kind = value.type_name();
        let fits = allowed.iter().any(|allowed| *allowed == value || allowed.to_str().contains(&format!("'{kind}'")));
        if fits {
            return Ok(Value::None);
        }
        let names: Vec<String> = allowed.iter().map(|allowed| allowed.to_str().to_string()).collect();
        Err(raise(format!("Expected value \"{}\" to be one of {}", value.to_str(), names.join(","))))
    })
}
