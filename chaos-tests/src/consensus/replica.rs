//! One replica's part in consensus.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::disk::{Base, Disk, Image, Logged, Write};
use super::message::{Body, Message};
use crate::planted::Planted;

/// Most entries of one message.
const APPENDED_MAX: usize = 8;

#[derive(Debug)]
pub struct Replica {
    id: u64,
    members: u64,
    pub disk: Disk,
    role: Role,
    commit: u64,
    applied: u64,
    /// To send now, by receiver.
    outbox: Vec<(u64, Message)>,
    /// To send once everything written so far is durable.
    promises: Vec<(u64, Message)>,
    planted: Option<Planted>,
}

#[derive(Debug)]
enum Role {
    Follower,
    Candidate { votes: BTreeSet<u64> },
    Leader { round: u64, peers: BTreeMap<u64, Progress>, began: u64 },
}

#[derive(Debug)]
struct Progress {
    next: u64,
    matched: u64,
    /// The latest round that it answered.
    round: u64,
}

/// What is next to apply.
pub enum Committed {
    Blank,
    Entry(u64, Arc<[u8]>),
    /// The entries up to here are only in the snapshot.
    Snapshot(Base),
}

impl Replica {
    /// One of `members` replicas, numbered from 1.
    pub fn new(id: u64, members: u64, planted: Option<Planted>) -> Self {
        let (outbox, promises) = (Vec::new(), Vec::new());
        Self {
            id,
            members,
            disk: Disk::default(),
            role: Role::Follower,
            commit: 0,
            applied: 0,
            outbox,
            promises,
            planted,
        }
    }

    fn has(&self, bug: Planted) -> bool {
        self.planted == Some(bug)
    }

    fn image(&self) -> &Image {
        self.disk.written()
    }

    pub fn term(&self) -> u64 {
        self.image().term
    }

    pub fn leads(&self) -> bool {
        matches!(self.role, Role::Leader { .. })
    }

    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// A read that begins now must see the entries up to here: all that is known to be committed, and all that leaders before
    /// may have committed.
    pub fn read_index(&self) -> u64 {
        match self.role {
            Role::Leader { began, .. } => self.commit.max(began),
            _ => self.commit,
        }
    }

    fn others(&self) -> impl Iterator<Item = u64> + use<> {
        let id = self.id;
        (1..=self.members).filter(move |other| *other != id)
    }

    fn is_majority(&self, count: usize) -> bool {
        count as u64 * 2 > self.members
    }

    pub fn outbox(&mut self) -> Vec<(u64, Message)> {
        std::mem::take(&mut self.outbox)
    }

    /// Everything written is durable, and what waited for that is sent.
    pub fn sync(&mut self) {
        self.disk.sync();
        self.outbox.append(&mut self.promises);
        self.advance();
    }

    /// Starts over with what the disk kept.
    pub fn crash(&mut self, kept: usize) {
        self.disk.lose(kept);
        self.role = Role::Follower;
        (self.commit, self.applied) = (self.image().base.index, self.image().base.index);
        self.outbox.clear();
        self.promises.clear();
    }

    fn say(&self, body: Body) -> Message {
        Message { term: self.term(), body }
    }

    fn promise(&mut self, to: u64, body: Body, too_early: Planted) {
        let message = self.say(body);
        if self.has(too_early) { self.outbox.push((to, message)) } else { self.promises.push((to, message)) }
    }

    /// Wants to lead a new term.
    pub fn campaign(&mut self) {
        if self.leads() {
            return;
        }
        self.disk.write(Write::Vote { term: self.term() + 1, voted_for: Some(self.id) });
        self.role = Role::Candidate { votes: BTreeSet::from([self.id]) };
        let last = (self.image().last_term(), self.image().last_index());
        for other in self.others() {
            self.promise(other, Body::Vote { last }, Planted::VoteNotDurable);
        }
    }

    /// Adds entries, if it leads.
    pub fn propose(&mut self, contents: impl IntoIterator<Item = Option<Arc<[u8]>>>) {
        let term = self.term();
        let entries: Vec<Logged> = contents.into_iter().map(|content| Logged { term, content }).collect();
        let after = self.image().last_index();
        self.disk.write(Write::Append { after, entries });
        if self.has(Planted::AcknowledgedTooEarly) {
            self.commit = self.image().last_index();
        }
    }

    /// Sends everyone what it lacks, or a heartbeat. Returns the round.
    pub fn replicate(&mut self) -> u64 {
        let Role::Leader { round, .. } = &mut self.role else { return 0 };
        *round += 1;
        let round = *round;
        let Role::Leader { peers, .. } = &self.role else { return 0 };
        let image = self.image();
        let message = |progress: &Progress| {
            if progress.next <= image.base.index {
                return self.say(Body::Snapshot { base: image.base.clone(), round });
            }
            let previous = progress.next - 1;
            let previous = (previous, image.term_at(previous).unwrap_or_default());
            let entries = image.entries(progress.next).iter().take(APPENDED_MAX).cloned().collect();
            self.say(Body::Append { previous, entries, commit: self.commit, round })
        };
        let messages: Vec<_> = peers.iter().map(|(peer, progress)| (*peer, message(progress))).collect();
        self.outbox.extend(messages);
        round
    }

    /// Whether a majority answered the round: nobody else led when it began.
    pub fn is_confirmed(&self, of: u64) -> bool {
        let Role::Leader { peers, .. } = &self.role else { return false };
        let answered = peers.values().filter(|progress| progress.round >= of).count();
        self.is_majority(answered + 1)
    }

