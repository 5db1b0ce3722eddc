//! The command line: dbt's verbs, flags and environment variables.
//!
//! Source: dbt's reference, "Command line interface" and "Global configs". A flag that dbt has and Kontiki does not support yet is
//! either absent here, so that it is refused, or refused by name in `Global::unsupported`.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use common::Timestamp;
use common::diagnostic::Code;
use common::microbatch::EventTime;

use crate::cluster::args as cluster;

/// Kontiki runs dbt projects.
#[derive(Parser, Debug)]
#[command(name = "kontiki", version, about, max_term_width = 100, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Run seeds, models, snapshots and tests in the order of the graph
    Build(Execute),
    /// Run models
    Run(Execute),
    /// Run data tests
    Test(Execute),
    /// Load seed files into the warehouse
    Seed(Execute),
    /// Record the versions of rows that changed
    Snapshot(Execute),
    /// Write the compiled SQL of the selected nodes into the target folder
    Compile(Compile),
    /// Read the project, report every finding, write manifest.json
    Parse,
    /// List the selected resources
    #[command(visible_alias = "list")]
    Ls(List),
    /// Compile and run one node or query, and print its first rows
    Show(Show),
    /// Sources of the project
    #[command(subcommand)]
    Source(Source),
    /// Finish the last run: what failed, what was skipped and what a crash interrupted
    Retry(Retry),
    /// Delete the folders of `clean-targets`
    Clean(Clean),
    /// Check the configuration and the connection to the warehouse
    Debug(Debug),
    /// Start a new project
    Init(Init),
    /// Run a replica of the scheduler
    Server(cluster::Server),
    /// Run a worker; with a verb, look after the workers of a cluster
    Worker(cluster::Worker),
    /// Run a cluster of one replica and one worker in this process
    Dev(cluster::Dev),
    /// Who may do what on a cluster
    #[command(subcommand)]
    Access(cluster::Access),
    /// Settings of the processes
    #[command(subcommand)]
    Config(cluster::Config),
    /// Choose the cluster that verbs are sent to
    #[command(subcommand)]
    Context(cluster::Context),
    /// Projects of a cluster
    #[command(subcommand)]
    Project(cluster::Project),
    /// Runs of a cluster
    #[command(subcommand)]
    Runs(cluster::Runs),
    /// Schedules of a cluster
    #[command(subcommand)]
    Schedule(cluster::Schedule),
    /// Runs for ticks of the past
    #[command(subcommand)]
    Backfill(cluster::Backfills),
    /// Who is told when something fails
    #[command(subcommand)]
    Alert(cluster::Alert),
    /// Tasks of a run on a cluster
    #[command(subcommand)]
    Task(cluster::Task),
    /// The replicas of a cluster
    #[command(subcommand)]
    Cluster(cluster::Cluster),
}

