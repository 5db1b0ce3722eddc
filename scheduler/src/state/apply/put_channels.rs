//! Channels are declared, or declared otherwise. What is on its way over one goes by what it is then.

use std::sync::Arc;

use common::alert::Channel;

use crate::state::alerts::CHANNELS_MAX;
use crate::state::{Rejection, Reply, State};

pub(super) fn apply(state: &mut State, channels: Vec<Channel>) -> Result<Reply, Rejection> {
    let known = &state.alerts.channels;
    let new = channels.iter().filter(|channel| !known.contains_key(&channel.name)).count();
    if known.len() + new > CHANNELS_MAX {
        return Err(Rejection::TooManyChannels { max: CHANNELS_MAX as u32 });
    }
    let mut changed = 0;
    for channel in channels {
        let is_same = state.alerts.channels.get(&channel.name).is_some_and(|known| **known == channel);
        changed += u32::from(!is_same);
        state.alerts.channels.insert(channel.name.clone(), Arc::new(channel));
    }
    Ok(Reply::Put { changed })
}
