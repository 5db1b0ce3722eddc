//! Healing: without faults everything comes to rest, and what is not broken succeeded.

use std::time::Duration;

use common::task::TaskState;
use common::{RunId, WorkerId};
use scheduler::state::Command;

use super::{ROUNDS_MAX, World};
use crate::worker::Trouble;

impl World {
    pub(super) fn heal(&mut self) {
        self.tell(|| "all faults stop".to_owned());
        self.network.healed = true;
        self.mesh.healed = true;
        self.mesh.isolated.clear();
        self.trouble = Trouble::default();
        for member in &mut self.members {
            member.is_down = false;
        }
        for worker in &mut self.workers {
            worker.paused = false;
        }
    }

    /// Without faults, everything asked for ends.
    pub(super) fn converge(&mut self) -> Result<(), String> {
        for _ in 0..ROUNDS_MAX {
            self.now = self.now.plus(Duration::from_millis(5));
            self.confer()?;
            for number in self.client.unanswered() {
                self.ask_for(number);
            }
            for place in 0..self.workers.len() {
                self.talk_from(place);
                self.work_at(place);
            }
            for session in self.network.sessions() {
                while self.hand_to_leader(session)? {}
            }
            self.confer()?;
            for session in self.network.sessions() {
                while self.hand_to_worker(session) {}
            }
            self.check_publications()?;
            if self.is_at_rest() {
                return Ok(());
            }
        }
        Err("every run ends: it did not".to_owned())
    }

    /// Replicas agree on a leader if there is none, and on everything that is pending.
    pub(super) fn confer(&mut self) -> Result<(), String> {
        if self.leaders().len() != 1 {
            let place = self.any_replica();
            self.campaign(place)?;
        }
        for _ in 0..3 {
            for place in 0..self.members.len() {
                self.lead(place)?;
            }
            for place in 0..self.members.len() {
                self.sync(place)?;
            }
            while self.relay()? {
                for place in 0..self.members.len() {
                    self.sync(place)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn is_at_rest(&self) -> bool {
        let &[leader] = self.leaders().as_slice() else { return false };
        let state = self.members[leader].state();
        let lives = |id: &WorkerId| self.workers.iter().any(|worker| worker.id == *id);
        // The dead have been noticed: nobody hands them anything any more.
        state.workers().all(|(id, _)| lives(id))
            && self.members.iter().all(|member| member.state().applied() == self.judge.last())
            && self.client.unanswered().is_empty()
            && state.runs().all(|run| run.is_finished())
            && self.workers.iter().all(|worker| !worker.is_busy() && worker.resend().is_empty())
    }

    pub(super) fn retry_everything(&mut self) -> Result<(), String> {
        let &[place] = self.leaders().as_slice() else { return Err("a healed world has a leader".to_owned()) };
        let runs: Vec<RunId> = self.members[place].state().runs().map(|run| run.id).collect();
        for run in runs {
            let ticket = self.client.ticket();
            let Some(leader) = self.members[place].leader() else { continue };
            leader.propose(ticket, Command::RetryRun { run, manifest_digest: String::new() });
        }
        self.confer()
    }

    /// What is not broken, nor below or behind something broken, succeeded and was published once; replicas are the same, byte
    /// for byte; whoever watched saw everything.
    pub(super) fn check_the_end(&mut self) -> Result<(), String> {
        let state = self.members[0].state().clone();
        for run in state.runs() {
            // Time may have run out, for a task or for all of them.
            let healthy = run.timeout.is_none()
                && run.task_timeout.is_none()
                && run.tasks().iter().all(|task| !self.broken.contains(&task.node));
            for task in run.tasks() {
                let published = self.warehouse.published(run.id, &task.node);
                match &task.state {
                    TaskState::Success if published.len() == 1 && published[0] <= task.epoch => {}
                    TaskState::Success => {
                        return Err(format!("{} of {} succeeded with {published:?}", task.node, run.id));
                    }
                    state if healthy => {
                        return Err(format!("{} of {} ended as {state:?} in a healed world", task.node, run.id));
                    }
                    _ => {}
                }
            }
            self.judge.watch(&state, run.id)?;
        }
        if self.judge.acknowledged > state.applied() {
            return Err(format!("acknowledged is durable: entry {} is gone", self.judge.acknowledged));
        }
        let bytes = state.to_bytes();
        if self.members.iter().any(|member| member.state().to_bytes() != bytes) {
            return Err("replicas agree: their states differ".to_owned());
        }
        self.check_publications()
    }

    pub(super) fn check_publications(&self) -> Result<(), String> {
        for ((run, node), epochs) in self.warehouse.publications() {
            if epochs.len() > 1 {
                return Err(format!("published once: {node} of {run} was published under {epochs:?}"));
            }
        }
        Ok(())
    }
}
