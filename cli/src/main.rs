//! The `kontiki` program: dbt's verbs, here or on a cluster, and the cluster's own.
//!
//! Invariant: every failure a user can see is printed once, through the console, with its code; the exit code is dbt's.

mod args;
mod artifacts;
mod cluster;
mod config;
mod console;
mod exit;
mod interrupt;
mod local;
mod progress;
mod project;
mod run;
mod telemetry;
mod verbs;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use common::diagnostic::{Code, Location};
use common::{Diagnostic, JsonMap, Timestamp};

use args::{Cli, Command};
use console::{Console, Event};
use exit::Exit;
use project::{Call, Refused};
use telemetry::Telemetry;
use telemetry::lineage::Lineage;

/// For the whole process, DuckDB's library included: docs/adr/0012-one-allocator.md.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let started_at = Timestamp::from_micros(chrono::Utc::now().timestamp_micros());
    let cli = Cli::read(std::env::args_os()).unwrap_or_else(|error| args::refuse(&error));
    let invocation_id = uuid::Uuid::new_v4().to_string();
    let console = Console::new(&cli.global, invocation_id.clone(), project::log_dir(&cli.global).as_deref());
    if is_of_dbt(&cli.command) {
        console.emit(&Event::MainReportVersion { version: env!("CARGO_PKG_VERSION").to_owned() });
    }
    let telemetry = Telemetry::start(|name| std::env::var(name).ok()).unwrap_or_else(|error| {
        console.emit(&Event::Diagnostic(Diagnostic::warning(Code::TelemetrySetup, error.to_string())));
        Telemetry::off()
    });
    let lineage = Lineage::start(|name| std::env::var(name).ok()).unwrap_or_else(|error| {
        console.emit(&Event::Diagnostic(Diagnostic::warning(Code::TelemetrySetup, error.to_string())));
        Lineage::off()
    });
    let exit = call(&cli, console, invocation_id, started_at)
        .and_then(|call| dispatch(&call, &cli.command))
        .unwrap_or(Exit::Unusable);
    telemetry.finish();
    lineage.finish();
    exit.into()
}

fn call(cli: &Cli, console: Console, invocation_id: String, started_at: Timestamp) -> Result<Call, Refused> {
    let vars = match vars(cli.global.vars.as_deref()) {
        Ok(vars) => vars,
        Err(diagnostics) => {
            for diagnostic in diagnostics {
                console.emit(&Event::Diagnostic(diagnostic));
            }
            return Err(Refused);
        }
    };
    // Names and values that are not UTF-8 cannot be asked for by a template.
    let env: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    Ok(Call {
        global: cli.global.clone(),
        console,
        verb: verb(&cli.command),
        invocation_id,
        started_at,
        vars: Arc::new(vars),
        env: Arc::new(env),
        sources_path: match &cli.command {
            Command::Source(args::Source::Freshness(freshness)) => freshness.output.clone(),
            _ => None,
        },
    })
}

fn verb(command: &Command) -> &'static str {
    match command {
        Command::Build(_) => "build",
        Command::Run(_) => "run",
        Command::Test(_) => "test",
        Command::Seed(_) => "seed",
        Command::Snapshot(_) => "snapshot",
        Command::Compile(_) => "compile",
        Command::Parse => "parse",
        Command::Ls(_) => "list",
        Command::Show(_) => "show",
        Command::Source(_) => "freshness",
        Command::Retry(_) => "retry",
        Command::Clean(_) => "clean",
        Command::Debug(_) => "debug",
        Command::Init(_) => "init",
        Command::Server(_) => "server",
        Command::Worker(_) => "worker",
        Command::Dev(_) => "dev",
        Command::Access(_) => "access",
        Command::Config(_) => "config",
        Command::Context(_) => "context",
        Command::Project(_) => "project",
        Command::Runs(_) => "runs",
        Command::Schedule(_) => "schedule",
        Command::Backfill(_) => "backfill",
        Command::Alert(_) => "alert",
        Command::Task(_) => "task",
        Command::Cluster(_) => "cluster",
    }
}

