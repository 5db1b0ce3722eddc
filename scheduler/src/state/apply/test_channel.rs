//! Somebody tries a channel out: a notice about nothing.

use std::sync::Arc;

use common::ScheduleName;
use common::alert::{Alert, AlertKind};

use crate::state::{Entry, Rejection, Reply, State};

pub(super) fn apply(state: &mut State, entry: &Entry, channel: ScheduleName) -> Result<Reply, Rejection> {
    if !state.alerts.channels.contains_key(&channel) {
        return Err(Rejection::UnknownChannel(channel));
    }
    let alert = Alert::new(AlertKind::Test, entry.at);
    Ok(Reply::Noticed(state.send(entry, channel, Arc::new(alert))))
}
