//! Everything together: random steps with faults, then healing, then convergence; invariants after every step.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use common::session::WorkerMessage;
use common::task::{FailureKind, TaskOutcome, TaskState};
use common::{Epoch, NodeId, RunId, Timestamp, WorkerId};
use scheduler::State;
use scheduler::leader::{Leader, Policy, Ticket, Update};
use scheduler::state::invariants::{self, Watch};
use scheduler::state::{CancelCause, Command, Event, Reply, RunOutcome, RunState};

use crate::client::Client;
use crate::dice::Dice;
use crate::disk::Disk;
use crate::network::Network;
use crate::planted::Planted;
use crate::warehouse::Warehouse;
use crate::worker::{Trouble, Worker};

/// Random steps before healing.
const STEPS: usize = 220;
/// Rounds in which a healed world must come to rest.
const ROUNDS_MAX: usize = 600;
const REQUESTS_MAX: usize = 4;
const LEASE: Duration = Duration::from_millis(100);
/// Lines of history shown with a violation.
const TOLD_MAX: usize = 60;
const LINE_MAX: usize = 240;

/// What a simulation came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Of the state and of everything that happened on the way: equal for equal seeds.
    pub fingerprint: u64,
    pub entries: u64,
    pub crashes: usize,
    pub runs: usize,
    pub publications: usize,
}

/// An invariant did not hold.
#[derive(Clone, Debug)]
pub struct Violated {
    pub seed: u64,
    pub what: String,
    pub history: Vec<String>,
}

impl fmt::Display for Violated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {}", self.seed, self.what)?;
        self.history.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// Plays one seed to its end.
pub fn simulate(seed: u64, planted: Option<Planted>) -> Result<Report, Violated> {
    let mut world = World::new(seed, planted);
    match world.play() {
        Ok(()) => Ok(world.report()),
        Err(what) => Err(Violated { seed, what, history: world.history }),
    }
}

pub struct World {
    dice: Dice,
    planted: Option<Planted>,
    now: Timestamp,
    policy: Policy,
    leader: Option<Leader>,
    disk: Disk,
    network: Network,
    warehouse: Warehouse,
    workers: Vec<Worker>,
    born: usize,
    client: Client,
    trouble: Trouble,
    /// Nodes whose SQL is wrong.
    broken: BTreeSet<NodeId>,
    /// How each attempt ended, as its worker told it.
    told_outcomes: BTreeMap<(RunId, NodeId, Epoch), TaskOutcome>,
    watch: Watch,
    /// Index and digest of the state when something was last answered.
    answered: (u64, u64),
    finished: BTreeMap<RunId, RunOutcome>,
    crashes: usize,
    history: Vec<String>,
    told: u64,
}

impl World {
    pub fn new(seed: u64, planted: Option<Planted>) -> Self {
        let mut dice = Dice::new(seed);
        let policy = Policy { lease: LEASE, lose_on_disconnect: dice.percent(50), runs_kept: 100 };
        let trouble = Trouble { transient: dice.below(12), unknown_commit: dice.below(30) };
        let broken = (0..8).filter(|_| dice.percent(6)).map(|index| NodeId::new(format!("model.sim.n{index}")));
        let broken = broken.collect();
        let mut world = Self {
            dice,
            planted,
            now: Timestamp(1_000_000),
            policy,
            leader: None,
            disk: Disk::default(),
            network: Network::default(),
            warehouse: Warehouse::default(),
            workers: Vec::new(),
            born: 0,
            client: Client::default(),
            trouble,
            broken,
            told_outcomes: BTreeMap::new(),
            watch: Watch::default(),
            answered: (0, 0),
            finished: BTreeMap::new(),
            crashes: 0,
            history: Vec::new(),
            told: 0,
        };
        for _ in 0..1 + world.dice.below(3) {
            world.hire();
        }
        world
    }

    fn play(&mut self) -> Result<(), String> {
        for _ in 0..STEPS {
            self.now = self.now.plus(Duration::from_millis(1));
            self.step()?;
        }
        self.heal();
        self.converge()?;
        self.retry_everything()?;
        self.converge()?;
        self.check_the_end()
    }

    fn report(&self) -> Report {
        let digest = self.leader.as_ref().map_or(0, |leader| leader.state().digest());
        Report {
            fingerprint: digest ^ self.told,
            entries: self.disk.last_index(),
            crashes: self.crashes,
            runs: self.client.len(),
            publications: self.warehouse.publications().count(),
        }
    }

