//! Running the generated project, on both warehouses, beside the same statements without an engine.

use anyhow::Result;
use serde_json::{Value as Json, json};

use super::Setup;
use super::engine::Engine;
use super::floor::Statements;
use super::measure::{Measured, median};
use super::parsing::shown;
use super::project::Project;
use super::report::{Bound, Report};

const THREADS: [usize; 2] = [2, 8];

/// A warehouse that can be emptied.
struct Place<'a> {
    adapter: &'static str,
    environment: Vec<(&'static str, String)>,
    settings: Json,
    /// What is sent before the statements of a run.
    first: Vec<String>,
    empty: &'a dyn Fn() -> Result<()>,
    limit: f64,
}

pub fn duckdb(setup: &Setup, project: &Project, report: &mut Report) -> Result<()> {
    let file = setup.folder.join("bench.duckdb");
    let empty = || {
        for file in [file.clone(), file.with_extension("duckdb.wal")] {
            if file.exists() {
                std::fs::remove_file(file)?;
            }
        }
        Ok(())
    };
    let path = file.display().to_string();
    let place = Place {
        adapter: "duckdb",
        environment: vec![("BENCH_DUCKDB", path.clone())],
        settings: json!({ "type": "duckdb", "path": path }),
        first: vec![],
        empty: &empty,
        limit: 1.3,
    };
    place.measure(setup, project, report)?;
    for peer in [&setup.dbt_core, &setup.dbt2].into_iter().flatten() {
        let copy = project.copy(&setup.folder.join("models-peer"))?;
        empty()?;
        let peer = peer.with(&place.environment);
        match place.run(&peer, &copy, THREADS[0]) {
            Ok(measured) => {
                report.figure(&place.what(project, THREADS[0]), peer.name, shown(measured.seconds));
                let model = copy.one_model();
                let one = peer.measure(&copy.root, &["run", "--select", &model])?;
                report.figure("run --select of one model, duckdb", peer.name, shown(one.seconds));
            }
            Err(error) => report.note(format!("{} could not run the project: {error}", peer.name)),
        }
    }
    empty()
}

pub fn postgres(setup: &Setup, project: &Project, report: &mut Report) -> Result<()> {
    // Durable, as people have it.
    let server = testing::Postgres::start_own(&["fsync=on"]);
    let empty = || {
        let mut client = server.client("postgres");
        client.batch_execute("drop database if exists bench")?;
        Ok(client.batch_execute("create database bench")?)
    };
    let (host, port, user) = (server.host().to_owned(), server.port(), server.user().to_owned());
    let place = Place {
        adapter: "postgres",
        environment: vec![
            ("PGHOST", host.clone()),
            ("PGPORT", port.to_string()),
            ("PGUSER", user.clone()),
            ("PGDATABASE", "bench".to_owned()),
        ],
        settings: json!({
            "type": "postgres", "host": host, "port": port, "user": user, "password": "", "dbname": "bench", "schema": "bench",
        }),
        first: vec!["create schema if not exists bench".to_owned()],
        empty: &empty,
        limit: 2.0,
    };
    place.measure(setup, project, report)
}

impl Place<'_> {
    fn measure(&self, setup: &Setup, project: &Project, report: &mut Report) -> Result<()> {
        let kontiki = setup.kontiki.with(&self.environment);
        (self.empty)()?;
        // The first run tells the statements, and leaves the project parsed.
        self.run(&kontiki, project, THREADS[0])?;
        let statements = Statements::of_last_run(&project.root, &self.first)?;
        for threads in THREADS {
            let what = self.what(project, threads);
            let mut floors = Vec::new();
            // Side by side: whatever else the machine does meets both.
            let ours = median(
                setup.repeat,
                || {
                    (self.empty)()?;
                    floors.push(statements.send(
                        self.adapter,
                        &self.settings,
                        threads,
                        &setup.library,
                        &project.root,
                    )?);
                    (self.empty)()
                },
                || self.run(&kontiki, project, threads),
            )?;
            floors.sort_by(f64::total_cmp);
            let floor = floors[floors.len() / 2];
            report.figure(&what, "floor", shown(floor));
            report.figure(&what, "Kontiki", shown(ours.seconds));
            if let Some(peak) = ours.peak_mib {
                report.figure(&format!("{what}: peak memory"), "Kontiki", format!("{peak:.0} MiB"));
            }
            report.ratio(&what, "of the floor", ours.seconds / floor, Bound::AtMost(self.limit));
        }
        let model = project.one_model();
        let arguments = ["run", "--target", self.adapter, "--select", &model];
        let one = median(setup.repeat, || Ok(()), || kontiki.measure(&project.root, &arguments))?;
        let what = format!("run --select of one model, {}", self.adapter);
        report.at_most(&what, shown(one.seconds), one.seconds, 0.100, "< 100 ms");
        Ok(())
    }

    fn what(&self, project: &Project, threads: usize) -> String {
        format!("run {} views, {}, {threads} threads", project.models, self.adapter)
    }

    fn run(&self, engine: &Engine, project: &Project, threads: usize) -> Result<Measured> {
        engine.measure(&project.root, &["run", "--target", self.adapter, "--threads", &threads.to_string()])
    }
}
