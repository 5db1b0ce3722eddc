//! Values as text: top-level dates and times in ISO form, everything nested as DuckDB's own `::varchar` prints it.

use super::ffi::Interval;

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// An integer scaled by a power of ten: `decimal(12345, 2)` is `123.45`.
pub(super) fn decimal(unscaled: i128, scale: u8) -> String {
    let scale = usize::from(scale);
    let digits = unscaled.unsigned_abs().to_string();
    let sign = if unscaled < 0 { "-" } else { "" };
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar; DuckDB's two ends of time are `infinity` and `-infinity`.
pub(super) fn date(days: i64) -> String {
    if days == i64::from(i32::MAX) {
        return "infinity".to_owned();
    }
    if days == -i64::from(i32::MAX) {
        return "-infinity".to_owned();
    }
    let (year, month, day) = civil(days);
    if year <= 0 {
        // There is no year 0: the year before 1 is 1 BC.
        return format!("{:04}-{month:02}-{day:02} (BC)", 1 - year);
    }
    format!("{year:04}-{month:02}-{day:02}")
}

/// Howard Hinnant's `civil_from_days`: eras of 400 years that begin on 1 March.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Microseconds since midnight: `12:30:00`, or `12:30:00.123` with the zeros at the end left out, as DuckDB does.
pub(super) fn time(micros: i64) -> String {
    let seconds = micros / 1_000_000;
    let fraction = micros % 1_000_000;
    let mut text = format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60);
    if fraction != 0 {
        text.push_str(format!(".{fraction:06}").trim_end_matches('0'));
    }
    text
}

/// DuckDB packs the time into the upper 40 bits and the offset, counted down from the largest, into the lower 24.
pub(super) fn time_tz(bits: u64) -> String {
    const OFFSET_MAX: i64 = 16 * 60 * 60 - 1;
    let micros = i64::try_from(bits >> 24).unwrap_or(i64::MAX);
    let offset = OFFSET_MAX - i64::try_from(bits & 0xff_ffff).unwrap_or(0);
    let sign = if offset < 0 { '-' } else { '+' };
    let offset = offset.abs();
    let mut text = format!("{}{sign}{:02}", time(micros), offset / 3_600);
    if offset % 3_600 != 0 {
        text.push_str(&format!(":{:02}", offset / 60 % 60));
    }
    if offset % 60 != 0 {
        text.push_str(&format!(":{:02}", offset % 60));
    }
    text
}

/// `value` units of `micros_per_unit` microseconds since 1970-01-01.
pub(super) fn timestamp(value: i64, micros_per_unit: i64) -> String {
    if let Some(end) = end_of_time(value) {
        return end.to_owned();
    }
    let micros = i128::from(value) * i128::from(micros_per_unit);
    let day = micros.div_euclid(i128::from(MICROS_PER_DAY));
    let of_day = micros.rem_euclid(i128::from(MICROS_PER_DAY));
    at(i64::try_from(day).unwrap_or(i64::MAX), &time(i64::try_from(of_day).unwrap_or(0)))
}

pub(super) fn timestamp_ns(nanos: i64) -> String {
    if let Some(end) = end_of_time(nanos) {
        return end.to_owned();
    }
    let seconds = nanos.div_euclid(1_000_000_000);
    let fraction = nanos.rem_euclid(1_000_000_000);
    let mut clock = time(seconds.rem_euclid(86_400) * 1_000_000);
    if fraction != 0 {
        clock.push_str(format!(".{fraction:09}").trim_end_matches('0'));
    }
    at(seconds.div_euclid(86_400), &clock)
}

/// In UTC, with the offset spelled out.
pub(super) fn timestamp_tz(micros: i64) -> String {
    let text = timestamp(micros, 1);
    if end_of_time(micros).is_some() { text } else { format!("{text}+00") }
}

fn end_of_time(value: i64) -> Option<&'static str> {
    match value {
        i64::MAX => Some("infinity"),
        v if v == -i64::MAX => Some("-infinity"),
        _ => None,
    }
}

fn at(day: i64, clock: &str) -> String {
    let date = date(day);
    match date.strip_suffix(" (BC)") {
        Some(date) => format!("{date} (BC) {clock}"),
        None => format!("{date} {clock}"),
    }
}

/// `1 year 2 months -3 days 04:05:06.789`; `00:00:00` where all is zero.
pub(super) fn interval(value: Interval) -> String {
    let mut parts = Vec::new();
    let mut unit = |count: i32, name: &str| {
        if count != 0 {
            parts.push(format!("{count} {name}{}", if count == 1 || count == -1 { "" } else { "s" }));
        }
    };
    unit(value.months / 12, "year");
    unit(value.months % 12, "month");
    unit(value.days, "day");
    if value.micros != 0 || parts.is_empty() {
        let sign = if value.micros < 0 { "-" } else { "" };
        let micros = i64::try_from(value.micros.unsigned_abs()).unwrap_or(i64::MAX);
        parts.push(format!("{sign}{}", time(micros)));
    }
    parts.join(" ")
}

/// DuckDB flips the highest bit, so that UUIDs sort as signed integers.
pub(super) fn uuid(stored: u128) -> String {
    let hex = format!("{:032x}", stored ^ (1 << 127));
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// The first byte says how many bits at the front of the second are padding.
pub(super) fn bit(stored: &[u8]) -> String {
    let Some((padding, bytes)) = stored.split_first() else { return String::new() };
    let bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
    bits.get(usize::from(*padding)..).unwrap_or_default().to_owned()
}

pub(super) fn blob(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|&byte| match byte {
            b'\\' | b'\'' | b'"' => format!("\\x{byte:02X}"),
            b' '..=b'~' => char::from(byte).to_string(),
            _ => format!("\\x{byte:02X}"),
        })
        .collect()
}

pub(super) fn float(value: f32) -> String {
    shortest(&format!("{value:e}"), value.into())
}

pub(super) fn double(value: f64) -> String {
    shortest(&format!("{value:e}"), value)
}

/// Lays out the shortest digits as DuckDB does: plain between 1e-5 and 1e16, else with an exponent of two digits at least.
fn shortest(scientific: &str, value: f64) -> String {
    if value.is_nan() {
        return "nan".to_owned();
    }
    if value.is_infinite() {
        return if value < 0.0 { "-inf" } else { "inf" }.to_owned();
    }
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let digits = mantissa.replace('.', "");
    if !(-4..16).contains(&exponent) {
        let mark = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{mantissa}e{mark}{:02}", exponent.abs());
    }
    if exponent < 0 {
        let zeros = "0".repeat(usize::try_from(-exponent - 1).unwrap_or(0));
        return format!("{sign}0.{zeros}{digits}");
    }
    let whole = usize::try_from(exponent).unwrap_or(0) + 1;
    if digits.len() <= whole {
        return format!("{sign}{digits:0<whole$}.0");
    }
    format!("{sign}{}.{}", &digits[..whole], &digits[whole..])
}

/// A struct's field name is always between quotes.
pub(super) fn field_name(name: &str) -> String {
    format!("'{}'", name.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Inside something nested, text that could be read as syntax is quoted.
pub(super) fn quoted_if_needed(text: String) -> String {
    let special = |c: char| matches!(c, '"' | '\'' | '(' | ')' | ',' | ':' | '=' | '[' | ']' | '{' | '}');
    let needed = text.is_empty()
        || text.starts_with(|c: char| c.is_ascii_whitespace())
        || text.ends_with(|c: char| c.is_ascii_whitespace())
        || text.eq_ignore_ascii_case("null")
        || text.contains(special);
    if needed { field_name(&text) } else { text }
}
