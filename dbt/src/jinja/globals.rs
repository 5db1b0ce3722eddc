//! jinja2's global functions: `range`, `dict`, `lipsum`, `cycler`, `joiner`.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::Interpreter;
use super::access::iterate;
use super::arguments::{Args, expect_int, type_error, value_error};
use super::dicts;
use super::error::{Error, ErrorKind, Result};
use super::value::{Object, Range, Value};

/// The most items that the sandbox lets a `range` have.
const RANGE_MAX: u64 = 100_000;

/// The functions by name. `namespace` comes with the interpreter, which assigns to it.
pub fn jinja() -> Vec<(&'static str, Value)> {
    vec![
        ("range", Value::function("range", range)),
        ("dict", Value::function("dict", dict)),
        ("lipsum", Value::function("lipsum", super::lipsum::lipsum)),
        ("cycler", Value::function("cycler", cycler)),
        ("joiner", Value::function("joiner", joiner)),
    ]
}

fn range(_interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    if !args.keyword.is_empty() {
        return Err(type_error("range() takes no keyword arguments"));
    }
    let numbers = args.positional.iter().map(expect_int).collect::<Result<Vec<_>>>()?;
    let (start, stop, step) = match numbers.as_slice() {
        [stop] => (0, *stop, 1),
        [start, stop] => (*start, *stop, 1),
        [start, stop, step] => (*start, *stop, *step),
        [] => return Err(type_error("range expected at least 1 argument, got 0")),
        more => return Err(type_error(format!("range expected at most 3 arguments, got {}", more.len()))),
    };
    if step == 0 {
        return Err(value_error("range() arg 3 must not be zero"));
    }
    let range = Range { start, stop, step };
    if range.length() > RANGE_MAX {
        let message = format!("Range too big. The sandbox blocks ranges larger than MAX_RANGE ({RANGE_MAX}).");
        return Err(Error::new(ErrorKind::Overflow, message).into());
    }
    Ok(Value::Range(Rc::new(range)))
}

fn dict(interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    dicts::from_args(interpreter, args, "dict").map(Value::dict)
}

fn cycler(interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    if !args.keyword.is_empty() {
        return Err(type_error("cycler() got an unexpected keyword argument"));
    }
    if args.positional.is_empty() {
        return Err(value_error("at least one item has to be provided"));
    }
    let items = iterate(interpreter, &Value::list(args.positional))?;
    Ok(Value::object(Cycler { items, place: Cell::new(0) }))
}

/// `cycler('a', 'b')`
struct Cycler {
    items: Vec<Value>,
    place: Cell<usize>,
}

impl Cycler {
    fn current(&self) -> Value {
        self.items[self.place.get()].clone()
    }
}

impl Object for Cycler {
    fn type_name(&self) -> &'static str {
        "Cycler"
    }

    fn get_attr(self: Rc<Self>, _interpreter: &mut Interpreter, name: &str) -> Result<Option<Value>> {
        let this = self.clone();
        Ok(match name {
            "current" => Some(self.current()),
            "pos" => Some(Value::from(self.place.get())),
            "items" => Some(Value::tuple(self.items.clone())),
            "next" => Some(Value::function("next", move |_, args| {
                args.exact::<0>("next")?;
                let item = this.current();
                this.place.set((this.place.get() + 1) % this.items.len());
                Ok(item)
            })),
            "reset" => Some(Value::function("reset", move |_, args| {
                args.exact::<0>("reset")?;
                this.place.set(0);
                Ok(Value::None)
            })),
            _ => None,
        })
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `joiner(', ')`: empty text at the first call, the separator afterwards.
fn joiner(_interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let [separator] = args.bind("joiner", ["sep"], 0)?;
    let separator = separator.unwrap_or_else(|| Value::str(", "));
    let next = RefCell::new(Value::str(""));
    Ok(Value::function("joiner", move |_, args| {
        args.exact::<0>("joiner")?;
        Ok(next.replace(separator.clone()))
    }))
}
