//! Whoever submits runs: does not know whether a request that got no answer was heard, and so repeats it.

use std::collections::BTreeMap;
use std::time::Duration;

use common::run::{PlannedTask, RetryPolicy, RunOptions, RunPlan, Verb};
use common::task::{FailureKind, FailureKinds};
use common::{NodeId, RequestId, RunId};
use scheduler::leader::Ticket;
use scheduler::state::{Command, Submission};

use crate::dice::Dice;

/// Few nodes, so that runs meet on them.
const NODES: usize = 8;

#[derive(Debug, Default)]
pub struct Client {
    requests: Vec<Request>,
    /// Request and run id of each proposal without an answer.
    asked: BTreeMap<Ticket, (usize, RunId)>,
    tickets: u64,
    drawn: u64,
}

#[derive(Debug)]
struct Request {
    plan: RunPlan,
    run: Option<RunId>,
}

impl Client {
    /// A new request with a random plan.
    pub fn request(&mut self, dice: &mut Dice) -> usize {
        let number = self.requests.len();
        let names = 1 + dice.below(NODES);
        let tasks = (0..names).map(|index| {
            let node = NodeId::new(format!("model.sim.n{index}"));
            let upstreams = (0..index as u32).filter(|_| dice.percent(35)).collect();
            PlannedTask {
                priority: dice.below(4) as u64,
                pools: if dice.percent(30) { vec!["heavy".to_owned()] } else { vec![] },
                relation: Some(node.to_string()),
                ..PlannedTask::new(node, upstreams)
            }
        });
        let tasks = tasks.collect();
        let request = RequestId(format!("request-{number}").into());
        let plan = RunPlan {
            pools: BTreeMap::from([("heavy".to_owned(), 1 + dice.below(2) as u32)]),
            fail_fast: dice.percent(25),
            timeout: dice.percent(10).then(|| Duration::from_millis(200 + dice.below(400) as u64)),
            task_timeout: dice.percent(15).then(|| Duration::from_millis(20 + dice.below(100) as u64)),
            priority: dice.below(3) as i32 - 1,
            retry: RetryPolicy {
                attempts_max: 1 + dice.below(4) as u32,
                backoff_initial_ms: 1 + dice.below(50) as u64,
                backoff_max_ms: 100,
                kinds: RetryPolicy::KINDS.and(FailureKinds::one(FailureKind::Timeout)),
            },
            ..RunPlan::new(RunId(uuid::Uuid::nil()), request, tasks)
        };
        self.requests.push(Request { plan, run: None });
        number
    }

    pub fn len(&self) -> usize {
        self.requests.len()
    }

    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    pub fn unanswered(&self) -> Vec<usize> {
        (0..self.requests.len()).filter(|&number| self.requests[number].run.is_none()).collect()
    }

    pub fn runs(&self) -> Vec<RunId> {
        self.requests.iter().filter_map(|request| request.run).collect()
    }

    /// The proposer draws a run id each time it asks; the request id stays.
    pub fn ask(&mut self, number: usize) -> (Ticket, Command) {
        self.drawn += 1;
        let mut plan = self.requests[number].plan.clone();
        let run = RunId(uuid::Uuid::from_u64_pair(number as u64, self.drawn));
        plan.run = run;
        let options = RunOptions { fail_fast: plan.fail_fast, ..RunOptions::new(Verb::Build) };
        let ticket = self.ticket();
        self.asked.insert(ticket, (number, run));
        (ticket, Command::SubmitRun(Box::new(Submission::new(plan, options, ""))))
    }

    pub fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    /// A submission has failed: its run, which must not exist.
    pub fn failed(&mut self, ticket: Ticket) -> Option<RunId> {
        self.asked.remove(&ticket).map(|(_, run)| run)
    }

    /// The answer to a submission; an error where the same request was given another run before.
    pub fn answered(&mut self, ticket: Ticket, run: RunId) -> Result<(), String> {
        let Some((number, _)) = self.asked.remove(&ticket) else { return Ok(()) };
        match self.requests[number].run.replace(run) {
            Some(before) if before != run => Err(format!("request {number} was run {before}, now {run}")),
            _ => Ok(()),
        }
    }
}