/// Flags that may stand before or behind the verb.
#[derive(Args, Debug, Clone)]
pub struct Global {
    /// The folder with dbt_project.yml [default: this folder or the nearest one above]
    #[arg(long, global = true, env = "DBT_PROJECT_DIR", value_name = "DIR")]
    pub project_dir: Option<PathBuf>,
    /// The folder with profiles.yml [default: this folder, then the project's, then ~/.dbt]
    #[arg(long, global = true, env = "DBT_PROFILES_DIR", value_name = "DIR")]
    pub profiles_dir: Option<PathBuf>,
    /// The profile to use instead of the project's
    #[arg(long, global = true, env = "DBT_PROFILE")]
    pub profile: Option<String>,
    /// The target to use instead of the profile's default
    #[arg(short, long, global = true, env = "DBT_TARGET")]
    pub target: Option<String>,
    /// Variables, as YAML: '{key: value}'
    #[arg(long, global = true, value_name = "YAML")]
    pub vars: Option<String>,
    /// How many nodes run at the same time, instead of the profile's number
    #[arg(long, global = true, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub threads: Option<u32>,
    /// The folder for artifacts and compiled SQL
    #[arg(long, global = true, env = "DBT_TARGET_PATH", value_name = "DIR")]
    pub target_path: Option<PathBuf>,
    /// Stop at the first failure
    #[arg(short = 'x', long, global = true, env = "DBT_FAIL_FAST", overrides_with = "no_fail_fast", value_parser = flag(), num_args = 0, default_missing_value = "true", default_value = "false", action = ArgAction::Set)]
    pub fail_fast: bool,
    #[arg(long, global = true, hide = true, overrides_with = "fail_fast")]
    pub no_fail_fast: bool,
    /// Print errors only
    #[arg(short, long, global = true, env = "DBT_QUIET", overrides_with = "no_quiet", value_parser = flag(), num_args = 0, default_missing_value = "true", default_value = "false", action = ArgAction::Set)]
    pub quiet: bool,
    #[arg(long, global = true, hide = true, overrides_with = "quiet")]
    pub no_quiet: bool,
    /// How console lines are written
    #[arg(long, global = true, env = "DBT_LOG_FORMAT", value_enum, default_value = "default")]
    pub log_format: LogFormat,
    /// The least severe lines to print
    #[arg(long, global = true, env = "DBT_LOG_LEVEL", value_enum, default_value = "info")]
    pub log_level: LogLevel,
    /// The folder of dbt.log [default: logs, in the project's folder]
    #[arg(long, global = true, env = "DBT_LOG_PATH", value_name = "DIR")]
    pub log_path: Option<PathBuf>,
    /// The least severe lines that dbt.log gets
    #[arg(long, global = true, env = "DBT_LOG_LEVEL_FILE", value_enum, default_value = "debug")]
    pub log_level_file: LogLevel,
    /// Print debug lines: what was reused, each statement, where time went
    #[arg(short, long, global = true, env = "DBT_DEBUG", overrides_with = "no_debug", value_parser = flag(), num_args = 0, default_missing_value = "true", default_value = "false", action = ArgAction::Set)]
    pub debug: bool,
    #[arg(long, global = true, hide = true, overrides_with = "debug")]
    pub no_debug: bool,
    /// Colours in console lines [default: on a terminal, unless NO_COLOR is set]
    #[arg(long, global = true, env = "DBT_USE_COLORS", overrides_with = "no_use_colors", value_parser = flag(), num_args = 0, default_missing_value = "true", action = ArgAction::Set)]
    pub use_colors: Option<bool>,
    #[arg(long, global = true, overrides_with = "use_colors")]
    pub no_use_colors: bool,
    /// Columns to which console lines are padded
    #[arg(long, global = true, env = "DBT_PRINTER_WIDTH", default_value_t = 80)]
    pub printer_width: usize,
    /// Reuse what an earlier parse left behind
    #[arg(long, global = true, env = "DBT_PARTIAL_PARSE", overrides_with = "no_partial_parse", value_parser = flag(), num_args = 0, default_missing_value = "true", action = ArgAction::Set)]
    pub partial_parse: Option<bool>,
    /// Read every file anew
    #[arg(long, global = true, overrides_with = "partial_parse")]
    pub no_partial_parse: bool,
    /// Write manifest.json and run_results.json
    #[arg(long, global = true, env = "DBT_WRITE_JSON", overrides_with = "no_write_json", value_parser = flag(), num_args = 0, default_missing_value = "true", action = ArgAction::Set)]
    pub write_json: Option<bool>,
    #[arg(long, global = true, overrides_with = "write_json")]
    pub no_write_json: bool,
    /// Treat every warning as an error
    #[arg(long, global = true, env = "DBT_WARN_ERROR", value_parser = flag(), num_args = 0, default_missing_value = "true", default_value = "false", action = ArgAction::Set)]
    pub warn_error: bool,
    /// Ignore `require-dbt-version`
    #[arg(long, global = true, overrides_with = "version_check")]
    pub no_version_check: bool,
    #[arg(long, global = true, hide = true, env = "DBT_VERSION_CHECK", overrides_with = "no_version_check", value_parser = flag(), num_args = 0, default_missing_value = "true", action = ArgAction::Set)]
    pub version_check: Option<bool>,
    /// Print what templates `print()`
    #[arg(long, global = true, env = "DBT_PRINT", overrides_with = "no_print", value_parser = flag(), num_args = 0, default_missing_value = "true", action = ArgAction::Set)]
    pub print: Option<bool>,
    #[arg(long, global = true, overrides_with = "print")]
    pub no_print: bool,
    /// Addresses of a cluster's replicas, to run there instead of on this machine
    #[arg(long, global = true, env = "KONTIKI_SERVER", value_name = "HOST:PORT", value_delimiter = ',')]
    pub server: Vec<String>,
    /// The cluster of `kontiki context` to use for this call; `local` is this machine
    #[arg(long, global = true, env = "KONTIKI_CONTEXT", value_name = "NAME")]
    pub context: Option<String>,
    /// Which of these were flags rather than variables.
    #[arg(skip)]
    pub given: Given,
    /// Accepted for compatibility; Kontiki sends nothing
    #[arg(long, global = true, hide = true)]
    pub send_anonymous_usage_stats: bool,
    /// Accepted for compatibility; Kontiki sends nothing
    #[arg(long, global = true, hide = true)]
    pub no_send_anonymous_usage_stats: bool,
}

