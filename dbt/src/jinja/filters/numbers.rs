//! Filters of numbers.

use super::super::Interpreter;
use super::super::arguments::{Args, expect_int, type_error, value_error};
use super::super::error::{ErrorKind, Interrupt, Result};
use super::super::number::{parse_or_convert_float, round_float, to_bigint, to_float, to_int, truncate};
use super::super::ops::{BinaryOp, UnaryOp, binary, unary};
use super::super::value::Value;
use num_bigint::BigInt;
use num_integer::Integer;
use rust_decimal::RoundingStrategy;

pub fn abs(_interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    args.exact::<0>("abs")?;
    match &value {
        Value::Bool(_) | Value::Int(_) | Value::BigInt(_) => {
            let number = to_bigint(&value).unwrap_or_default();
            Ok(Value::integer(number.magnitude().clone()))
        }
        Value::Float(number) => Ok(Value::Float(number.abs())),
        Value::Decimal(number) => Ok(Value::Decimal(number.abs())),
        Value::Object(_) => unary(UnaryOp::Neg, &value),
        Value::Undefined(undefined) => Err(undefined.error()),
        _ => Err(type_error(format!("bad operand type for abs(): '{}'", value.type_name()))),
    }
}

/// Whether an error is one of those that `int` and `float` answer with their default.
fn is_conversion(error: &Interrupt, overflow: bool) -> bool {
    let Interrupt::Error(error) = error else { return false };
    matches!(error.kind, ErrorKind::Type | ErrorKind::Value) || overflow && error.kind == ErrorKind::Overflow
}

pub fn int(_interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    let [default, base] = args.bind("int", ["default", "base"], 0)?;
    let default = default.unwrap_or(Value::Int(0));
    let base = match (&value, &base) {
        (Value::Str(_), Some(base)) => u32::try_from(expect_int(base)?).unwrap_or(1),
        _ => 10,
    };
    let first = match to_int(&value, base) {
        Err(error) if is_conversion(&error, false) => error,
        other => return other,
    };
    drop(first);
    match parse_or_convert_float(&value).and_then(truncate) {
        Err(error) if is_conversion(&error, true) => Ok(default),
        other => other,
    }
}

pub fn float(_interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    let [default] = args.bind("float", ["default"], 0)?;
    match parse_or_convert_float(&value) {
        Ok(number) => Ok(Value::Float(number)),
        Err(error) if is_conversion(&error, false) => Ok(default.unwrap_or(Value::Float(0.0))),
        Err(error) => Err(error),
    }
}

pub fn round(_interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    let [precision, method] = args.bind("round", ["precision", "method"], 0)?;
    let precision = precision.as_ref().map(expect_int).transpose()?.unwrap_or(0);
    let precision = i32::try_from(precision.clamp(-400, 400)).unwrap_or(0);
    match method.as_ref().and_then(Value::as_str).unwrap_or("common") {
        "common" => round_common(&value, precision),
        method @ ("ceil" | "floor") => {
            let scale = binary(BinaryOp::Pow, &Value::Int(10), &Value::Int(i64::from(precision)))?;
            let scaled = binary(BinaryOp::Mul, &value, &scale)?;
            let whole = match (to_float(&scaled)?, method) {
                (Some(number), "ceil") => truncate(number.ceil())?,
                (Some(number), _) => truncate(number.floor())?,
                (None, _) => return Err(type_error(format!("must be real number, not {}", value.type_name()))),
            };
            binary(BinaryOp::Div, &whole, &scale)
        }
        _ => Err(value_error("method must be common, ceil or floor")),
    }
}

fn round_common(value: &Value, precision: i32) -> Result<Value> {
    match value {
        Value::Undefined(undefined) => Err(undefined.error()),
        Value::Float(number) => Ok(Value::Float(round_float(*number, precision))),
        Value::Decimal(number) => {
            let places = u32::try_from(precision).unwrap_or(0).min(28);
            let mut rounded = number.round_dp_with_strategy(places, RoundingStrategy::MidpointNearestEven);
            rounded.rescale(places);
            Ok(Value::Decimal(rounded))
        }
        Value::Bool(_) | Value::Int(_) | Value::BigInt(_) => {
            let number = to_bigint(value).unwrap_or_default();
            let Ok(zeros) = u32::try_from(-precision) else { return Ok(Value::integer(number)) };
            let unit = BigInt::from(10).pow(zeros);
            let (quotient, remainder) = number.div_mod_floor(&unit);
            let double: BigInt = remainder * 2;
            let up = double > unit || double == unit && quotient.is_odd();
            Ok(Value::integer((quotient + u8::from(up)) * unit))
        }
        _ => Err(type_error(format!("type {} doesn't define __round__ method", value.type_name()))),
    }
}

pub fn filesizeformat(_interpreter: &mut Interpreter, value: Value, args: Args) -> Result<Value> {
    let [is_binary] = args.bind("filesizeformat", ["binary"], 0)?;
    let bytes = parse_or_convert_float(&value)?;
    let (base, infix) = if is_binary.is_some_and(|flag| flag.is_true()) { (1024.0, "i") } else { (1000.0_f64, "") };
    if bytes == 1.0 {
        return Ok(Value::str("1 Byte"));
    }
    if bytes < base {
        return Ok(Value::from(format!("{} Bytes", truncate(bytes)?.to_str())));
    }
    let mut unit = base;
    let prefixes = if infix.is_empty() { "kMGTPEZY" } else { "KMGTPEZY" };
    let last = prefixes.len() - 1;
    for (index, prefix) in prefixes.chars().enumerate() {
        unit *= base;
        if bytes < unit || index == last {
            return Ok(Value::from(format!("{:.1} {prefix}{infix}B", base * bytes / unit)));
        }
    }
    Ok(value)
}
