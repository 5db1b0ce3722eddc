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
        self.trouble = Trouble::default();
        for worker in &mut self.workers {
            worker.paused = false;
        }
    }

    /// Without faults, everything asked for ends.
    pub(super) fn converge(&mut self) -> Result<(), String> {
        for _ in 0..ROUNDS_MAX {
            self.now = self.now.plus(Duration::from_millis(5));
            for number in self.client.unanswered() {
                self.ask_for(number);
            }
            for place in 0..self.workers.len() {
                self.talk_from(place);
                self.work_at(place);
            }
            for session in self.network.sessions() {
                while self.hand_to_leader(session) {}
            }
            self.lead(false)?;
            self.lead(false)?;
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

    pub(super) fn is_at_rest(&self) -> bool {
        let Some(leader) = &self.leader else { return false };
        let lives = |id: &WorkerId| self.workers.iter().any(|worker| worker.id == *id);
        // The dead have been noticed: nobody hands them anything any more.
        leader.state().workers().all(|(id, _)| lives(id))
            && self.client.unanswered().is_empty()
            && leader.state().runs().all(|run| run.is_finished())
            && self.workers.iter().all(|worker| !worker.is_busy() && worker.resend().is_empty())
    }

    pub(super) fn retry_everything(&mut self) -> Result<(), String> {
        let Some(leader) = &mut self.leader else { return Err("a healed world has a leader".to_owned()) };
        let runs: Vec<RunId> = leader.state().runs().map(|run| run.id).collect();
        for run in runs {
            leader.propose(self.client.ticket(), Command::RetryRun { run, manifest_digest: String::new() });
        }
        self.lead(false)
    }

    /// What is not broken, nor below or behind something broken, succeeded and was published once.
    pub(super) fn check_the_end(&self) -> Result<(), String> {
        let Some(leader) = &self.leader else { return Err("a healed world has a leader".to_owned()) };
        for run in leader.state().runs() {
            let healthy = run.tasks().iter().all(|task| !self.broken.contains(&task.node));
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
        }
        self.check_publications()
    }
}
