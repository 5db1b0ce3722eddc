//! Sessions between workers and leaders. Messages are late, repeated and out of order; a cut loses what is under way.

use std::collections::{BTreeMap, VecDeque};

use common::session::{LeaderMessage, WorkerMessage};
use scheduler::leader::SessionId;

use crate::dice::Dice;

/// How far a message may overtake others.
const OVERTAKES: usize = 4;

#[derive(Debug, Default)]
pub struct Link {
    /// The replica at its other end.
    replica: u64,
    to_leader: VecDeque<WorkerMessage>,
    to_worker: VecDeque<LeaderMessage>,
}

#[derive(Debug, Default)]
pub struct Network {
    links: BTreeMap<SessionId, Link>,
    opened: u64,
    /// Stops repeating and reordering.
    pub healed: bool,
}

impl Network {
    pub fn open(&mut self, replica: u64) -> SessionId {
        self.opened += 1;
        let session = SessionId(self.opened);
        self.links.insert(session, Link { replica, ..Link::default() });
        session
    }

    pub fn replica(&self, session: SessionId) -> Option<u64> {
        self.links.get(&session).map(|link| link.replica)
    }

    pub fn cut(&mut self, session: SessionId) {
        self.links.remove(&session);
    }

    /// All sessions with a replica.
    pub fn cut_all(&mut self, replica: u64) {
        self.links.retain(|_, link| link.replica != replica);
    }

    pub fn is_open(&self, session: SessionId) -> bool {
        self.links.contains_key(&session)
    }

    pub fn sessions(&self) -> Vec<SessionId> {
        self.links.keys().copied().collect()
    }

    pub fn to_leader(&mut self, session: SessionId, message: WorkerMessage) {
        if let Some(link) = self.links.get_mut(&session) {
            link.to_leader.push_back(message);
        }
    }

    pub fn to_worker(&mut self, session: SessionId, message: LeaderMessage) {
        if let Some(link) = self.links.get_mut(&session) {
            link.to_worker.push_back(message);
        }
    }

    pub fn at_leader(&mut self, session: SessionId, dice: &mut Dice) -> Option<WorkerMessage> {
        let healed = self.healed;
        let queue = &mut self.links.get_mut(&session)?.to_leader;
        // A stream begins with its first message.
        let first = matches!(queue.front(), Some(WorkerMessage::Hello { .. }));
        arrive(queue, dice, healed || first)
    }

    pub fn at_worker(&mut self, session: SessionId, dice: &mut Dice) -> Option<LeaderMessage> {
        let healed = self.healed;
        arrive(&mut self.links.get_mut(&session)?.to_worker, dice, healed)
    }
}

fn arrive<T: Clone>(queue: &mut VecDeque<T>, dice: &mut Dice, in_order: bool) -> Option<T> {
    if in_order {
        return queue.pop_front();
    }
    let place = if dice.percent(20) { dice.below(queue.len().min(OVERTAKES)) } else { 0 };
    if dice.percent(10) { queue.get(place).cloned() } else { queue.remove(place) }
}
