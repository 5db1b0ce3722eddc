//! What became of notices that were sent. Of one that has ended already, it changes nothing.

use crate::state::alerts::{NoticeId, Sent};
use crate::state::schedules::REASON_MAX;
use crate::state::{Entry, Rejection, Reply, State};

pub(super) fn apply(state: &mut State, entry: &Entry, settled: Vec<(NoticeId, Sent)>) -> Result<Reply, Rejection> {
    for (id, sent) in settled {
        let shortened = |mut error: String| {
            error.truncate(error.floor_char_boundary(REASON_MAX));
            error
        };
        match sent {
            Sent::Arrived => state.end_notice(entry.at, id, None),
            Sent::GivenUp { error } => state.end_notice(entry.at, id, Some(shortened(error))),
            Sent::Failed { error, again_at } => {
                if let Some(notice) = state.alerts.notices.get_mut(&id) {
                    notice.failures = notice.failures.saturating_add(1);
                    notice.error = Some(shortened(error));
                    notice.due_at = again_at;
                }
            }
        }
    }
    Ok(Reply::Done)
}
