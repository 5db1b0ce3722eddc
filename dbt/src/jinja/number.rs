//! Numbers as text, and text as numbers: `repr(float)`, `int()`, `float()`.

use num_bigint::BigInt;
use num_traits::{FromPrimitive, Num, ToPrimitive};
use rust_decimal::Decimal;

use super::arguments::{type_error, value_error};
use super::error::{Error, ErrorKind, Result};
use super::repr::quote;
use super::value::Value;

/// `repr(float)`: the shortest digits that read back as the same number.
pub fn float_repr(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    if number == 0.0 {
        return if number.is_sign_negative() { "-0.0" } else { "0.0" }.to_owned();
    }
    let (digits, exponent) = shortest_digits(number.abs());
    let sign = if number < 0.0 { "-" } else { "" };
    format!("{sign}{}", place_point(&digits, exponent, -4, 16, true))
}

/// The shortest decimal digits of a positive number, and the power of ten of the first one.
pub fn shortest_digits(number: f64) -> (String, i32) {
    let text = format!("{number:e}");
    let (mantissa, exponent) = text.split_once('e').expect("LowerExp writes an exponent");
    (mantissa.replace('.', ""), exponent.parse().expect("LowerExp writes a decimal exponent"))
}

/// Digits with a decimal point, or an exponent where it lies outside `low..high`.
pub fn place_point(digits: &str, exponent: i32, low: i32, high: i32, point_zero: bool) -> String {
    if exponent < low || exponent >= high {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{first}{point}{rest}e{sign}{:02}", exponent.abs());
    }
    if exponent < 0 {
        let zeros = "0".repeat(usize::try_from(-exponent - 1).unwrap_or_default());
        return format!("0.{zeros}{digits}");
    }
    let whole = usize::try_from(exponent).unwrap_or_default() + 1;
    if digits.len() <= whole {
        let zeros = "0".repeat(whole - digits.len());
        let tail = if point_zero { ".0" } else { "" };
        return format!("{digits}{zeros}{tail}");
    }
    let (integer, fraction) = digits.split_at(whole);
    format!("{integer}.{fraction}")
}

/// `str(Decimal)`: an exponent where the number is tiny.
pub fn decimal_str(number: &Decimal) -> String {
    let digits = number.mantissa().unsigned_abs().to_string();
    let scale = i64::from(number.scale());
    let adjusted = i64::try_from(digits.len()).unwrap_or_default() - 1 - scale;
    if scale == 0 || adjusted >= -6 {
        return number.to_string();
    }
    let sign = if number.is_sign_negative() { "-" } else { "" };
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    format!("{sign}{first}{point}{rest}E{adjusted}")
}

/// Any integer as a `BigInt`.
pub fn to_bigint(value: &Value) -> Option<BigInt> {
    match value {
        Value::Bool(flag) => Some(BigInt::from(u8::from(*flag))),
        Value::Int(number) => Some(BigInt::from(*number)),
        Value::BigInt(number) => Some((**number).clone()),
        _ => None,
    }
}

/// An integer or float as a float; fails where the integer is too large.
pub fn to_float(value: &Value) -> Result<Option<f64>> {
    Ok(match value {
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        Value::Int(number) => Some(*number as f64),
        Value::BigInt(number) => match number.to_f64() {
            Some(float) if float.is_finite() => Some(float),
            _ => return Err(Error::new(ErrorKind::Overflow, "int too large to convert to float").into()),
        },
        Value::Float(number) => Some(*number),
        Value::Decimal(number) => number.to_string().parse().ok(),
        _ => None,
    })
}

/// `int(float)`
pub fn truncate(number: f64) -> Result<Value> {
    if number.is_nan() {
        return Err(value_error("cannot convert float NaN to integer"));
    }
    match BigInt::from_f64(number.trunc()) {
        Some(integer) => Ok(Value::integer(integer)),
        None => Err(Error::new(ErrorKind::Overflow, "cannot convert float infinity to integer").into()),
    }
}

