//! Operators: arithmetic, concatenation, negation. Comparisons are in `compare`, look-ups in `access`.
//!
//! Invariant: no operator builds a string, list or integer larger than `SIZE_MAX` elements or `BITS_MAX` bits.

use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{Signed, ToPrimitive, Zero};
use rust_decimal::Decimal;
use rust_decimal::MathematicalOps;

use super::arguments::type_error;
use super::error::{Error, ErrorKind, Interrupt, Result};
use super::number::{to_bigint, to_float};
use super::percent_format;
use super::value::Value;

/// The binary operators except comparisons and `and`/`or`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Mod,
    Pow,
    /// `~`
    Concat,
    /// `|`, `&` and `^` of sets and dicts; templates reach them through methods only.
    BitOr,
    BitAnd,
    BitXor,
}

impl BinaryOp {
    fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::FloorDiv => "//",
            Self::Mod => "%",
            Self::Pow => "** or pow()",
            Self::Concat => "~",
            Self::BitOr => "|",
            Self::BitAnd => "&",
            Self::BitXor => "^",
        }
    }
}

/// The prefix operators except `not`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    Neg,
    Pos,
}

/// Elements of one string or list that an operator may build.
pub const SIZE_MAX: usize = 1 << 26;
/// Bits of an integer that `**` may build.
const BITS_MAX: u64 = 1 << 20;

/// `left op right`
pub fn binary(op: BinaryOp, left: &Value, right: &Value) -> Result<Value> {
    if op == BinaryOp::Concat {
        return concat(left, right);
    }
    if let (BinaryOp::Mod, Value::Str(template)) = (op, left) {
        return percent_format::format(template, right).map(Value::from);
    }
    if let (Value::Undefined(undefined), _) | (_, Value::Undefined(undefined)) = (left, right) {
        return Err(undefined.error());
    }
    if let Value::Object(object) = left
        && let Some(result) = object.arithmetic(op, right, false)?
    {
        return Ok(result);
    }
    if let Value::Object(object) = right
        && let Some(result) = object.arithmetic(op, left, true)?
    {
        return Ok(result);
    }
    match numeric(op, left, right)? {
        Some(number) => Ok(number),
        None => sequence(op, left, right),
    }
}

/// `-x`, `+x`
pub fn unary(op: UnaryOp, value: &Value) -> Result<Value> {
    let negative = op == UnaryOp::Neg;
    match value {
        Value::Undefined(undefined) => Err(undefined.error()),
        Value::Bool(_) | Value::Int(_) | Value::BigInt(_) => {
            let number = to_bigint(value).unwrap_or_default();
            Ok(Value::integer(if negative { -number } else { number }))
        }
        Value::Float(number) => Ok(Value::Float(if negative { -number } else { *number })),
        Value::Decimal(number) => Ok(Value::Decimal(if negative { -*number } else { *number })),
        _ => {
            if let (true, Value::Object(object)) = (negative, value)
                && let Some(result) = object.arithmetic(BinaryOp::Mul, &Value::Int(-1), false)?
            {
                return Ok(result);
            }
            let symbol = if negative { '-' } else { '+' };
            Err(type_error(format!("bad operand type for unary {symbol}: '{}'", value.type_name())))
        }
    }
}

fn concat(left: &Value, right: &Value) -> Result<Value> {
    let (a, b) = (left.to_str(), right.to_str());
    check_size(a.len() + b.len())?;
    let mut text = String::with_capacity(a.len() + b.len());
    text.push_str(&a);
    text.push_str(&b);
    Ok(Value::from(text))
}

/// Refuses what would be larger than an operator or function may build.
pub fn check_size(size: usize) -> Result<()> {
    if size > SIZE_MAX {
        let message = format!("a value of {size} elements is larger than the limit of {SIZE_MAX}");
        return Err(Error::new(ErrorKind::Budget, message).into());
    }
    Ok(())
}

fn unsupported(op: BinaryOp, left: &Value, right: &Value) -> Interrupt {
    let (symbol, a, b) = (op.symbol(), left.type_name(), right.type_name());
    type_error(format!("unsupported operand type(s) for {symbol}: '{a}' and '{b}'"))
}

