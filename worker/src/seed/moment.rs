//! Dates and times in seeds: `%Y-%m-%d`, `%Y-%m-%d %H:%M:%S`, and ISO 8601 with a `T`.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, Timelike, Weekday};

/// `2024-05-01`, also without leading zeros.
pub(super) fn date(text: &str) -> Option<String> {
    Some(plain_date(text)?.to_string())
}

/// `2024-05-01 12:30:00`
pub(super) fn timestamp(text: &str) -> Option<String> {
    let (date, time) = text.split_once(|character: char| character.is_whitespace())?;
    let mut parts = time.trim_start().split(':').map(|part| field(part, 1, 2));
    let (Some(Some(hour)), Some(Some(minute)), Some(Some(second)), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    // `strptime` takes leap seconds, but no `datetime` can hold one.
    let time = NaiveTime::from_hms_opt(hour, minute, second)?;
    Some(NaiveDateTime::new(plain_date(date)?, time).to_string())
}

/// `2024-05-01T12:30:00.5+02:00` and the basic, week and ordinal forms of ISO 8601.
pub(super) fn iso_timestamp(text: &str) -> Option<String> {
    let (date, time) = text.split_once('T')?;
    let date = iso_date(date)?;
    let (time, zone) = match time.find(['Z', '+', '-', '\u{2212}']) {
        Some(index) => time.split_at(index),
        None => (time, ""),
    };
    let zone = iso_zone(zone)?;
    let time = iso_time(time)?;
    // Microseconds as Python prints them: six digits, or none.
    let fraction = if time.nanosecond() == 0 { String::new() } else { time.format("%.6f").to_string() };
    Some(format!("{date} {}{fraction}{zone}", time.format("%H:%M:%S")))
}

fn plain_date(text: &str) -> Option<NaiveDate> {
    let mut parts = text.split('-');
    let year = field(parts.next()?, 4, 4)?;
    let month = field(parts.next()?, 1, 2)?;
    let day = field(parts.next()?, 1, 2)?;
    if parts.next().is_some() || year == 0 {
        return None;
    }
    NaiveDate::from_ymd_opt(year as i32, month, day)
}

fn iso_date(text: &str) -> Option<NaiveDate> {
    let extended = text.contains('-');
    let compact = text.replace('-', "");
    let year = field(compact.get(..4)?, 4, 4)? as i32;
    let rest = &compact[4..];
    // Where the dashes must be, by what follows the year.
    let dashes: &[usize] = match (rest.strip_prefix('W'), rest.len()) {
        (Some(week), _) if week.len() == 3 => &[4, 8],
        (Some(week), _) if week.len() == 2 => &[4],
        (None, 4) => &[4, 7],
        (None, 2 | 3) => &[4],
        (None, 0) => &[],
        _ => return None,
    };
    let found: Vec<usize> = text.match_indices('-').map(|(index, _)| index).collect();
    if extended && found != dashes {
        return None;
    }
    match (rest.strip_prefix('W'), rest.len()) {
        (Some(week), _) => {
            let day = week.get(2..3).map_or(Some(1), |day| field(day, 1, 1))?;
            let day = Weekday::try_from(u8::try_from(day.checked_sub(1)?).ok()?).ok()?;
            NaiveDate::from_isoywd_opt(year, field(&week[..2], 2, 2)?, day)
        }
        (None, 4) => NaiveDate::from_ymd_opt(year, field(&rest[..2], 2, 2)?, field(&rest[2..], 2, 2)?),
        (None, 3) => NaiveDate::from_yo_opt(year, field(rest, 3, 3)?),
        (None, 2) if extended => NaiveDate::from_ymd_opt(year, field(rest, 2, 2)?, 1),
        (None, 0) => NaiveDate::from_ymd_opt(year, 1, 1),
        _ => None,
    }
}

/// `12:30:00.5`, `123000`, `12:30`, `1230`, `12`; the fraction belongs to the last part.
fn iso_time(text: &str) -> Option<NaiveTime> {
    let (clock, fraction) = match text.find(['.', ',']) {
        Some(index) => (&text[..index], Some(&text[index + 1..])),
        None => (text, None),
    };
    let parts: Vec<&str> = if clock.contains(':') {
        clock.split(':').collect()
    } else {
        (0..clock.len()).step_by(2).map(|start| clock.get(start..start + 2)).collect::<Option<_>>()?
    };
    let numbers: Vec<u32> = parts.iter().map(|part| field(part, 2, 2)).collect::<Option<_>>()?;
    let (hour, minute, second, unit_micros) = match numbers.as_slice() {
        [hour, minute, second] => (*hour, *minute, *second, 1_000_000),
        [hour, minute] => (*hour, *minute, 0, 60_000_000),
        [hour] => (*hour, 0, 0, 3_600_000_000_u64),
        _ => return None,
    };
    let extra = match fraction {
        Some(digits) => micros(digits, unit_micros)?,
        None => 0,
    };
    let base = NaiveTime::from_hms_opt(hour, minute, second)?;
    Some(base + chrono::Duration::microseconds(i64::try_from(extra).ok()?))
}

/// The fraction `digits` of a unit, in microseconds, rounded down.
fn micros(digits: &str, unit_micros: u64) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let kept = &digits[..digits.len().min(9)];
    let number: u64 = kept.parse().ok()?;
    Some(number * unit_micros / 10_u64.pow(kept.len() as u32))
}

/// Nothing, `Z`, `+02`, `+0200` or `+02:00`.
fn iso_zone(text: &str) -> Option<String> {
    match text {
        "" => return Some(String::new()),
        "Z" => return Some("+00:00".to_owned()),
        _ => {}
    }
    let sign = if text.starts_with('+') { '+' } else { '-' };
    let digits = text.trim_start_matches(['+', '-', '\u{2212}']);
    let (hours, minutes) = match (digits.len(), digits.split_once(':')) {
        (5, Some((hours, minutes))) => (field(hours, 2, 2)?, field(minutes, 2, 2)?),
        (4, None) => (field(&digits[..2], 2, 2)?, field(&digits[2..], 2, 2)?),
        (2, None) => (field(digits, 2, 2)?, 0),
        _ => return None,
    };
    Some(format!("{sign}{hours:02}:{minutes:02}"))
}

/// A number of `min` to `max` ASCII digits.
fn field(text: &str, min: usize, max: usize) -> Option<u32> {
    let fits = (min..=max).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}
