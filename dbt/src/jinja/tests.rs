//! jinja2's tests: `value is name(args)`.

use super::Interpreter;
use super::arguments::Args;
use super::error::Result;
use super::value::Value;

/// `value is name(args)`
pub type Test = fn(&mut Interpreter, &Value, Args) -> Result<bool>;

/// The test of that name.
pub fn get(name: &str) -> Option<Test> {
    match name {
        "defined" => Some(|_, value, _| Ok(!value.is_undefined())),
        _ => None,
    }
}
