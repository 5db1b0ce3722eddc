//! Which failures are worth another attempt, and when.

use std::time::Duration;

use common::run::RetryPolicy;
use common::task::FailureKind;

/// What follows an attempt that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Another attempt as soon as a slot is free.
    Now,
    After(Duration),
    Never,
}

/// `tries` counts the attempts made so far, the failed one included.
pub(super) fn next(policy: &RetryPolicy, kind: FailureKind, tries: u32) -> Next {
    if tries >= policy.attempts_max {
        return Next::Never;
    }
    match kind {
        // A worker that stops cancels what it holds; nothing is wrong with the task.
        FailureKind::Canceled => Next::Now,
        FailureKind::WorkerLost if policy.kinds.contains(kind) => Next::Now,
        // The next epoch is higher and may win.
        FailureKind::Fenced => Next::After(backoff(policy, tries)),
        kind if policy.kinds.contains(kind) => Next::After(backoff(policy, tries)),
        _ => Next::Never,
    }
}

/// Doubles with every try, up to the policy's maximum.
fn backoff(policy: &RetryPolicy, tries: u32) -> Duration {
    let factor = 1u64.checked_shl(tries.saturating_sub(1)).unwrap_or(u64::MAX);
    Duration::from_millis(policy.backoff_initial_ms.saturating_mul(factor).min(policy.backoff_max_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_its_maximum() {
        let policy =
            RetryPolicy { attempts_max: 100, backoff_initial_ms: 100, backoff_max_ms: 1_000, ..RetryPolicy::default() };
        let waits: Vec<Next> = (1..=6).map(|tries| next(&policy, FailureKind::Transient, tries)).collect();
        let ms = |ms| Next::After(Duration::from_millis(ms));
        assert_eq!(waits, [ms(100), ms(200), ms(400), ms(800), ms(1_000), ms(1_000)]);
        assert_eq!(next(&policy, FailureKind::Transient, 99), ms(1_000));
    }

    #[test]
    fn only_failures_of_the_world_are_tried_again() {
        let policy = RetryPolicy::default();
        assert_eq!(next(&policy, FailureKind::User, 1), Next::Never);
        assert_eq!(next(&policy, FailureKind::TestFailed, 1), Next::Never);
        assert_eq!(next(&policy, FailureKind::WorkerLost, 1), Next::Now);
        assert_eq!(next(&policy, FailureKind::WorkerLost, policy.attempts_max), Next::Never);
        assert_eq!(next(&policy, FailureKind::Transient, policy.attempts_max), Next::Never);
    }
}
