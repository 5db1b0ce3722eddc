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
        let leaders = self.leaders();
        let Some(&place) = self.dice.pick(&leaders) else { return };
        let Some(leader) = self.members[place].leader() else { return };
        let (ticket, command) = self.client.ask(number);
        leader.propose(ticket, command);
        self.tell(|| format!("request {number} is asked for"));
    }

    /// Cancels or retries a run.
    pub(super) fn order(&mut self) {
        let (runs, leaders) = (self.client.runs(), self.leaders());
        let (Some(&place), Some(&run)) = (self.dice.pick(&leaders), self.dice.pick(&runs)) else { return };
        let command = if self.dice.percent(50) {
            Command::CancelRun { run, cause: CancelCause::Request }
        } else {
            Command::RetryRun { run, manifest_digest: String::new() }
        };
        let line = format!("{command:?}");
        let ticket = self.client.ticket();
        let Some(leader) = self.members[place].leader() else { return };
        leader.propose(ticket, command);
        self.tell(|| line);
    }
}
