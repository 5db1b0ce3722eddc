//! The arguments of a generic test: rendered natively, so that `ref('x')` becomes a relation.

use std::rc::Rc;

use common::Json;

use super::rendering::{Rendering, has_jinja};
use crate::jinja::error::Result;
use crate::jinja::value::{Key, Value};
use crate::jinja::{Interpreter, Template};

/// The name under which the test's code finds its arguments.
pub const ARGUMENTS: &str = "_dbt_generic_test_kwargs";

/// Adds the arguments of the context's node to its names, where that is a generic test.
pub fn add_arguments(context: &Rc<Rendering>, interpreter: &mut Interpreter) -> Result<()> {
    let Some(metadata) = context.node.as_ref().and_then(|node| node.test.as_ref()?.metadata.as_ref()) else {
        return Ok(());
    };
    let mut arguments = crate::jinja::value::Dict::new();
    for (name, value) in &metadata.kwargs {
        // A column's name stays a string, whatever it looks like.
        let value = if name == "column_name" { Value::from(value) } else { render(context, interpreter, value)? };
        arguments.insert(Key::str(name.as_str()), value);
    }
    context.extra.borrow_mut().insert(ARGUMENTS.into(), Value::dict(arguments));
    Ok(())
}

fn render(context: &Rc<Rendering>, interpreter: &mut Interpreter, value: &Json) -> Result<Value> {
    Ok(match value {
        Json::String(text) => {
            let template = if is_call(text) { format!("{{{{ {text} }}}}") } else { text.clone() };
            if !has_jinja(&template) {
                // dbt's native rendering turns only what the `as_…` filters give into other types.
                return Ok(Value::from(template));
            }
            let template = Template::parse(ARGUMENTS.into(), template.as_str().into())?;
            interpreter.render_native(&template, &context.resolver(), context.undefined_mode())?
        }
        Json::Array(items) => {
            let items: Result<Vec<Value>> = items.iter().map(|item| render(context, interpreter, item)).collect();
            Value::list(items?)
        }
        Json::Object(fields) => {
            let mut rendered = crate::jinja::value::Dict::new();
            for (name, value) in fields {
                rendered.insert(Key::str(name.as_str()), render(context, interpreter, value)?);
            }
            Value::dict(rendered)
        }
        other => Value::from(other),
    })
}

/// `ref('x')`, `source(…)`, `var(…)`, `env_var(…)` and `doc(…)` may be given without braces.
fn is_call(text: &str) -> bool {
    let trimmed = text.trim();
    ["env_var", "ref", "var", "source", "doc"].iter().any(|function| {
        let rest = trimmed.strip_prefix(function).map(str::trim_start);
        rest.is_some_and(|rest| rest.starts_with('(') && rest.ends_with(')') && rest.len() > 2)
    })
}

#[cfg(test)]
mod tests {
    use super::is_call;

    #[test]
    fn only_whole_calls_are_rendered_without_braces() {
        assert!(is_call("ref('orders')"));
        assert!(is_call("  env_var ('X', 'y')  "));
        assert!(!is_call("referral('x')"));
        assert!(!is_call("ref('x') + 1"));
        assert!(!is_call("ref()"));
    }
}
