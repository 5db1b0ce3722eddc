//! Connecting with patience: a server that is away for a moment, or has no place left, costs no attempt.
//!
//! Invariant: the wait is bounded, and ends at once when the attempt is canceled. Only what may pass by itself is waited for; a
//! wrong password or an unknown database is told at once.

use std::time::{Duration, Instant};

use common::diagnostic::Code;
use common::task::FailureKind;

use crate::cancellation::Cancellation;
use crate::warehouse::{Connection, Error, Warehouse};

/// Longer than a server takes to restart or to fail over; after it the attempt fails, and the run's retries decide.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// How soon a cancellation is noticed.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A connection, as soon as the warehouse can be reached. It is not waited for where one of the attempts is canceled.
pub(crate) fn connect(warehouse: &dyn Warehouse, attempts: &[&Cancellation]) -> Result<Box<dyn Connection>, Error> {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = PAUSE_FIRST;
    loop {
        match warehouse.connect() {
            Err(error) if is_away(&error) && Instant::now() < deadline => {
                // Slots that lost one server do not all come back to it at one moment.
                if !rest(pause.mul_f64(rand::random_range(0.5..1.0)), attempts) {
                    return Err(Error::new(FailureKind::Canceled, Code::Canceled, "the run was canceled"));
                }
                pause = (pause * 2).min(PAUSE_MAX);
            }
            outcome => return outcome,
        }
    }
}

fn is_away(error: &Error) -> bool {
    error.kind == FailureKind::Transient && error.code == Code::WarehouseUnavailable
}

/// Whether all attempts are still wanted after the pause.
fn rest(pause: Duration, attempts: &[&Cancellation]) -> bool {
    let end = Instant::now() + pause;
    while Instant::now() < end {
        if attempts.iter().any(|cancellation| cancellation.is_canceled()) {
            return false;
        }
        std::thread::sleep(LOOK_EVERY.min(end.saturating_duration_since(Instant::now())));
    }
    true
}