fn numeric(op: BinaryOp, left: &Value, right: &Value) -> Result<Option<Value>> {
    if let (Value::Int(a), Value::Int(b)) = (left, right)
        && let Some(result) = small(op, *a, *b)
    {
        return Ok(Some(result));
    }
    if let (Some(a), Some(b)) = (to_bigint(left), to_bigint(right)) {
        if matches!(op, BinaryOp::BitOr | BinaryOp::BitAnd | BinaryOp::BitXor) {
            return Ok(Some(bits(op, &a, &b, left, right)));
        }
        return integers(op, &a, &b).map(Some);
    }
    let decimal = |value: &Value| match value {
        Value::Decimal(number) => Some(*number),
        other => Decimal::from_i128_with_scale(to_bigint(other)?.to_i128()?, 0).into(),
    };
    if matches!(left, Value::Decimal(_)) || matches!(right, Value::Decimal(_)) {
        return match (decimal(left), decimal(right)) {
            (Some(a), Some(b)) => decimals(op, a, b).map(Some),
            _ => Ok(None),
        };
    }
    match (to_float(left)?, to_float(right)?) {
        (Some(a), Some(b)) => floats(op, a, b, left, right).map(Some),
        _ => Ok(None),
    }
}

/// The common case without big integers; `None` where it would overflow or fail.
fn small(op: BinaryOp, a: i64, b: i64) -> Option<Value> {
    match op {
        BinaryOp::Add => a.checked_add(b),
        BinaryOp::Sub => a.checked_sub(b),
        BinaryOp::Mul => a.checked_mul(b),
        BinaryOp::FloorDiv if b > 0 => Some(a.div_euclid(b)),
        BinaryOp::Mod if b > 0 => Some(a.rem_euclid(b)),
        _ => None,
    }
    .map(Value::Int)
}

fn bits(op: BinaryOp, a: &BigInt, b: &BigInt, left: &Value, right: &Value) -> Value {
    let result = match op {
        BinaryOp::BitOr => a | b,
        BinaryOp::BitAnd => a & b,
        _ => a ^ b,
    };
    match (left, right) {
        (Value::Bool(_), Value::Bool(_)) => Value::Bool(!result.is_zero()),
        _ => Value::integer(result),
    }
}

fn zero_division(message: &str) -> Interrupt {
    Error::new(ErrorKind::ZeroDivision, message).into()
}

fn integers(op: BinaryOp, a: &BigInt, b: &BigInt) -> Result<Value> {
    let by_zero = b.is_zero() && matches!(op, BinaryOp::Div | BinaryOp::FloorDiv | BinaryOp::Mod);
    if by_zero {
        let message = match op {
            BinaryOp::Div => "division by zero",
            BinaryOp::Mod => "integer modulo by zero",
            _ => "integer division or modulo by zero",
        };
        return Err(zero_division(message));
    }
    Ok(match op {
        BinaryOp::Add => Value::integer(a + b),
        BinaryOp::Sub => Value::integer(a - b),
        BinaryOp::Mul => {
            check_bits(a.bits() + b.bits())?;
            Value::integer(a * b)
        }
        BinaryOp::Div => Value::Float(divide(a, b)?),
        BinaryOp::FloorDiv => Value::integer(a.div_floor(b)),
        BinaryOp::Mod => Value::integer(a.mod_floor(b)),
        BinaryOp::Pow if b.is_negative() => {
            if a.is_zero() {
                return Err(zero_division("0.0 cannot be raised to a negative power"));
            }
            let (base, exponent) = (a.to_f64().unwrap_or(f64::INFINITY), b.to_f64().unwrap_or(f64::NEG_INFINITY));
            Value::Float(base.powf(exponent))
        }
        BinaryOp::Pow => {
            let small_base = a.bits() <= 1;
            let exponent = match b.to_u32() {
                Some(exponent) => exponent,
                None if small_base => u32::from(b.is_odd()) + 2 * u32::from(!b.is_odd()),
                None => return Err(too_many_bits()),
            };
            if !small_base {
                check_bits(a.bits() * u64::from(exponent))?;
            }
            Value::integer(if small_base {
                a.pow(if exponent == 0 { 0 } else { 2 - exponent % 2 })
            } else {
                a.pow(exponent)
            })
        }
        BinaryOp::BitOr | BinaryOp::BitAnd | BinaryOp::BitXor | BinaryOp::Concat => {
            unreachable!("bit operators and concatenation are handled before arithmetic")
        }
    })
}

fn too_many_bits() -> Interrupt {
    Error::new(ErrorKind::Budget, format!("an integer of more than {BITS_MAX} bits is larger than the limit")).into()
}

fn check_bits(bits: u64) -> Result<()> {
    if bits > BITS_MAX { Err(too_many_bits()) } else { Ok(()) }
}

