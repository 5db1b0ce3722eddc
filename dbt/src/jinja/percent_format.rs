//! `'…' % values`, Python's `printf`-style formatting.

use num_traits::Signed;

use super::arguments::{type_error, value_error};
use super::error::{Error, ErrorKind, Result};
use super::format_spec::float_digits;
use super::number::{to_bigint, to_float, truncate};
use super::ops::check_size;
use super::repr::{is_printable, quote, repr};
use super::value::{Key, Value};

/// Flags, width and precision of one conversion.
#[derive(Default)]
struct Conversion {
    alternate: bool,
    zero: bool,
    left: bool,
    sign: &'static str,
    width: usize,
    precision: Option<usize>,
}

/// The values of a format: a tuple is many, anything else is one.
struct Values<'a> {
    items: &'a [Value],
    next: usize,
}

impl Values<'_> {
    fn take(&mut self) -> Result<Value> {
        let item = self.items.get(self.next).ok_or_else(|| type_error("not enough arguments for format string"))?;
        self.next += 1;
        Ok(item.clone())
    }
}

/// Formats as `template % values`.
pub fn format(template: &str, values: &Value) -> Result<String> {
    let single = std::slice::from_ref(values);
    let is_mapping = matches!(
        values,
        Value::Dict(_) | Value::List(_) | Value::Undefined(_) | Value::Object(_) | Value::Bytes(_) | Value::Range(_)
    );
    let mut values = Values { items: if let Value::Tuple(items) = values { items } else { single }, next: 0 };
    let mut keyed = false;
    let mut out = String::new();
    let mut chars = template.char_indices().peekable();
    while let Some((_, c)) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let incomplete = || value_error("incomplete format");
        let mut value = None;
        if chars.peek().is_some_and(|(_, c)| *c == '(') {
            chars.next();
            let mut depth = 1;
            let mut key = String::new();
            loop {
                let (_, c) = chars.next().ok_or_else(|| value_error("incomplete format key"))?;
                depth += match c {
                    '(' => 1,
                    ')' => -1,
                    _ => 0,
                };
                if depth == 0 {
                    break;
                }
                key.push(c);
            }
            let Value::Dict(dict) = &single[0] else { return Err(type_error("format requires a mapping")) };
            keyed = true;
            let found = dict.borrow().get(&Key::str(key.as_str())).cloned();
            value = Some(found.ok_or_else(|| Error::new(ErrorKind::Key, quote(&key)))?);
        }
        let mut conversion = Conversion::default();
        while let Some((_, flag)) = chars.peek() {
            match flag {
                '#' => conversion.alternate = true,
                '0' => conversion.zero = true,
                '-' => conversion.left = true,
                '+' => conversion.sign = "+",
                ' ' if conversion.sign.is_empty() => conversion.sign = " ",
                ' ' => {}
                _ => break,
            }
            chars.next();
        }
        if chars.peek().is_some_and(|(_, c)| *c == '*') {
            chars.next();
            let width = values.take()?.as_int().ok_or_else(|| type_error("* wants int"))?;
            conversion.left |= width < 0;
            conversion.width = usize::try_from(width.unsigned_abs()).unwrap_or(usize::MAX);
        } else {
            conversion.width = number(&mut chars);
        }
        if chars.peek().is_some_and(|(_, c)| *c == '.') {
            chars.next();
            conversion.precision = Some(if chars.peek().is_some_and(|(_, c)| *c == '*') {
                chars.next();
                let precision = values.take()?.as_int().ok_or_else(|| type_error("* wants int"))?;
                usize::try_from(precision).unwrap_or(0)
            } else {
                number(&mut chars)
            });
        }
        check_size(conversion.width)?;
        check_size(conversion.precision.unwrap_or(0))?;
        while chars.peek().is_some_and(|(_, c)| matches!(c, 'h' | 'l' | 'L')) {
            chars.next();
        }
        let (place, kind) = chars.next().ok_or_else(incomplete)?;
        if kind == '%' {
            out.push('%');
            continue;
        }
        let value = match value {
            Some(value) => value,
            None => values.take()?,
        };
        out.push_str(&convert(&conversion, kind, place, &value)?);
        check_size(out.len())?;
    }
    if !keyed && values.next < values.items.len() && !is_mapping {
        return Err(type_error("not all arguments converted during string formatting"));
    }
    Ok(out)
}

