//! Python's format specification mini-language: `format(value, '>10.2f')`.

use num_bigint::BigInt;
use num_traits::{Signed, ToPrimitive};

use super::arguments::{type_error, value_error};
use super::error::{Error, ErrorKind, Result};
use super::number::{float_repr, place_point, to_bigint, to_float};
use super::ops::check_size;
use super::value::Value;

/// A parsed specification.
#[derive(Clone, Copy, Debug, Default)]
pub struct FormatSpec {
    pub fill: Option<char>,
    pub align: Option<char>,
    /// `+`, `-` or a blank.
    pub sign: Option<char>,
    pub alternate: bool,
    pub zero: bool,
    pub width: usize,
    /// `,` or `_`.
    pub grouping: Option<char>,
    pub precision: Option<usize>,
    pub kind: Option<char>,
}

impl FormatSpec {
    pub fn parse(text: &str) -> Result<Self> {
        let chars: Vec<char> = text.chars().collect();
        let mut spec = Self::default();
        let mut at = 0;
        let is_align = |c: char| matches!(c, '<' | '>' | '=' | '^');
        match chars.as_slice() {
            [fill, align, ..] if is_align(*align) => {
                spec.fill = Some(*fill);
                spec.align = Some(*align);
                at = 2;
            }
            [align, ..] if is_align(*align) => {
                spec.align = Some(*align);
                at = 1;
            }
            _ => {}
        }
        if let Some(sign @ ('+' | '-' | ' ')) = chars.get(at) {
            spec.sign = Some(*sign);
            at += 1;
        }
        if chars.get(at) == Some(&'#') {
            spec.alternate = true;
            at += 1;
        }
        if chars.get(at) == Some(&'0') {
            spec.zero = true;
            at += 1;
        }
        spec.width = digits(&chars, &mut at)?.unwrap_or(0);
        check_size(spec.width)?;
        if let Some(grouping @ (',' | '_')) = chars.get(at) {
            spec.grouping = Some(*grouping);
            at += 1;
        }
        if chars.get(at) == Some(&'.') {
            at += 1;
            spec.precision =
                Some(digits(&chars, &mut at)?.ok_or_else(|| value_error("Format specifier missing precision"))?);
        }
        if let Some(kind) = chars.get(at) {
            spec.kind = Some(*kind);
            at += 1;
        }
        if at < chars.len() {
            return Err(value_error("Invalid format specifier"));
        }
        Ok(spec)
    }

    /// Pads text to the width; `default` is the alignment of the type.
    fn pad(&self, text: &str, default: char) -> String {
        let length = text.chars().count();
        let missing = self.width.saturating_sub(length);
        if missing == 0 {
            return text.to_owned();
        }
        let fill = self.fill.unwrap_or(if self.zero { '0' } else { ' ' });
        let left = match self.align.unwrap_or(default) {
            '<' => 0,
            '^' => missing / 2,
            _ => missing,
        };
        let mut out = String::with_capacity(text.len() + missing);
        out.extend(std::iter::repeat_n(fill, left));
        out.push_str(text);
        out.extend(std::iter::repeat_n(fill, missing - left));
        out
    }

    /// Sign, prefix and digits (`1234.5`, `ff`, `1e+05`) put together: grouped, and padded between sign and digits if asked.
    fn number(&self, negative: bool, prefix: &str, digits: &str, group: usize) -> String {
        let sign = match (negative, self.sign) {
            (true, _) => "-",
            (false, Some('+')) => "+",
            (false, Some(' ')) => " ",
            _ => "",
        };
        let between = self.align == Some('=') || (self.align.is_none() && self.zero);
        let fill = self.fill.unwrap_or(if self.zero { '0' } else { ' ' });
        let whole = digits.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(digits.len());
        let whole = digits[..whole].find(['e', 'E']).filter(|_| group == 3).unwrap_or(whole);
        let (integer, rest) = digits.split_at(whole);
        let room = self.width.saturating_sub(sign.len() + prefix.len() + rest.chars().count());
        let integer = match self.grouping {
            Some(separator) if integer.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                let zeros = if between && fill == '0' { room } else { 0 };
                grouped(integer, separator, group, zeros)
            }
            _ => integer.to_owned(),
        };
        if between {
            let missing = room.saturating_sub(integer.len());
            let padding: String = std::iter::repeat_n(fill, missing).collect();
            return format!("{sign}{prefix}{padding}{integer}{rest}");
        }
        self.pad(&format!("{sign}{prefix}{integer}{rest}"), '>')
    }
}

