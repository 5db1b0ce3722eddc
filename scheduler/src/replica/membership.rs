//! Who is in the cluster: learners join, are promoted when they have caught up, and leave. One change at a time.
//!
//! Invariant: an id is never used again. A replica that comes with an empty volume gets the index of a future entry as its id,
//! and its predecessor of the same name goes when it is promoted.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use openraft::ChangeMembers;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, RaftError};

use super::shell::{Shell, member};
use super::{Error, Member};
use crate::raft::{Raft, Types};

/// A learner that is at most this many entries behind has caught up.
const CAUGHT_UP: u64 = 200;
/// How long what is on its way may take to settle before leadership is handed over.
const SETTLE_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a follower may take to lead after leadership was handed to it.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(5);

type WriteError = RaftError<Types, ClientWriteError<Types>>;

pub(super) async fn add_learner(shell: &Shell, new: Member) -> Result<(), Error> {
    let raft = leading(shell)?;
    let _one = shell.changing.lock().await;
    refuse_known(raft, &new)?;
    raft.add_learner(new.id, new, false).await.map(drop).map_err(|error| refused(shell, &error))
}

fn refuse_known(raft: &Raft, new: &Member) -> Result<(), Error> {
    let metrics = raft.server_metrics();
    let metrics = metrics.borrow_watched();
    if new.id == 0 || member(&metrics.membership_config, new.id).is_some() {
        return Err(Error::Membership(format!(
            "replica {} is or was in the cluster; ids are never used again",
            new.id
        )));
    }
    Ok(())
}

/// Lets a replica with an empty volume in; returns its id.
pub(super) async fn join(shell: &Shell, name: String, address: String) -> Result<u64, Error> {
    let raft = leading(shell)?;
    let _one = shell.changing.lock().await;
    let (last, members, voters) = {
        let metrics = raft.metrics();
        let metrics = metrics.borrow_watched();
        let membership = metrics.membership_config.membership();
        let members: Vec<Member> = membership.nodes().map(|(_, member)| member.clone()).collect();
        (metrics.last_log_index.unwrap_or(0), members, membership.voter_ids().collect::<BTreeSet<u64>>())
    };
    // An earlier try whose answer was lost, or a volume that was lost before its replica was promoted.
    let stale: BTreeSet<u64> = members
        .iter()
        .filter(|member| member.name == name && !voters.contains(&member.id))
        .map(|member| member.id)
        .collect();
    if !stale.is_empty() {
        let removed = raft.change_membership(ChangeMembers::RemoveNodes(stale), false).await;
        removed.map_err(|error| refused(shell, &error))?;
    }
    let id = members.iter().map(|member| member.id).max().unwrap_or(0).max(last) + 1;
    let new = Member { id, name, address, promote: true };
    raft.add_learner(id, new, false).await.map_err(|error| refused(shell, &error))?;
    Ok(id)
}

pub(super) async fn promote(shell: &Shell, id: u64) -> Result<(), Error> {
    let raft = leading(shell)?;
    let _one = shell.changing.lock().await;
    let voters = {
        let metrics = raft.metrics();
        let metrics = metrics.borrow_watched();
        let membership = metrics.membership_config.membership();
        let new = membership.get_node(&id);
        let Some(new) = new else { return Err(Error::Membership(format!("there is no replica {id}"))) };
        let matched = metrics.replication.as_ref().and_then(|progress| progress.get(&id)).and_then(Option::as_ref);
        let behind = metrics.last_log_index.unwrap_or(0).saturating_sub(matched.map_or(0, |matched| matched.index));
        let mut voters: BTreeSet<u64> = membership.voter_ids().collect();
        if voters.contains(&id) {
            return Ok(());
        }
        if matched.is_none() || behind > CAUGHT_UP {
            return Err(Error::Membership(format!("replica {id} has not caught up yet")));
        }
        // A name is that of one process: whoever had it before has lost its volume.
        voters.retain(|voter| membership.get_node(voter).is_none_or(|member| member.name != new.name));
        voters.insert(id);
        voters
    };
    raft.change_membership(voters, false).await.map(drop).map_err(|error| refused(shell, &error))
}

/// Promotes a learner that joined by itself and has caught up, if there is one.
pub(super) async fn promote_who_caught_up(shell: &Arc<Shell>) {
    let Ok(raft) = leading(shell) else { return };
    let learner = {
        let metrics = raft.server_metrics();
        let metrics = metrics.borrow_watched();
        let membership = metrics.membership_config.membership();
        membership.learner_ids().find(|id| membership.get_node(id).is_some_and(|member| member.promote))
    };
    if let Some(learner) = learner
        && let Err(error) = promote(shell, learner).await
    {
        tracing::debug!(learner, %error, "is not promoted yet");
    }
}

