//! `modules.itertools`: the functions that dbt exposes, as iterators that are read one item at a time.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::super::Interpreter;
use super::super::access::{call, iterate};
use super::super::arguments::{Args, expect_int, type_error, value_error};
use super::super::error::Result;
use super::super::lazy::Cursor;
use super::super::ops::{BinaryOp, binary};
use super::super::value::Value;

/// The module.
pub fn module() -> Value {
    Value::record([
        ("count", Value::function("count", count)),
        ("cycle", Value::function("cycle", cycle)),
        ("repeat", Value::function("repeat", repeat)),
        ("accumulate", Value::function("accumulate", accumulate)),
        ("chain", Value::function("chain", chain)),
        ("compress", Value::function("compress", compress)),
        ("islice", Value::function("islice", islice)),
        ("starmap", Value::function("starmap", starmap)),
        ("tee", Value::function("tee", tee)),
        ("zip_longest", Value::function("zip_longest", zip_longest)),
        ("product", Value::function("product", product)),
        ("permutations", Value::function("permutations", permutations)),
        ("combinations", Value::function("combinations", |i, args| combinations(i, args, false))),
        (
            "combinations_with_replacement",
            Value::function("combinations_with_replacement", |i, args| combinations(i, args, true)),
        ),
    ])
}

fn required(value: Option<Value>) -> Value {
    value.unwrap_or(Value::None)
}

fn count(_interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let [start, step] = args.bind("count", ["start", "step"], 0)?;
    let mut next = start.unwrap_or(Value::Int(0));
    let step = step.unwrap_or(Value::Int(1));
    if !super::super::tests::is_number(&next) {
        return Err(type_error("a number is required"));
    }
    Ok(Value::iterator("itertools.count", move |_| {
        let following = binary(BinaryOp::Add, &next, &step)?;
        Ok(Some(std::mem::replace(&mut next, following)))
    }))
}

fn cycle(interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let [items] = args.exact("cycle")?;
    let items = iterate(interpreter, &items)?;
    let mut place = 0;
    Ok(Value::iterator("itertools.cycle", move |_| {
        let item = items.get(place).cloned();
        place = if items.is_empty() { 0 } else { (place + 1) % items.len() };
        Ok(item)
    }))
}

fn repeat(_interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let [item, times] = args.bind("repeat", ["object", "times"], 1)?;
    let item = required(item);
    let mut left = times.as_ref().map(expect_int).transpose()?;
    Ok(Value::iterator("itertools.repeat", move |_| {
        if let Some(left) = &mut left {
            if *left <= 0 {
                return Ok(None);
            }
            *left -= 1;
        }
        Ok(Some(item.clone()))
    }))
}

fn accumulate(interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let [items, function, initial] = args.bind("accumulate", ["iterable", "func", "initial"], 1)?;
    let mut cursor = Cursor::open(interpreter, &required(items))?;
    let function = function.filter(|function| !function.is_none());
    let mut initial = initial.filter(|initial| !initial.is_none());
    let mut total: Option<Value> = None;
    Ok(Value::iterator("itertools.accumulate", move |interpreter| {
        if let Some(first) = initial.take() {
            total = Some(first.clone());
            return Ok(Some(first));
        }
        let Some(item) = cursor.next(interpreter)? else { return Ok(None) };
        let sum = match (&total, &function) {
            (None, _) => item,
            (Some(total), None) => binary(BinaryOp::Add, total, &item)?,
            (Some(total), Some(function)) => call(interpreter, function, Args::new(vec![total.clone(), item]))?,
        };
        total = Some(sum.clone());
        Ok(Some(sum))
    }))
}

fn chain(_interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let mut sources: VecDeque<Value> = args.positional.into();
    let mut current: Option<Cursor> = None;
    Ok(Value::iterator("itertools.chain", move |interpreter| {
        loop {
            if let Some(cursor) = &mut current
                && let Some(item) = cursor.next(interpreter)?
            {
                return Ok(Some(item));
            }
            let Some(source) = sources.pop_front() else { return Ok(None) };
            current = Some(Cursor::open(interpreter, &source)?);
        }
    }))
}