fn digits(chars: &[char], at: &mut usize) -> Result<Option<usize>> {
    let start = *at;
    while chars.get(*at).is_some_and(char::is_ascii_digit) {
        *at += 1;
    }
    if start == *at {
        return Ok(None);
    }
    let text: String = chars[start..*at].iter().collect();
    text.parse().map(Some).map_err(|_| value_error("Too many decimal digits in format string"))
}

/// Groups digits from the right, and fills with zeros up to `width` characters.
fn grouped(integer: &str, separator: char, group: usize, width: usize) -> String {
    let mut reversed = Vec::new();
    let mut count = 0;
    let mut source = integer.chars().rev();
    loop {
        let next = source.next();
        if next.is_none() && reversed.len() >= width {
            break;
        }
        if count == group {
            reversed.push(separator);
            count = 0;
        }
        reversed.push(next.unwrap_or('0'));
        count += 1;
    }
    reversed.into_iter().rev().collect()
}

/// `format(value, spec)`
pub fn format_value(value: &Value, spec: &str) -> Result<String> {
    if let Value::Object(object) = value
        && let Some(text) = object.format(spec)?
    {
        return Ok(text);
    }
    if spec.is_empty() {
        return Ok(value.to_str().to_string());
    }
    match value {
        Value::Str(text) => format_str(text, &FormatSpec::parse(spec)?),
        Value::Undefined(_) => format_str("", &FormatSpec::parse(spec)?),
        Value::Bool(_) | Value::Int(_) | Value::BigInt(_) => {
            let parsed = FormatSpec::parse(spec)?;
            format_int(value, &to_bigint(value).unwrap_or_default(), &parsed)
        }
        Value::Float(number) => format_float(*number, &FormatSpec::parse(spec)?, "float"),
        Value::Decimal(number) => {
            let parsed = FormatSpec::parse(spec)?;
            match (parsed.kind, parsed.precision) {
                (None, None) => {
                    let text = super::number::decimal_str(&number.abs());
                    Ok(parsed.number(number.is_sign_negative(), "", &text, 3))
                }
                (Some('f' | 'F'), precision) => {
                    let places = precision.unwrap_or(usize::try_from(number.scale()).unwrap_or_default());
                    let scale = u32::try_from(places).unwrap_or(u32::MAX);
                    let rounded = number
                        .round_dp_with_strategy(scale.min(28), rust_decimal::RoundingStrategy::MidpointNearestEven);
                    Ok(parsed.number(number.is_sign_negative(), "", &format!("{:.places$}", rounded.abs()), 3))
                }
                _ => format_float(to_float(value)?.unwrap_or(f64::NAN), &parsed, "decimal.Decimal"),
            }
        }
        _ => Err(type_error(format!("unsupported format string passed to {}.__format__", value.type_name()))),
    }
}

fn unknown_code(kind: char, type_name: &str) -> super::error::Interrupt {
    value_error(format!("Unknown format code '{kind}' for object of type '{type_name}'"))
}

fn format_str(text: &str, spec: &FormatSpec) -> Result<String> {
    match spec.kind {
        None | Some('s') => {}
        Some(kind) => return Err(unknown_code(kind, "str")),
    }
    if spec.sign.is_some() {
        return Err(value_error("Sign not allowed in string format specifier"));
    }
    if spec.alternate {
        return Err(value_error("Alternate form (#) not allowed in string format specifier"));
    }
    if spec.align == Some('=') {
        return Err(value_error("'=' alignment not allowed in string format specifier"));
    }
    if let Some(grouping) = spec.grouping {
        return Err(value_error(format!("Cannot specify '{grouping}' with 's'.")));
    }
    match spec.precision {
        Some(precision) => Ok(spec.pad(&text.chars().take(precision).collect::<String>(), '<')),
        None => Ok(spec.pad(text, '<')),
    }
}

