//! Equality, order and membership.

use std::cmp::Ordering;
use std::rc::Rc;

use num_bigint::BigInt;
use num_traits::{FromPrimitive, ToPrimitive};
use rust_decimal::Decimal;

use super::Interpreter;
use super::arguments::type_error;
use super::error::Result;
use super::value::{Key, Value};

/// The comparison operators, `in` included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
}

impl CompareOp {
    fn symbol(self) -> &'static str {
        match self {
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::In => "in",
            Self::NotIn => "not in",
        }
    }

    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Lt => ordering.is_lt(),
            Self::Le => ordering.is_le(),
            Self::Gt => ordering.is_gt(),
            Self::Ge => ordering.is_ge(),
            Self::Eq | Self::In => ordering.is_eq(),
            Self::Ne | Self::NotIn => ordering.is_ne(),
        }
    }
}

/// One link of a comparison chain.
pub fn compare(interpreter: &mut Interpreter, op: CompareOp, left: &Value, right: &Value) -> Result<bool> {
    match op {
        CompareOp::Eq => Ok(equal(left, right)),
        CompareOp::Ne => Ok(!equal(left, right)),
        CompareOp::In => contains(interpreter, right, left),
        CompareOp::NotIn => Ok(!contains(interpreter, right, left)?),
        CompareOp::Lt | CompareOp::Le | CompareOp::Gt | CompareOp::Ge => ordered(op, left, right),
    }
}

/// Containers nested deeper than this are never equal; Python raises `RecursionError`.
const DEPTH_MAX: usize = 500;

/// `a == b`, which never fails.
pub fn equal(left: &Value, right: &Value) -> bool {
    equal_at(left, right, 0)
}

fn equal_at(left: &Value, right: &Value, depth: usize) -> bool {
    use Value as V;
    if depth > DEPTH_MAX {
        return false;
    }
    match (left, right) {
        (V::Undefined(_), V::Undefined(_)) | (V::None, V::None) => true,
        (V::Str(a), V::Str(b)) => a == b,
        (V::Bytes(a), V::Bytes(b)) => a == b,
        (V::List(a), V::List(b)) => Rc::ptr_eq(a, b) || equal_items(&a.borrow(), &b.borrow(), depth),
        (V::Tuple(a), V::Tuple(b)) => Rc::ptr_eq(a, b) || equal_items(a, b, depth),
        (V::Dict(a), V::Dict(b)) => {
            if Rc::ptr_eq(a, b) {
                return true;
            }
            let (a, b) = (a.borrow(), b.borrow());
            a.len() == b.len()
                && a.iter().all(|(key, item)| b.get(key).is_some_and(|other| equal_at(item, other, depth + 1)))
        }
        (V::Set(a), V::Set(b)) => {
            let (a, b) = (a.borrow(), b.borrow());
            a.len() == b.len() && a.iter().all(|key| b.contains(key))
        }
        (V::Range(a), V::Range(b)) => {
            let (m, n) = (a.length(), b.length());
            m == n && (m == 0 || a.start == b.start && (m == 1 || a.step == b.step))
        }
        (V::Object(a), V::Object(b)) => Rc::ptr_eq(a, b) || a.equals(&**b),
        _ => numeric_order(left, right) == Some(Some(Ordering::Equal)),
    }
}

fn equal_items(a: &[Value], b: &[Value], depth: usize) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(x, y)| equal_at(x, y, depth + 1))
}

