//! Waiting for what other processes do.

use std::fmt::Display;
use std::time::{Duration, Instant};

const SECONDS_MAX: u64 = 120;
/// Between two looks: others tell nobody when they are done.
const LOOK: Duration = Duration::from_millis(10);

/// Waits until there is something to be had; where it never comes the last reason is told, and what `logs` has to say.
#[track_caller]
pub fn obtain<T, E: Display>(what: &str, mut ask: impl FnMut() -> Result<T, E>, logs: impl FnOnce() -> String) -> T {
    let deadline = Instant::now() + Duration::from_secs(SECONDS_MAX);
    loop {
        match ask() {
            Ok(found) => return found,
            Err(reason) if Instant::now() > deadline => panic!("waited in vain for {what}: {reason}\n{}", logs()),
            Err(_) => std::thread::sleep(LOOK),
        }
    }
}