pub(super) async fn remove(shell: &Shell, id: u64) -> Result<(), Error> {
    let raft = leading(shell)?;
    let _one = shell.changing.lock().await;
    let (is_voter, is_known, voters) = {
        let metrics = raft.server_metrics();
        let metrics = metrics.borrow_watched();
        let membership = metrics.membership_config.membership();
        let voters: BTreeSet<u64> = membership.voter_ids().collect();
        (voters.contains(&id), membership.get_node(&id).is_some(), voters.len())
    };
    if !is_known {
        return Err(Error::Membership(format!("there is no replica {id}")));
    }
    if shell.identity().is_some_and(|identity| identity.replica == id) {
        return Err(Error::Membership(format!("replica {id} leads; hand leadership over first")));
    }
    if is_voter && voters == 1 {
        return Err(Error::Membership("the last voter cannot leave".to_owned()));
    }
    let one = BTreeSet::from([id]);
    let change = if is_voter { ChangeMembers::RemoveVoters(one) } else { ChangeMembers::RemoveNodes(one) };
    raft.change_membership(change, false).await.map(drop).map_err(|error| refused(shell, &error))
}

/// Hands leadership over and returns who leads then.
pub(super) async fn transfer(shell: &Shell, to: Option<u64>) -> Result<Member, Error> {
    let raft = leading(shell)?;
    let _one = shell.changing.lock().await;
    let target = choose(shell, raft, to)?;
    shell.core.pause(true);
    // Entries that the target does not have would make it refuse.
    let settling = raft.wait(Some(SETTLE_TIMEOUT));
    let settled = settling.metrics(
        |metrics| {
            let matched =
                metrics.replication.as_ref().and_then(|progress| progress.get(&target)).and_then(Option::as_ref);
            shell.core.is_settled() && matched.map(|matched| matched.index) == metrics.last_log_index
        },
        "the follower has everything",
    );
    if settled.await.is_err() {
        tracing::warn!(target, "leadership is handed over before the follower has everything");
    }
    let mut leader = shell.leader();
    let triggered = raft.trigger().transfer_leader(target).await;
    triggered.map_err(|fatal| Error::Stopped(fatal.to_string().into()))?;
    let own = shell.identity().map_or(0, |identity| identity.replica);
    let other = leader.wait_for(|leader| leader.as_ref().is_some_and(|leader| leader.id != own));
    let other = tokio::time::timeout(TRANSFER_TIMEOUT, other).await;
    let other = other.ok().and_then(|other| other.ok().and_then(|other| other.clone()));
    shell.core.pause(false);
    other.ok_or(Error::Unavailable { reason: "no other replica took the leadership" })
}

/// The voter that is meant, or the one that is furthest.
fn choose(shell: &Shell, raft: &Raft, to: Option<u64>) -> Result<u64, Error> {
    let own = shell.identity().map_or(0, |identity| identity.replica);
    let metrics = raft.metrics();
    let metrics = metrics.borrow_watched();
    let progress = |id: &u64| metrics.replication.as_ref().and_then(|progress| progress.get(id).copied().flatten());
    let voters = metrics.membership_config.membership().voter_ids().filter(|id| *id != own);
    let mut voters = voters.filter(|id| to.is_none_or(|to| to == *id)).collect::<Vec<u64>>();
    voters.sort_by_key(|id| progress(id));
    voters.pop().ok_or_else(|| Error::Membership("there is no such voter to lead".to_owned()))
}

fn leading(shell: &Shell) -> Result<&Raft, Error> {
    let raft = shell.raft()?;
    if shell.core.is_leading() { Ok(raft) } else { Err(shell.not_leader()) }
}

fn refused(shell: &Shell, error: &WriteError) -> Error {
    match error {
        RaftError::Fatal(fatal) => Error::Stopped(fatal.to_string().into()),
        RaftError::APIError(ClientWriteError::ForwardToLeader(_)) => shell.not_leader(),
        RaftError::APIError(ClientWriteError::LogEntryDiscarded(_)) => {
            Error::Unknown { reason: "another replica leads now" }
        }
        RaftError::APIError(other) => Error::Membership(other.to_string()),
    }
}