/// How two numbers compare: `None` where one is not a number, `Some(None)` where one is NaN.
fn numeric_order(left: &Value, right: &Value) -> Option<Option<Ordering>> {
    use Value as V;
    let widen = |value: &Value| if let V::Bool(flag) = value { V::Int(i64::from(*flag)) } else { value.clone() };
    Some(match (&widen(left), &widen(right)) {
        (V::Int(a), V::Int(b)) => Some(a.cmp(b)),
        (V::Float(a), V::Float(b)) => a.partial_cmp(b),
        (V::Int(a), V::BigInt(b)) => Some(BigInt::from(*a).cmp(b)),
        (V::BigInt(a), V::Int(b)) => Some((**a).cmp(&BigInt::from(*b))),
        (V::BigInt(a), V::BigInt(b)) => Some(a.cmp(b)),
        (V::Int(a), V::Float(b)) => integer_to_float(&BigInt::from(*a), *b),
        (V::BigInt(a), V::Float(b)) => integer_to_float(a, *b),
        (V::Float(a), V::Int(b)) => integer_to_float(&BigInt::from(*b), *a).map(Ordering::reverse),
        (V::Float(a), V::BigInt(b)) => integer_to_float(b, *a).map(Ordering::reverse),
        (V::Decimal(a), V::Decimal(b)) => Some(a.cmp(b)),
        (V::Decimal(a), V::Int(b)) => Some(a.cmp(&Decimal::from(*b))),
        (V::Int(a), V::Decimal(b)) => Some(Decimal::from(*a).cmp(b)),
        (V::Decimal(a), b @ (V::Float(_) | V::BigInt(_))) => decimal_to_other(*a, b),
        (a @ (V::Float(_) | V::BigInt(_)), V::Decimal(b)) => decimal_to_other(*b, a).map(Ordering::reverse),
        _ => return None,
    })
}

fn integer_to_float(integer: &BigInt, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    match BigInt::from_f64(float.trunc()) {
        Some(whole) => Some(integer.cmp(&whole).then_with(|| 0.0_f64.partial_cmp(&float.fract()).expect("not NaN"))),
        None if float > 0.0 => Some(Ordering::Less),
        None => Some(Ordering::Greater),
    }
}

fn decimal_to_other(decimal: Decimal, other: &Value) -> Option<Ordering> {
    match other {
        Value::Float(float) => match Decimal::from_f64_retain(*float) {
            Some(exact) => Some(decimal.cmp(&exact)),
            None => decimal.to_f64()?.partial_cmp(float),
        },
        Value::BigInt(big) => BigInt::from_f64(decimal.to_f64()?)?.partial_cmp(&**big),
        _ => None,
    }
}

/// `a < b` and its kind. Fails where Python has no order between the two types.
pub fn ordered(op: CompareOp, left: &Value, right: &Value) -> Result<bool> {
    use Value as V;
    if let (V::Undefined(undefined), _) | (_, V::Undefined(undefined)) = (left, right) {
        return Err(undefined.error());
    }
    if let Some(order) = numeric_order(left, right) {
        return Ok(order.is_some_and(|order| op.holds(order)));
    }
    match (left, right) {
        (V::Str(a), V::Str(b)) => Ok(op.holds(a.as_bytes().cmp(b.as_bytes()))),
        (V::Bytes(a), V::Bytes(b)) => Ok(op.holds(a.cmp(b))),
        (V::List(a), V::List(b)) => {
            let (a, b) = (a.borrow().clone(), b.borrow().clone());
            ordered_items(op, &a, &b)
        }
        (V::Tuple(a), V::Tuple(b)) => ordered_items(op, a, b),
        (V::Set(a), V::Set(b)) => {
            let (a, b) = (a.borrow(), b.borrow());
            let subset = a.iter().all(|key| b.contains(key));
            let superset = b.iter().all(|key| a.contains(key));
            Ok(match op {
                CompareOp::Lt => subset && a.len() < b.len(),
                CompareOp::Le => subset,
                CompareOp::Gt => superset && b.len() < a.len(),
                _ => superset,
            })
        }
        (V::Object(a), V::Object(b)) => match a.compare(&**b)? {
            Some(order) => Ok(op.holds(order)),
            None => Err(unordered(op, left, right)),
        },
        _ => Err(unordered(op, left, right)),
    }
}