fn number(chars: &mut std::iter::Peekable<std::str::CharIndices<'_>>) -> usize {
    let mut number = 0_usize;
    while let Some(digit) = chars.peek().and_then(|(_, c)| c.to_digit(10)) {
        number = number.saturating_mul(10).saturating_add(digit as usize);
        chars.next();
    }
    number
}

/// `ascii(x)`
pub fn ascii(value: &Value) -> String {
    let mut out = String::new();
    for c in repr(value).chars() {
        match c as u32 {
            0..=0x7f => out.push(c),
            code @ 0x80..=0xff => out.push_str(&format!("\\x{code:02x}")),
            code @ 0x100..=0xffff => out.push_str(&format!("\\u{code:04x}")),
            code => out.push_str(&format!("\\U{code:08x}")),
        }
    }
    debug_assert!(out.chars().all(is_printable));
    out
}

fn convert(conversion: &Conversion, kind: char, place: usize, value: &Value) -> Result<String> {
    match kind {
        's' | 'r' | 'a' => {
            let text = match kind {
                's' => value.to_str().to_string(),
                'r' => repr(value),
                _ => ascii(value),
            };
            let text = match conversion.precision {
                Some(precision) => text.chars().take(precision).collect(),
                None => text,
            };
            Ok(conversion.pad("", "", &text, false))
        }
        'c' => {
            let c = match value {
                Value::Str(text) if text.chars().count() == 1 => text.to_string(),
                Value::Int(code) => u32::try_from(*code)
                    .ok()
                    .and_then(char::from_u32)
                    .ok_or_else(|| Error::new(ErrorKind::Overflow, "%c arg not in range(0x110000)"))?
                    .to_string(),
                _ => return Err(type_error("%c requires int or char")),
            };
            Ok(conversion.pad("", "", &c, false))
        }
        'd' | 'i' | 'u' | 'o' | 'x' | 'X' => integer(conversion, kind, value),
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' => {
            let number = match to_float(value)? {
                Some(number) => number,
                None if value.is_undefined() => return Err(type_error("must be real number, not Undefined")),
                None => return Err(type_error(format!("must be real number, not {}", value.type_name()))),
            };
            let precision = conversion.precision.unwrap_or(6);
            let digits = float_digits(number.abs(), kind.to_ascii_lowercase(), precision, conversion.alternate);
            let digits = if kind.is_ascii_uppercase() { digits.to_uppercase() } else { digits };
            let sign = if number.is_sign_negative() && !number.is_nan() { "-" } else { conversion.sign };
            Ok(conversion.pad(sign, "", &digits, true))
        }
        _ => Err(value_error(format!(
            "unsupported format character '{kind}' (0x{:x}) at index {place}",
            u32::from(kind)
        ))),
    }
}

fn integer(conversion: &Conversion, kind: char, value: &Value) -> Result<String> {
    let decimal = matches!(kind, 'd' | 'i' | 'u');
    let whole = match value {
        Value::Float(number) if decimal => truncate(*number)?,
        Value::Decimal(_) if decimal => super::number::to_int(value, 10)?,
        _ => value.clone(),
    };
    let Some(number) = to_bigint(&whole) else {
        let wanted = if decimal { "a real number" } else { "an integer" };
        return Err(type_error(format!("%{kind} format: {wanted} is required, not {}", value.type_name())));
    };
    let magnitude = number.abs();
    let (digits, prefix) = match kind {
        'o' => (magnitude.to_str_radix(8), "0o"),
        'x' => (magnitude.to_str_radix(16), "0x"),
        'X' => (magnitude.to_str_radix(16).to_uppercase(), "0X"),
        _ => (magnitude.to_string(), ""),
    };
    let zeros = "0".repeat(conversion.precision.unwrap_or(0).saturating_sub(digits.len()));
    let sign = if number.is_negative() { "-" } else { conversion.sign };
    let prefix = if conversion.alternate { prefix } else { "" };
    Ok(conversion.pad(sign, prefix, &format!("{zeros}{digits}"), true))
}

impl Conversion {
    fn pad(&self, sign: &str, prefix: &str, text: &str, zeros: bool) -> String {
        let missing = self.width.saturating_sub(sign.len() + prefix.len() + text.chars().count());
        if self.left {
            format!("{sign}{prefix}{text}{}", " ".repeat(missing))
        } else if self.zero && zeros {
            format!("{sign}{prefix}{}{text}", "0".repeat(missing))
        } else {
            format!("{}{sign}{prefix}{text}", " ".repeat(missing))
        }
    }
}