fn compress(interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let [data, selectors] = args.bind("compress", ["data", "selectors"], 2)?;
    let mut data = Cursor::open(interpreter, &required(data))?;
    let mut selectors = Cursor::open(interpreter, &required(selectors))?;
    Ok(Value::iterator("itertools.compress", move |interpreter| {
        while let (Some(item), Some(keep)) = (data.next(interpreter)?, selectors.next(interpreter)?) {
            if keep.is_true() {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }))
}

fn islice(interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let bounds = args.positional.get(1..).unwrap_or_default();
    let bound = |value: &Value, default: Option<u64>| match value {
        Value::None => Ok(default),
        value => match u64::try_from(expect_int(value)?) {
            Ok(bound) => Ok(Some(bound)),
            Err(_) => Err(value_error("Indices for islice() must be None or an integer: 0 <= x <= sys.maxsize.")),
        },
    };
    let (start, stop, step) = match bounds {
        [stop] => (0, bound(stop, None)?, 1),
        [start, stop] => (bound(start, None)?.unwrap_or(0), bound(stop, None)?, 1),
        [start, stop, step] => (bound(start, None)?.unwrap_or(0), bound(stop, None)?, bound(step, None)?.unwrap_or(1)),
        _ => return Err(type_error("islice expected 2 to 4 arguments")),
    };
    if step == 0 {
        return Err(value_error("Step for islice() must be a positive integer or None."));
    }
    let mut cursor = Cursor::open(interpreter, &args.positional[0])?;
    let (mut place, mut wanted) = (0_u64, start);
    Ok(Value::iterator("itertools.islice", move |interpreter| {
        if stop.is_some_and(|stop| wanted >= stop) {
            return Ok(None);
        }
        while let Some(item) = cursor.next(interpreter)? {
            place += 1;
            if place > wanted {
                wanted += step;
                return Ok(Some(item));
            }
        }
        Ok(None)
    }))
}

fn starmap(interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let [function, items] = args.exact("starmap")?;
    let mut cursor = Cursor::open(interpreter, &items)?;
    Ok(Value::iterator("itertools.starmap", move |interpreter| {
        let Some(item) = cursor.next(interpreter)? else { return Ok(None) };
        let positional = iterate(interpreter, &item)?;
        call(interpreter, &function, Args::new(positional)).map(Some)
    }))
}

fn tee(interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let [items, copies] = args.bind("tee", ["iterable", "n"], 1)?;
    let copies = copies.as_ref().map_or(Ok(2), expect_int)?;
    let copies = usize::try_from(copies).map_err(|_| value_error("n must be >= 0"))?;
    super::super::ops::check_size(copies)?;
    let source = Rc::new(RefCell::new(Cursor::open(interpreter, &required(items))?));
    let read = Rc::new(RefCell::new(Vec::<Value>::new()));
    let iterators: Vec<Value> = (0..copies)
        .map(|_| {
            let (source, read) = (source.clone(), read.clone());
            let mut place = 0;
            Value::iterator("itertools._tee", move |interpreter| {
                let known = read.borrow().get(place).cloned();
                let item = match known {
                    Some(item) => Some(item),
                    None => {
                        let item = source.borrow_mut().next(interpreter)?;
                        read.borrow_mut().extend(item.clone());
                        item
                    }
                };
                place += 1;
                Ok(item)
            })
        })
        .collect();
    Ok(Value::tuple(iterators))
}

fn zip_longest(interpreter: &mut Interpreter, mut args: Args) -> Result<Value> {
    let fill = required(args.take_keyword("fillvalue"));
    let mut cursors = args.positional.iter().map(|item| Cursor::open(interpreter, item)).collect::<Result<Vec<_>>>()?;
    Ok(Value::iterator("itertools.zip_longest", move |interpreter| {
        let mut row = Vec::with_capacity(cursors.len());
        let mut any = false;
        for cursor in &mut cursors {
            let item = cursor.next(interpreter)?;
            any |= item.is_some();
            row.push(item.unwrap_or_else(|| fill.clone()));
        }
        Ok(any.then(|| Value::tuple(row)))
    }))
}

/// `zip(…)`, which dbt offers as a function of its own.
pub fn zip(interpreter: &mut Interpreter, sources: &[Value]) -> Result<Value> {
    let mut cursors = sources.iter().map(|item| Cursor::open(interpreter, item)).collect::<Result<Vec<_>>>()?;
    Ok(Value::iterator("zip", move |interpreter| {
        let mut row = Vec::with_capacity(cursors.len());
        for cursor in &mut cursors {
            match cursor.next(interpreter)? {
                Some(item) => row.push(item),
                None => return Ok(None),
            }
        }
        Ok((!row.is_empty()).then(|| Value::tuple(row)))
    }))
}

/// Picks of indices, in the order Python makes them: `advance` moves to the next pick.
fn picks(
    type_name: &'static str,
    pool: Vec<Value>,
    first: Option<Vec<usize>>,
    advance: impl Fn(&mut Vec<usize>) -> bool + 'static,
) -> Value {
    let mut indices = first;
    Value::iterator(type_name, move |_| {
        let Some(current) = &mut indices else { return Ok(None) };
        let row: Vec<Value> = current.iter().map(|index| pool[*index].clone()).collect();
        if !advance(current) {
            indices = None;
        }
        Ok(Some(Value::tuple(row)))
    })
}

fn product(interpreter: &mut Interpreter, mut args: Args) -> Result<Value> {
    let repeat = args.take_keyword("repeat").as_ref().map_or(Ok(1), expect_int)?;
    let repeat = usize::try_from(repeat).map_err(|_| value_error("repeat argument cannot be negative"))?;
    let pools = args.positional.iter().map(|pool| iterate(interpreter, pool)).collect::<Result<Vec<_>>>()?;
    super::super::ops::check_size(pools.len().saturating_mul(repeat))?;
    // One pool of all items; each place counts through its own part of it.
    let mut bounds = Vec::new();
    let mut all = Vec::new();
    for pool in pools {
        bounds.push((all.len(), all.len() + pool.len()));
        all.extend(pool);
    }
    let bounds = bounds.repeat(repeat);
    let possible = bounds.iter().all(|(start, end)| start < end);
    let first = possible.then(|| bounds.iter().map(|(start, _)| *start).collect());
    Ok(picks("itertools.product", all, first, move |indices| {
        for place in (0..indices.len()).rev() {
            indices[place] += 1;
            if indices[place] < bounds[place].1 {
                return true;
            }
            indices[place] = bounds[place].0;
        }
        false
    }))
}

fn size_argument(value: &Value) -> Result<usize> {
    usize::try_from(expect_int(value)?).map_err(|_| value_error("r must be non-negative"))
}

fn permutations(interpreter: &mut Interpreter, args: Args) -> Result<Value> {
    let [items, size] = args.bind("permutations", ["iterable", "r"], 1)?;
    let pool = iterate(interpreter, &required(items))?;
    let count = pool.len();
    let size = match &size {
        None | Some(Value::None) => count,
        Some(size) => size_argument(size)?,
    };
    let first = (size <= count).then(|| (0..size).collect());
    Ok(picks("itertools.permutations", pool, first, move |indices| {
        // The next arrangement: raise the last place that can be, and fill the rest with the smallest free indices.
        for place in (0..indices.len()).rev() {
            let head = &indices[..place];
            let next = (indices[place] + 1..count).find(|index| !head.contains(index));
            if let Some(next) = next {
                indices[place] = next;
                for later in place + 1..indices.len() {
                    let head = &indices[..later];
                    let free = (0..count).find(|index| !head.contains(index));
                    indices[later] = free.expect("a pick is no longer than its pool");
                }
                return true;
            }
        }
        false
    }))
}

fn combinations(interpreter: &mut Interpreter, args: Args, replacement: bool) -> Result<Value> {
    let [items, size] = args.bind("combinations", ["iterable", "r"], 2)?;
    let pool = iterate(interpreter, &required(items))?;
    let count = pool.len();
    let size = size_argument(&required(size))?;
    super::super::ops::check_size(size)?;
    let first = match replacement {
        true => (count > 0 || size == 0).then(|| vec![0; size]),
        false => (size <= count).then(|| (0..size).collect()),
    };
    let type_name = if replacement { "itertools.combinations_with_replacement" } else { "itertools.combinations" };
    Ok(picks(type_name, pool, first, move |indices| {
        for place in (0..size).rev() {
            let last = if replacement { count - 1 } else { count - size + place };
            if indices[place] < last {
                let next = indices[place] + 1;
                for (step, later) in (place..size).enumerate() {
                    indices[later] = if replacement { next } else { next + step };
                }
                return true;
            }
        }
        false
    }))
}
