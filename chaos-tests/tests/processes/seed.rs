//! Seeds: which histories of faults are tried.

/// Histories that are tried where nobody says otherwise.
const COUNT: u64 = 2;

/// The one in `KONTIKI_CHAOS_SEED`, or the first `KONTIKI_CHAOS_COUNT`.
pub fn seeds() -> Vec<Seed> {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse().unwrap_or_else(|_| panic!("{name} is '{text}', which is no number")))
    };
    match number("KONTIKI_CHAOS_SEED") {
        Some(seed) => vec![Seed(seed)],
        None => (1..=number("KONTIKI_CHAOS_COUNT").unwrap_or(COUNT)).map(Seed).collect(),
    }
}

/// Says so where a test fails with it.
pub struct Seed(pub u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to try this again: KONTIKI_CHAOS_SEED={}", self.0);
        }
    }
}
