//! A DuckDB file has one writing process: whoever got its first task gets all of them.
//!
//! The state knows a file by the name of its database; where files of that name are, only workers know. A worker keeps the file open when
//! it has nothing to do on it, so it stays the writer until it is lost. One that leaves hands the file on when it has finished what it
//! holds of it, and so does one that does not carry the labels that a run asks for.

use common::target::AdapterType;
use common::{RunId, WorkerId};

use super::{Run, State, Worker};

impl Run {
    /// The database of the DuckDB file that the run's tasks write; none of other warehouses, and on a laptop.
    pub fn file(&self) -> Option<&str> {
        let target = &self.deployed.as_ref()?.target;
        (target.adapter_type == AdapterType::Duckdb).then_some(&*target.database)
    }
}

impl State {
    /// Who writes the file, as far as another must not for the sake of `run`.
    pub(super) fn writer_of(&self, file: &str, run: &Run) -> Option<&WorkerId> {
        let writer = self.writers.get(file)?;
        let worker = self.workers.get(writer)?;
        let may_go_on = !worker.draining && worker.carries(&run.worker_labels);
        (may_go_on || self.is_writing(worker, file)).then_some(writer)
    }

    fn is_writing(&self, worker: &Worker, file: &str) -> bool {
        let of_file = |run: &RunId| self.runs.get(run).is_some_and(|run| run.file() == Some(file));
        worker.running.iter().any(|(run, _)| of_file(run))
    }

    /// Forgets who wrote files that no run is about any more.
    pub(super) fn forget_writers(&mut self) {
        let runs = &self.runs;
        self.writers.retain(|file, _| runs.values().any(|run| run.file() == Some(&**file)));
    }
}
