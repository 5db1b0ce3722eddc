//! What happens under the core's lock: entries are applied, and what follows from them is delivered.

use std::time::Duration;

use common::telemetry::{Context, attribute};
use common::{Timestamp, telemetry};

use super::{Inner, Mode, TICK_MIN_MS, lines};
use crate::entry::LogEntry;
use crate::leader::{Output, Resigned, Update};
use crate::raft::LogId;
use crate::replica::Error;
use crate::state::{Event, State};
use crate::{lineage, metrics, trace};

impl Inner {
    pub(super) fn state(&self) -> &State {
        match &self.mode {
            Mode::Following(state) => state,
            Mode::Leading(leader, _) => leader.state(),
        }
    }

    pub(super) fn draw(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    pub(super) fn apply(&mut self, log_id: LogId, entry: LogEntry, now: impl FnOnce() -> Timestamp) -> Vec<Event> {
        match &mut self.mode {
            Mode::Following(state) => {
                let applied = state.apply(log_id.index, entry.at, entry.command);
                self.notify(&applied.events);
                applied.events
            }
            Mode::Leading(leader, _) => {
                leader.commit(log_id.index, entry);
                let at = leader.state().at();
                let output = leader.output();
                let events = self.deliver(output, log_id.index);
                for event in &events {
                    lines::tell(self.state(), event);
                    lineage::tell(self.state(), at, event);
                }
                if telemetry::is_on() || metrics::get().is_some() {
                    self.follow(log_id.index, (at, now()), &events);
                }
                events
            }
        }
    }

    /// Records the spans that an entry ends, and below those of attempts that its report was committed: it was proposed and applied at
    /// these times. Measures the same.
    fn follow(&mut self, index: u64, times: (Timestamp, Timestamp), events: &[Event]) {
        let Mode::Leading(leader, _) = &self.mode else { return };
        let metrics = metrics::get();
        if let Some(metrics) = metrics {
            metrics.committed(times);
        }
        for event in events {
            let spans = self.spans.observe(leader.state(), times.0, event);
            if let Some(metrics) = metrics {
                metrics.event(leader.state(), times.0, event);
                metrics.spans(&spans);
            }
            for span in spans {
                let (trace, id) = (span.trace, span.id);
                let is_attempt = matches!(event, Event::TaskFinished { .. } | Event::TaskUpForRetry { .. })
                    && span.attributes.iter().any(|(key, _)| *key == attribute::WORKER);
                telemetry::record(span);
                if is_attempt {
                    trace::committed(Context { trace, span: id.child("commit", index) }, id, index, times);
                }
            }
        }
    }

    /// An entry of the oldest batch has arrived; true if that makes room for another batch.
    pub(super) fn settle(&mut self, log_id: LogId) -> bool {
        let Mode::Leading(leader, term) = &self.mode else { return false };
        if *term != log_id.leader_id {
            return false;
        }
        let has_pending = leader.has_pending();
        let Some(left) = self.in_flight.front_mut() else { return false };
        *left -= 1;
        if *left > 0 {
            return false;
        }
        self.in_flight.pop_front();
        has_pending
    }

    /// Looks at the clock when a retry or a timeout is due, where the entry made that sooner; true if it did.
    pub(super) fn hasten(&mut self, now: impl FnOnce() -> Timestamp) -> bool {
        let Mode::Leading(leader, _) = &self.mode else { return false };
        let state = leader.state();
        let due_at = [state.next_retry(), state.next_timeout(), state.alerts().next_deadline()];
        let due_at = due_at.into_iter().flatten().min();
        let Some(due_at) = due_at.filter(|due_at| *due_at < self.next_tick) else { return false };
        let due_at = due_at.max(now().plus(Duration::from_millis(TICK_MIN_MS)));
        let is_sooner = due_at < self.next_tick;
        self.next_tick = due_at.min(self.next_tick);
        is_sooner
    }

    pub(super) fn deliver(&mut self, output: Output, index: u64) -> Vec<Event> {
        for (session, message) in output.messages {
            let Some(outbox) = self.outboxes.get(&session) else { continue };
            if !outbox.send(message) {
                self.outboxes.remove(&session);
                if let Mode::Leading(leader, _) = &mut self.mode {
                    leader.disconnect(session);
                }
            }
        }
        for (ticket, reply) in output.replies {
            if let Some(answer) = self.waiting.remove(&ticket) {
                // Whoever stopped waiting does not need the answer.
                let _ = answer.send(Ok((index, reply)));
            }
        }
        for session in output.closed {
            self.outboxes.remove(&session);
        }
        let events = output.updates.into_iter().filter_map(|update| match update {
            Update::Event(event) => Some(event),
            Update::Started { .. } => None,
        });
        let events: Vec<Event> = events.collect();
        self.notify(&events);
        events
    }

    pub(super) fn notify(&self, events: &[Event]) {
        if self.watchers.is_empty() {
            return;
        }
        for event in events {
            if let Some(watcher) = event.run().and_then(|run| self.watchers.get(&run)) {
                watcher.send_replace(());
            }
        }
    }

    /// Leads no more: sessions end, and whoever waits is told what is known of the outcome.
    pub(super) fn resign(&mut self) {
        let Mode::Leading(..) = &self.mode else { return };
        let mode = std::mem::replace(&mut self.mode, Mode::Following(Box::default()));
        if let Mode::Leading(leader, term) = mode {
            tracing::info!(term = term.term, "leads no more");
            let Resigned { state, undone, .. } = leader.resign();
            self.mode = Mode::Following(Box::new(state));
            for ticket in undone {
                if let Some(answer) = self.waiting.remove(&ticket) {
                    // Whoever stopped waiting does not need the answer.
                    let _ = answer.send(Err(Error::NotLeader { leader: None }));
                }
            }
        }
        // To those that are left, an answer that never comes says that the outcome is not known.
        self.waiting.clear();
        self.outboxes.clear();
        self.in_flight.clear();
        (self.received, self.paused) = (0, false);
    }
}
