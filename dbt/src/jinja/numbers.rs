//! The methods of `int`, `float` and `Decimal`.

use num_bigint::BigInt;
use rust_decimal::{Decimal, RoundingStrategy};

use super::arguments::{Args, type_error};
use super::error::{Error, ErrorKind, Result};
use super::number::{to_bigint, truncate};
use super::value::Value;

/// The methods of `int` and `bool`.
pub const INT_NAMES: &[&str] = &["as_integer_ratio", "bit_count", "bit_length", "conjugate"];
/// The methods of `float`.
pub const FLOAT_NAMES: &[&str] = &["as_integer_ratio", "conjugate", "is_integer"];
/// The methods of `Decimal`.
pub const DECIMAL_NAMES: &[&str] = &[
    "copy_abs",
    "copy_negate",
    "is_finite",
    "is_nan",
    "is_signed",
    "is_zero",
    "normalize",
    "quantize",
    "to_integral_value",
];

/// Attributes of numbers that are no methods.
pub fn property(value: &Value, name: &str) -> Option<Value> {
    match (value, name) {
        (Value::Float(_), "real") => Some(value.clone()),
        (Value::Float(_), "imag") => Some(Value::Float(0.0)),
        (Value::Bool(_) | Value::Int(_) | Value::BigInt(_), "real" | "numerator") => {
            to_bigint(value).map(Value::integer)
        }
        (Value::Bool(_) | Value::Int(_) | Value::BigInt(_), "imag") => Some(Value::Int(0)),
        (Value::Bool(_) | Value::Int(_) | Value::BigInt(_), "denominator") => Some(Value::Int(1)),
        _ => None,
    }
}

/// `number.name(…)` for a method of its type.
pub fn call(value: &Value, name: &str, args: Args) -> Result<Value> {
    if let (Value::Decimal(number), "quantize") = (value, name) {
        let [exponent, _, _] = args.bind(name, ["exp", "rounding", "context"], 1)?;
        let Some(Value::Decimal(exponent)) = exponent else {
            return Err(type_error("quantize() argument must be a Decimal"));
        };
        let rounded = number.round_dp_with_strategy(exponent.scale(), RoundingStrategy::MidpointNearestEven);
        let mut result = rounded;
        result.rescale(exponent.scale());
        return Ok(Value::Decimal(result));
    }
    args.exact::<0>(name)?;
    match value {
        Value::Float(number) => float(*number, name),
        Value::Decimal(number) => Ok(decimal(*number, name)),
        _ => {
            let number = to_bigint(value).unwrap_or_default();
            Ok(match name {
                "bit_length" => Value::integer(number.bits()),
                "bit_count" => Value::integer(
                    number.magnitude().iter_u64_digits().map(|digit| u64::from(digit.count_ones())).sum::<u64>(),
                ),
                "conjugate" => Value::integer(number),
                _ => Value::tuple([Value::integer(number), Value::Int(1)]),
            })
        }
    }
}

fn float(number: f64, name: &str) -> Result<Value> {
    match name {
        "is_integer" => Ok(Value::Bool(number.is_finite() && number.fract() == 0.0)),
        "conjugate" => Ok(Value::Float(number)),
        _ if !number.is_finite() => {
            Err(Error::new(ErrorKind::Overflow, "cannot convert Infinity to integer ratio").into())
        }
        _ => {
            let (mut numerator, mut denominator) = (number, BigInt::from(1));
            while numerator.fract() != 0.0 {
                numerator *= 2.0;
                denominator *= 2;
            }
            Ok(Value::tuple([truncate(numerator)?, Value::integer(denominator)]))
        }
    }
}

fn decimal(number: Decimal, name: &str) -> Value {
    match name {
        "copy_abs" => Value::Decimal(number.abs()),
        "copy_negate" => Value::Decimal(-number),
        "is_finite" => Value::Bool(true),
        "is_nan" => Value::Bool(false),
        "is_signed" => Value::Bool(number.is_sign_negative()),
        "is_zero" => Value::Bool(number.is_zero()),
        "normalize" => Value::Decimal(number.normalize()),
        _ => Value::Decimal(number.round_dp_with_strategy(0, RoundingStrategy::MidpointNearestEven)),
    }
}
