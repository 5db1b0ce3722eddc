//! A day at SmartPizza, from raw files to tested marts: Kontiki, dbt-core, and the bare statements in the best order.

use std::path::Path;

use anyhow::Result;
use serde_json::json;

use super::Setup;
use super::floor::Statements;
use super::measure::median;
use super::parsing::{forget, shown};
use super::report::{Bound, Report};
use crate::run::root;
use crate::smartpizza;

const THREADS: usize = 2;

/// What DuckDB may use of the machine's memory, and what a process with it inside may use beyond.
const DUCKDB_MIB: u32 = 1024;
const BEYOND_MIB: f64 = 100.0;

pub fn day(setup: &Setup, scale: f64, report: &mut Report) -> Result<()> {
    let project = setup.folder.join("smartpizza");
    copy(&root().join("examples/smartpizza"), &project)?;
    smartpizza::generate(&smartpizza::Generate {
        scale,
        out: project.join("raw"),
        day: chrono::NaiveDate::from_ymd_opt(2024, 5, 1).expect("a date of the calendar"),
        seed: 1,
        faults: false,
        postgres: None,
    })?;
    let memory_limit = format!("{DUCKDB_MIB}MiB");
    std::fs::write(project.join("profiles.yml"), profile(&memory_limit))?;
    let file = project.join("smartpizza.duckdb");
    let empty = || {
        for file in [file.clone(), file.with_extension("duckdb.wal")] {
            if file.exists() {
                std::fs::remove_file(file)?;
            }
        }
        Ok(())
    };
    let what = format!("SmartPizza, {scale} of a day, {THREADS} threads");
    let threads = THREADS.to_string();
    let arguments = ["build", "--target", "duckdb", "--threads", threads.as_str()];
    forget(&project)?;
    empty()?;
    setup.kontiki.measure(&project, &arguments)?;
    let statements = Statements::of_last_run(&project, &[])?;
    let path = file.display().to_string();
    let settings = json!({ "type": "duckdb", "path": path, "settings": { "memory_limit": memory_limit } });
    let mut floors = Vec::new();
    let ours = median(
        setup.repeat,
        || {
            empty()?;
            floors.push(statements.send("duckdb", &settings, THREADS, &setup.library, &project)?);
            empty()
        },
        || setup.kontiki.measure(&project, &arguments),
    )?;
    floors.sort_by(f64::total_cmp);
    let floor = floors[floors.len() / 2];
    report.figure(&what, "bare SQL, best order", shown(floor));
    report.figure(&what, "Kontiki", shown(ours.seconds));
    report.ratio(&what, "of the bare SQL", ours.seconds / floor, Bound::AtMost(1.3));
    if let Some(peak) = ours.peak_mib {
        let what = format!("{what}: peak memory");
        report.figure(&what, "Kontiki", format!("{peak:.0} MiB"));
        let share = peak / (f64::from(DUCKDB_MIB) + BEYOND_MIB);
        report.ratio(&what, "of DuckDB's limit + 100 MiB", share, Bound::AtMost(1.0));
    }
    if let Some(dbt) = &setup.dbt_core {
        forget(&project)?;
        empty()?;
        match dbt.measure(&project, &arguments) {
            Ok(theirs) => {
                report.figure(&what, dbt.name, shown(theirs.seconds));
                report.ratio(&what, "faster than dbt-core", theirs.seconds / ours.seconds, Bound::AtLeast(1.0));
            }
            Err(error) => report.note(format!("dbt-core could not build SmartPizza: {error}")),
        }
    }
    empty()
}

fn profile(memory_limit: &str) -> String {
    format!(
        "smartpizza:
  target: duckdb
  outputs:
    duckdb:
      type: duckdb
      path: smartpizza.duckdb
      schema: main
      settings:
        memory_limit: {memory_limit}
"
    )
}

/// Copies a project without what runs left in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (name, target) = (entry.file_name(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            if !["target", ".kontiki", "logs", "raw"].iter().any(|left| name == *left) {
                copy(&entry.path(), &target)?;
            }
        } else if !name.to_string_lossy().contains(".duckdb") {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
