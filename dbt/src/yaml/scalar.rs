//! How a plain scalar becomes a value: YAML 1.1 as PyYAML's resolver and constructors implement it.
//!
//! Source: the type repository of YAML 1.1 (<https://yaml.org/type/>) and PyYAML's documented deviations: a float needs a dot, its
//! exponent a sign; `y` and `n` are text.

use super::Value;

/// The value of an untagged plain scalar.
pub fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Value::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => return Value::Bool(false),
        _ => {}
    }
    // Most scalars are words: what follows can only match text that begins like a number.
    if !text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-' | '.')) {
        return Value::String(text.to_owned());
    }
    int(text)
        .or_else(|| float(text).map(Value::Float))
        .or_else(|| timestamp(text).map(Value::String))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

fn sign(text: &str) -> (bool, &str) {
    match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    }
}

fn all(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte == b'_' || allowed(byte))
}

/// An integer: binary, octal (a leading zero), decimal, hexadecimal or sexagesimal, with `_` anywhere between digits.
pub fn int(text: &str) -> Option<Value> {
    let (negative, digits) = sign(text);
    if let Some(bits) = digits.strip_prefix("0b").filter(|bits| all(bits, |byte| matches!(byte, b'0' | b'1'))) {
        return radix(negative, bits, 2);
    }
    if let Some(hex) = digits.strip_prefix("0x").filter(|hex| all(hex, |byte| byte.is_ascii_hexdigit())) {
        return radix(negative, hex, 16);
    }
    if digits.starts_with('0') && digits[1..].bytes().all(|byte| byte == b'_') {
        return Some(Value::Int(0));
    }
    if let Some(octal) = digits.strip_prefix('0') {
        return all(octal, |byte| (b'0'..=b'7').contains(&byte)).then(|| radix(negative, octal, 8)).flatten();
    }
    if !digits.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    if all(digits, |byte| byte.is_ascii_digit()) {
        return radix(negative, digits, 10);
    }
    let (first, rest) = digits.split_once(':')?;
    let whole = sexagesimal(first, rest.split(':'))?;
    Some(Value::Int(if negative { -whole } else { whole }))
}

fn radix(negative: bool, digits: &str, base: u32) -> Option<Value> {
    let digits: String = digits.chars().filter(|&digit| digit != '_').collect();
    if digits.is_empty() {
        return None;
    }
    let signed = if negative { format!("-{digits}") } else { digits };
    match i64::from_str_radix(&signed, base) {
        Ok(int) => Some(Value::Int(int)),
        // Keep every digit of what does not fit.
        Err(_) if base == 10 => Some(Value::String(signed)),
        Err(_) => None,
    }
}

fn sexagesimal<'a>(first: &str, rest: impl Iterator<Item = &'a str>) -> Option<i64> {
    if !all(first, |byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut total: i64 = first.replace('_', "").parse().ok()?;
    for part in rest {
        let short = matches!(part.len(), 1 | 2) && part.bytes().all(|byte| byte.is_ascii_digit());
        let value: i64 = part.parse().ok().filter(|&value| short && value < 60)?;
        total = total.checked_mul(60)?.checked_add(value)?;
    }
    Some(total)
}

/// A float with a dot, an infinity, a NaN, or a sexagesimal with a fraction.
pub fn float(text: &str) -> Option<f64> {
    let (negative, rest) = sign(text);
    let signed = |value: f64| if negative { -value } else { value };
    match rest {
        ".inf" | ".Inf" | ".INF" => return Some(signed(f64::INFINITY)),
        ".nan" | ".NaN" | ".NAN" if rest.len() == text.len() => return Some(f64::NAN),
        _ => {}
    }
    let (whole, fraction) = rest.split_once('.')?;
    if let Some((first, minutes)) = whole.split_once(':') {
        let whole = sexagesimal(first, minutes.split(':'))?;
        let fraction: f64 = match fraction.replace('_', "").as_str() {
            "" => 0.0,
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => format!("0.{digits}").parse().ok()?,
            _ => return None,
        };
        return Some(signed(whole as f64 + fraction));
    }
    if whole.is_empty() {
        // A sign, or nothing before the dot, needs a digit behind it; YAML 1.1 has no signed `.5` in PyYAML.
        if rest.len() != text.len() || !fraction.starts_with(|first: char| first.is_ascii_digit()) {
            return None;
        }
    } else if !whole.starts_with(|first: char| first.is_ascii_digit()) || !all(whole, |byte| byte.is_ascii_digit()) {
        return None;
    }
    let (digits, exponent) = match fraction.find(['e', 'E']) {
        Some(at) => (&fraction[..at], Some(&fraction[at + 1..])),
        None => (fraction, None),
    };
    if !digits.bytes().all(|byte| byte == b'_' || byte.is_ascii_digit()) {
        return None;
    }
    if let Some(exponent) = exponent {
        let power = exponent.strip_prefix(['+', '-'])?;
        if power.is_empty() || !power.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
    }
    let plain: String = rest.chars().filter(|&digit| digit != '_').collect();
    plain.parse().ok().map(signed)
}

/// A date or a time as Python's `isoformat` writes it; `None` where the text is neither.
fn timestamp(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| {
        bytes.get(range).is_some_and(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit))
    };
    if bytes.len() == 10 && digits(0..4) && bytes[4] == b'-' && digits(5..7) && bytes[7] == b'-' && digits(8..10) {
        return Some(text.to_owned());
    }
    let at = text.find(['T', 't', ' ', '\t'])?;
    let mut date = text[..at].split('-');
    let (year, month, day) = (date.next()?, date.next()?, date.next()?);
    if date.next().is_some() || year.len() != 4 {
        return None;
    }
    let time = text[at..].trim_start_matches(['T', 't', ' ', '\t']);
    let clock_end = time.find(|c: char| !(c.is_ascii_digit() || matches!(c, ':' | '.'))).unwrap_or(time.len());
    let (clock, zone) = time.split_at(clock_end);
    let mut parts = clock.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let (second, fraction) = second.split_once('.').unwrap_or((second, ""));
    let number = |part: &str, max: u32| -> Option<u32> {
        let valid = matches!(part.len(), 1 | 2) && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse().ok().filter(|&value| valid && value <= max)
    };
    let year: u32 = year.parse().ok()?;
    let (month, day) = (number(month, 12)?, number(day, 31)?);
    let (hour, minute, second) = (number(hour, 23)?, number(minute, 59)?, number(second, 59)?);
    let mut iso = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let micros: u32 = format!("{:0<6.6}", fraction).parse().ok()?;
    if micros > 0 {
        iso.push_str(&format!(".{micros:06}"));
    }
    match zone.trim_start_matches([' ', '\t']) {
        "" if zone.is_empty() => {}
        "Z" => iso.push_str("+00:00"),
        offset => {
            let direction = offset.chars().next().filter(|first| matches!(first, '+' | '-'))?;
            let (hours, minutes) = offset[1..].split_once(':').unwrap_or((&offset[1..], "0"));
            iso.push_str(&format!("{direction}{:02}:{:02}", number(hours, 23)?, number(minutes, 59)?));
        }
    }
    Some(iso)
}