fn unordered(op: CompareOp, left: &Value, right: &Value) -> super::error::Interrupt {
    let (symbol, a, b) = (op.symbol(), left.type_name(), right.type_name());
    type_error(format!("'{symbol}' not supported between instances of '{a}' and '{b}'"))
}

fn ordered_items(op: CompareOp, a: &[Value], b: &[Value]) -> Result<bool> {
    match a.iter().zip(b).find(|(x, y)| !equal(x, y)) {
        Some((x, y)) => ordered(op, x, y),
        None => Ok(op.holds(a.len().cmp(&b.len()))),
    }
}

/// The order that `sorted` and `min` rest on; only `<` is asked, as in Python.
pub fn order(left: &Value, right: &Value) -> Result<Ordering> {
    if ordered(CompareOp::Lt, left, right)? {
        Ok(Ordering::Less)
    } else if ordered(CompareOp::Lt, right, left)? {
        Ok(Ordering::Greater)
    } else {
        Ok(Ordering::Equal)
    }
}

/// Sorts stably as `sorted`; the first failed comparison ends it. Each item comes with the key it is sorted by.
///
/// A merge sort of our own: the standard library's may panic where the order is not total, as with NaN.
pub fn sort_by_key(pairs: Vec<(Value, Value)>, reverse: bool) -> Result<Vec<(Value, Value)>> {
    if pairs.len() < 2 {
        return Ok(pairs);
    }
    let mut left = pairs;
    let right = left.split_off(left.len() / 2);
    let left = sort_by_key(left, reverse)?;
    let right = sort_by_key(right, reverse)?;
    let mut merged = Vec::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some((a, _)), Some((b, _))) = (left.peek(), right.peek()) {
        let right_first = if reverse { ordered(CompareOp::Lt, a, b)? } else { ordered(CompareOp::Lt, b, a)? };
        merged.extend(if right_first { right.next() } else { left.next() });
    }
    merged.extend(left);
    merged.extend(right);
    Ok(merged)
}

/// `item in container`
pub fn contains(interpreter: &mut Interpreter, container: &Value, item: &Value) -> Result<bool> {
    match container {
        Value::Str(text) => match item {
            Value::Str(part) => Ok(text.contains(&**part)),
            _ => Err(type_error(format!("'in <string>' requires string as left operand, not {}", item.type_name()))),
        },
        Value::Bytes(bytes) => match item {
            Value::Bytes(part) if part.is_empty() => Ok(true),
            Value::Bytes(part) => Ok(bytes.windows(part.len()).any(|window| window == &**part)),
            Value::Int(byte) => Ok(u8::try_from(*byte).is_ok_and(|byte| bytes.contains(&byte))),
            _ => Err(type_error(format!("a bytes-like object is required, not '{}'", item.type_name()))),
        },
        Value::List(items) => Ok(items.borrow().iter().any(|other| equal(item, other))),
        Value::Tuple(items) => Ok(items.iter().any(|other| equal(item, other))),
        Value::Dict(dict) => Ok(dict.borrow().contains_key(&Key::new(item.clone())?)),
        Value::Set(set) => Ok(set.borrow().contains(&Key::new(item.clone())?)),
        Value::Range(range) => Ok(match item {
            Value::Float(number) if number.fract() == 0.0 => number.to_i64().is_some_and(|n| range.contains(n)),
            _ => item.as_int().is_some_and(|number| range.contains(number)),
        }),
        Value::Undefined(_) => Ok(false),
        Value::Object(object) => {
            if let Some(answer) = object.contains(item)? {
                return Ok(answer);
            }
            match object.clone().iterate(interpreter)? {
                Some(items) => Ok(items.iter().any(|other| equal(item, other))),
                None => Err(not_a_container(container)),
            }
        }
        _ => Err(not_a_container(container)),
    }
}

fn not_a_container(value: &Value) -> super::error::Interrupt {
    type_error(format!("argument of type '{}' is not iterable", value.type_name()))
}