/// Flags that were on the command line. Flags go before variables, even before those that stand for another flag.
#[derive(Debug, Clone, Copy, Default)]
pub struct Given {
    pub profiles_dir: bool,
    pub server: bool,
    pub context: bool,
}

/// Which nodes a verb works on.
#[derive(Args, Debug, Clone, Default)]
pub struct Selection {
    /// Nodes to include, in dbt's selection syntax
    #[arg(short, long, visible_aliases = ["models", "model"], short_alias = 'm', num_args = 1.., action = ArgAction::Append, value_name = "SELECTOR")]
    pub select: Vec<String>,
    /// Nodes to leave out
    #[arg(long, num_args = 1.., action = ArgAction::Append, value_name = "SELECTOR")]
    pub exclude: Vec<String>,
    /// A selector of selectors.yml
    #[arg(long, conflicts_with_all = ["select"], value_name = "NAME")]
    pub selector: Option<String>,
    /// Which tests come along with selected nodes
    #[arg(long, env = "DBT_INDIRECT_SELECTION", value_enum, default_value = "eager")]
    pub indirect_selection: IndirectSelection,
    /// Only resources of these types
    #[arg(long, visible_alias = "resource-types", env = "DBT_RESOURCE_TYPES", num_args = 1.., value_delimiter = ' ', action = ArgAction::Append, value_name = "TYPE")]
    pub resource_type: Vec<String>,
    /// No resources of these types
    #[arg(long, visible_alias = "exclude-resource-types", env = "DBT_EXCLUDE_RESOURCE_TYPES", num_args = 1.., value_delimiter = ' ', action = ArgAction::Append, value_name = "TYPE")]
    pub exclude_resource_type: Vec<String>,
    /// A folder with the artifacts of an earlier run, for `result:` and for `retry`
    #[arg(long, env = "DBT_STATE", value_name = "DIR")]
    pub state: Option<PathBuf>,
}

/// `build`, `run`, `test`, `seed`
#[derive(Args, Debug, Clone)]
pub struct Execute {
    #[command(flatten)]
    pub selection: Selection,
    /// Rebuild incremental models and seeds from nothing
    #[arg(short = 'f', long, env = "DBT_FULL_REFRESH", value_parser = flag(), num_args = 0, default_missing_value = "true", default_value = "false", action = ArgAction::Set)]
    pub full_refresh: bool,
    /// Keep failing rows of tests in the warehouse
    #[arg(long, env = "DBT_STORE_FAILURES", value_parser = flag(), num_args = 0, default_missing_value = "true", default_value = "false", action = ArgAction::Set)]
    pub store_failures: bool,
    /// Limit refs and sources to zero rows
    #[arg(long, env = "DBT_EMPTY", value_parser = flag(), num_args = 0, default_missing_value = "true", default_value = "false", action = ArgAction::Set)]
    pub empty: bool,
    /// Print a sample of each loaded seed
    #[arg(long)]
    pub show: bool,
    /// Build microbatch models from this event time on (UTC): 2024-09-17 or 2024-09-17T16:00:00
    #[arg(long, env = "DBT_EVENT_TIME_START", value_parser = event_time, requires = "event_time_end", value_name = "TIME")]
    pub event_time_start: Option<Timestamp>,
    /// Build microbatch models up to this event time (exclusive)
    #[arg(long, env = "DBT_EVENT_TIME_END", value_parser = event_time, requires = "event_time_start", value_name = "TIME")]
    pub event_time_end: Option<Timestamp>,
    #[command(flatten)]
    pub submit: cluster::Submit,
}

