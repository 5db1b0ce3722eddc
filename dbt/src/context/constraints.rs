//! Constraints of contracts as parts of `create table`.

use super::arguments::text_of;
use super::rendering::{Rendering, raise};
use crate::jinja::Interpreter;
use crate::jinja::access;
use crate::jinja::error::Result;
use crate::jinja::value::Value;

fn field(interpreter: &mut Interpreter, value: &Value, name: &str) -> Result<Option<String>> {
    Ok(access::find_item(interpreter, value, &Value::str(name))?.as_ref().and_then(text_of))
}

fn strings(interpreter: &mut Interpreter, value: &Value, name: &str) -> Result<Vec<String>> {
    let Some(list) = access::find_item(interpreter, value, &Value::str(name))?.filter(|list| !list.is_none()) else {
        return Ok(Vec::new());
    };
    Ok(access::iterate(interpreter, &list)?.iter().map(|item| item.to_str().to_string()).collect())
}

/// `name type not null …` for each described column.
pub fn of_columns(_context: &Rendering, interpreter: &mut Interpreter, columns: &Value) -> Result<Value> {
    let mut rendered = Vec::new();
    for key in access::iterate(interpreter, columns)? {
        let column = access::get_item(interpreter, columns, &key)?;
        let name = field(interpreter, &column, "name")?.unwrap_or_default();
        let quoted =
            access::find_item(interpreter, &column, &Value::str("quote"))?.is_some_and(|quote| quote.is_true());
        let name = if quoted { format!("\"{name}\"") } else { name };
        let mut parts = vec![name, field(interpreter, &column, "data_type")?.unwrap_or_default()];
        let constraints =
            access::find_item(interpreter, &column, &Value::str("constraints"))?.filter(|list| !list.is_none());
        if let Some(constraints) = constraints {
            for constraint in access::iterate(interpreter, &constraints)? {
                parts.extend(column_constraint(interpreter, &constraint)?);
            }
        }
        rendered.push(Value::from(parts.join(" ").trim().to_owned()));
    }
    Ok(Value::list(rendered))
}

fn column_constraint(interpreter: &mut Interpreter, constraint: &Value) -> Result<Option<String>> {
    let expression = field(interpreter, constraint, "expression")?.unwrap_or_default();
    let kind = field(interpreter, constraint, "type")?.unwrap_or_default();
    let text = match kind.as_str() {
        "check" if !expression.is_empty() => format!("check ({expression})"),
        "not_null" => format!("not null {expression}"),
        "unique" => format!("unique {expression}"),
        "primary_key" => format!("primary key {expression}"),
        "foreign_key" => match (field(interpreter, constraint, "to")?, strings(interpreter, constraint, "to_columns")?)
        {
            (Some(to), columns) if !columns.is_empty() => format!("references {to} ({})", columns.join(", ")),
            _ if expression.is_empty() => return Ok(None),
            _ => format!("references {expression}"),
        },
        "custom" if !expression.is_empty() => expression,
        _ => return Ok(None),
    };
    Ok(Some(text.trim().to_owned()))
}

/// Constraints of the whole table.
pub fn of_model(_context: &Rendering, interpreter: &mut Interpreter, constraints: &Value) -> Result<Value> {
    let mut rendered = Vec::new();
    if constraints.is_none() || constraints.is_undefined() {
        return Ok(Value::list(rendered));
    }
    for constraint in access::iterate(interpreter, constraints)? {
        let name = field(interpreter, &constraint, "name")?;
        let prefix = name.map_or_else(String::new, |name| format!("constraint {name} "));
        let columns = strings(interpreter, &constraint, "columns")?.join(", ");
        let expression = field(interpreter, &constraint, "expression")?.unwrap_or_default();
        let kind = field(interpreter, &constraint, "type")?.unwrap_or_default();
        let text = match kind.as_str() {
            "check" if !expression.is_empty() => format!("{prefix}check ({expression})"),
            "unique" | "primary_key" => {
                let word = if kind == "unique" { "unique" } else { "primary key" };
                let expression = if expression.is_empty() { expression } else { format!(" {expression}") };
                format!("{prefix}{word}{expression} ({columns})")
            }
            "foreign_key" => {
                let to = field(interpreter, &constraint, "to")?;
                match (to, strings(interpreter, &constraint, "to_columns")?) {
                    (Some(to), targets) if !targets.is_empty() => {
                        format!("{prefix}foreign key ({columns}) references {to} ({})", targets.join(", "))
                    }
                    _ if !expression.is_empty() => format!("{prefix}foreign key ({columns}) references {expression}"),
                    _ => continue,
                }
            }
            "custom" if !expression.is_empty() => format!("{prefix}{expression}"),
            "not_null" => continue,
            other => return Err(raise(format!("'{other}' is not a constraint that can be rendered"))),
        };
        rendered.push(Value::from(text));
    }
    Ok(Value::list(rendered))
}
