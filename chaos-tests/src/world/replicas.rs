//! Replicas: they elect, replicate, sync, apply and answer, crash and come back.

use std::sync::Arc;

use scheduler::LogEntry;
use scheduler::leader::{Output, Resigned, Update};
use scheduler::state::{Event, Reply};

use super::World;
use crate::consensus::Committed;
use crate::member::Core;
use crate::planted::Planted;

impl World {
    pub(super) fn any_replica(&mut self) -> usize {
        self.dice.below(self.members.len())
    }

    pub(super) fn leaders(&self) -> Vec<usize> {
        let leads = |place: &usize| !self.members[*place].is_down && self.members[*place].leads();
        (0..self.members.len()).filter(leads).collect()
    }

    pub(super) fn crash(&mut self) -> Result<(), String> {
        // Leaders die more often than chance would have it.
        let leaders = self.leaders();
        let anyone = self.any_replica();
        let place = self.dice.pick(&leaders).copied().filter(|_| self.dice.percent(60)).unwrap_or(anyone);
        if self.members[place].is_down {
            self.members[place].is_down = false;
            self.tell(|| format!("replica {} returns", place + 1));
            return Ok(());
        }
        let kept = self.dice.below(self.members[place].consensus.disk.unsynced() + 1);
        let member = &mut self.members[place];
        member.crash(kept);
        member.is_down = true;
        self.crashes += 1;
        self.hang_up_on(place as u64 + 1);
        self.reads.retain(|read| read.replica != place);
        self.tell(|| format!("replica {} dies and keeps {kept} unsynced writes", place + 1));
        // A quick restart, half of the time.
        self.members[place].is_down = self.dice.percent(50);
        Ok(())
    }

    pub(super) fn isolate(&mut self) {
        let replica = self.any_replica() as u64 + 1;
        let cut_off = self.mesh.isolated.is_empty();
        self.mesh.isolated.clear();
        if cut_off {
            self.mesh.isolated.insert(replica);
        }
        self.tell(|| format!("replica {replica} is cut off: {cut_off}"));
    }

    pub(super) fn jump(&mut self) {
        let place = self.any_replica();
        let skew = self.dice.below(400_000) as i64 - 200_000;
        self.members[place].skew = skew;
        self.tell(|| format!("the clock of replica {} is off by {skew} µs", place + 1));
    }

    pub(super) fn compact(&mut self) {
        let place = self.any_replica();
        let member = &mut self.members[place];
        let bytes = member.state().to_bytes();
        // Before anything was applied there is nothing to save.
        if member.consensus.applied() > 0 && !member.is_down {
            member.consensus.compact(bytes);
            self.tell(|| format!("replica {} saves a Raft snapshot", place + 1));
        }
    }

    pub(super) fn campaign(&mut self, place: usize) -> Result<(), String> {
        if !self.members[place].is_down {
            self.members[place].consensus.campaign();
            self.tell(|| format!("replica {} wants to lead", place + 1));
        }
        self.settle(place)
    }

    /// Two want to lead at once.
    pub(super) fn contest(&mut self) -> Result<(), String> {
        let spared = self.any_replica();
        for place in (0..self.members.len()).filter(|place| *place != spared) {
            self.campaign(place)?;
        }
        Ok(())
    }

    /// The power fails where something was just written, and comes back at once.
    pub(super) fn lose_a_vote(&mut self) -> Result<(), String> {
        let is_writing = |place: &usize| {
            let member = &self.members[*place];
            !member.is_down && !member.leads() && member.consensus.disk.unsynced() > 0
        };
        let writing: Vec<usize> = (0..self.members.len()).filter(is_writing).collect();
        let Some(&place) = self.dice.pick(&writing) else { return Ok(()) };
        self.members[place].crash(0);
        self.crashes += 1;
        self.hang_up_on(place as u64 + 1);
        self.tell(|| format!("replica {} dies, keeps no unsynced write, and returns", place + 1));
        Ok(())
    }

    /// The next message between replicas arrives.
    pub(super) fn relay(&mut self) -> Result<bool, String> {
        let Some(envelope) = self.mesh.arrive(&mut self.dice) else { return Ok(false) };
        let place = envelope.to as usize - 1;
        if self.members[place].is_down {
            return Ok(true);
        }
        self.members[place].consensus.receive(envelope.from, envelope.message);
        self.settle(place)?;
        Ok(true)
    }