impl Execute {
    /// Which batches of microbatch models are asked for.
    pub fn event_time(&self) -> EventTime {
        EventTime { start: self.event_time_start, end: self.event_time_end }
    }
}

/// The forms that dbt takes.
fn event_time(text: &str) -> Result<Timestamp, String> {
    let date = || text.parse::<chrono::NaiveDate>().ok().and_then(|date| date.and_hms_opt(0, 0, 0));
    let time = || {
        let formats = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"];
        formats.iter().find_map(|format| chrono::NaiveDateTime::parse_from_str(text, format).ok())
    };
    let found = date().or_else(time).filter(|time| (1..=9_999).contains(&chrono::Datelike::year(time)));
    let found = found.map(|time| Timestamp::from_micros(time.and_utc().timestamp_micros()));
    found.ok_or_else(|| "write it as 2024-09-17, 2024-09-17T16:00:00 or '2024-09-17 16:00:00'".to_owned())
}

#[derive(Subcommand, Debug, Clone)]
pub enum Source {
    /// Look at how old sources are, and write sources.json
    #[command(alias = "snapshot-freshness")]
    Freshness(Freshness),
}

#[derive(Args, Debug, Clone)]
pub struct Freshness {
    #[command(flatten)]
    pub selection: Selection,
    /// Where to write instead of sources.json in the target folder
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub submit: cluster::Submit,
}

#[derive(Args, Debug, Clone)]
pub struct Compile {
    #[command(flatten)]
    pub selection: Selection,
    /// A query to compile instead of the project's nodes
    #[arg(long, value_name = "SQL")]
    pub inline: Option<String>,
    /// How compiled SQL is printed
    #[arg(long, value_enum, default_value = "text")]
    pub output: ShowFormat,
    #[arg(short = 'f', long, env = "DBT_FULL_REFRESH", value_parser = flag(), num_args = 0, default_missing_value = "true", default_value = "false", action = ArgAction::Set)]
    pub full_refresh: bool,
}

#[derive(Args, Debug, Clone)]
pub struct Show {
    #[command(flatten)]
    pub selection: Selection,
    /// A query to run instead of a node
    #[arg(long, value_name = "SQL")]
    pub inline: Option<String>,
    /// Rows to print; -1 for all
    #[arg(long, default_value_t = 5, allow_negative_numbers = true)]
    pub limit: i64,
    #[arg(long, value_enum, default_value = "text")]
    pub output: ShowFormat,
}

#[derive(Args, Debug, Clone)]
pub struct List {
    #[command(flatten)]
    pub selection: Selection,
    #[arg(long, value_enum, default_value = "selector")]
    pub output: ListFormat,
    /// Keys to print with `--output json`
    #[arg(long, num_args = 1.., action = ArgAction::Append, value_delimiter = ' ')]
    pub output_keys: Vec<String>,
}

#[derive(Args, Debug, Clone)]
pub struct Retry {
    /// A folder with the run_results.json to retry instead of the last run of this machine
    #[arg(long, env = "DBT_STATE", value_name = "DIR")]
    pub state: Option<PathBuf>,
    #[arg(short = 'f', long, env = "DBT_FULL_REFRESH", value_parser = flag(), num_args = 0, default_missing_value = "true", default_value = "false", action = ArgAction::Set)]
    pub full_refresh: bool,
}

#[derive(Args, Debug, Clone)]
pub struct Clean {
    /// Delete folders outside of the project as well
    #[arg(long, overrides_with = "clean_project_files_only")]
    pub no_clean_project_files_only: bool,
    #[arg(long, hide = true, overrides_with = "no_clean_project_files_only")]
    pub clean_project_files_only: bool,
}