fn format_int(value: &Value, number: &BigInt, spec: &FormatSpec) -> Result<String> {
    let kind = spec.kind.unwrap_or('d');
    if matches!(kind, 'e' | 'E' | 'f' | 'F' | 'g' | 'G' | '%') {
        return format_float(to_float(value)?.unwrap_or(f64::NAN), spec, "int");
    }
    if spec.precision.is_some() {
        return Err(value_error("Precision not allowed in integer format specifier"));
    }
    if kind == 'c' {
        let c = number.to_u32().and_then(char::from_u32).ok_or_else(|| {
            super::error::Interrupt::from(Error::new(ErrorKind::Overflow, "%c arg not in range(0x110000)"))
        })?;
        return Ok(spec.pad(&c.to_string(), '<'));
    }
    if spec.grouping == Some(',') && !matches!(kind, 'd') {
        return Err(value_error(format!("Cannot specify ',' with '{kind}'.")));
    }
    let magnitude = number.abs();
    let (digits, prefix, group) = match kind {
        'd' | 'n' => (magnitude.to_string(), "", 3),
        'b' => (magnitude.to_str_radix(2), "0b", 4),
        'o' => (magnitude.to_str_radix(8), "0o", 4),
        'x' => (magnitude.to_str_radix(16), "0x", 4),
        'X' => (magnitude.to_str_radix(16).to_uppercase(), "0X", 4),
        _ => return Err(unknown_code(kind, value.type_name())),
    };
    Ok(spec.number(number.is_negative(), if spec.alternate { prefix } else { "" }, &digits, group))
}

fn format_float(number: f64, spec: &FormatSpec, type_name: &str) -> Result<String> {
    let precision = spec.precision;
    if let Some(precision) = precision {
        check_size(precision)?;
    }
    let magnitude = number.abs();
    let text = match spec.kind {
        None if precision.is_none() => float_repr(magnitude),
        None => general(magnitude, precision.unwrap_or(6), spec.alternate, true),
        Some('%') if number.is_finite() => {
            format!("{}%", fixed(magnitude * 100.0, precision.unwrap_or(6), spec.alternate))
        }
        Some('%') => format!("{}%", float_repr(magnitude)),
        Some(kind @ ('e' | 'E' | 'f' | 'F' | 'g' | 'G' | 'n')) => {
            let lower = float_digits(magnitude, kind.to_ascii_lowercase(), precision.unwrap_or(6), spec.alternate);
            if kind.is_ascii_uppercase() { lower.to_uppercase() } else { lower }
        }
        Some(kind) => return Err(unknown_code(kind, type_name)),
    };
    Ok(spec.number(number.is_sign_negative() && !number.is_nan(), "", &text, 3))
}

/// `%e`, `%f` and `%g` of a number that is not negative.
pub fn float_digits(magnitude: f64, kind: char, precision: usize, alternate: bool) -> String {
    if !magnitude.is_finite() {
        return float_repr(magnitude);
    }
    match kind {
        'e' => exponential(magnitude, precision, alternate),
        'f' => fixed(magnitude, precision, alternate),
        _ => general(magnitude, precision, alternate, false),
    }
}

fn fixed(magnitude: f64, precision: usize, alternate: bool) -> String {
    let point = if alternate && precision == 0 { "." } else { "" };
    format!("{magnitude:.precision$}{point}")
}

fn exponential(magnitude: f64, precision: usize, alternate: bool) -> String {
    let text = format!("{magnitude:.precision$e}");
    let (mantissa, exponent) = text.split_once('e').expect("LowerExp writes an exponent");
    let exponent: i32 = exponent.parse().expect("LowerExp writes a decimal exponent");
    let point = if alternate && precision == 0 { "." } else { "" };
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}{point}e{sign}{:02}", exponent.abs())
}

fn general(magnitude: f64, precision: usize, alternate: bool, point_zero: bool) -> String {
    if !magnitude.is_finite() {
        return float_repr(magnitude);
    }
    let precision = precision.max(1);
    let text = format!("{magnitude:.*e}", precision - 1);
    let (mantissa, exponent) = text.split_once('e').expect("LowerExp writes an exponent");
    let exponent: i32 = exponent.parse().expect("LowerExp writes a decimal exponent");
    let mut digits = mantissa.replace('.', "");
    if !alternate {
        let kept = digits.trim_end_matches('0').len().max(1);
        digits.truncate(kept);
    }
    let high = i32::try_from(precision).unwrap_or(i32::MAX);
    // Without a type, Python keeps one digit after the point, and switches to an exponent one digit earlier.
    let high = if point_zero { high.min(high - 1).max(1) } else { high };
    place_point(&digits, exponent, -4, high, point_zero)
}
