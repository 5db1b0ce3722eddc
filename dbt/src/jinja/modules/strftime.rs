//! `strftime`, with the directives and flags of the C library on Linux.

use chrono::{Datelike, NaiveDateTime, Timelike};

use super::zone::{Zone, offset_text};

const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
pub const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The full name of a day of the week, Monday first.
pub fn day_name(moment: &NaiveDateTime) -> &'static str {
    DAYS[moment.weekday().num_days_from_monday() as usize]
}

/// The full name of a month.
pub fn month_name(moment: &NaiveDateTime) -> &'static str {
    MONTHS[moment.month0() as usize]
}

/// Formats a moment.
pub fn strftime(moment: &NaiveDateTime, zone: Option<&Zone>, format: &str) -> String {
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut flag = None;
        let mut directive = chars.next();
        if let Some(c @ ('-' | '_' | '0' | '^' | '#')) = directive {
            flag = Some(c);
            directive = chars.next();
        }
        let Some(directive) = directive else {
            out.push('%');
            out.extend(flag);
            break;
        };
        match text_of(moment, zone, directive) {
            Some(text) if flag == Some('^') => out.push_str(&text.to_uppercase()),
            Some(text) => out.push_str(&text),
            None => match number_of(moment, directive) {
                Some((number, width, fill)) => {
                    let fill = match flag {
                        Some('-') => None,
                        Some('_') => Some(' '),
                        Some('0') => Some('0'),
                        _ => Some(fill),
                    };
                    let digits = number.to_string();
                    out.extend(
                        fill.into_iter().flat_map(|fill| std::iter::repeat_n(fill, width.saturating_sub(digits.len()))),
                    );
                    out.push_str(&digits);
                }
                None => {
                    out.push('%');
                    out.extend(flag);
                    out.push(directive);
                }
            },
        }
    }
    out
}

fn text_of(moment: &NaiveDateTime, zone: Option<&Zone>, directive: char) -> Option<String> {
    let nested = |format| Some(strftime(moment, zone, format));
    match directive {
        'a' => Some(day_name(moment)[..3].to_owned()),
        'A' => Some(day_name(moment).to_owned()),
        'b' | 'h' => Some(month_name(moment)[..3].to_owned()),
        'B' => Some(month_name(moment).to_owned()),
        'c' => nested("%a %b %e %H:%M:%S %Y"),
        'x' | 'D' => nested("%m/%d/%y"),
        'X' | 'T' => nested("%H:%M:%S"),
        'F' => nested("%Y-%m-%d"),
        'R' => nested("%H:%M"),
        'r' => nested("%I:%M:%S %p"),
        'p' => Some(if moment.hour() < 12 { "AM" } else { "PM" }.to_owned()),
        'P' => Some(if moment.hour() < 12 { "am" } else { "pm" }.to_owned()),
        'z' => Some(zone.map_or_else(String::new, |zone| offset_text(zone.offset_seconds(), ""))),
        'Z' => Some(zone.and_then(Zone::name).unwrap_or_default()),
        'n' => Some("\n".to_owned()),
        't' => Some("\t".to_owned()),
        '%' => Some("%".to_owned()),
        _ => None,
    }
}

/// A number with its width and what it is padded with.
fn number_of(moment: &NaiveDateTime, directive: char) -> Option<(i64, usize, char)> {
    let hour12 = (i64::from(moment.hour()) + 11) % 12 + 1;
    let monday = i64::from(moment.weekday().num_days_from_monday());
    let ordinal = i64::from(moment.ordinal0());
    let year = i64::from(moment.year());
    Some(match directive {
        'd' => (moment.day().into(), 2, '0'),
        'e' => (moment.day().into(), 2, ' '),
        'm' => (moment.month().into(), 2, '0'),
        'y' => (year.rem_euclid(100), 2, '0'),
        'Y' => (year, 1, '0'),
        'C' => (year.div_euclid(100), 2, '0'),
        'G' => (moment.iso_week().year().into(), 1, '0'),
        'g' => (i64::from(moment.iso_week().year()).rem_euclid(100), 2, '0'),
        'V' => (moment.iso_week().week().into(), 2, '0'),
        'u' => (monday + 1, 1, '0'),
        'w' => ((monday + 1) % 7, 1, '0'),
        'H' => (moment.hour().into(), 2, '0'),
        'k' => (moment.hour().into(), 2, ' '),
        'I' => (hour12, 2, '0'),
        'l' => (hour12, 2, ' '),
        'M' => (moment.minute().into(), 2, '0'),
        'S' => (moment.second().into(), 2, '0'),
        'f' => ((moment.nanosecond() / 1000).into(), 6, '0'),
        'j' => (ordinal + 1, 3, '0'),
        'U' => ((ordinal + 7 - (monday + 1) % 7) / 7, 2, '0'),
        'W' => ((ordinal + 7 - monday) / 7, 2, '0'),
        's' => (moment.and_utc().timestamp(), 1, '0'),
        _ => return None,
    })
}
