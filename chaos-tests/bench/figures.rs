//! Samples, and how they are told.

use std::time::Duration;

use serde_json::json;

/// What a figure must not exceed, or must reach.
#[derive(Clone, Copy)]
pub enum Target {
    AtMost(f64),
    AtLeast(f64),
}

#[expect(clippy::print_stdout, reason = "the figures are this program's output")]
pub fn say(what: &str, value: f64, unit: &str, target: Option<Target>) {
    let (target, met) = match target {
        None => (None, None),
        Some(Target::AtMost(limit)) => (Some(format!("≤ {limit:.2} {unit}")), Some(value <= limit)),
        Some(Target::AtLeast(limit)) => (Some(format!("≥ {limit:.0} {unit}")), Some(value >= limit)),
    };
    println!("{}", json!({"what": what, "value": value, "unit": unit, "target": target, "met": met}));
}

/// Where the measurement is.
#[expect(clippy::print_stderr, reason = "who waits wants to know")]
pub fn tell(what: &str) {
    eprintln!("{what}");
}

/// Durations of one thing, many times.
#[derive(Default)]
pub struct Samples(Vec<Duration>);

impl Samples {
    pub fn push(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn p50_ms(&self) -> f64 {
        self.quantile_ms(0.5)
    }

    pub fn p99_ms(&self) -> f64 {
        self.quantile_ms(0.99)
    }

    /// The smallest sample that at least this share of all samples does not exceed; 0 without samples.
    fn quantile_ms(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).map_or(0.0, |sample| sample.as_secs_f64() * 1_000.0)
    }
}