/// dbt's verbs begin with a line about the program. What other programs read, and processes that log, do not.
fn is_of_dbt(command: &Command) -> bool {
    !matches!(
        command,
        Command::Server(_)
            | Command::Worker(_)
            | Command::Dev(_)
            | Command::Access(_)
            | Command::Config(_)
            | Command::Context(_)
            | Command::Project(_)
            | Command::Runs(_)
            | Command::Schedule(_)
            | Command::Backfill(_)
            | Command::Alert(_)
            | Command::Task(_)
            | Command::Cluster(_)
    )
}

fn dispatch(call: &Call, command: &Command) -> Result<Exit, Refused> {
    use common::run::Verb;
    match command {
        Command::Build(execute) => verbs::execute(call, Verb::Build, execute),
        Command::Run(execute) => verbs::execute(call, Verb::Run, execute),
        Command::Test(execute) => verbs::execute(call, Verb::Test, execute),
        Command::Seed(execute) => verbs::execute(call, Verb::Seed, execute),
        Command::Snapshot(execute) => verbs::execute(call, Verb::Snapshot, execute),
        Command::Compile(compile) => verbs::compile(call, compile),
        Command::Parse => verbs::parse(call),
        Command::Ls(list) => verbs::list(call, list),
        Command::Show(show) => verbs::show(call, show),
        Command::Source(args::Source::Freshness(freshness)) => verbs::freshness(call, freshness),
        Command::Retry(retry) => verbs::retry(call, retry),
        Command::Clean(clean) => verbs::clean(call, clean),
        Command::Debug(debug) => verbs::debug(call, debug),
        Command::Init(init) => verbs::init(init, call.global.profiles_dir.as_deref(), &call.console)
            .map_err(|error| call.refuse_with(Code::Usage, &format!("{error:#}"))),
        Command::Server(server) => cluster::server(call, server),
        Command::Worker(worker) => match &worker.verb {
            Some(verb) => cluster::workers(call, verb),
            None => cluster::worker(call, worker),
        },
        Command::Dev(dev) => cluster::dev(call, dev),
        Command::Access(verb) => cluster::access(call, verb),
        Command::Config(cluster::args::Config::Check(source)) => config_check(call, source),
        Command::Context(verb) => cluster::context(call, verb),
        Command::Project(verb) => cluster::projects(call, verb),
        Command::Runs(verb) => cluster::runs(call, verb),
        Command::Schedule(verb) => cluster::schedules(call, verb),
        Command::Backfill(verb) => cluster::backfills(call, verb),
        Command::Alert(verb) => cluster::alerts(call, verb),
        Command::Task(verb) => cluster::tasks(call, verb),
        Command::Cluster(verb) => cluster::cluster(call, verb),
    }
}

/// `config check`
fn config_check(call: &Call, source: &config::Source) -> Result<Exit, Refused> {
    let (text, findings) = config::describe(&mut source.layers());
    call.report(&findings)?;
    call.console.output(&text);
    Ok(Exit::Success)
}

/// `--vars`: a YAML mapping.
fn vars(text: Option<&str>) -> Result<JsonMap, Vec<Diagnostic>> {
    let Some(text) = text else { return Ok(JsonMap::new()) };
    let mut diagnostics = Vec::new();
    let source = dbt::yaml::Source::new("--vars".to_owned(), text);
    let root = dbt::yaml::load(&source, &mut diagnostics);
    match root.map(|root| root.to_json()) {
        _ if !diagnostics.is_empty() => {
            Err(diagnostics.into_iter().map(|finding| Diagnostic { code: Code::VarsInvalid, ..finding }).collect())
        }
        None | Some(common::Json::Null) => Ok(JsonMap::new()),
        Some(common::Json::Object(vars)) => Ok(vars),
        Some(_) => Err(vec![
            Diagnostic::error(Code::VarsInvalid, "--vars must be a YAML mapping")
                .at(Location::in_text("--vars", text, 1, 1))
                .hint("for example: --vars '{day: 2024-05-01}'"),
        ]),
    }
}