/// `int / int`, correctly rounded even where the integers are not exact as floats.
fn divide(a: &BigInt, b: &BigInt) -> Result<f64> {
    const EXACT_BITS: u64 = 53;
    if a.bits() <= EXACT_BITS && b.bits() <= EXACT_BITS {
        return Ok(a.to_f64().unwrap_or(f64::NAN) / b.to_f64().unwrap_or(f64::NAN));
    }
    // Scale so that the integer quotient has 66 bits or more: its conversion rounds once, with a sticky last bit.
    let (magnitude, divisor) = (a.abs(), b.abs());
    let shift =
        66 + i64::try_from(divisor.bits()).unwrap_or(i64::MAX / 4) - i64::try_from(magnitude.bits()).unwrap_or(0);
    let (scaled, by) = if shift >= 0 {
        (magnitude << shift.unsigned_abs(), divisor)
    } else {
        (magnitude, divisor << shift.unsigned_abs())
    };
    let (quotient, remainder) = scaled.div_rem(&by);
    let sticky = if remainder.is_zero() { quotient } else { quotient | BigInt::from(1) };
    let mantissa = sticky.to_f64().unwrap_or(f64::INFINITY);
    let exponent = i32::try_from(-shift).unwrap_or(i32::MIN);
    let result = mantissa * 2f64.powi(exponent / 2) * 2f64.powi(exponent - exponent / 2);
    if result.is_infinite() {
        return Err(Error::new(ErrorKind::Overflow, "integer division result too large for a float").into());
    }
    Ok(if a.is_negative() == b.is_negative() { result } else { -result })
}

fn floats(op: BinaryOp, a: f64, b: f64, left: &Value, right: &Value) -> Result<Value> {
    if b == 0.0 {
        match op {
            BinaryOp::Div => return Err(zero_division("float division by zero")),
            BinaryOp::FloorDiv => return Err(zero_division("float floor division by zero")),
            BinaryOp::Mod => return Err(zero_division("float modulo")),
            _ => {}
        }
    }
    Ok(Value::Float(match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::FloorDiv => float_divmod(a, b).0,
        BinaryOp::Mod => float_divmod(a, b).1,
        BinaryOp::Pow => return float_power(a, b),
        BinaryOp::BitOr | BinaryOp::BitAnd | BinaryOp::BitXor | BinaryOp::Concat => {
            return Err(unsupported(op, left, right));
        }
    }))
}

/// Python's `divmod` of floats: the remainder has the divisor's sign.
fn float_divmod(a: f64, b: f64) -> (f64, f64) {
    let mut remainder = a % b;
    let mut quotient = (a - remainder) / b;
    if remainder == 0.0 {
        remainder = 0.0_f64.copysign(b);
    } else if (b < 0.0) != (remainder < 0.0) {
        remainder += b;
        quotient -= 1.0;
    }
    let floor = if quotient == 0.0 {
        0.0_f64.copysign(a / b)
    } else {
        let floor = quotient.floor();
        if quotient - floor > 0.5 { floor + 1.0 } else { floor }
    };
    (floor, remainder)
}

fn float_power(a: f64, b: f64) -> Result<Value> {
    if a == 0.0 && b < 0.0 {
        return Err(zero_division("0.0 cannot be raised to a negative power"));
    }
    if a < 0.0 && a.is_finite() && b.is_finite() && b.fract() != 0.0 {
        return Err(type_error("complex numbers are not supported: a negative number to a fractional power"));
    }
    let result = a.powf(b);
    if result.is_infinite() && a.is_finite() && b.is_finite() {
        return Err(Error::new(ErrorKind::Overflow, "(34, 'Numerical result out of range')").into());
    }
    Ok(Value::Float(result))
}

fn decimals(op: BinaryOp, a: Decimal, b: Decimal) -> Result<Value> {
    let overflow = || Interrupt::from(Error::new(ErrorKind::Overflow, "[<class 'decimal.Overflow'>]"));
    if b.is_zero() && matches!(op, BinaryOp::Div | BinaryOp::FloorDiv | BinaryOp::Mod) {
        return Err(zero_division("[<class 'decimal.DivisionByZero'>]"));
    }
    let result = match op {
        BinaryOp::Add => a.checked_add(b),
        BinaryOp::Sub => a.checked_sub(b),
        BinaryOp::Mul => a.checked_mul(b),
        BinaryOp::Div => a.checked_div(b).map(|quotient| {
            // An exact quotient keeps no more zeros than the difference of the scales, as in Python.
            let mut short = quotient.normalize();
            let scale = short.scale().max(a.scale().saturating_sub(b.scale()));
            short.rescale(scale);
            short
        }),
        BinaryOp::FloorDiv => a.checked_div(b).map(|quotient| quotient.trunc()),
        BinaryOp::Mod => a.checked_rem(b),
        BinaryOp::Pow => a.checked_powd(b),
        BinaryOp::BitOr | BinaryOp::BitAnd | BinaryOp::BitXor | BinaryOp::Concat => {
            return Err(unsupported(op, &Value::Decimal(a), &Value::Decimal(b)));
        }
    };
    result.map(Value::Decimal).ok_or_else(overflow)
}

