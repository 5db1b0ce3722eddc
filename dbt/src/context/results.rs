//! `store_result` and `load_result`: how a `statement` block hands its rows on.

use std::rc::Rc;
use std::sync::Arc;

use common::table::Response;

use super::agate::{ResponseObject, TableObject};
use super::arguments::text_of;
use super::rendering::{Rendering, raise};
use crate::jinja::Interpreter;
use crate::jinja::error::Result;
use crate::jinja::value::{Args, Value};

/// `load_result(name)`: a result may be loaded once, except for `main`.
pub fn load(context: &Rc<Rendering>, _interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let [name] = args.bind("load_result", ["name"], 1)?;
    let name = name.as_ref().and_then(text_of).unwrap_or_default();
    let mut results = context.results.borrow_mut();
    match results.get_mut(&name) {
        None => Ok(Value::None),
        Some(result) if name == "main" => Ok(result.clone().unwrap_or(Value::None)),
        Some(result) => result.take().ok_or_else(|| {
            raise(format!("The 'statement' result named '{name}' has already been loaded into a variable"))
        }),
    }
}

/// `store_result(name, response, agate_table)`
pub fn store(context: &Rc<Rendering>, _interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let [name, response, table] = args.bind("store_result", ["name", "response", "agate_table"], 2)?;
    keep(context, name, response.unwrap_or(Value::None), table)
}

/// `store_raw_result(name, message, code, rows_affected, agate_table)`
pub fn store_raw(context: &Rc<Rendering>, _interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let names = ["name", "message", "code", "rows_affected", "agate_table"];
    let [name, message, code, rows, table] = args.bind("store_raw_result", names, 1)?;
    let response = Response {
        message: message.as_ref().and_then(text_of).unwrap_or_default(),
        code: code.as_ref().and_then(text_of),
        rows_affected: rows.as_ref().and_then(text_of).and_then(|rows| rows.parse().ok()),
    };
    keep(context, name, Value::object(ResponseObject(response)), table)
}

fn keep(context: &Rc<Rendering>, name: Option<Value>, response: Value, table: Option<Value>) -> Result<Value> {
    let empty = || Value::object(TableObject::empty(Arc::clone(&context.shared.invocation.output)));
    let table = table.filter(|table| !table.is_none()).unwrap_or_else(empty);
    let data = table.downcast::<TableObject>().map_or_else(|| Value::list(Vec::new()), TableObject::matrix);
    let result = Value::record([("response", response), ("data", data), ("table", table)]);
    let name = name.as_ref().and_then(text_of).unwrap_or_default();
    context.results.borrow_mut().insert(name, Some(result));
    Ok(Value::str(""))
}
