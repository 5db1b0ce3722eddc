//! Bytes of entries, of the vote and of log ids. The frame around an entry is the one of [`crate::store`].
//!
//! ```text
//!   entry      frame( term u64 · leader u64 · kind u8 · content )
//!     kind 0   blank: no content
//!     kind 1   a command: the encoded entry of the state machine
//!     kind 2   membership: postcard(configurations, members)
//!   vote       version u8 · term u64 · leader u64 · committed u8
//!   log id     version u8 · term u64 · leader u64 · index u64
//! ```
//!
//! Numbers are big-endian. Golden bytes in the tests pin all of it: it does not follow openraft's own types.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::raft::{Data, Entry, LeaderId, LogId, Membership, Payload, Vote};
use crate::replica::Member;
use crate::store::Damage;
use crate::store::codec::{open, seal};

const VERSION: u8 = 1;
const BLANK: u8 = 0;
const COMMAND: u8 = 1;
const MEMBERSHIP: u8 = 2;

/// Each entry names the index before it; there is none before index 0.
fn previous(index: u64) -> u64 {
    index.wrapping_sub(1)
}

/// What the checksum covers besides the content.
fn covered(index: u64, previous: u64) -> Vec<u8> {
    [index.to_be_bytes(), previous.to_be_bytes()].concat()
}

pub fn encode_entry(entry: &Entry) -> Vec<u8> {
    let index = entry.log_id.index;
    let mut content = Vec::with_capacity(17);
    content.extend(entry.log_id.leader_id.term.to_be_bytes());
    content.extend(entry.log_id.leader_id.node_id.to_be_bytes());
    match &entry.payload {
        Payload::Blank => content.push(BLANK),
        Payload::Normal(data) => {
            content.reserve_exact(1 + data.0.len());
            content.push(COMMAND);
            content.extend_from_slice(&data.0);
        }
        Payload::Membership(membership) => {
            content.push(MEMBERSHIP);
            content.extend(encode_membership(membership));
        }
    }
    seal(VERSION, previous(index), &covered(index, previous(index)), &content)
}

pub fn decode_entry(index: u64, bytes: &[u8]) -> Result<Entry, Damage> {
    let frame = open(bytes, VERSION, |previous| covered(index, previous))?;
    if frame.number != previous(index) {
        return Err(Damage::Shape);
    }
    let (leader, rest) = take_leader(frame.payload)?;
    let (&kind, content) = rest.split_first().ok_or(Damage::Shape)?;
    let payload = match kind {
        BLANK => Payload::Blank,
        COMMAND => Payload::Normal(Data(Bytes::copy_from_slice(content))),
        MEMBERSHIP => Payload::Membership(decode_membership(content)?),
        _ => return Err(Damage::Shape),
    };
    Ok(Entry { log_id: LogId::new(leader, index), payload })
}

pub(crate) fn encode_membership(membership: &Membership) -> Vec<u8> {
    let members: BTreeMap<u64, &Member> = membership.nodes().map(|(id, member)| (*id, member)).collect();
    postcard::to_stdvec(&(membership.get_joint_config(), members)).expect("sets and strings have a postcard form")
}

pub(crate) fn decode_membership(bytes: &[u8]) -> Result<Membership, Damage> {
    let (configs, members): (Vec<BTreeSet<u64>>, BTreeMap<u64, Member>) =
        postcard::from_bytes(bytes).map_err(|_| Damage::Shape)?;
    if configs.is_empty() && members.is_empty() {
        return Ok(Membership::default());
    }
    Membership::new(configs, members).map_err(|_| Damage::Shape)
}

pub(super) fn encode_vote(vote: &Vote) -> Vec<u8> {
    let mut bytes = encode_leader(&vote.leader_id);
    bytes.push(u8::from(vote.committed));
    bytes
}

pub(super) fn decode_vote(bytes: &[u8]) -> Result<Vote, Damage> {
    let (leader_id, rest) = take_leader(check_version(bytes)?)?;
    match rest {
        [committed @ (0 | 1)] => Ok(Vote { leader_id, committed: *committed == 1 }),
        _ => Err(Damage::Shape),
    }
}

pub(crate) fn encode_log_id(log_id: &LogId) -> Vec<u8> {
    let mut bytes = encode_leader(&log_id.leader_id);
    bytes.extend(log_id.index.to_be_bytes());
    bytes
}

pub(crate) fn decode_log_id(bytes: &[u8]) -> Result<LogId, Damage> {
    let (leader, rest) = take_leader(check_version(bytes)?)?;
    let index = rest.try_into().map_err(|_| Damage::Shape)?;
    Ok(LogId::new(leader, u64::from_be_bytes(index)))
}

fn encode_leader(leader: &LeaderId) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    bytes.extend(leader.term.to_be_bytes());
    bytes.extend(leader.node_id.to_be_bytes());
    bytes
}

fn check_version(bytes: &[u8]) -> Result<&[u8], Damage> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => Ok(rest),
        Some((&version, _)) => Err(Damage::Version(version)),
        None => Err(Damage::TooShort),
    }
}

fn take_leader(bytes: &[u8]) -> Result<(LeaderId, &[u8]), Damage> {
    let (term, rest) = bytes.split_first_chunk::<8>().ok_or(Damage::TooShort)?;
    let (node_id, rest) = rest.split_first_chunk::<8>().ok_or(Damage::TooShort)?;
    Ok((LeaderId { term: u64::from_be_bytes(*term), node_id: u64::from_be_bytes(*node_id) }, rest))
}
