//! Events as spans, command by command.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::time::Duration;

use common::task::FailureKind;
use common::telemetry::{Context, Span, SpanId, Status, TraceId, Value, attribute};
use common::{Attempt, Timestamp};
use scheduler::state::{Command, State, Submission};
use scheduler::trace::Spans;
use support::*;

/// A machine whose events are followed; every command comes one second after the one before.
#[derive(Default)]
struct Traced {
    machine: Machine,
    spans: Spans,
}

impl Traced {
    fn apply(&mut self, command: Command) -> Vec<Span> {
        self.machine.advance(Duration::from_secs(1));
        let at = self.machine.now;
        let applied = self.machine.apply(command);
        let state = &self.machine.state;
        applied.events.iter().flat_map(|event| self.spans.observe(state, at, event)).collect()
    }

    fn state(&self) -> &State {
        &self.machine.state
    }
}

fn reports(reports: Vec<common::task::TaskReport>) -> Command {
    Command::ReportTasks { reports }
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::default().plus(Duration::from_secs(seconds))
}

fn attempt_id(name: &str, attempt: u32) -> SpanId {
    SpanId::of_attempt(run_id(1), &node(name), Attempt(attempt))
}

/// Name, start, end, of each.
fn times(spans: &[Span]) -> Vec<(&str, Timestamp, Timestamp)> {
    spans.iter().map(|span| (span.name.as_ref(), span.started_at, span.ended_at)).collect()
}

fn value<'s>(span: &'s Span, key: &str) -> Option<&'s Value> {
    span.attributes.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
}

#[test]
fn attempts_begin_where_their_upstreams_end_and_link_to_them() {
    let mut traced = Traced::default();
    assert_eq!(traced.apply(register("w", 1, Vec::new())), []);
    let caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let mut submission = Submission::new(plan(1, &[("a", &[]), ("b", &[]), ("c", &[0, 1])]), options(), "m1");
    submission.traceparent = Some(caller.to_owned());
    assert_eq!(traced.apply(Command::SubmitRun(Box::new(submission))), []);

    // One slot: `b` waits for it although it is ready from the beginning.
    let first = traced.apply(reports(vec![success(&assignment(1, "a", 1, 2))]));
    assert_eq!(times(&first), [("queue", at(2), at(2)), ("model.shop.a", at(2), at(3))]);
    let second = traced.apply(reports(vec![success(&assignment(1, "b", 1, 3))]));
    assert_eq!(times(&second), [("queue", at(2), at(3)), ("model.shop.b", at(2), at(4))]);
    let third = traced.apply(reports(vec![success(&assignment(1, "c", 1, 4))]));
    assert_eq!(times(&third), [("queue", at(4), at(4)), ("model.shop.c", at(4), at(5)), ("build shop", at(2), at(5))]);

    let [queue, attempt, root] = &third[..] else { panic!("three spans") };
    assert_eq!((queue.parent, attempt.parent, root.parent), (Some(attempt.id), Some(root.id), None));
    assert_eq!((attempt.id, root.id), (attempt_id("c", 1), SpanId::of_run(run_id(1))));
    assert!(third.iter().all(|span| span.trace == TraceId::of_run(run_id(1))));
    let upstreams: Vec<SpanId> = attempt.links.iter().map(|link| link.to.span).collect();
    assert_eq!(upstreams, [attempt_id("a", 1), attempt_id("b", 1)]);
    assert_eq!(
        root.links.iter().map(|link| (link.to, link.what)).collect::<Vec<_>>(),
        [(Context::parse(caller).unwrap(), "caller")]
    );
    assert_eq!(value(root, attribute::RESULT), Some(&Value::from("success")));
}

#[test]
fn a_lost_worker_ends_its_attempt_and_the_next_links_back() {
    let mut traced = Traced::default();
    traced.apply(register("w", 1, Vec::new()));
    traced.apply(submit(plan(1, &[("a", &[])])));
    let lost = traced.apply(Command::LoseWorker { worker: worker("w") });
    let [_, lost] = &lost[..] else { panic!("two spans") };
    assert_eq!(lost.status, Status::Error("worker lost".to_owned()));
    assert_eq!(value(lost, attribute::TASK_RESULT), Some(&Value::from("error")));

    traced.apply(register("v", 1, Vec::new()));
    let ended = traced.apply(reports(vec![failure(&assignment(1, "a", 2, 4), FailureKind::User)]));
    let [_, second, root] = &ended[..] else { panic!("three spans") };
    assert_eq!((lost.id, second.id), (attempt_id("a", 1), attempt_id("a", 2)));
    assert_eq!(second.links[0].to.span, lost.id);
    assert_eq!(value(second, attribute::WORKER), Some(&Value::from("v")));
    assert_eq!(value(root, attribute::RESULT), Some(&Value::from("failure")));
}

/// The new leader has seen nothing but the log.
#[test]
fn a_new_leader_records_the_same_spans() {
    let mut traced = Traced::default();
    traced.apply(register("w", 1, Vec::new()));
    traced.apply(submit(plan(1, &[("a", &[]), ("b", &[0])])));
    let unsent = traced.apply(reports(vec![success(&assignment(1, "a", 1, 2))]));
    let (mut spans, found) = Spans::resume(traced.state(), traced.machine.now);
    assert_eq!(found, unsent, "the old leader may not have sent them");
    let much_later = traced.machine.now.plus(Duration::from_secs(60));
    assert_eq!(Spans::resume(traced.state(), much_later).1, []);

    std::mem::swap(&mut traced.spans, &mut spans);
    let by_new = traced.apply(reports(vec![success(&assignment(1, "b", 1, 3))]));
    let recorded: Vec<_> = traced.state().run(&run_id(1)).unwrap().events(0).collect();
    let last = &recorded[recorded.len() - 2..];
    let by_old: Vec<Span> =
        last.iter().flat_map(|recorded| spans.observe(traced.state(), recorded.at, &recorded.event)).collect();
    assert_eq!(by_new, by_old);
    assert_eq!(times(&by_new).last().unwrap().0, "build shop");
}