    pub(super) fn sync(&mut self, place: usize) -> Result<(), String> {
        if !self.members[place].is_down {
            self.members[place].consensus.sync();
        }
        self.settle(place)
    }

    /// A leader proposes what is pending, and tells its followers.
    pub(super) fn lead(&mut self, place: usize) -> Result<(), String> {
        let now = self.members[place].clock(self.now);
        if self.members[place].is_down {
            return Ok(());
        }
        let Some(leader) = self.members[place].leader() else { return Ok(()) };
        leader.tick(now);
        let entries = leader.take_batch(now);
        let mut lines = Vec::new();
        let contents = entries.into_iter().map(|entry| {
            lines.push(format!("{entry:?}"));
            Some(Arc::from(entry.to_bytes()))
        });
        let contents: Vec<Option<Arc<[u8]>>> = contents.collect();
        let consensus = &mut self.members[place].consensus;
        if !contents.is_empty() {
            consensus.propose(contents);
        }
        consensus.replicate();
        for line in lines {
            self.tell(|| format!("replica {} proposes {line}", place + 1));
        }
        self.settle(place)
    }

    /// Sends, applies, and begins or ends to lead, as consensus says.
    fn settle(&mut self, place: usize) -> Result<(), String> {
        let outbox = self.members[place].consensus.outbox();
        self.mesh.send(place as u64 + 1, outbox);
        let consensus = &self.members[place].consensus;
        if consensus.leads() {
            self.judge.leads(consensus.term(), place as u64 + 1)?;
        }
        let resigned = self.members[place].follow_role(&self.policy, self.now);
        if let Some(resigned) = resigned {
            self.step_down(place, resigned)?;
        }
        while let Some(committed) = self.members[place].consensus.next_committed() {
            match committed {
                Committed::Blank => {}
                Committed::Snapshot(_) => self.members[place].restore(),
                Committed::Entry(index, bytes) => self.apply(place, index, &bytes)?,
            }
        }
        self.answer_reads(place)
    }

    fn step_down(&mut self, place: usize, resigned: Resigned) -> Result<(), String> {
        self.tell(|| format!("replica {} resigns", place + 1));
        self.hang_up_on(place as u64 + 1);
        self.reads.retain(|read| read.replica != place);
        let mut failed = resigned.undone;
        if self.planted == Some(Planted::UnknownIsFailed) {
            failed.extend(resigned.unknown);
        }
        for ticket in failed {
            if let Some(run) = self.client.failed(ticket) {
                self.judge.deny(run)?;
            }
        }
        Ok(())
    }

    fn apply(&mut self, place: usize, index: u64, bytes: &[u8]) -> Result<(), String> {
        let entry = LogEntry::from_bytes(bytes).map_err(|damage| format!("entry {index}: {damage}"))?;
        let (events, output): (Vec<Event>, Output) = match &mut self.members[place].core {
            Core::Following(state) => (state.apply(index, entry.at, entry.command).events, Output::default()),
            Core::Leading(leader) => {
                leader.commit(index, entry);
                let mut output = leader.output();
                let events = std::mem::take(&mut output.updates).into_iter().filter_map(|update| match update {
                    Update::Event(event) => Some(event),
                    Update::Started { .. } => None,
                });
                (events.collect(), output)
            }
        };
        let state = self.members[place].state();
        if self.judge.applied(index, state, &events, &self.warehouse)? {
            let digest = state.digest();
            self.tell(|| format!("entry {index} is applied first by replica {}: {digest:x} {events:?}", place + 1));
        }
        self.deliver(index, output)
    }

    fn deliver(&mut self, index: u64, output: Output) -> Result<(), String> {
        if !output.replies.is_empty() || !output.messages.is_empty() {
            self.judge.acknowledged = self.judge.acknowledged.max(index);
        }
        for session in output.closed {
            self.network.cut(session);
        }
        for (session, message) in output.messages {
            self.network.to_worker(session, message);
        }
        for (ticket, reply) in output.replies {
            if let Reply::Submitted { run, .. } = reply {
                self.client.answered(ticket, run)?;
            }
        }
        Ok(())
    }

    /// What a leader has to say without an entry: sessions to close.
    pub(super) fn speak(&mut self, place: usize) -> Result<(), String> {
        let Some(leader) = self.members[place].leader() else { return Ok(()) };
        let mut output = leader.output();
        output.updates.clear();
        self.deliver(0, output)
    }
}