    pub fn receive(&mut self, from: u64, message: Message) {
        let Message { term, body } = message;
        if term > self.term() {
            self.disk.write(Write::Vote { term, voted_for: None });
            self.role = Role::Follower;
        }
        let is_old = term < self.term();
        match body {
            Body::Vote { last } => self.vote(from, !is_old, last),
            Body::Voted { granted } => {
                if let Role::Candidate { votes } = &mut self.role
                    && granted
                    && !is_old
                {
                    votes.insert(from);
                    let count = votes.len();
                    if self.is_majority(count) {
                        self.lead();
                    }
                }
            }
            Body::Append { round, .. } | Body::Snapshot { round, .. }
                if is_old && !self.has(Planted::OldTermAccepted) =>
            {
                let matched = Err(self.image().last_index());
                self.promise(from, Body::Appended { matched, round }, Planted::AppendedNotDurable);
            }
            Body::Append { previous, entries, commit, round } => {
                self.role = Role::Follower;
                let matched = self.append(previous, entries);
                if let Ok(matched) = matched {
                    self.commit = self.commit.max(commit.min(matched));
                }
                self.promise(from, Body::Appended { matched, round }, Planted::AppendedNotDurable);
            }
            Body::Snapshot { base, round } => {
                self.role = Role::Follower;
                let index = base.index;
                if index > self.commit {
                    self.commit = index;
                    self.disk.write(Write::Snapshot(base));
                }
                self.promise(from, Body::Appended { matched: Ok(index), round }, Planted::AppendedNotDurable);
            }
            Body::Appended { matched, round } => self.appended(from, is_old, matched, round),
        }
    }

    fn vote(&mut self, candidate: u64, is_current: bool, last: (u64, u64)) {
        let image = self.image();
        let is_free = image.voted_for.is_none_or(|voted| voted == candidate);
        let has_all = last >= (image.last_term(), image.last_index()) || self.has(Planted::ShorterLogElected);
        let granted = is_current && is_free && has_all;
        if granted {
            self.disk.write(Write::Vote { term: self.term(), voted_for: Some(candidate) });
        }
        self.promise(candidate, Body::Voted { granted }, Planted::VoteNotDurable);
    }

    fn lead(&mut self) {
        let next = self.image().last_index() + 1;
        let peers = self.others().map(|peer| (peer, Progress { next, matched: 0, round: 0 })).collect();
        self.role = Role::Leader { round: 0, peers, began: next };
        // Entries of earlier terms count as committed only behind one of its own.
        self.propose([None]);
        self.replicate();
    }

    fn append(&mut self, previous: (u64, u64), mut entries: Vec<Logged>) -> Result<u64, u64> {
        let (mut after, term) = previous;
        let base = self.image().base.index;
        let matched = after + entries.len() as u64;
        if after < base {
            // The snapshot has the first of them.
            entries.drain(..entries.len().min((base - after) as usize));
            after = base;
            if matched <= base {
                return Ok(matched);
            }
        } else if self.image().term_at(after) != Some(term) {
            return Err(self.image().last_index().min(after.saturating_sub(1)));
        }
        let same = |(place, entry): (u64, &Logged)| self.image().term_at(after + 1 + place) == Some(entry.term);
        let mut known = (0..).zip(&entries).take_while(|numbered| same(*numbered)).count();
        if self.has(Planted::ConflictKept) {
            known = entries.len().min((self.image().last_index() - after) as usize);
        }
        let fresh = entries.split_off(known);
        if !fresh.is_empty() {
            self.disk.write(Write::Append { after: after + known as u64, entries: fresh });
        }
        Ok(matched)
    }

    fn appended(&mut self, from: u64, is_old: bool, matched: Result<u64, u64>, round: u64) {
        let Role::Leader { peers, .. } = &mut self.role else { return };
        let Some(progress) = peers.get_mut(&from).filter(|_| !is_old) else { return };
        progress.round = round.max(progress.round);
        match matched {
            Ok(matched) => {
                progress.matched = matched.max(progress.matched);
                progress.next = progress.matched + 1;
            }
            Err(hint) => progress.next = (hint + 1).min(progress.next).max(progress.matched + 1),
        }
        self.advance();
    }

    /// Commits what a majority holds durably, if the last of it is of this term.
    fn advance(&mut self) {
        let Role::Leader { peers, .. } = &self.role else { return };
        let own = self.disk.durable().last_index();
        let mut held: Vec<u64> = peers.values().map(|progress| progress.matched).chain([own]).collect();
        held.sort_unstable();
        let by_majority = if self.has(Planted::CommittedWithoutMajority) { own } else { held[(held.len() - 1) / 2] };
        if self.image().term_at(by_majority) == Some(self.term()) {
            self.commit = self.commit.max(by_majority);
        }
    }

    /// What to apply next; each is given once.
    pub fn next_committed(&mut self) -> Option<Committed> {
        if self.applied >= self.commit {
            return None;
        }
        let image = self.disk.written();
        if self.applied < image.base.index {
            let base = image.base.clone();
            self.applied = base.index;
            return Some(Committed::Snapshot(base));
        }
        let content = image.entry(self.applied + 1)?.content.clone();
        self.applied += 1;
        Some(content.map_or(Committed::Blank, |content| Committed::Entry(self.applied, content)))
    }

    /// Saves the state as of what is applied, and forgets the entries it covers.
    pub fn compact(&mut self, state: Vec<u8>) {
        let Some(term) = self.image().term_at(self.applied) else { return };
        self.disk.write(Write::Snapshot(Base { index: self.applied, term, state: state.into() }));
    }
}
