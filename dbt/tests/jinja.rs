//! The differential suite: what dbt's own environment printed for each case (recorded by `jinja/oracle.py`) is what this
//! interpreter prints, or both fail. In files named `errors*` the messages agree, too.

use std::any::Any;
use std::collections::HashMap;
use std::path::Path;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use dbt::jinja::arguments::Args;
use dbt::jinja::error::{Error, ErrorKind, Interrupt, Result};
use dbt::jinja::value::{Object, Value};
use dbt::jinja::{Interpreter, Limits, MacroDef, Resolver, Template, UndefinedMode};

/// The context of one case: its macros, and a few of the names that dbt gives.
struct Context {
    macros: HashMap<String, Arc<MacroDef>>,
    this: Weak<Context>,
}

impl Resolver for Context {
    fn resolve(&self, name: &str) -> Option<Value> {
        let this = self.this.upgrade()?;
        if let Some(definition) = self.macros.get(name) {
            return Some(definition.bind(this));
        }
        match name {
            "return" => Some(Value::function("return", |_, args| {
                let [value] = args.bind("return", ["data"], 0)?;
                Err(Interrupt::Return(value.unwrap_or(Value::None)))
            })),
            "boom" => Some(Value::function("boom", |_, args| {
                let [message] = args.exact::<1>("boom")?;
                Err(Error::new(ErrorKind::Value, &*message.to_str()).into())
            })),
            "execute" => Some(Value::Bool(true)),
            "context" => Some(Value::object(Names(this))),
            "adapter" => Some(Value::object(Adapter(this))),
            _ => None,
        }
    }
}

/// `context`
struct Names(Rc<Context>);

impl Object for Names {
    fn type_name(&self) -> &'static str {
        "dict"
    }

    fn get_item(self: Rc<Self>, _interpreter: &mut Interpreter, key: &Value) -> Result<Option<Value>> {
        Ok(key.as_str().and_then(|name| self.0.resolve(name)))
    }

    fn call_method(self: Rc<Self>, _interpreter: &mut Interpreter, name: &str, args: Args) -> Result<Value> {
        assert_eq!(name, "get", "cases only call context.get");
        let [key, default] = args.bind("get", ["key", "default"], 1)?;
        let found = key.and_then(|key| self.0.resolve(key.as_str()?));
        Ok(found.or(default).unwrap_or(Value::None))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `adapter`
struct Adapter(Rc<Context>);

impl Object for Adapter {
    fn type_name(&self) -> &'static str {
        "Adapter"
    }

    fn call_method(self: Rc<Self>, _interpreter: &mut Interpreter, name: &str, args: Args) -> Result<Value> {
        assert_eq!(name, "dispatch", "cases only call adapter.dispatch");
        let [macro_name] = args.exact::<1>("dispatch")?;
        let name = format!("default__{}", macro_name.to_str());
        self.0.resolve(&name).ok_or_else(|| Error::new(ErrorKind::Compiler, format!("no macro {name}")).into())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn outcome(case: &str, native: bool, mode: UndefinedMode) -> std::result::Result<String, String> {
    let source: Arc<str> = case.into();
    let name: Arc<str> = "case".into();
    let run = || -> std::result::Result<String, Box<Error>> {
        let macros = MacroDef::parse_file(&name, &source)?;
        let macros = macros.into_iter().map(|definition| (definition.name.to_string(), definition)).collect();
        let context: Rc<dyn Resolver> = Rc::new_cyclic(|this| Context { macros, this: this.clone() });
        let template = Template::parse(name.clone(), source.clone())?;
        let mut interpreter = Interpreter::new(Limits { steps: 1_000_000, ..Limits::default() });
        if native {
            interpreter.render_native(&template, &context, mode).map(|value| value.repr())
        } else {
            interpreter.render(&template, &context, mode)
        }
    };
    run().map_err(|error| error.message)
}

#[test]
fn templates_render_as_in_dbt() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/jinja");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder of cases exists")
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    let (mut total, mut differences) = (0, Vec::new());
    for path in files {
        let file = path.file_stem().expect("a case file has a name").to_string_lossy().into_owned();
        let cases = std::fs::read_to_string(&path).expect("the cases can be read");
        let golden =
            std::fs::read_to_string(path.with_extension("golden")).expect("every case file has its golden file");
        let cases: Vec<&str> = cases.split("\n%%\n").collect();
        let expected: Vec<serde_json::Value> =
            golden.lines().map(|line| serde_json::from_str(line).expect("golden files are lines of JSON")).collect();
        assert_eq!(cases.len(), expected.len(), "{file}: run oracle.py to record the new cases");
        let native = file.starts_with("native");
        let mode = if file.starts_with("parse") { UndefinedMode::Chainable } else { UndefinedMode::Default };
        for (number, (case, expected)) in cases.iter().zip(&expected).enumerate() {
            total += 1;
            let got = outcome(case, native, mode);
            let wanted = expected.get("text").or_else(|| expected.get("value")).and_then(serde_json::Value::as_str);
            let agrees = match (&got, wanted) {
                (Ok(got), Some(wanted)) => got == wanted,
                (Err(got), None) => !file.starts_with("errors") || expected["error"] == got.as_str(),
                _ => false,
            };
            if !agrees {
                differences.push(format!("{file} case {number}: {case}\n  dbt:  {expected}\n  here: {got:?}"));
            }
        }
    }
    assert!(differences.is_empty(), "{} of {total} cases differ:\n{}", differences.len(), differences.join("\n"));
}
