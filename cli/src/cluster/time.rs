//! Times and sizes, as lists show them.

use prost_types::Timestamp;

/// `2024-05-01 12:00:00`, in UTC; empty where there is none.
pub fn moment(at: Option<&Timestamp>) -> String {
    let time =
        at.and_then(|at| chrono::DateTime::from_timestamp(at.seconds, u32::try_from(at.nanos).unwrap_or_default()));
    time.map(|time| time.format("%Y-%m-%d %H:%M:%S").to_string()).unwrap_or_default()
}

/// `2024-05-01 12:00:00.123`, in UTC; empty where there is none.
pub fn instant(at: Option<&Timestamp>) -> String {
    let millis = at.map(|at| at.nanos / 1_000_000).unwrap_or_default();
    at.map(|_| format!("{}.{millis:03}", moment(at))).unwrap_or_default()
}

/// `12.3s`, from one moment to another; empty where either is missing.
pub fn span(from: Option<&Timestamp>, to: Option<&Timestamp>) -> String {
    let (Some(from), Some(to)) = (from, to) else { return String::new() };
    let seconds = (to.seconds - from.seconds) as f64 + f64::from(to.nanos - from.nanos) / 1e9;
    match seconds {
        seconds if seconds < 60.0 => format!("{:.1}s", seconds.max(0.0)),
        seconds if seconds < 3_600.0 => format!("{}m{:02}s", seconds as u64 / 60, seconds as u64 % 60),
        seconds => format!("{}h{:02}m", seconds as u64 / 3_600, seconds as u64 % 3_600 / 60),
    }
}

/// The first digits of a digest, enough to tell bundles apart.
pub fn short(digest: &[u8]) -> String {
    digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

pub fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
