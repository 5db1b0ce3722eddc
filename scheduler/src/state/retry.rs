//! Which failures are worth another attempt, and when.
//!
//! Attempts that failed together should not come back together: each waits between half of the backoff and all of it, as long
//! as a hash of its names says. Every replica computes the same.

use std::time::Duration;

use common::RunId;
use common::run::{ATTEMPTS_LOST_MAX, RetryPolicy};
use common::task::FailureKind;

use super::digest::Digest;

/// What follows an attempt that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Another attempt as soon as a slot is free.
    Now,
    After(Duration),
    Never,
}

/// What spreads the attempts of different tasks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Salt {
    pub run: RunId,
    pub task: u32,
}

/// The attempts made so far, the one that ended now included. One that was lost with its worker says little of the task, so it does not
/// use up those that may fail; but a task that kills its workers must end, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tries {
    pub failed: u32,
    pub lost: u32,
}

pub(super) fn next(policy: &RetryPolicy, kind: FailureKind, tries: Tries, salt: Salt) -> Next {
    let is_spent = match kind {
        FailureKind::WorkerLost => tries.lost >= ATTEMPTS_LOST_MAX,
        _ => tries.failed >= policy.attempts_max,
    };
    if is_spent {
        return Next::Never;
    }
    match kind {
        // A worker that stops cancels what it holds; nothing is wrong with the task.
        FailureKind::Canceled => Next::Now,
        FailureKind::WorkerLost if policy.kinds.contains(kind) => Next::Now,
        // The next epoch is higher and may win.
        FailureKind::Fenced => Next::After(backoff(policy, tries.failed, salt)),
        kind if policy.kinds.contains(kind) => Next::After(backoff(policy, tries.failed, salt)),
        _ => Next::Never,
    }
}

/// Doubles with every try, up to the policy's maximum.
fn backoff(policy: &RetryPolicy, tries: u32, salt: Salt) -> Duration {
    let factor = 1u64.checked_shl(tries.saturating_sub(1)).unwrap_or(u64::MAX);
    let whole = policy.backoff_initial_ms.saturating_mul(factor).min(policy.backoff_max_ms);
    let mut digest = Digest::default();
    let (high, low) = salt.run.0.as_u64_pair();
    digest.mix(&[high, low, salt.task.into(), tries.into()]);
    let half = u128::from(whole) * 1_000 / 2;
    let part = (half * u128::from(digest.value())) >> 64;
    Duration::from_micros(u64::try_from(half + part).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: Salt = Salt { run: RunId(uuid::Uuid::nil()), task: 7 };

    fn waits(salt: Salt) -> Vec<Duration> {
        let policy = RetryPolicy { attempts_max: 100, backoff_max_ms: 1_000, ..RetryPolicy::default() };
        let wait = |failed| match next(&policy, FailureKind::Transient, Tries { failed, lost: 0 }, salt) {
            Next::After(wait) => wait,
            next => panic!("{next:?}"),
        };
        [1, 2, 3, 4, 5, 99].map(wait).to_vec()
    }

    #[test]
    fn backoff_doubles_up_to_its_maximum_and_is_spread() {
        for (wait, whole_ms) in waits(SALT).into_iter().zip([100, 200, 400, 800, 1_000, 1_000]) {
            let whole = Duration::from_millis(whole_ms);
            assert!(whole / 2 <= wait && wait <= whole, "{wait:?} of {whole:?}");
        }
        assert_eq!(waits(SALT), waits(SALT));
        let firsts: std::collections::BTreeSet<Duration> =
            (0..100).map(|task| waits(Salt { task, ..SALT })[0]).collect();
        assert_eq!(firsts.len(), 100);
    }

    #[test]
    fn the_policy_says_what_is_tried_again() {
        let default = RetryPolicy::default();
        let once = Tries { failed: 1, lost: 1 };
        let tried = |policy: &RetryPolicy, kind| next(policy, kind, once, SALT) != Next::Never;
        let retried: Vec<FailureKind> = FailureKind::ALL.into_iter().filter(|kind| tried(&default, *kind)).collect();
        assert_eq!(
            retried,
            [FailureKind::Transient, FailureKind::WorkerLost, FailureKind::Fenced, FailureKind::Canceled]
        );
        let kinds = [FailureKind::Timeout, FailureKind::System].into_iter().collect();
        let other = RetryPolicy { kinds, ..default };
        let retried: Vec<FailureKind> = FailureKind::ALL.into_iter().filter(|kind| tried(&other, *kind)).collect();
        assert_eq!(retried, [FailureKind::System, FailureKind::Timeout, FailureKind::Fenced, FailureKind::Canceled]);
        assert_eq!(next(&default, FailureKind::WorkerLost, once, SALT), Next::Now);
        let spent = Tries { failed: default.attempts_max, lost: ATTEMPTS_LOST_MAX };
        for kind in FailureKind::ALL {
            assert_eq!(next(&default, kind, spent, SALT), Next::Never);
        }
    }

    #[test]
    fn attempts_that_were_lost_do_not_count_as_failed() {
        let once = RetryPolicy { attempts_max: 1, ..RetryPolicy::default() };
        let after = |kind, failed, lost| next(&once, kind, Tries { failed, lost }, SALT);
        assert_eq!(after(FailureKind::WorkerLost, 0, ATTEMPTS_LOST_MAX - 1), Next::Now);
        assert_eq!(after(FailureKind::WorkerLost, 0, ATTEMPTS_LOST_MAX), Next::Never);
        let twice = RetryPolicy { attempts_max: 2, ..once };
        let transient = |failed, lost| next(&twice, FailureKind::Transient, Tries { failed, lost }, SALT);
        assert!(matches!(transient(1, ATTEMPTS_LOST_MAX - 1), Next::After(_)));
        assert_eq!(transient(2, 0), Next::Never);
    }
}
