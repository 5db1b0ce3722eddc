//! A year of ticks of hundreds of schedules, decided by leaders that change, whose clocks differ and jump, and whose proposals get lost or
//! come late: each tick is decided once, and none before the deciding leader's clock said that it was due.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::time::Duration;

use chaos_tests::dice::Dice;
use common::run::{RetryPolicy, RunOptions, RunPlan, RunRequest, RunTarget, Verb};
use common::schedule::{Calendar, CatchUp, CatchUpPolicy, Overlap, Schedule, Upcoming};
use common::target::AdapterType;
use common::{RequestId, RunId, ScheduleName, Timestamp};
use scheduler::schedules::Ticks;
use scheduler::schedules::due::{Due, Fate, due};
use scheduler::state::command::{PutSchedule, TickDecision, TickProposal};
use scheduler::state::invariants;
use scheduler::state::schedules::Series;
use scheduler::state::{Command, Event, Reply, State, Submission};

const SCHEDULES: usize = 200;
const REPLICAS: usize = 3;
const MINUTE: i64 = 60_000_000;
const BEGIN: Timestamp = Timestamp(1_767_225_600_000_000);
const DAY: i64 = 24 * 60 * MINUTE;
const ZONES: [&str; 6] =
    ["UTC", "America/New_York", "Europe/London", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Taipei"];

fn cron(number: usize) -> String {
    match number {
        0 => "*/15 * * * *".to_owned(),
        1..=3 => format!("{} * * * *", number % 60),
        _ => format!("{} {} * * *", number % 60, number % 24),
    }
}

fn schedule(number: usize) -> Schedule {
    Schedule {
        name: ScheduleName::new(&format!("s{number:03}")).unwrap(),
        calendar: Calendar {
            cron: cron(number),
            time_zone: ZONES[number % ZONES.len()].to_owned(),
            start_at: None,
            end_at: None,
            jitter: Duration::from_secs((number % 3) as u64 * 60),
        },
        run: RunRequest {
            project: "shop".to_owned(),
            bundle: None,
            target: RunTarget {
                profile: "shop".to_owned(),
                name: "dev".to_owned(),
                adapter_type: AdapterType::Postgres,
                database: "shop".to_owned(),
                schema: "main".to_owned(),
                threads: 1,
            },
            options: RunOptions::new(Verb::Build),
            select: Vec::new(),
            exclude: Vec::new(),
            selector: None,
            resource_types: Vec::new(),
            exclude_resource_types: Vec::new(),
            indirect_selection: String::new(),
            priority: 0,
            timeout: None,
            task_timeout: None,
            retry: RetryPolicy::default(),
            worker_labels: BTreeMap::new(),
        },
        overlap: Overlap::ALL[number % 4],
        catch_up: CatchUp { policy: CatchUpPolicy::ALL[number % 3], ..CatchUp::default() },
        deadline: None,
    }
}

/// What the replicas agree on, and what was decided so far.
#[derive(Default)]
struct World {
    state: State,
    /// The first and the last tick of each decision, and how many it is about.
    ledger: BTreeMap<ScheduleName, Vec<(Timestamp, Timestamp, u64)>>,
    runs: u128,
    refused: u64,
}

impl World {
    fn apply(&mut self, at: Timestamp, command: Command) -> Reply {
        let applied = self.state.apply(self.state.applied() + 1, at, command);
        let mut finished = Vec::new();
        for event in applied.events {
            match event {
                Event::TickDecided { schedule, tick } => {
                    assert!(tick.decided_at >= tick.scheduled_at, "{schedule} is early: {tick:?}");
                    self.ledger.entry(schedule).or_default().push((tick.scheduled_at, tick.until, tick.count));
                }
                Event::RunFinished { run, .. } => finished.push(run),
                _ => {}
            }
        }
        self.refused += u64::from(matches!(applied.reply, Reply::Rejected(_)));
        if finished.len() + self.state.runs().count() > 200 {
            let runs = self.state.finished().map(|(_, run)| run).collect();
            self.state.apply(self.state.applied() + 1, at, Command::RemoveRuns { runs });
        }
        applied.reply
    }

    /// What a leader whose clock says `now` has to say about ticks.
    fn decisions(&mut self, calendars: &BTreeMap<ScheduleName, Ticks>, now: Timestamp) -> Vec<TickDecision> {
        let (mut runs, mut found) = (self.runs, Vec::new());
        for (_, scheduled) in self.state.due(now) {
            let declared = &scheduled.declared;
            let Some(next) = scheduled.next else { continue };
            let Some(said) = due(&calendars[&declared.name], &declared.catch_up, next, now) else { continue };
            let Due { scheduled_at, fate, next } = said;
            let proposal = match fate {
                Fate::Missed { until, count, reason } => TickProposal::Missed { until, count, reason },
                Fate::Run => {
                    runs += 1;
                    let request = RequestId(format!("{}/{}/{runs}", declared.name, scheduled_at.0).into());
                    // A run of nothing has finished when it has begun.
                    let plan = RunPlan::new(RunId(uuid::Uuid::from_u128(runs)), request, Vec::new());
                    TickProposal::Run(Box::new(Submission::new(plan, declared.run.options.clone(), "m")))
                }
            };
            let (schedule, version, series) = (declared.name.clone(), scheduled.version, Series::Calendar);
            found.push(TickDecision { schedule, version, series, scheduled_at, next, decided_at: now, proposal });
        }
        self.runs = runs;
        found
    }
}

fn play(seed: u64, days: i64) -> u64 {
    let mut dice = Dice::new(seed);
    let mut world = World::default();
    let mut calendars = BTreeMap::new();
    let mut puts = Vec::new();
    for number in 0..SCHEDULES {
        let declared = schedule(number);
        let ticks = Ticks::new(&declared.name, &declared.calendar).unwrap();
        let next: Option<Upcoming> = ticks.next(BEGIN);
        calendars.insert(declared.name.clone(), ticks);
        puts.push(PutSchedule { declared, next, paused: None });
    }
    world.apply(BEGIN, Command::PutSchedules { puts });

    let (mut clocks, mut leader, mut changes) = ([0i64; REPLICAS], 0, 0u64);
    let mut late: Vec<TickDecision> = Vec::new();
    let mut at = BEGIN;
    while at.0 < BEGIN.0 + days * DAY {
        at = Timestamp(at.0 + MINUTE + dice.below(20 * 60) as i64 * 1_000_000);
        if dice.percent(5) {
            (leader, changes) = (dice.below(REPLICAS), changes + 1);
        }
        if dice.percent(2) {
            clocks[dice.below(REPLICAS)] = (dice.below(120) as i64 - 60) * MINUTE / 2;
        }
        if dice.below(1_000) == 0 {
            // Nobody leads for a while.
            at = Timestamp(at.0 + dice.below(40 * 60) as i64 * MINUTE);
        }
        let now = Timestamp(at.0 + clocks[leader]);
        // Until nothing is due any more, or what was said was lost.
        for _ in 0..200 {
            let decisions = world.decisions(&calendars, now);
            if decisions.is_empty() {
                break;
            }
            for decision in decisions {
                match dice.below(100) {
                    0..=2 => {}
                    3..=5 => late.push(decision),
                    6 => {
                        late.push(decision.clone());
                        world.apply(now, Command::DecideTick(Box::new(decision)));
                    }
                    _ => drop(world.apply(now, Command::DecideTick(Box::new(decision)))),
                }
            }
        }
        // What an earlier leader said arrives.
        while !late.is_empty() && dice.percent(70) {
            let decision = late.swap_remove(dice.below(late.len()));
            world.apply(now, Command::DecideTick(Box::new(decision)));
        }
    }
    invariants::check(&world.state).unwrap();
    assert!(
        changes > 3 * days as u64 && world.refused > days as u64,
        "{changes} changes of leader, {} refused",
        world.refused
    );
    for (name, decided) in &world.ledger {
        each_tick_once(name, &calendars[name], decided, at);
    }
    assert_eq!(world.ledger.len(), SCHEDULES);
    world.state.digest()
}

/// The decisions are about every tick since the beginning, in order, with none left out and none twice.
fn each_tick_once(name: &ScheduleName, ticks: &Ticks, decided: &[(Timestamp, Timestamp, u64)], end: Timestamp) {
    let mut expected = ticks.after(BEGIN);
    for (from, until, count) in decided {
        assert_eq!(Some(*from), expected, "{name}");
        let covered = std::iter::successors(Some(*from), |tick| ticks.after(*tick)).take_while(|tick| tick <= until);
        assert_eq!(covered.count() as u64, *count, "{name} from {from:?} to {until:?}");
        expected = ticks.after(*until);
    }
    // A leader whose clock was behind to the end may still have some to decide.
    assert!(expected.is_none_or(|next| next.0 > end.0 - 120 * MINUTE), "{name} stands still at {expected:?}");
}

#[test]
fn each_tick_of_a_year_is_decided_once() {
    let seeds = std::env::var("KONTIKI_YEARS").map_or(1, |count| count.parse().expect("it is a number"));
    for seed in 1..=seeds {
        play(seed, 365);
    }
}

#[test]
fn a_seed_replays() {
    assert_eq!(play(1, 20), play(1, 20));
    assert_ne!(play(1, 20), play(2, 20));
}
