//! Numbers as agate reads them: percent and currency signs are dropped, commas group digits, the rest is what Python's `Decimal`
//! takes.

/// Digits that Python's decimal context keeps.
const PRECISION: i64 = 28;
const CURRENCIES: &[char] =
    &['؋', '$', 'ƒ', '៛', '¥', '₡', '₱', '£', '€', '¢', '﷼', '₪', '₩', '₭', '₮', '₦', '฿', '₤', '₫'];

/// A number in a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Number {
    Finite {
        negative: bool,
        /// Decimal digits without leading zeros; empty for zero.
        digits: String,
        /// Power of ten of the last digit.
        exponent: i64,
    },
    /// `NaN`, `Infinity`, `-Infinity`
    Special(&'static str),
}

/// Whether a column of numbers has decimal places, as agate's `MaxPrecision` counts them.
#[derive(Debug)]
pub(super) struct Decimals {
    whole_max: i64,
    decimal_max: i64,
}

/// The number in a cell that is not null.
pub(super) fn parse(cell: &str) -> Option<Number> {
    if let Some(number) = plain(cell) {
        return Some(number);
    }
    let text = cell.trim().trim_matches('%');
    let (negated, mut text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    for currency in CURRENCIES {
        text = text.trim_matches(*currency);
    }
    let number = decimal(&text.replace(',', ""))?;
    // agate multiplies by the sign, which rounds to the context's precision.
    Some(if negated { number.negate() } else { number }.rounded())
}

/// What nearly all numbers look like, `-12.5`: read without the detours.
fn plain(cell: &str) -> Option<Number> {
    let (negative, body) = match cell.strip_prefix('-') {
        Some(body) => (true, body),
        None => (false, cell),
    };
    let (whole, fraction) = body.split_once('.').unwrap_or((body, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() + fraction.len() > PRECISION as usize || !digits(whole) || !digits(fraction) {
        return None;
    }
    let mut kept = String::with_capacity(whole.len() + fraction.len());
    kept.push_str(whole.trim_start_matches('0'));
    kept.push_str(if kept.is_empty() { fraction.trim_start_matches('0') } else { fraction });
    Some(Number::Finite { negative, digits: kept, exponent: -(fraction.len() as i64) })
}

/// Python's `Decimal(text)`.
fn decimal(text: &str) -> Option<Number> {
    let text: String = text.trim().chars().filter(|character| *character != '_').collect();
    let (negative, body) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text.as_str()),
    };
    if let Some(special) = special(body, negative) {
        return Some(Number::Special(special));
    }
    let (mantissa, exponent) = match body.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (body, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let digits = format!("{whole}{fraction}").trim_start_matches('0').to_owned();
    Some(Number::Finite { negative, digits, exponent: i64::from(exponent) - fraction.len() as i64 })
}

fn special(body: &str, negative: bool) -> Option<&'static str> {
    let lower = body.to_ascii_lowercase();
    match lower.as_str() {
        "inf" | "infinity" if negative => Some("-Infinity"),
        "inf" | "infinity" => Some("Infinity"),
        _ => lower
            .strip_prefix("nan")
            .is_some_and(|payload| payload.bytes().all(|byte| byte.is_ascii_digit()))
            .then_some("NaN"),
    }
}

impl Number {
    fn negate(self) -> Self {
        match self {
            Self::Finite { negative, digits, exponent } => Self::Finite { negative: !negative, digits, exponent },
            Self::Special("Infinity") => Self::Special("-Infinity"),
            Self::Special("-Infinity") => Self::Special("Infinity"),
            Self::Special(other) => Self::Special(other),
        }
    }

    /// To 28 digits, half to even.
    fn rounded(self) -> Self {
        match self {
            Self::Finite { negative, digits, exponent } if digits.len() as i64 > PRECISION => {
                let (kept, rest) = digits.split_at(PRECISION as usize);
                let half = format!("{:0<width$}", "5", width = rest.len());
                let odd = kept.ends_with(['1', '3', '5', '7', '9']);
                // 28 digits and a carry fit 128 bits.
                let value: u128 = kept.parse().unwrap_or_default();
                let up = rest > half.as_str() || (rest == half && odd);
                let exponent = exponent + rest.len() as i64;
                Self::Finite { negative, digits: (value + u128::from(up)).to_string(), exponent }
            }
            number => number,
        }
    }

    /// As SQL reads it: `-1234.5`, `12e30`.
    pub fn text(&self) -> String {
        let (negative, digits, exponent) = match self {
            Self::Special(special) => return (*special).to_owned(),
            Self::Finite { negative, digits, exponent } => (negative, digits, *exponent),
        };
        let sign = if *negative && !digits.is_empty() { "-" } else { "" };
        let digits = if digits.is_empty() { "0" } else { digits };
        let places = usize::try_from(-exponent).unwrap_or(0);
        match exponent {
            0 => format!("{sign}{digits}"),
            // Beyond any type's range or precision: the warehouse decides what it makes of it.
            _ if exponent > PRECISION || places > 400 => format!("{sign}{digits}e{exponent}"),
            _ if exponent > 0 => format!("{sign}{digits}{}", "0".repeat(exponent.unsigned_abs() as usize)),
            _ if digits.len() > places => {
                let (whole, fraction) = digits.split_at(digits.len() - places);
                format!("{sign}{whole}.{fraction}")
            }
            _ => format!("{sign}0.{}{digits}", "0".repeat(places - digits.len())),
        }
    }

    /// As `text`, without decimal places that are zero: `1.0` is an integer, too.
    pub fn whole_text(&self) -> String {
        let text = self.text();
        match text.split_once('.') {
            Some((whole, fraction)) if fraction.bytes().all(|digit| digit == b'0') => whole.to_owned(),
            _ => text,
        }
    }
}

impl Default for Decimals {
    fn default() -> Self {
        Self { whole_max: 1, decimal_max: 0 }
    }
}

impl Decimals {
    pub fn see(&mut self, number: &Number) {
        let Number::Finite { digits, exponent, .. } = number else { return };
        let significant = digits.trim_end_matches('0');
        if significant.is_empty() {
            return;
        }
        let exponent = exponent + (digits.len() - significant.len()) as i64;
        self.decimal_max = self.decimal_max.max(-exponent);
        self.whole_max = self.whole_max.max(significant.len() as i64 + exponent);
    }

    /// Numbers with more digits than the context keeps have none left for decimal places.
    pub fn any(&self) -> bool {
        if self.whole_max + self.decimal_max > PRECISION { self.whole_max != PRECISION } else { self.decimal_max > 0 }
    }
}
