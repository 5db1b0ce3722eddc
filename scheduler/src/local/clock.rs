//! The one place where the scheduler reads a clock.

use std::time::{SystemTime, UNIX_EPOCH};

use common::Timestamp;

#[expect(clippy::disallowed_methods, reason = "the shell tells the core what time it is")]
pub(crate) fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::default().plus(elapsed)
}