/// Operators of strings, lists, tuples, dicts and sets.
fn sequence(op: BinaryOp, left: &Value, right: &Value) -> Result<Value> {
    use Value as V;
    match (op, left, right) {
        (BinaryOp::Add, V::Str(_), V::Str(_)) => concat(left, right),
        (BinaryOp::Add, V::List(a), V::List(b)) => {
            let (a, b) = (a.borrow(), b.borrow());
            check_size(a.len() + b.len())?;
            Ok(V::list([&a[..], &b[..]].concat()))
        }
        (BinaryOp::Add, V::Tuple(a), V::Tuple(b)) => {
            check_size(a.len() + b.len())?;
            Ok(V::tuple([&a[..], &b[..]].concat()))
        }
        (BinaryOp::Add, V::Bytes(a), V::Bytes(b)) => {
            check_size(a.len() + b.len())?;
            Ok(V::bytes([&a[..], &b[..]].concat()))
        }
        (BinaryOp::Add, V::Str(_), _) => {
            Err(type_error(format!("can only concatenate str (not \"{}\") to str", right.type_name())))
        }
        (BinaryOp::Add, V::List(_), _) => {
            Err(type_error(format!("can only concatenate list (not \"{}\") to list", right.type_name())))
        }
        (BinaryOp::Add, V::Tuple(_), _) => {
            Err(type_error(format!("can only concatenate tuple (not \"{}\") to tuple", right.type_name())))
        }
        (BinaryOp::Mul, V::Str(_) | V::List(_) | V::Tuple(_) | V::Bytes(_), _) => repeat(left, right),
        (BinaryOp::Mul, _, V::Str(_) | V::List(_) | V::Tuple(_) | V::Bytes(_)) => repeat(right, left),
        (BinaryOp::BitOr, V::Dict(a), V::Dict(b)) => {
            let mut merged = a.borrow().clone();
            merged.extend(b.borrow().iter().map(|(key, value)| (key.clone(), value.clone())));
            Ok(V::dict(merged))
        }
        (BinaryOp::Sub, V::Set(a), V::Set(b)) => {
            let (a, b) = (a.borrow(), b.borrow());
            Ok(V::set(a.difference(&b).cloned().collect()))
        }
        (BinaryOp::BitOr, V::Set(a), V::Set(b)) => {
            let (a, b) = (a.borrow(), b.borrow());
            Ok(V::set(a.union(&b).cloned().collect()))
        }
        (BinaryOp::BitAnd, V::Set(a), V::Set(b)) => {
            let (a, b) = (a.borrow(), b.borrow());
            Ok(V::set(a.intersection(&b).cloned().collect()))
        }
        (BinaryOp::BitXor, V::Set(a), V::Set(b)) => {
            let (a, b) = (a.borrow(), b.borrow());
            Ok(V::set(a.symmetric_difference(&b).cloned().collect()))
        }
        _ => Err(unsupported(op, left, right)),
    }
}

fn repeat(sequence: &Value, times: &Value) -> Result<Value> {
    let times = match times {
        Value::Bool(_) | Value::Int(_) => times.as_int().unwrap_or_default(),
        Value::BigInt(number) if number.is_negative() => 0,
        Value::BigInt(_) => i64::MAX,
        _ => {
            let message = format!("can't multiply sequence by non-int of type '{}'", times.type_name());
            return Err(type_error(message));
        }
    };
    let times = usize::try_from(times.max(0)).unwrap_or(usize::MAX);
    let length = match sequence {
        Value::Str(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::List(items) => items.borrow().len(),
        Value::Tuple(items) => items.len(),
        _ => 0,
    };
    if length == 0 {
        return Ok(match sequence {
            Value::List(_) => Value::list(Vec::new()),
            _ => sequence.clone(),
        });
    }
    check_size(length.saturating_mul(times))?;
    Ok(match sequence {
        Value::Str(text) => Value::from(text.repeat(times)),
        Value::Bytes(bytes) => Value::bytes(bytes.repeat(times)),
        Value::List(items) => Value::list(items.borrow().repeat_clone(times)),
        Value::Tuple(items) => Value::tuple(items.repeat_clone(times)),
        _ => unreachable!("only sequences are repeated"),
    })
}

/// `[T]::repeat` for items that are `Clone` only.
trait RepeatClone {
    fn repeat_clone(&self, times: usize) -> Vec<Value>;
}

impl RepeatClone for [Value] {
    fn repeat_clone(&self, times: usize) -> Vec<Value> {
        self.iter().cycle().take(self.len() * times).cloned().collect()
    }
}