    fn tell(&mut self, line: impl FnOnce() -> String) {
        let mut line = line();
        for byte in line.bytes() {
            self.told = (self.told ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if self.history.len() == TOLD_MAX {
            self.history.remove(0);
        }
        line.truncate(line.floor_char_boundary(LINE_MAX));
        self.history.push(line);
    }

    fn step(&mut self) -> Result<(), String> {
        match self.dice.below(100) {
            0..=24 => self.deliver_to_leader(),
            25..=44 => self.deliver_to_worker(),
            45..=64 => return self.lead(true),
            65..=82 => self.work(),
            83..=86 => self.talk(),
            87..=89 => self.ask(),
            90..=92 => self.now = self.now.plus(Duration::from_millis(self.dice.below(50) as u64)),
            93 => self.pause(),
            94 => self.fire(),
            95..=96 => self.cut(),
            97 => self.order(),
            98 => self.compact(),
            _ => self.crash(),
        }
        Ok(())
    }

    // Workers

    fn hire(&mut self) {
        self.born += 1;
        let slots = 1 + self.dice.below(3) as u32;
        self.workers.push(Worker::new(&format!("w{}", self.born), slots));
        let born = self.born;
        self.tell(|| format!("w{born} starts with {slots} slots"));
    }

    /// A process dies with everything it knew; another one starts.
    fn fire(&mut self) {
        let place = self.dice.below(self.workers.len());
        let worker = self.workers.remove(place);
        self.tell(|| format!("{} dies", worker.id));
        if let Some(session) = worker.session {
            self.hang_up(session);
        }
        self.hire();
    }

    fn pause(&mut self) {
        // Who freezes in the middle of something comes back as a zombie.
        let busy: Vec<usize> = (0..self.workers.len()).filter(|&place| self.workers[place].is_busy()).collect();
        let anyone = self.dice.below(self.workers.len());
        let place = self.dice.pick(&busy).copied().filter(|_| self.dice.percent(70)).unwrap_or(anyone);
        let worker = &mut self.workers[place];
        worker.paused = !worker.paused;
        let (id, paused) = (worker.id.clone(), worker.paused);
        self.tell(|| format!("{id} {}", if paused { "freezes" } else { "wakes up" }));
    }

    fn cut(&mut self) {
        if let Some(&session) = self.dice.pick(&self.network.sessions()) {
            self.tell(|| format!("{session:?} is cut"));
            self.hang_up(session);
        }
    }

    fn hang_up(&mut self, session: scheduler::leader::SessionId) {
        self.network.cut(session);
        if let Some(leader) = &mut self.leader {
            leader.disconnect(session);
        }
    }

    /// Dials if there is no session; else a heartbeat, or reports again.
    fn talk(&mut self) {
        let place = self.dice.below(self.workers.len());
        self.talk_from(place);
    }

    fn talk_from(&mut self, place: usize) {
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
                let Some(leader) = &mut self.leader else { return };
                let session = self.network.open();
                leader.connect(session);
                worker.session = Some(session);
                let hello = worker.hello();
                let line = format!("{session:?}: {hello:?}");
                self.network.to_leader(session, hello);
                self.tell(|| line);
            }
        }
    }

    fn work(&mut self) {
        let place = self.dice.below(self.workers.len());
        self.work_at(place);
    }

    fn work_at(&mut self, place: usize) {
        let worker = &mut self.workers[place];
        if worker.paused {
            return;
        }
        let (dice, warehouse) = (&mut self.dice, &mut self.warehouse);
        let Some(report) = worker.work(dice, warehouse, self.trouble, &self.broken, self.planted) else { return };
        if let WorkerMessage::Report(report) = &report {
            let key = (report.run, report.node.clone(), report.epoch);
            self.told_outcomes.insert(key, report.outcome.clone());
        }
        let line = format!("{}: {report:?}", worker.id);
        if let Some(session) = worker.session {
            self.network.to_leader(session, report);
        }
        self.tell(|| line);
    }

    // The network

    fn deliver_to_leader(&mut self) {
        if let Some(&session) = self.dice.pick(&self.network.sessions()) {
            self.hand_to_leader(session);
        }
    }

    fn hand_to_leader(&mut self, session: scheduler::leader::SessionId) -> bool {
        let Some(leader) = &mut self.leader else { return false };
        let Some(message) = self.network.at_leader(session, &mut self.dice) else { return false };
        leader.receive(session, message, self.now);
        true
    }

    fn deliver_to_worker(&mut self) {
        if let Some(&session) = self.dice.pick(&self.network.sessions()) {
            self.hand_to_worker(session);
        }
    }

