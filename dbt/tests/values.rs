//! Expressions whose values dbt's own environment printed (recorded by `values/generate.py`) print the same here, or both fail.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use dbt::jinja::functions::dbt_functions;
use dbt::jinja::value::Value;
use dbt::jinja::{Interpreter, Limits, Resolver, Template, UndefinedMode};

/// The names of jinja2 and dbt, and `decimal`.
struct Names(Vec<(&'static str, Value)>);

impl Resolver for Names {
    fn resolve(&self, name: &str) -> Option<Value> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone())
    }
}

fn names() -> Rc<dyn Resolver> {
    let mut names = dbt_functions();
    names.push((
        "decimal",
        Value::function("decimal", |_, args| {
            let [text] = args.exact::<1>("decimal")?;
            Ok(Value::Decimal(text.to_str().parse().expect("cases write decimals well")))
        }),
    ));
    Rc::new(Names(names))
}

fn outcome(expression: &str, names: &Rc<dyn Resolver>) -> Result<String, String> {
    let source: Arc<str> = format!("{{{{ {expression} }}}}").into();
    let template = Template::parse("case".into(), source).map_err(|error| error.message)?;
    let mut interpreter = Interpreter::new(Limits::default());
    interpreter.render(&template, names, UndefinedMode::Default).map_err(|error| error.message)
}

/// Checks every line of a file against its golden line.
fn check(file: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/values");
    let read = |extension| {
        std::fs::read_to_string(folder.join(file).with_extension(extension)).expect("the file of cases can be read")
    };
    let (cases, golden) = (read("txt"), read("golden"));
    let cases: Vec<&str> = cases.lines().filter(|line| !line.is_empty()).collect();
    let golden: Vec<&str> = golden.lines().collect();
    assert_eq!(cases.len(), golden.len(), "{file}: one golden line for each case");
    let names = names();
    let differences: Vec<String> = cases
        .iter()
        .zip(golden)
        .filter_map(|(case, golden)| {
            let wanted: serde_json::Value = serde_json::from_str(golden).expect("golden lines are JSON");
            let found = outcome(case, &names);
            let agrees = match (&found, wanted["text"].as_str()) {
                (Ok(found), Some(wanted)) => found == wanted,
                (Err(_), None) => true,
                _ => false,
            };
            (!agrees).then(|| format!("{case}\n    dbt:  {golden}\n    here: {found:?}"))
        })
        .collect();
    assert!(differences.is_empty(), "{} of {}:\n{}", differences.len(), cases.len(), differences.join("\n"));
}

#[test]
fn numbers_are_pythons() {
    check("numbers");
}

#[test]
fn strings_are_pythons() {
    check("strings");
}

#[test]
fn containers_are_pythons() {
    check("containers");
}

#[test]
fn modules_are_pythons() {
    check("modules");
}
