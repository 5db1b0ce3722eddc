//! Attempts that a slot took together: each is compiled and planned by itself; those that do nothing but replace a view are then
//! published in one transaction.
//!
//! Invariants: attempts share a transaction only until something fails in it, then each publishes alone, so a failure stays with its
//! node; a cancellation interrupts nothing but the attempt it is meant for, or the transaction it shares.

use common::relation::RelationType;
use common::task::{Assignment, TaskReport};
use common::transcript::Level;

use super::{Attempt, Ended, Until, execute, execute_until};
use crate::adapter::Adapter;
use crate::cancellation::Cancellation;
use crate::failure::{Failure, Result};
use crate::run::Run;
use crate::trace::Together;
use crate::warehouse::Publication;

/// The last step of an attempt, left to its group.
pub(super) struct Deferred {
    pub publication: Publication,
    pub kind: RelationType,
}

/// An attempt that is ready to publish.
struct Member<'a> {
    attempt: Attempt<'a>,
    deferred: Deferred,
    cancellation: &'a Cancellation,
}

/// Executes attempts of one run over one connection. A report is pushed as soon as an attempt has ended.
pub fn together(
    attempts: &[(Assignment, Cancellation)],
    run: &Run,
    adapter: &Adapter,
    thread: &str,
    reports: &mut Vec<TaskReport>,
) {
    if let [(assignment, cancellation)] = attempts {
        cancellation.arm(adapter.canceller());
        reports.push(execute(assignment, run, &adapter.for_attempt(cancellation.clone()), thread));
        cancellation.disarm();
        return;
    }
    let mut members = Vec::with_capacity(attempts.len());
    for (assignment, cancellation) in attempts {
        cancellation.arm(adapter.canceller());
        let adapter = adapter.for_attempt(cancellation.clone());
        match execute_until(assignment, run, &adapter, thread, Until::Publication) {
            Ended::Reported(report) => reports.push(*report),
            Ended::Deferred(deferred) => {
                let (attempt, deferred) = *deferred;
                members.push(Member { attempt, deferred, cancellation });
            }
        }
        cancellation.disarm();
    }
    publish(members, adapter, reports);
}

/// One transaction for all; where that fails, one for each.
fn publish(members: Vec<Member<'_>>, adapter: &Adapter, reports: &mut Vec<TaskReport>) {
    let (canceled, members): (Vec<_>, Vec<_>) =
        members.into_iter().partition(|member| member.cancellation.is_canceled());
    reports.extend(canceled.into_iter().map(|member| member.attempt.report(Err(Failure::canceled()))));
    if members.len() > 1 {
        for member in &members {
            member.cancellation.arm(adapter.canceller());
        }
        let publications: Vec<&Publication> = members.iter().map(|member| &member.deferred.publication).collect();
        let together = Together::begin();
        let published = adapter.publish_group(&publications);
        together.end(members.iter().map(|member| member.attempt.assignment), published.as_ref().map(drop));
        for member in &members {
            member.cancellation.disarm();
        }
        if let Ok(responses) = published {
            let size = members.len();
            for (mut member, response) in members.into_iter().zip(responses) {
                member.note(&format!("published in one transaction of {size}"));
                member.attempt.published(&member.deferred, response);
                reports.push(member.attempt.report(Ok(())));
            }
            return;
        }
    }
    for mut member in members {
        member.cancellation.arm(adapter.canceller());
        let outcome = member.publish_alone();
        member.cancellation.disarm();
        reports.push(member.attempt.report(outcome));
    }
}

impl Member<'_> {
    fn note(&mut self, message: &str) {
        if let Some(transcript) = &mut self.attempt.transcript {
            transcript.note(Level::Debug, message);
        }
    }

    fn publish_alone(&mut self) -> Result<()> {
        let alone = Together::begin();
        let published =
            self.attempt.adapter.connection().and_then(|mut connection| connection.publish(&self.deferred.publication));
        alone.end(std::iter::once(self.attempt.assignment), published.as_ref().map(drop));
        self.note(if published.is_ok() { "published alone" } else { "not published" });
        self.attempt.published(&self.deferred, published?);
        Ok(())
    }
}
