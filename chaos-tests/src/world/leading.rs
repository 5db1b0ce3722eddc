//! The leader: writes, syncs, applies and answers, and may die before, between or after each.

use scheduler::State;
use scheduler::leader::Leader;
use scheduler::state::{RunState, invariants};
use scheduler::store::Entry;

use super::World;
use crate::planted::Planted;

impl World {
    pub(super) fn crash(&mut self) {
        if self.leader.take().is_some() {
            self.crashes += 1;
            let lost = self.dice.below(self.disk.unsynced() + 1);
            self.disk.lose(lost);
            self.network.cut_all();
            self.tell(|| format!("the leader dies; {lost} entries are lost"));
        }
    }

    pub(super) fn compact(&mut self) {
        if let Some(leader) = &self.leader {
            self.disk.compact(leader.state());
            self.tell(|| "a Raft snapshot is saved".to_owned());
        }
    }

    /// Another leader reads what the disk kept.
    pub(super) fn elect(&mut self) -> Result<(), String> {
        let (mut state, entries) = self.disk.read();
        plant(&mut state, self.planted);
        let (index, digest) = self.answered;
        let mut known = state.applied() == index && state.digest() == digest;
        for entry in entries {
            state.apply(entry.index, entry.content.at, entry.content.command);
            known |= state.applied() == index && state.digest() == digest;
        }
        if !known {
            return Err(format!("acknowledged is durable: the state of entry {index} is gone"));
        }
        self.observe(&state)?;
        let outcomes = state.runs().filter_map(|run| match run.state {
            RunState::Finished { outcome, .. } => Some((run.id, outcome)),
            _ => None,
        });
        self.finished = outcomes.collect();
        // Whoever asks from now on sees this state.
        self.answered = (state.applied(), state.digest());
        let first = scheduler::Proposer { replica: 0, sequence: (self.crashes as u64) << 32 };
        self.leader = Some(Leader::new(state, self.policy.clone(), first, self.now));
        self.tell(|| "a new leader leads".to_owned());
        Ok(())
    }

    /// One turn of the leader. With `faults` it may die before, between or after writing and answering.
    pub(super) fn lead(&mut self, faults: bool) -> Result<(), String> {
        let Some(leader) = &mut self.leader else { return self.elect() };
        leader.tick(self.now);
        if leader.has_pending() {
            let numbered = leader.take_batch(self.now).into_iter().zip(self.disk.last_index() + 1..);
            let entries: Vec<Entry> = numbered.map(|(content, index)| Entry { index, content }).collect();
            let mut dies = || faults && self.dice.percent(2);
            let (before_writing, before_syncing, before_answering) = (dies(), dies(), dies());
            if before_writing {
                self.crash();
                return Ok(());
            }
            self.disk.write(&entries);
            if self.planted == Some(Planted::AcknowledgedTooEarly) {
                self.commit(entries)?;
                if before_syncing {
                    self.crash();
                }
                self.disk.sync();
                return Ok(());
            }
            if before_syncing {
                self.crash();
                return Ok(());
            }
            self.disk.sync();
            if before_answering {
                self.crash();
                return Ok(());
            }
            self.commit(entries)?;
        }
        self.answer()
    }

    pub(super) fn commit(&mut self, entries: Vec<Entry>) -> Result<(), String> {
        for entry in entries {
            let line = format!("entry {}: {:?}", entry.index, entry.content.command);
            self.tell(|| line);
            let Some(leader) = &mut self.leader else { return Ok(()) };
            leader.commit(entry.index, entry.content);
            let state = leader.state();
            self.answered = (state.applied(), state.digest());
            invariants::check(state).map_err(|violation| violation.to_string())?;
            self.answer()?;
            if let Some(leader) = &self.leader {
                self.watch.observe(leader.state()).map_err(|violation| violation.to_string())?;
            }
        }
        Ok(())
    }

    pub(super) fn observe(&mut self, state: &State) -> Result<(), String> {
        invariants::check(state).map_err(|violation| violation.to_string())?;
        self.watch.observe(state).map_err(|violation| violation.to_string())
    }

    /// Delivers what the leader has to say.
    pub(super) fn answer(&mut self) -> Result<(), String> {
        let Some(leader) = &mut self.leader else { return Ok(()) };
        let output = leader.output();
        for session in output.closed {
            self.network.cut(session);
        }
        for update in output.updates {
            self.hear(update)?;
        }
        for (session, message) in output.messages {
            self.network.to_worker(session, message);
        }
        for (ticket, reply) in output.replies {
            self.reply(ticket, reply)?;
        }
        Ok(())
    }
}

#[cfg(feature = "planted-bugs")]
fn plant(state: &mut State, planted: Option<Planted>) {
    state.plant(planted.and_then(Planted::in_scheduler));
}

#[cfg(not(feature = "planted-bugs"))]
fn plant(_: &mut State, _: Option<Planted>) {}
