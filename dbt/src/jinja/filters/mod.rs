//! jinja2's filters and dbt's.

use super::Interpreter;
use super::arguments::Args;
use super::error::Result;
use super::value::Value;

/// `value|name(args)`
pub type Filter = fn(&mut Interpreter, Value, Args) -> Result<Value>;

/// The filter of that name in a text environment.
pub fn get(name: &str) -> Option<Filter> {
    match name {
        "as_text" | "as_bool" | "as_native" | "as_number" => Some(identity),
        _ => None,
    }
}

fn identity(_interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    args.exact::<0>("as_text")?;
    Ok(value)
}
