//! Everything together: random steps with faults, then healing, then convergence; invariants after every step.

mod fleet;
mod orders;
mod reads;
mod replicas;
mod rest;

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use common::{NodeId, Timestamp};
use scheduler::leader::Policy;

use crate::client::Client;
use crate::dice::Dice;
use crate::judge::Judge;
use crate::member::Member;
use crate::mesh::Mesh;
use crate::network::Network;
use crate::planted::Planted;
use crate::warehouse::Warehouse;
use crate::worker::{Trouble, Worker};

use reads::Read;

/// Random steps before healing.
const STEPS: usize = 500;
const REPLICAS: u64 = 3;
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

/// Where a seed makes its trouble. Rare sequences need a seed that does little else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trial {
    Everywhere,
    /// Replicas agree at once; workers freeze, die and repeat themselves.
    Fleet,
    /// Replicas crash and campaign all the time.
    Consensus,
}

pub struct World {
    dice: Dice,
    trial: Trial,
    planted: Option<Planted>,
    now: Timestamp,
    policy: Policy,
    members: Vec<Member>,
    mesh: Mesh,
    reads: Vec<Read>,
    network: Network,
    warehouse: Warehouse,
    workers: Vec<Worker>,
    born: usize,
    client: Client,
    trouble: Trouble,
    /// Nodes whose SQL is wrong.
    broken: BTreeSet<NodeId>,
    judge: Judge,
    crashes: usize,
    history: Vec<String>,
    told: u64,
}

impl World {
    pub fn new(seed: u64, planted: Option<Planted>) -> Self {
        let mut dice = Dice::new(seed);
        let policy = Policy {
            lease: LEASE,
            lose_on_disconnect: dice.percent(50),
            runs_kept: 100,
            history_kept: None,
            transcripts_kept: None,
        };
        let trouble = Trouble { transient: dice.below(12), unknown_commit: dice.below(30) };
        let broken = (0..8).filter(|_| dice.percent(6)).map(|index| NodeId::new(format!("model.sim.n{index}")));
        let broken = broken.collect();
        let mut world = Self {
            dice,
            trial: [Trial::Everywhere, Trial::Fleet, Trial::Consensus][(seed % 3) as usize],
            planted,
            now: Timestamp(1_000_000),
            policy,
            members: (1..=REPLICAS).map(|id| Member::new(id, REPLICAS, planted)).collect(),
            mesh: Mesh::default(),
            reads: Vec::new(),
            network: Network::default(),
            warehouse: Warehouse::default(),
            workers: Vec::new(),
            born: 0,
            client: Client::default(),
            trouble,
            broken,
            judge: Judge::default(),
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
        Report {
            fingerprint: self.members[0].state().digest() ^ self.told,
            entries: self.judge.last(),
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
        match self.trial {
            Trial::Everywhere => self.step_anywhere(),
            Trial::Fleet => self.step_of_fleet(),
            Trial::Consensus => match self.dice.below(100) {
                0..=5 => self.crash(),
                6..=10 => {
                    let place = self.any_replica();
                    self.campaign(place)
                }
                11..=13 => self.contest(),
                14..=16 => self.lose_a_vote(),
                17..=39 => self.relay().map(drop),
                _ => self.step_anywhere(),
            },
        }
    }

    fn step_of_fleet(&mut self) -> Result<(), String> {
        match self.dice.below(100) {
            0..=19 => self.deliver_to_leader()?,
            20..=39 => self.deliver_to_worker(),
            40..=54 => self.confer()?,
            55..=79 => self.work(),
            80..=84 => self.talk(),
            85..=87 => self.ask(),
            88..=91 => self.now = self.now.plus(Duration::from_millis(self.dice.below(50) as u64)),
            92..=94 => self.pause(),
            95 => self.fire(),
            96..=97 => self.cut(),
            98 => self.order(),
            _ => self.watch()?,
        }
        Ok(())
    }

    fn step_anywhere(&mut self) -> Result<(), String> {
        match self.dice.below(100) {
            0..=14 => self.deliver_to_leader()?,
            15..=26 => self.deliver_to_worker(),
            27..=46 => drop(self.relay()?),
            47..=60 => {
                let place = self.any_replica();
                self.sync(place)?;
            }
            61..=70 => {
                let leaders = self.leaders();
                if let Some(&place) = self.dice.pick(&leaders) {
                    self.lead(place)?;
                }
            }
            71..=80 => self.work(),
            81..=83 => self.talk(),
            84..=85 => self.ask(),
            86..=87 => self.now = self.now.plus(Duration::from_millis(self.dice.below(50) as u64)),
            88..=89 => self.read()?,
            90 => self.watch()?,
            91 => self.pause(),
            92 => self.fire(),
            93 => self.cut(),
            94 => self.order(),
            95 => self.compact(),
            96 => self.crash()?,
            97 => {
                if self.dice.percent(50) {
                    self.isolate();
                } else {
                    self.jump();
                }
            }
            _ => {
                let place = self.any_replica();
                // Somebody waits in vain for a leader; seldom, for one that is there.
                if self.leaders().is_empty() || self.dice.percent(25) {
                    self.campaign(place)?;
                }
            }
        }
        Ok(())
    }
}
