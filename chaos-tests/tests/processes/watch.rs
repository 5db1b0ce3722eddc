//! A client that follows a run, and goes on with the number that it saw last at whichever replica answers.
//!
//! Invariant: nothing is mended here. An event that comes twice, or after a gap, is a failure, and so is a stream that is refused.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use chaos_tests::dice::Dice;
use proto::client::{Replicas, is_retryable};
use proto::v1::run_service_client::RunServiceClient;
use proto::v1::watch_run_response::Event;
use proto::v1::{self, WatchRunRequest, WatchRunResponse};
use tokio::runtime::Runtime;
use tonic::Status;

/// How long nothing may happen in a run before the test gives up.
const SILENCE_MAX: Duration = Duration::from_secs(120);
/// How long one replica may take to answer before the next is asked.
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// Of a hundred events, so many are followed by a change to another replica.
const CHANGES_PERCENT: usize = 5;

pub struct Watch {
    pub run: String,
    events: Receiver<Result<WatchRunResponse, String>>,
    /// Everything seen so far.
    pub seen: Vec<WatchRunResponse>,
}

impl Watch {
    /// Begins at the run's first event. `dice` decides where.
    pub fn begin(runtime: &Runtime, replicas: &Replicas, addresses: &[String], run: &str, dice: Dice) -> Self {
        let (sender, events) = channel();
        let follower = Follower {
            replicas: replicas.clone(),
            addresses: addresses.to_vec().into(),
            run: run.to_owned(),
            after: 0,
            dice,
        };
        runtime.spawn(follower.follow(sender));
        Self { run: run.to_owned(), events, seen: Vec::new() }
    }

    /// The next event; `None` after the last.
    pub fn next(&mut self) -> Option<&WatchRunResponse> {
        if self.outcome().is_some() {
            return None;
        }
        let event = match self.events.recv_timeout(SILENCE_MAX) {
            Ok(Ok(event)) => event,
            Ok(Err(failure)) => panic!("the events of run {}: {failure}", self.run),
            Err(RecvTimeoutError::Timeout) => panic!("run {} is stuck after {:?}", self.run, self.seen.last()),
            Err(RecvTimeoutError::Disconnected) => panic!("the stream of run {} ended before the run", self.run),
        };
        self.seen.push(event);
        self.seen.last()
    }

    /// Reads on until an event is such; panics where none is.
    #[track_caller]
    pub fn until(&mut self, what: &str, is_such: impl Fn(&WatchRunResponse) -> bool) {
        while let Some(event) = self.next() {
            if is_such(event) {
                return;
            }
        }
        panic!("run {} ended without {what}", self.run);
    }

    /// Reads to the end of the run.
    pub fn finish(&mut self) -> v1::RunState {
        while self.next().is_some() {}
        self.outcome().expect("the last event says how the run ended")
    }

    fn outcome(&self) -> Option<v1::RunState> {
        match &self.seen.last()?.event {
            Some(Event::Finished(finished)) => Some(finished.state()),
            _ => None,
        }
    }
}

/// The task that an event is about, where it has this state.
pub fn task_in(event: &WatchRunResponse, state: v1::TaskState) -> Option<&v1::Task> {
    match &event.event {
        Some(Event::Task(changed)) => changed.task.as_ref().filter(|task| task.state() == state),
        _ => None,
    }
}

struct Follower {
    replicas: Replicas,
    addresses: VecDeque<String>,
    run: String,
    after: u64,
    dice: Dice,
}

impl Follower {
    async fn follow(mut self, sender: Sender<Result<WatchRunResponse, String>>) {
        loop {
            // Never the same replica again, as long as there is another one.
            let turns = 1 + self.dice.below(self.addresses.len() - 1);
            self.addresses.rotate_left(turns);
            match self.once(&sender).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(status) if is_retryable(&status) => tokio::time::sleep(Duration::from_millis(50)).await,
                Err(status) => {
                    // The test may have failed already, and then nobody listens.
                    drop(sender.send(Err(status.to_string())));
                    return;
                }
            }
        }
    }

    /// One stream of one replica; whether there is nothing more to do.
    async fn once(&mut self, sender: &Sender<Result<WatchRunResponse, String>>) -> Result<bool, Status> {
        let channel = self.replicas.channel(&self.addresses[0]).map_err(|error| Status::internal(error.to_string()))?;
        let request = WatchRunRequest { run_id: self.run.clone(), after_sequence: self.after };
        let mut client = RunServiceClient::new(channel);
        let opened = tokio::time::timeout(ANSWER_MAX, client.watch_run(request)).await;
        let mut stream = opened.map_err(|_| Status::unavailable("no answer"))??.into_inner();
        while let Some(event) = stream.message().await? {
            if event.sequence != self.after + 1 {
                let failure = format!("{} sent {} after {}: {event:?}", self.addresses[0], event.sequence, self.after);
                drop(sender.send(Err(failure)));
                return Ok(true);
            }
            self.after = event.sequence;
            let is_last = matches!(event.event, Some(Event::Finished(_)));
            if sender.send(Ok(event)).is_err() || is_last {
                return Ok(true);
            }
            if self.dice.percent(CHANGES_PERCENT) {
                return Ok(false);
            }
        }
        Ok(false)
    }
}
