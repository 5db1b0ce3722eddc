//! Schedules while leaders die at the moments at which ticks are due, and while clocks jump: each tick is decided once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chaos_tests::dice::Dice;
use serde_json::Value as Json;

use crate::clock::Clocks;
use crate::cluster::{Cluster, REPLICAS, Wishes};
use crate::fault::Fault;
use crate::project::Project;
use crate::warehouse::Warehouse;

/// Models that read raw data only, each the whole run of a schedule that is due every second.
const MODELS: [&str; 6] =
    ["stg_branches", "stg_customers", "stg_recipes", "stg_orders", "stg_deliveries", "stg_inventory_movements"];
/// Ticks that are awaited, over all schedules.
const TICKS: usize = 200;
const KILLS: usize = 4;

fn declare(cluster: &Cluster, project: &std::path::Path) {
    let schedule = |model: &&str| {
        format!(
            "  - {{name: {model}, cron: '* * * * * *', verb: run, select: {model}, overlap: allow_all, catch_up: {{policy: all}}}}\n"
        )
    };
    let text = MODELS.iter().map(schedule).collect::<String>();
    std::fs::write(project.join("kontiki.yml"), format!("schedules:\n{text}")).unwrap();
    expect(cluster, &["schedule", "apply"]);
}

fn expect(cluster: &Cluster, arguments: &[&str]) -> String {
    let output = cluster.fleet.command(arguments).output().unwrap();
    let logs = || cluster.fleet.logs();
    assert!(output.status.success(), "{arguments:?}: {}\n{}", String::from_utf8_lossy(&output.stderr), logs());
    String::from_utf8(output.stdout).unwrap()
}

/// What was decided about a schedule's ticks, the oldest first.
fn history(cluster: &Cluster, schedule: &str) -> Vec<Json> {
    let shown = expect(cluster, &["schedule", "history", schedule, "--limit", "500", "-o", "json"]);
    let mut ticks: Vec<Json> = serde_json::from_str(&shown).unwrap();
    ticks.reverse();
    ticks
}

fn second(tick: &Json, field: &str) -> i64 {
    let text = tick[field].as_str().unwrap();
    chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").unwrap().and_utc().timestamp()
}

/// No second is left out between the first and the last tick, none comes twice, and each has a run of its own that succeeds.
fn each_tick_has_one_run(cluster: &Cluster, runs: &mut BTreeSet<String>) -> usize {
    let mut count = 0;
    for model in MODELS {
        let ticks = history(cluster, model);
        let mut expected = second(&ticks[0], "scheduled_at");
        for tick in &ticks {
            assert_eq!((second(tick, "scheduled_at"), &tick["decision"]), (expected, &Json::from("started")), "{tick}");
            expected = second(tick, "until") + 1;
            let run = tick["run"].as_str().unwrap().to_owned();
            assert!(runs.insert(run), "two ticks share a run: {tick}");
        }
        count += ticks.len();
    }
    count
}

fn await_ticks(cluster: &Cluster, wanted: usize) {
    cluster.fleet.until("ticks to be decided", || {
        MODELS.iter().map(|model| history(cluster, model).len()).sum::<usize>() >= wanted
    });
}

/// Nothing begins any more, and everything that began succeeds.
fn settle(cluster: &Cluster) {
    for model in MODELS {
        expect(cluster, &["schedule", "pause", model]);
    }
    cluster.fleet.until("all runs to succeed", || {
        let all: Vec<Json> = MODELS.iter().flat_map(|model| history(cluster, model)).collect();
        let failed = all.iter().find(|tick| ["failed", "canceled"].contains(&tick["result"].as_str().unwrap()));
        assert!(failed.is_none(), "{failed:?}\n{}", cluster.fleet.logs());
        all.iter().all(|tick| tick["result"] == "success")
    });
}

