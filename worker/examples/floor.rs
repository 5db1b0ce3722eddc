//! Sends statements to a warehouse as fast as it takes them: the floor that `cargo xtask bench` compares runs with.
//!
//! usage: floor duckdb|postgres SETTINGS STATEMENTS THREADS
//!
//! SETTINGS is an output of a profile as JSON, STATEMENTS a file with a JSON array of `{"sql": …, "after": [indices]}`. Each of as many
//! connections takes the first statement in the file whose predecessors are done. Prints the seconds from the first statement to the
//! last; opening the warehouse is not counted.
#![expect(clippy::print_stdout, reason = "a program for a developer's terminal")]

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use common::target::{AdapterType, Connection};
use serde::Deserialize;

#[derive(Deserialize)]
struct Statement {
    sql: String,
    after: Vec<usize>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [adapter, settings, statements, threads] = arguments.as_slice() else {
        return Err("usage: floor duckdb|postgres SETTINGS STATEMENTS THREADS".into());
    };
    let adapter_type = if adapter == "duckdb" { AdapterType::Duckdb } else { AdapterType::Postgres };
    let statements: Vec<Statement> = serde_json::from_str(&std::fs::read_to_string(statements)?)?;
    let connection = Connection { adapter_type, settings: serde_json::from_str(settings)? };
    let warehouse = worker::warehouse::open(&connection, "floor").map_err(|error| error.message)?;
    let mut connections = Vec::new();
    for _ in 0..threads.parse()? {
        connections.push(warehouse.connect().map_err(|error| error.message)?);
    }
    let mut followers = vec![Vec::new(); statements.len()];
    for (index, statement) in statements.iter().enumerate() {
        for &before in &statement.after {
            followers[before].push(index);
        }
    }
    let waiting: Vec<usize> = statements.iter().map(|statement| statement.after.len()).collect();
    let ready = (0..statements.len()).filter(|&index| waiting[index] == 0).collect();
    let progress = Mutex::new(Progress { ready, waiting, left: statements.len(), failure: None });
    let shared = Shared { statements: &statements, followers: &followers, progress, changed: Condvar::new() };

    let began = Instant::now();
    std::thread::scope(|scope| {
        for connection in connections {
            scope.spawn(|| send(connection, &shared));
        }
    });
    let seconds = began.elapsed().as_secs_f64();
    if let Some(failure) = shared.lock().failure.take() {
        return Err(failure.into());
    }
    println!("{seconds}");
    Ok(())
}

/// One connection's part: until nothing is left, or something failed.
fn send(mut connection: Box<dyn worker::warehouse::Connection>, shared: &Shared<'_>) {
    while let Some(index) = shared.take() {
        let sent = connection.execute(&shared.statements[index].sql);
        shared.done(index, sent.err().map(|error| error.message));
    }
}

/// What the connections work on together.
struct Shared<'a> {
    statements: &'a [Statement],
    followers: &'a [Vec<usize>],
    progress: Mutex<Progress>,
    changed: Condvar,
}

/// How far they are.
struct Progress {
    ready: BTreeSet<usize>,
    /// How many predecessors each statement still waits for.
    waiting: Vec<usize>,
    left: usize,
    failure: Option<String>,
}

impl Shared<'_> {
    /// Waits for a statement that may be sent; `None` at the end.
    fn take(&self) -> Option<usize> {
        let mut progress = self.lock();
        loop {
            if progress.left == 0 || progress.failure.is_some() {
                return None;
            }
            if let Some(index) = progress.ready.pop_first() {
                return Some(index);
            }
            progress = self.changed.wait(progress).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn done(&self, index: usize, failure: Option<String>) {
        let mut progress = self.lock();
        progress.left -= 1;
        for &follower in &self.followers[index] {
            progress.waiting[follower] -= 1;
            if progress.waiting[follower] == 0 {
                progress.ready.insert(follower);
            }
        }
        if failure.is_some() {
            progress.failure = failure;
        }
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