/// `int(x)` for numbers, `int(x, base)` for text.
pub fn to_int(value: &Value, base: u32) -> Result<Value> {
    match value {
        Value::Undefined(undefined) => Err(undefined.error()),
        Value::Bool(_) | Value::Int(_) | Value::BigInt(_) if base == 10 => {
            Ok(to_bigint(value).map_or(Value::None, Value::integer))
        }
        Value::Float(number) if base == 10 => truncate(*number),
        Value::Decimal(number) if base == 10 => {
            let integer = number.trunc();
            Ok(Value::integer(BigInt::from(integer.mantissa()) / BigInt::from(10).pow(integer.scale())))
        }
        Value::Str(text) => match parse_int(text, base) {
            Some(integer) => Ok(Value::integer(integer)),
            None => Err(value_error(format!("invalid literal for int() with base {base}: {}", quote(text)))),
        },
        _ => Err(type_error(format!(
            "int() argument must be a string, a bytes-like object or a real number, not '{}'",
            value.type_name()
        ))),
    }
}

/// `float(x)`
pub fn parse_or_convert_float(value: &Value) -> Result<f64> {
    match value {
        Value::Undefined(undefined) => Err(undefined.error()),
        Value::Str(text) => {
            parse_float(text).ok_or_else(|| value_error(format!("could not convert string to float: {}", quote(text))))
        }
        _ => to_float(value)?.ok_or_else(|| {
            type_error(format!("float() argument must be a string or a real number, not '{}'", value.type_name()))
        }),
    }
}

/// Text as `int(text, base)` reads it: signs, prefixes, single underscores between digits, blanks around. Base 0 goes by the prefix.
pub fn parse_int(text: &str, base: u32) -> Option<BigInt> {
    let text = text.trim();
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = match (base, lower.get(..2)) {
        (0 | 16, Some("0x")) => (16, lower[2..].strip_prefix('_').unwrap_or(&lower[2..])),
        (0 | 8, Some("0o")) => (8, lower[2..].strip_prefix('_').unwrap_or(&lower[2..])),
        (0 | 2, Some("0b")) => (2, lower[2..].strip_prefix('_').unwrap_or(&lower[2..])),
        (0, _) if lower.len() > 1 && lower.starts_with('0') && lower.bytes().any(|b| b != b'0' && b != b'_') => {
            return None;
        }
        (0, _) => (10, lower.as_str()),
        (2..=36, _) => (base, lower.as_str()),
        _ => return None,
    };
    let digits = without_underscores(digits)?;
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(base)) {
        return None;
    }
    let number = BigInt::from_str_radix(&digits, base).ok()?;
    Some(if negative { -number } else { number })
}

/// Text as `float(text)` reads it.
pub fn parse_float(text: &str) -> Option<f64> {
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    match lower.trim_start_matches(['+', '-']) {
        "inf" | "infinity" | "nan" => {}
        rest if rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {}
        _ => return None,
    }
    let plain = without_underscores(&lower)?;
    plain.parse().ok()
}

/// Underscores may stand only between digits.
fn without_underscores(digits: &str) -> Option<String> {
    let bytes = digits.as_bytes();
    let between = |index: usize| {
        index > 0
            && bytes[index - 1].is_ascii_alphanumeric()
            && bytes.get(index + 1).is_some_and(u8::is_ascii_alphanumeric)
    };
    bytes.iter().enumerate().all(|(index, byte)| *byte != b'_' || between(index)).then(|| digits.replace('_', ""))
}

/// `round(float, digits)`: correctly rounded, halves to even.
pub fn round_float(number: f64, digits: i32) -> f64 {
    if !number.is_finite() || digits > 330 {
        return number;
    }
    if digits >= 0 {
        let places = usize::try_from(digits).unwrap_or_default();
        return format!("{number:.places$}").parse().unwrap_or(number);
    }
    if digits < -310 {
        return 0.0 * number;
    }
    let scale = 10f64.powi(-digits);
    (number / scale).round_ties_even() * scale
}