/// Every run that there is belongs to a tick.
fn nothing_ran_besides(cluster: &Cluster, runs: &BTreeSet<String>) {
    let listed = expect(cluster, &["runs", "list", "--limit", "1000", "-o", "name"]);
    let listed: BTreeSet<String> = listed.lines().map(str::to_owned).collect();
    assert_eq!(&listed, runs);
}

/// Kills the leader as nearly as possible when ticks are due.
fn kill_at_the_second(cluster: &mut Cluster, dice: &mut Dice) {
    let leader = cluster.await_leader(|_| true);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    // A little before to a little behind: before the tick is proposed, while it is, and after.
    let offset = Duration::from_millis(dice.below(30) as u64);
    let due = Duration::from_secs(now.as_secs() + 1) + offset - Duration::from_millis(10);
    std::thread::sleep(due.saturating_sub(now));
    cluster.fleet.replicas[leader].signal("KILL");
    cluster.fleet.replicas[leader].code();
    cluster.fleet.restart_replica(leader);
}

#[test]
fn leaders_that_die_when_ticks_are_due_neither_lose_nor_double_any() {
    let project = Project::new();
    let root = project.root().to_owned();
    let mut cluster = Cluster::start(project, Warehouse::new(), Wishes::default());
    let mut dice = Dice::new(7);
    declare(&cluster, &root);
    for kill in 0..KILLS {
        await_ticks(&cluster, TICKS * (kill + 1) / (KILLS + 1));
        kill_at_the_second(&mut cluster, &mut dice);
    }
    await_ticks(&cluster, TICKS);
    settle(&cluster);
    let mut runs = BTreeSet::new();
    assert!(each_tick_has_one_run(&cluster, &mut runs) >= TICKS);
    nothing_ran_besides(&cluster, &runs);
    cluster.strike(Fault::KillLeader, &mut dice, "");
    // The next leader tells the same.
    let mut again = BTreeSet::new();
    each_tick_has_one_run(&cluster, &mut again);
    assert_eq!(again, runs);
    cluster.await_agreement();
}

/// Lets a replica lead.
fn transfer(cluster: &Cluster, replica: usize) {
    let id = cluster.status(replica).unwrap().replica_id.to_string();
    cluster.fleet.until("leadership to be handed over", || {
        let ended = cluster.fleet.command(&["cluster", "transfer", &id]).output().unwrap();
        ended.status.success() && cluster.leader() == Some(replica)
    });
}

#[test]
fn clocks_that_jump_and_differ_neither_lose_nor_double_a_tick() {
    let project = Project::new();
    let root = project.root().to_owned();
    let clocks = Arc::new(Clocks::new(&root));
    let wishes = Wishes { clocks: Some(clocks.clone()), ..Wishes::default() };
    let cluster = Cluster::start(project, Warehouse::new(), wishes);
    let known = || MODELS.iter().map(|model| history(&cluster, model).len()).sum::<usize>();
    declare(&cluster, &root);
    await_ticks(&cluster, 10);
    // The leader's clock jumps forward: what became due at once runs at once.
    let first = cluster.await_leader(|_| true);
    clocks.shift(first, 10);
    cluster.fleet.until("ticks of the leader's own time", || {
        let ticks = history(&cluster, MODELS[0]);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
        second(&ticks[ticks.len() - 1], "scheduled_at") > now + 3
    });
    // Another leads whose clock is right: what was decided ahead of it is not decided again.
    let second = (first + 1) % REPLICAS;
    transfer(&cluster, second);
    await_ticks(&cluster, known() + 8);
    // A third is behind by a minute, until its clock jumps to the time.
    let third = (first + 2) % REPLICAS;
    clocks.shift(third, -60);
    transfer(&cluster, third);
    clocks.shift(third, 2);
    await_ticks(&cluster, known() + 8);
    settle(&cluster);
    let mut runs = BTreeSet::new();
    each_tick_has_one_run(&cluster, &mut runs);
    nothing_ran_besides(&cluster, &runs);
    cluster.await_agreement();
}
