//! Channels go, and what was on its way over them.

use common::ScheduleName;

use crate::state::{Entry, Rejection, Reply, State};

pub(super) fn apply(state: &mut State, entry: &Entry, names: &[ScheduleName]) -> Result<Reply, Rejection> {
    if let Some(unknown) = names.iter().find(|name| !state.alerts.channels.contains_key(*name)) {
        return Err(Rejection::UnknownChannel(unknown.clone()));
    }
    for name in names {
        state.alerts.channels.remove(name);
        let left = state.alerts.notices().filter(|(_, notice)| notice.channel == *name);
        let left: Vec<_> = left.map(|(id, _)| id).collect();
        for id in left {
            state.end_notice(entry.at, id, Some("the channel was removed".to_owned()));
        }
    }
    Ok(Reply::Done)
}
