//! Thousands of seeds without a violation, and every planted bug found.
//!
//! `KONTIKI_SEED=123` plays one seed and shows its end; `KONTIKI_SEEDS=100000` plays more of them.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic and talk")]

use std::sync::atomic::{AtomicU64, Ordering};

use chaos_tests::{Planted, Report, simulate};

const SEEDS: u64 = 2_000;
/// Seeds after which a planted bug counts as not found.
const SEEDS_FOR_A_BUG: u64 = 2_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn no_seed_violates_an_invariant() {
    let seeds = match number("KONTIKI_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("KONTIKI_SEEDS").unwrap_or(SEEDS),
    };
    let next = AtomicU64::new(seeds.start);
    let play = || {
        let mut reports = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return reports;
            }
            reports.push(simulate(seed, None).unwrap_or_else(|violated| panic!("{violated}")));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get());
    let reports: Vec<Report> = std::thread::scope(|scope| {
        let players: Vec<_> = (0..threads).map(|_| scope.spawn(play)).collect();
        players.into_iter().flat_map(|player| player.join().unwrap()).collect()
    });
    let sum = |of: fn(&Report) -> u64| reports.iter().map(of).sum::<u64>();
    let (entries, crashes) = (sum(|report| report.entries), sum(|report| report.crashes as u64));
    let (runs, publications) = (sum(|report| report.runs as u64), sum(|report| report.publications as u64));
    println!("{} seeds: {entries} entries, {crashes} crashes, {runs} runs, {publications} publications", reports.len());
    // The faults did happen and the work did get done.
    if reports.len() as u64 >= SEEDS {
        assert!(crashes > SEEDS && runs > SEEDS && publications > SEEDS);
    }
}

#[test]
fn a_seed_replays_exactly() {
    for seed in 0..20 {
        assert_eq!(simulate(seed, None).unwrap(), simulate(seed, None).unwrap());
    }
    assert_ne!(simulate(1, None).unwrap().fingerprint, simulate(2, None).unwrap().fingerprint);
}

#[test]
fn every_planted_bug_is_found() {
    let mut missed = Vec::new();
    for planted in Planted::all() {
        match (0..SEEDS_FOR_A_BUG).find_map(|seed| simulate(seed, Some(planted)).err()) {
            Some(violated) => println!("{planted:?}: seed {}: {}", violated.seed, violated.what),
            None => missed.push(planted),
        }
    }
    assert_eq!(missed, []);
}
