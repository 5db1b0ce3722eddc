//! What happens to processes, and when.

use chaos_tests::dice::Dice;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9`; the process is started again.
    KillLeader,
    KillFollower,
    KillWorker,
    /// All of them at once.
    KillReplicas,
    /// SIGSTOP until another replica leads, then SIGCONT.
    PauseLeader,
    /// SIGSTOP until the cluster has given the worker up, then SIGCONT.
    PauseWorker,
}

const ALL: [Fault; 6] = [
    Fault::KillLeader,
    Fault::KillFollower,
    Fault::KillWorker,
    Fault::KillReplicas,
    Fault::PauseLeader,
    Fault::PauseWorker,
];

/// A fault, and how far the run is when it strikes, in thousandths of its events.
#[derive(Clone, Copy, Debug)]
pub struct Strike {
    pub fault: Fault,
    progress: u64,
}

impl Strike {
    /// Whether it is time, in a run of so many tasks of which so many events were seen. Without faults a task has two.
    pub fn is_due(self, tasks: u32, events: usize) -> bool {
        events as u64 * 1000 >= self.progress * 2 * u64::from(tasks)
    }
}

/// Strikes for each of so many runs, in the order of their moments. Every fault is among them.
pub fn plan(dice: &mut Dice, runs: usize) -> Vec<Vec<Strike>> {
    let mut faults = ALL.to_vec();
    while faults.len() < 3 * runs {
        faults.push(ALL[dice.below(ALL.len())]);
    }
    let mut plan = vec![Vec::new(); runs];
    let mut run = 0;
    while !faults.is_empty() {
        let fault = faults.swap_remove(dice.below(faults.len()));
        // Not the very last events, so that there is something left to disturb.
        plan[run % runs].push(Strike { fault, progress: dice.below(900) as u64 });
        run += 1;
    }
    for strikes in &mut plan {
        strikes.sort_by_key(|strike| strike.progress);
    }
    plan
}
