//! An operator limits a pool, or leaves it to the plans again. What runs already goes on.

use crate::state::{NAME_MAX, POOLS_MAX, Rejection, Reply, State};

pub(super) fn apply(state: &mut State, pool: String, places: Option<u32>) -> Result<Reply, Rejection> {
    if pool.is_empty() || pool.len() > NAME_MAX {
        return Err(Rejection::NameTooLong { max: NAME_MAX as u32 });
    }
    if places.is_some() && state.pools.len() >= POOLS_MAX && !state.pools.contains_key(pool.as_str()) {
        return Err(Rejection::TooManyPools { max: POOLS_MAX as u32 });
    }
    match places {
        Some(places) => state.pools.insert(pool.into(), places),
        None => state.pools.remove(pool.as_str()),
    };
    Ok(Reply::Done)
}
