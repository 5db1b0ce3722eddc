//! One replica: its part in consensus, its state, and while it leads a leader.

use std::time::Duration;

use common::Timestamp;
use scheduler::leader::{Leader, Policy, Resigned};
use scheduler::{Proposer, State};

use crate::consensus::Replica;
use crate::planted::Planted;

#[derive(Debug)]
pub struct Member {
    pub id: u64,
    pub consensus: Replica,
    pub core: Core,
    /// The term in which the leader began.
    led: u64,
    /// How far its clock is from the right time, in microseconds.
    pub skew: i64,
    pub is_down: bool,
    planted: Option<Planted>,
}

pub enum Core {
    Following(Box<State>),
    Leading(Box<Leader>),
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::Leading(_)) { "leading" } else { "following" })
    }
}

impl Member {
    pub fn new(id: u64, members: u64, planted: Option<Planted>) -> Self {
        let consensus = Replica::new(id, members, planted);
        let core = Core::Following(Box::new(fresh(&[], planted)));
        Self { id, consensus, core, led: 0, skew: 0, is_down: false, planted }
    }

    pub fn state(&self) -> &State {
        match &self.core {
            Core::Following(state) => state,
            Core::Leading(leader) => leader.state(),
        }
    }

    pub fn leader(&mut self) -> Option<&mut Leader> {
        match &mut self.core {
            Core::Leading(leader) => Some(leader),
            Core::Following(_) => None,
        }
    }

    pub fn leads(&self) -> bool {
        matches!(self.core, Core::Leading(_))
    }

    /// What its clock shows.
    pub fn clock(&self, now: Timestamp) -> Timestamp {
        if self.skew < 0 {
            Timestamp(now.as_micros() + self.skew)
        } else {
            now.plus(Duration::from_micros(self.skew.unsigned_abs()))
        }
    }

    /// Brings the leader in line with consensus: begins to lead, or resigns.
    pub fn follow_role(&mut self, policy: &Policy, now: Timestamp) -> Option<Resigned> {
        let term = self.consensus.term();
        let (leads, led) = (self.consensus.leads(), self.led);
        let is_over = self.leads() && (!leads || led != term);
        let resigned = if is_over { self.resign() } else { None };
        if leads && !self.leads() {
            let state = self.take_state();
            // A replica leads a term once, so the numbers of a term are its own.
            let first = Proposer { replica: self.id, sequence: term << 32 };
            self.core = Core::Leading(Box::new(Leader::new(state, policy.clone(), first, self.clock(now))));
            self.led = term;
        }
        resigned
    }

    fn take_state(&mut self) -> State {
        match std::mem::replace(&mut self.core, Core::Following(Box::default())) {
            Core::Following(state) => *state,
            Core::Leading(leader) => leader.resign().state,
        }
    }

    fn resign(&mut self) -> Option<Resigned> {
        match std::mem::replace(&mut self.core, Core::Following(Box::default())) {
            Core::Leading(leader) => {
                let mut resigned = leader.resign();
                let state = std::mem::take(&mut resigned.state);
                self.core = Core::Following(Box::new(state));
                Some(resigned)
            }
            following => {
                self.core = following;
                None
            }
        }
    }

    /// Starts over with what the disk kept.
    pub fn crash(&mut self, kept: usize) {
        self.consensus.crash(kept);
        self.restore();
    }

    /// Takes the state from the snapshot on the disk.
    pub fn restore(&mut self) {
        let state = fresh(&self.consensus.disk.written().base.state, self.planted);
        self.core = Core::Following(Box::new(state));
    }
}

fn fresh(snapshot: &[u8], planted: Option<Planted>) -> State {
    let mut state = if snapshot.is_empty() {
        State::default()
    } else {
        State::from_bytes(snapshot).expect("the snapshot was made by the same code")
    };
    plant(&mut state, planted);
    state
}

#[cfg(feature = "planted-bugs")]
fn plant(state: &mut State, planted: Option<Planted>) {
    state.plant(planted.and_then(Planted::in_scheduler));
}

#[cfg(not(feature = "planted-bugs"))]
fn plant(_: &mut State, _: Option<Planted>) {}