#[derive(Args, Debug, Clone)]
pub struct Debug {
    /// Only test the connection
    #[arg(long)]
    pub connection: bool,
    /// Print where profiles.yml is looked for, and stop
    #[arg(long)]
    pub config_dir: bool,
}

#[derive(Args, Debug, Clone)]
pub struct Init {
    /// Name of the project and of its folder
    pub project_name: String,
    /// The warehouse that the new profile is for
    #[arg(long, value_enum, default_value = "duckdb")]
    pub adapter: AdapterChoice,
    /// Do not write a profile
    #[arg(long)]
    pub skip_profile_setup: bool,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdapterChoice {
    Duckdb,
    Postgres,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Default,
    Text,
    Debug,
    Json,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
    None,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum IndirectSelection {
    #[default]
    Eager,
    Cautious,
    Buildable,
    Empty,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShowFormat {
    Text,
    Json,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListFormat {
    Json,
    Name,
    Path,
    Selector,
}

impl Cli {
    pub fn read<Text: Into<OsString> + Clone>(line: impl IntoIterator<Item = Text>) -> Result<Self, clap::Error> {
        let matches = Self::command().try_get_matches_from(line)?;
        let mut cli = Self::from_arg_matches(&matches)?;
        let given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
        cli.global.given =
            Given { profiles_dir: given("profiles_dir"), server: given("server"), context: given("context") };
        Ok(cli)
    }
}

impl Global {
    pub fn partial_parse(&self) -> bool {
        !self.no_partial_parse && self.partial_parse.unwrap_or(true)
    }

    pub fn write_json(&self) -> bool {
        !self.no_write_json && self.write_json.unwrap_or(true)
    }

    pub fn version_check(&self) -> bool {
        !self.no_version_check && self.version_check.unwrap_or(true)
    }

    pub fn print(&self) -> bool {
        !self.no_print && self.print.unwrap_or(true)
    }
}

/// Prints help and versions, or why the command line is refused, with its code; then ends the program.
#[expect(clippy::print_stderr, reason = "without a command line there is no console yet")]
pub fn refuse(error: &clap::Error) -> ! {
    if error.exit_code() == 0 {
        error.exit();
    }
    let text = error.render();
    let plain = !std::io::stderr().is_terminal() || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let text = if plain { text.to_string() } else { text.ansi().to_string() };
    eprint!("{}", text.replacen("error:", &format!("error[{}]:", Code::Usage), 1));
    std::process::exit(error.exit_code())
}

/// Booleans as dbt reads them from the environment: `1`, `true`, `yes`, `on` and their opposites; empty is false.
fn flag() -> impl clap::builder::TypedValueParser<Value = bool> {
    use clap::builder::TypedValueParser;
    clap::builder::NonEmptyStringValueParser::new().try_map(|text: String| match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "t" | "yes" | "y" | "on" => Ok(true),
        "0" | "false" | "f" | "no" | "n" | "off" => Ok(false),
        _ => Err(format!("'{text}' is not a boolean")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_flags_stand_on_either_side_of_the_verb() {
        for line in [
            &["kontiki", "--quiet", "--threads", "3", "build", "-s", "a", "b+"][..],
            &["kontiki", "build", "-s", "a", "b+", "--quiet", "--threads", "3"][..],
        ] {
            let cli = Cli::read(line).expect("a valid line");
            assert!(cli.global.quiet);
            assert_eq!(cli.global.threads, Some(3));
            let Command::Build(build) = cli.command else { panic!("not build: {:?}", cli.command) };
            assert_eq!(build.selection.select, ["a", "b+"]);
        }
    }

    #[test]
    fn unknown_flags_are_refused() {
        let error = Cli::read(["kontiki", "run", "--bogus"]).expect_err("refused");
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn flags_are_known_on_either_side_of_the_verb() {
        for line in [["kontiki", "--context", "a", "parse"], ["kontiki", "parse", "--context", "a"]] {
            let given = Cli::read(line).expect("a valid line").global.given;
            assert!(given.context && !given.server && !given.profiles_dir, "{given:?}");
        }
    }
}
