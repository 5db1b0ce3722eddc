//! The client: asks for runs, asks again, cancels and retries.

use scheduler::state::{CancelCause, Command};

use super::{REQUESTS_MAX, World};

impl World {
    pub(super) fn ask(&mut self) {
        let unanswered = self.client.unanswered();
        let number = match self.dice.pick(&unanswered) {
            Some(&number) if self.dice.percent(70) => number,
            _ if self.client.len() < REQUESTS_MAX => self.client.request(&mut self.dice),
            // A request that was answered, once more.
            _ => self.dice.below(self.client.len()),
        };
        self.ask_for(number);
    }

    pub(super) fn ask_for(&mut self, number: usize) {
        let Some(leader) = &mut self.leader else { return };
        let (ticket, command) = self.client.ask(number);
        leader.propose(ticket, command);
        self.tell(|| format!("request {number} is asked for"));
    }

    /// Cancels or retries a run.
    pub(super) fn order(&mut self) {
        let runs = self.client.runs();
        let (Some(leader), Some(&run)) = (&mut self.leader, self.dice.pick(&runs)) else { return };
        let command = if self.dice.percent(50) {
            Command::CancelRun { run, cause: CancelCause::Request }
        } else {
            Command::RetryRun { run, manifest_digest: String::new() }
        };
        let line = format!("{command:?}");
        leader.propose(self.client.ticket(), command);
        self.tell(|| line);
    }
}
