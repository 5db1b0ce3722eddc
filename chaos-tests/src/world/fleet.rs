//! Workers that start, die, freeze, dial and work, and the network between them and leaders.

use common::session::WorkerMessage;
use scheduler::leader::SessionId;

use super::World;
use crate::worker::Worker;

impl World {
    pub(super) fn hire(&mut self) {
        self.born += 1;
        let slots = 1 + self.dice.below(3) as u32;
        self.workers.push(Worker::new(&format!("w{}", self.born), slots));
        let born = self.born;
        self.tell(|| format!("w{born} starts with {slots} slots"));
    }

    /// A process dies with everything it knew; another one starts.
    pub(super) fn fire(&mut self) {
        let place = self.dice.below(self.workers.len());
        let worker = self.workers.remove(place);
        self.tell(|| format!("{} dies", worker.id));
        if let Some(session) = worker.session {
            self.hang_up(session);
        }
        self.hire();
    }

    pub(super) fn pause(&mut self) {
        // Who freezes in the middle of something comes back as a zombie.
        let busy: Vec<usize> = (0..self.workers.len()).filter(|&place| self.workers[place].is_busy()).collect();
        let anyone = self.dice.below(self.workers.len());
        let place = self.dice.pick(&busy).copied().filter(|_| self.dice.percent(70)).unwrap_or(anyone);
        let worker = &mut self.workers[place];
        worker.paused = !worker.paused;
        let (id, paused) = (worker.id.clone(), worker.paused);
        self.tell(|| format!("{id} {}", if paused { "freezes" } else { "wakes up" }));
    }

    pub(super) fn cut(&mut self) {
        if let Some(&session) = self.dice.pick(&self.network.sessions()) {
            self.tell(|| format!("{session:?} is cut"));
            self.hang_up(session);
        }
    }

    pub(super) fn hang_up(&mut self, session: SessionId) {
        let replica = self.network.replica(session);
        self.network.cut(session);
        let leader = replica.and_then(|replica| self.members[replica as usize - 1].leader());
        if let Some(leader) = leader {
            leader.disconnect(session);
        }
    }

    /// The replica leads no more, or is gone.
    pub(super) fn hang_up_on(&mut self, replica: u64) {
        self.network.cut_all(replica);
    }

    /// Dials if there is no session; else a heartbeat, or reports again.
    pub(super) fn talk(&mut self) {
        let place = self.dice.below(self.workers.len());
        self.talk_from(place);
    }

    pub(super) fn talk_from(&mut self, place: usize) {
        // Whoever believes to lead; there may be two.
        let leaders = self.leaders();
        let replica = self.dice.pick(&leaders).copied();
        let worker = &mut self.workers[place];
        if worker.paused {
            return;
        }
        let session = worker.session.filter(|session| self.network.is_open(*session));
        match session {
            Some(session) => {
                self.network.to_leader(session, WorkerMessage::Heartbeat);
                if self.dice.percent(50) || self.network.healed {
                    for report in worker.resend() {
                        self.network.to_leader(session, report);
                    }
                }
            }
            None => {
                let Some(replica) = replica else { return };
                let Some(leader) = self.members[replica].leader() else { return };
                let session = self.network.open(replica as u64 + 1);
                leader.connect(session);
                worker.session = Some(session);
                let hello = worker.hello();
                let line = format!("{session:?}: {hello:?}");
                self.network.to_leader(session, hello);
                self.tell(|| line);
            }
        }
    }

    pub(super) fn work(&mut self) {
        let place = self.dice.below(self.workers.len());
        self.work_at(place);
    }

    pub(super) fn work_at(&mut self, place: usize) {
        let worker = &mut self.workers[place];
        if worker.paused {
            return;
        }
        let (dice, warehouse) = (&mut self.dice, &mut self.warehouse);
        let Some(report) = worker.work(dice, warehouse, self.trouble, &self.broken, self.planted) else { return };
        if let WorkerMessage::Report(report) = &report {
            let key = (report.run, report.node.clone(), report.epoch);
            self.judge.outcomes.insert(key, report.outcome.clone());
        }
        let line = format!("{}: {report:?}", worker.id);
        if let Some(session) = worker.session {
            self.network.to_leader(session, report);
        }
        self.tell(|| line);
    }

    pub(super) fn deliver_to_leader(&mut self) -> Result<(), String> {
        if let Some(&session) = self.dice.pick(&self.network.sessions()) {
            self.hand_to_leader(session)?;
        }
        Ok(())
    }

    pub(super) fn hand_to_leader(&mut self, session: SessionId) -> Result<bool, String> {
        let Some(replica) = self.network.replica(session) else { return Ok(false) };
        let Some(message) = self.network.at_leader(session, &mut self.dice) else { return Ok(false) };
        let place = replica as usize - 1;
        let now = self.members[place].clock(self.now);
        if let Some(leader) = self.members[place].leader() {
            leader.receive(session, message, now);
        }
        self.speak(place)?;
        Ok(true)
    }

    pub(super) fn deliver_to_worker(&mut self) {
        if let Some(&session) = self.dice.pick(&self.network.sessions()) {
            self.hand_to_worker(session);
        }
    }

    pub(super) fn hand_to_worker(&mut self, session: SessionId) -> bool {
        let Some(worker) = self.workers.iter_mut().find(|worker| worker.session == Some(session)) else { return false };
        if worker.paused {
            return false;
        }
        let Some(message) = self.network.at_worker(session, &mut self.dice) else { return false };
        let line = format!("{} hears {message:?}", worker.id);
        if let Some(answer) = worker.receive(message) {
            self.network.to_leader(session, answer);
        }
        self.tell(|| line);
        true
    }
}