    fn hand_to_worker(&mut self, session: scheduler::leader::SessionId) -> bool {
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

    // The client

    fn ask(&mut self) {
        let unanswered = self.client.unanswered();
        let number = match self.dice.pick(&unanswered) {
            Some(&number) if self.dice.percent(70) => number,
            _ if self.client.len() < REQUESTS_MAX => self.client.request(&mut self.dice),
            // A request that was answered, once more.
            _ => self.dice.below(self.client.len()),
        };
        self.ask_for(number);
    }

    fn ask_for(&mut self, number: usize) {
        let Some(leader) = &mut self.leader else { return };
        let (ticket, command) = self.client.ask(number);
        leader.propose(ticket, command);
        self.tell(|| format!("request {number} is asked for"));
    }

    /// Cancels or retries a run.
    fn order(&mut self) {
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

    // The leader

    fn crash(&mut self) {
        if self.leader.take().is_some() {
            self.crashes += 1;
            let lost = self.dice.below(self.disk.unsynced() + 1);
            self.disk.lose(lost);
            self.network.cut_all();
            self.tell(|| format!("the leader dies; {lost} entries are lost"));
        }
    }

    fn compact(&mut self) {
        if let Some(leader) = &self.leader {
            self.disk.compact(leader.state());
            self.tell(|| "a Raft snapshot is saved".to_owned());
        }
    }

    /// Another leader reads what the disk kept.
    fn elect(&mut self) -> Result<(), String> {
        let (mut state, entries) = self.disk.read();
        plant(&mut state, self.planted);
        let (index, digest) = self.answered;
        let mut known = state.applied() == index && state.digest() == digest;
        for entry in entries {
            state.apply(entry.index, entry.at, entry.command);
            known |= state.applied() == index && state.digest() == digest;
        }
        if !known {
            return Err(format!("acknowledged is durable: the state of entry {index} is gone"));
        }
        self.observe(&state)?;
        let outcomes = state.runs().filter_map(|run| match run.state {
            RunState::Finished { outcome, .. } => Some((run.id, outcome)),
            _ => None,
        });
        self.finished = outcomes.collect();
        // Whoever asks from now on sees this state.
        self.answered = (state.applied(), state.digest());
        self.leader = Some(Leader::new(state, self.policy.clone(), self.now));
        self.tell(|| "a new leader leads".to_owned());
        Ok(())
    }

    /// One turn of the leader. With `faults` it may die before, between or after writing and answering.
    fn lead(&mut self, faults: bool) -> Result<(), String> {
        let Some(leader) = &mut self.leader else { return self.elect() };
        leader.tick(self.now);
        if leader.has_pending() {
            let entries = leader.take_batch(self.disk.last_index() + 1, self.now);
            let mut dies = || faults && self.dice.percent(2);
            let (before_writing, before_syncing, before_answering) = (dies(), dies(), dies());
            if before_writing {
                self.crash();
                return Ok(());
            }
            self.disk.write(&entries);
            if self.planted == Some(Planted::AcknowledgedTooEarly) {
                self.commit(entries)?;
                if before_syncing {
                    self.crash();
                }
                self.disk.sync();
                return Ok(());
            }
            if before_syncing {
                self.crash();
                return Ok(());
            }
            self.disk.sync();
            if before_answering {
                self.crash();
                return Ok(());
            }
            self.commit(entries)?;
        }
        self.answer()
    }

    fn commit(&mut self, entries: Vec<scheduler::store::Entry>) -> Result<(), String> {
        for entry in entries {
            let line = format!("entry {}: {:?}", entry.index, entry.command);
            self.tell(|| line);
            let Some(leader) = &mut self.leader else { return Ok(()) };
            leader.commit(vec![entry]);
            let state = leader.state();
            self.answered = (state.applied(), state.digest());
            invariants::check(state).map_err(|violation| violation.to_string())?;
            self.answer()?;
            if let Some(leader) = &self.leader {
                self.watch.observe(leader.state()).map_err(|violation| violation.to_string())?;
            }
        }
        Ok(())
    }

    fn observe(&mut self, state: &State) -> Result<(), String> {
        invariants::check(state).map_err(|violation| violation.to_string())?;
        self.watch.observe(state).map_err(|violation| violation.to_string())
    }

    /// Delivers what the leader has to say.
    fn answer(&mut self) -> Result<(), String> {
        let Some(leader) = &mut self.leader else { return Ok(()) };
        let output = leader.output();
        for session in output.closed {
            self.network.cut(session);
        }
        for update in output.updates {
            self.hear(update)?;
        }
        for (session, message) in output.messages {
            self.network.to_worker(session, message);
        }
        for (ticket, reply) in output.replies {
            self.reply(ticket, reply)?;
        }
        Ok(())
    }

    fn reply(&mut self, ticket: Ticket, reply: Reply) -> Result<(), String> {
        if let Reply::Submitted { run, .. } = reply {
            self.client.answered(ticket, run)?;
        }
        Ok(())
    }

    fn hear(&mut self, update: Update) -> Result<(), String> {
        let Update::Event(event) = update else { return Ok(()) };
        match event {
            Event::TaskAssigned { assignment, .. } => self
                .watch
                .assigned(assignment.run, &assignment.node, assignment.epoch)
                .map_err(|violation| violation.to_string()),
            Event::TaskFinished { run, node, state, .. } => self.check_ending(run, &node, &state),
            Event::RunRetried { run, .. } => {
                self.finished.remove(&run);
                Ok(())
            }
            Event::RunFinished { run, outcome, .. } => match self.finished.insert(run, outcome) {
                Some(before) => Err(format!("a run finishes once: {run} was {before:?}, now {outcome:?}")),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// A task ends as its live attempt ended.
    fn check_ending(&self, run: RunId, node: &NodeId, ended: &TaskState) -> Result<(), String> {
        let state = self.leader.as_ref().map(Leader::state);
        let task = state.and_then(|state| state.run(&run)).and_then(|run| run.task(node));
        let Some(epoch) = task.map(|task| task.epoch) else { return Ok(()) };
        let told = self.told_outcomes.get(&(run, node.clone(), epoch));
        let holds = match (ended, told) {
            (TaskState::Success, Some(TaskOutcome::Success)) => true,
            // The leader's own verdict, whatever the worker would have told.
            (TaskState::Failed(FailureKind::WorkerLost | FailureKind::Canceled), _) => true,
            (TaskState::Failed(kind), Some(TaskOutcome::Failure { kind: told, .. })) => kind == told,
            (TaskState::Failed(_), _) => false,
            (TaskState::Success, _) => false,
            _ => true,
        };
        if !holds {
            return Err(format!("the live attempt decides: {node} of {run} is {ended:?}, but {epoch} told {told:?}"));
        }
        if *ended == TaskState::Success { self.check_publication(run, node) } else { Ok(()) }
    }

    /// The accepted attempt published, or found what an earlier one had published.
    fn check_publication(&self, run: RunId, node: &NodeId) -> Result<(), String> {
        let state = self.leader.as_ref().map(Leader::state);
        let task = state.and_then(|state| state.run(&run)).and_then(|run| run.task(node));
        let Some(accepted) = task.map(|task| task.epoch) else { return Ok(()) };
        match self.warehouse.published(run, node) {
            [epoch] if *epoch <= accepted => Ok(()),
            published => Err(format!(
                "one publication, the accepted attempt's: {node} of {run} under {accepted} has {published:?}"
            )),
        }
    }

    fn check_publications(&self) -> Result<(), String> {
        for ((run, node), epochs) in self.warehouse.publications() {
            if epochs.len() > 1 {
                return Err(format!("published once: {node} of {run} was published under {epochs:?}"));
            }
        }
        Ok(())
    }

    // The end

    fn heal(&mut self) {
        self.tell(|| "all faults stop".to_owned());
        self.network.healed = true;
        self.trouble = Trouble::default();
        for worker in &mut self.workers {
            worker.paused = false;
        }
    }

    /// Without faults, everything asked for ends.
    fn converge(&mut self) -> Result<(), String> {
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

    fn is_at_rest(&self) -> bool {
        let Some(leader) = &self.leader else { return false };
        let lives = |id: &WorkerId| self.workers.iter().any(|worker| worker.id == *id);
        // The dead have been noticed: nobody hands them anything any more.
        leader.state().workers().all(|(id, _)| lives(id))
            && self.client.unanswered().is_empty()
            && leader.state().runs().all(|run| run.is_finished())
            && self.workers.iter().all(|worker| !worker.is_busy() && worker.resend().is_empty())
    }

    fn retry_everything(&mut self) -> Result<(), String> {
        let Some(leader) = &mut self.leader else { return Err("a healed world has a leader".to_owned()) };
        let runs: Vec<RunId> = leader.state().runs().map(|run| run.id).collect();
        for run in runs {
            leader.propose(self.client.ticket(), Command::RetryRun { run, manifest_digest: String::new() });
        }
        self.lead(false)
    }

    /// What is not broken, nor below or behind something broken, succeeded and was published once.
    fn check_the_end(&self) -> Result<(), String> {
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

#[cfg(feature = "planted-bugs")]
fn plant(state: &mut State, planted: Option<Planted>) {
    state.plant(planted.and_then(Planted::in_scheduler));
}

#[cfg(not(feature = "planted-bugs"))]
fn plant(_: &mut State, _: Option<Planted>) {}
