//! `datetime.strptime`.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};

use super::super::arguments::value_error;
use super::super::error::Result;
use super::super::repr::quote;
use super::super::strings::is_space;
use super::datetime::DateTime;
use super::strftime::MONTHS;
use super::zone::Zone;

const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// What was read so far.
struct Fields {
    year: i32,
    month: u32,
    day: u32,
    ordinal: Option<u32>,
    hour: u32,
    hour12: Option<u32>,
    afternoon: Option<bool>,
    minute: u32,
    second: u32,
    microsecond: u32,
    zone: Option<Zone>,
}

/// Reads text by a format.
pub fn strptime(text: &str, format: &str) -> Result<DateTime> {
    let mismatch = || value_error(format!("time data {} does not match format {}", quote(text), quote(format)));
    let mut fields = Fields {
        year: 1900,
        month: 1,
        day: 1,
        ordinal: None,
        hour: 0,
        hour12: None,
        afternoon: None,
        minute: 0,
        second: 0,
        microsecond: 0,
        zone: None,
    };
    let mut rest = text;
    let expanded = format.replace("%T", "%H:%M:%S").replace("%D", "%m/%d/%y").replace("%F", "%Y-%m-%d");
    let mut chars = expanded.chars();
    while let Some(c) = chars.next() {
        if is_space(c) {
            let trimmed = rest.trim_start_matches(is_space);
            if trimmed.len() == rest.len() {
                return Err(mismatch());
            }
            rest = trimmed;
            continue;
        }
        if c != '%' {
            let mut actual = rest.chars();
            match actual.next() {
                Some(found) if found.to_lowercase().eq(c.to_lowercase()) => rest = actual.as_str(),
                _ => return Err(mismatch()),
            }
            continue;
        }
        let directive = chars.next().ok_or_else(|| value_error(format!("stray %% in format {}", quote(format))))?;
        rest = read(&mut fields, rest, directive).ok_or_else(|| match "aAbBdfHIjmMpSyYzZ%".contains(directive) {
            true => mismatch(),
            false => value_error(format!("'{directive}' is a bad directive in format {}", quote(format))),
        })?;
    }
    if !rest.is_empty() {
        return Err(value_error(format!("unconverted data remains: {rest}")));
    }
    let hour = match (fields.hour12, fields.afternoon) {
        (Some(hour), Some(true)) => hour % 12 + 12,
        (Some(hour), _) => hour % 12,
        (None, _) => fields.hour,
    };
    let date = match fields.ordinal {
        Some(ordinal) => NaiveDate::from_yo_opt(fields.year, ordinal),
        None => NaiveDate::from_ymd_opt(fields.year, fields.month, fields.day),
    };
    let date = date.ok_or_else(|| value_error("day is out of range for month"))?;
    let time = NaiveTime::from_hms_micro_opt(hour, fields.minute, fields.second, fields.microsecond);
    let time = time.ok_or_else(|| value_error("second must be in 0..59"))?;
    Ok(DateTime { naive: NaiveDateTime::new(date, time), zone: fields.zone })
}

/// Up to `most` digits whose number lies in a range; fewer digits are tried where more would leave it.
fn number(text: &str, most: usize, low: u32, high: u32) -> Option<(u32, &str)> {
    let available = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    (1..=available).rev().find_map(|length| {
        let value: u32 = text[..length].parse().ok()?;
        (low..=high).contains(&value).then(|| (value, &text[length..]))
    })
}

fn one_of<'t>(text: &'t str, names: &[&str], short: bool) -> Option<(usize, &'t str)> {
    names.iter().enumerate().find_map(|(index, name)| {
        let name = if short { &name[..3] } else { name };
        let head = text.get(..name.len())?;
        head.eq_ignore_ascii_case(name).then(|| (index, &text[name.len()..]))
    })
}

fn read<'t>(fields: &mut Fields, text: &'t str, directive: char) -> Option<&'t str> {
    let rest = match directive {
        'Y' => {
            let digits = text.get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
            fields.year = digits.parse().ok()?;
            &text[4..]
        }
        'y' => {
            let (year, rest) = text.get(..2).and_then(|_| number(text, 2, 0, 99))?;
            fields.year = i32::try_from(year).ok()? + if year < 69 { 2000 } else { 1900 };
            rest
        }
        'b' | 'B' => {
            let (month, rest) = one_of(text, &MONTHS, directive == 'b')?;
            fields.month = u32::try_from(month).ok()? + 1;
            rest
        }
        'a' | 'A' => one_of(text, &DAYS, directive == 'a')?.1,
        'p' => {
            let head = text.get(..2)?;
            fields.afternoon = Some(match head.to_ascii_lowercase().as_str() {
                "am" => false,
                "pm" => true,
                _ => return None,
            });
            &text[2..]
        }
        'f' => {
            let digits = text.bytes().take(6).take_while(u8::is_ascii_digit).count();
            let value: u32 = text[..digits].parse().ok()?;
            fields.microsecond = value * 10_u32.pow(6 - u32::try_from(digits).ok()?);
            &text[digits..]
        }
        'z' => {
            let (zone, rest) = read_offset(text)?;
            fields.zone = Some(zone);
            rest
        }
        'Z' => ["UTC", "GMT"].iter().find_map(|name| text.strip_prefix(name))?,
        '%' => text.strip_prefix('%')?,
        _ => {
            let (most, low, high, slot) = match directive {
                'm' => (2, 1, 12, &mut fields.month),
                'd' => (2, 1, 31, &mut fields.day),
                'H' => (2, 0, 23, &mut fields.hour),
                'M' => (2, 0, 59, &mut fields.minute),
                'S' => (2, 0, 61, &mut fields.second),
                'I' => (2, 1, 12, fields.hour12.insert(0)),
                'j' => (3, 1, 366, fields.ordinal.insert(0)),
                _ => return None,
            };
            let (value, rest) = number(text, most, low, high)?;
            *slot = value;
            rest
        }
    };
    Some(rest)
}

/// `Z`, `+0100`, `+01:00`, `+01:00:30`
pub fn read_offset(text: &str) -> Option<(Zone, &str)> {
    if let Some(rest) = text.strip_prefix('Z') {
        return Some((Zone::Fixed { seconds: 0, pytz: false }, rest));
    }
    let negative = match text.chars().next()? {
        '+' => false,
        '-' => true,
        _ => return None,
    };
    let two = |text: &str| -> Option<i32> {
        text.get(..2).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()
    };
    let mut rest = &text[1..];
    let mut seconds = two(rest)? * 3600;
    rest = &rest[2..];
    for unit in [60, 1] {
        let tail = rest.strip_prefix(':').unwrap_or(rest);
        match two(tail) {
            Some(amount) => {
                seconds += amount * unit;
                rest = &tail[2..];
            }
            None if unit == 60 => return None,
            None => break,
        }
    }
    Some((Zone::Fixed { seconds: if negative { -seconds } else { seconds }, pytz: false }, rest))
}
