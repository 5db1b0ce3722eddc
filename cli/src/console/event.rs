//! What can be said on the console, with dbt's event names, codes and wording.
//!
//! Source: dbt's reference, "Events and logs"; the wording of each line was observed from dbt-core 1.11.

use common::diagnostic::Code;
use common::task::NodeStatus;
use common::{Diagnostic, Severity};
use serde_json::{Value as Json, json};

use super::{Style, difference};
use crate::args::LogLevel;

/// A node as its lines name it.
#[derive(Clone, Debug)]
pub struct NodeLine {
    /// `sql view model main.a`, `seed file main.s`, `test not_null_a_id`, `unit_test a::adds_up`, `hook: tiny.on-run-start.0`
    pub description: String,
    /// What follows `SKIP`: `relation main.b`, `test not_null_a_id`.
    pub skip_description: String,
    /// Counted from 1.
    pub index: usize,
    pub total: usize,
    pub kind: NodeKind,
    /// The `node_info` object of JSON lines.
    pub info: Json,
}

/// What decides the verbs of a node's lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    Model,
    Seed,
    Snapshot,
    Test,
    Hook,
    Exposure,
    /// A look at how old it is.
    Source,
}

/// A batch of a microbatch model.
#[derive(Clone, Debug)]
pub struct BatchLine {
    /// `batch 2024-01-01 of main.a`
    pub description: String,
    /// Counted from 1.
    pub index: usize,
    pub total: usize,
    pub step: BatchState,
    pub seconds: f64,
}

/// How far a batch has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BatchState {
    Started,
    Built,
    /// With the warehouse's words.
    Failed(String),
    Skipped,
}

/// How a run came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every node that could run has run.
    Complete,
    /// By Ctrl-C.
    Interrupted,
    /// By its time limit, or by somebody else.
    Canceled,
}

/// A console line.
#[derive(Clone, Debug)]
pub enum Event {
    MainReportVersion {
        version: String,
    },
    AdapterRegistered {
        adapter: String,
        version: String,
    },
    FoundStats(String),
    Concurrency {
        threads: u32,
        target: String,
    },
    /// An empty line, or text that carries no data of its own.
    Blank,
    Note(String),
    DebugNote(String),
    Started(NodeLine),
    Finished {
        node: NodeLine,
        status: NodeStatus,
        message: String,
        failures: Option<i64>,
        seconds: f64,
    },
    Skipped(NodeLine),
    Batch(BatchLine),
    FinishedRunning {
        counts: String,
        seconds: f64,
    },
    Summary {
        errors: usize,
        /// Models of which some batches failed.
        partial: usize,
        warnings: usize,
        ended: Ended,
    },
    ResultFailure {
        resource_type: String,
        name: String,
        path: String,
    },
    ResultWarning {
        resource_type: String,
        name: String,
        path: String,
    },
    ResultMessage {
        message: String,
        is_warning: bool,
    },
    /// Kontiki's code of the failure above it, whose words are dbt's.
    ResultCode(Code),
    CompiledPath(String),
    StoredFailures {
        relation: String,
    },
    Stats {
        pass: usize,
        warn: usize,
        error: usize,
        skip: usize,
        no_op: usize,
    },
    /// The end of a look at sources.
    FreshnessDone,
    NothingToDo,
    NoNodesSelected,
    NothingMatches(String),
    Diagnostic(Diagnostic),
    EncounteredError(String),
}

impl Event {
    pub fn level(&self) -> LogLevel {
        match self {
            Self::DebugNote(_) => LogLevel::Debug,
            Self::NothingToDo | Self::NoNodesSelected | Self::NothingMatches(_) | Self::ResultWarning { .. } => {
                LogLevel::Warn
            }
            Self::ResultMessage { is_warning: true, .. } => LogLevel::Warn,
            Self::ResultFailure { .. }
            | Self::ResultMessage { .. }
            | Self::ResultCode(_)
            | Self::EncounteredError(_) => LogLevel::Error,
            Self::Finished { status: NodeStatus::Error | NodeStatus::Fail | NodeStatus::PartialSuccess, .. } => {
                LogLevel::Error
            }
            Self::Batch(BatchLine { step: BatchState::Failed(_), .. }) => LogLevel::Error,
            Self::Finished { status: NodeStatus::Warn, .. } => LogLevel::Warn,
            Self::Diagnostic(diagnostic) => match diagnostic.severity {
                Severity::Error => LogLevel::Error,
                Severity::Warning => LogLevel::Warn,
            },
            _ => LogLevel::Info,
        }
    }

    pub fn level_name(&self) -> &'static str {
        match self.level() {
            LogLevel::Debug => "debug",
            LogLevel::Info => "info",
            LogLevel::Warn => "warn",
            LogLevel::Error | LogLevel::None => "error",
        }
    }

    /// Findings span several lines and stand without a time before them.
    pub fn is_bare(&self) -> bool {
        matches!(self, Self::Diagnostic(_))
    }

    /// dbt's event name.
    pub fn name(&self) -> &'static str {
        match self {
            Self::MainReportVersion { .. } => "MainReportVersion",
            Self::AdapterRegistered { .. } => "AdapterRegistered",
            Self::FoundStats(_) => "FoundStats",
            Self::Concurrency { .. } => "ConcurrencyLine",
            Self::Blank => "Formatting",
            Self::Note(_) | Self::DebugNote(_) => "Note",
            Self::Started(node) if node.kind == NodeKind::Hook => "LogHookStartLine",
            Self::Started(_) => "LogStartLine",
            Self::Finished { node, .. } => match node.kind {
                NodeKind::Model => "LogModelResult",
                NodeKind::Seed => "LogSeedResult",
                NodeKind::Snapshot => "LogSnapshotResult",
                NodeKind::Test => "LogTestResult",
                NodeKind::Hook => "LogHookEndLine",
                NodeKind::Exposure => "LogNodeNoOpResult",
                NodeKind::Source => "LogFreshnessResult",
            },
            Self::Skipped(_) => "SkippingDetails",
            Self::Batch(BatchLine { step: BatchState::Started, .. }) => "LogStartBatch",
            Self::Batch(_) => "LogBatchResult",
            Self::FinishedRunning { .. } => "FinishedRunningStats",
            Self::Summary { .. } => "EndOfRunSummary",
            Self::ResultFailure { .. } => "RunResultFailure",
            Self::ResultWarning { .. } => "RunResultWarning",
            Self::ResultMessage { is_warning: true, .. } => "RunResultWarningMessage",
            Self::ResultMessage { .. } => "RunResultError",
            Self::ResultCode(_) => "ResultCode",
            Self::CompiledPath(_) => "SQLCompiledPath",
            Self::StoredFailures { .. } => "CheckNodeTestFailure",
            Self::Stats { .. } => "StatsLine",
            Self::FreshnessDone => "FreshnessCheckComplete",
            Self::NothingToDo => "NothingToDo",
            Self::NoNodesSelected => "NoNodesSelected",
            Self::NothingMatches(_) => "NoNodesForSelectionCriteria",
            Self::Diagnostic(_) => "Diagnostic",
            Self::EncounteredError(_) => "MainEncounteredError",
        }
    }

    /// dbt's event code; Kontiki's own code for findings.
    pub fn code(&self) -> &'static str {
        match self {
            Self::MainReportVersion { .. } => "A001",
            Self::AdapterRegistered { .. } => "E034",
            Self::FoundStats(_) => "W006",
            Self::Concurrency { .. } => "Q027",
            Self::Blank => "Z017",
            Self::Note(_) | Self::DebugNote(_) => "Z050",
            Self::Started(node) if node.kind == NodeKind::Hook => "Q032",
            Self::Started(_) => "Q011",
            Self::Finished { node, .. } => match node.kind {
                NodeKind::Model => "Q012",
                NodeKind::Seed => "Q016",
                NodeKind::Snapshot => "Q015",
                NodeKind::Test => "Q007",
                NodeKind::Hook => "Q033",
                NodeKind::Exposure => "Q019",
                NodeKind::Source => "Q018",
            },
            Self::Skipped(_) => "Q034",
            Self::Batch(BatchLine { step: BatchState::Started, .. }) => "Q045",
            Self::Batch(_) => "Q046",
            Self::FinishedRunning { .. } => "E040",
            Self::Summary { .. } => "Z030",
            Self::ResultFailure { .. } => "Z021",
            Self::ResultWarning { .. } => "Z021",
            Self::ResultMessage { is_warning: true, .. } => "Z049",
            Self::ResultMessage { .. } => "Z024",
            Self::ResultCode(code) => code.as_str(),
            Self::CompiledPath(_) => "Z026",
            Self::StoredFailures { .. } => "Z027",
            Self::Stats { .. } => "Z023",
            Self::FreshnessDone => "Q006",
            Self::NothingToDo => "Q035",
            Self::NoNodesSelected => "P001",
            Self::NothingMatches(_) => "M030",
            Self::Diagnostic(diagnostic) => diagnostic.code.as_str(),
            Self::EncounteredError(_) => "Z002",
        }
    }

    /// The text of the line, without the time before it.
    pub fn message(&self, style: Style, width: usize) -> String {
        match self {
            Self::MainReportVersion { version } => format!("Running with kontiki={version}"),
            Self::AdapterRegistered { adapter, version } => format!("Registered adapter: {adapter}={version}"),
            Self::FoundStats(stats) => format!("Found {stats}"),
            Self::Concurrency { threads, target } => {
                format!("Concurrency: {threads} threads (target='{target}')")
            }
            Self::Blank => String::new(),
            Self::Note(text) | Self::DebugNote(text) => text.clone(),
            Self::Started(node) => padded(node, &format!("START {}", node.description), "RUN", None, width),
            Self::Finished { node, status, message, failures, seconds } => {
                let (head, label) = result_words(node.kind, *status, message, *failures);
                let painted = match status {
                    NodeStatus::Success | NodeStatus::Pass | NodeStatus::NoOp => style.green(&label),
                    NodeStatus::Warn | NodeStatus::Skipped | NodeStatus::PartialSuccess => style.yellow(&label),
                    NodeStatus::Error | NodeStatus::Fail => style.red(&label),
                };
                let name = match node.kind {
                    NodeKind::Test => node.description.split_once(' ').map_or(&*node.description, |(_, name)| name),
                    _ => &node.description,
                };
                padded(node, &format!("{head} {name}"), &painted, Some(*seconds), width)
            }
            Self::Skipped(node) => {
                padded(node, &format!("SKIP {}", node.skip_description), &style.yellow("SKIP"), None, width)
            }
            Self::Batch(batch) => batch.text(style, width),
            Self::FinishedRunning { counts, seconds } => {
                format!("Finished running {counts} in {} ({seconds:.2}s).", spelled_duration(*seconds))
            }
            Self::Summary { ended: Ended::Interrupted, .. } => style.yellow("Exited because of keyboard interrupt"),
            Self::Summary { ended: Ended::Canceled, .. } => style.yellow("Exited because the run was canceled"),
            Self::Summary { errors: 0, partial: 0, warnings: 0, .. } => style.green("Completed successfully"),
            Self::Summary { errors: 0, partial: 0, warnings, .. } => {
                style.yellow(&format!("Completed with {}:", counted(*warnings, "warning")))
            }
            Self::Summary { errors: 0, partial, warnings, .. } => style.yellow(&format!(
                "Completed with {} and {}",
                partial_successes(*partial),
                counted(*warnings, "warning")
            )),
            Self::Summary { errors, partial, warnings, .. } => style.red(&format!(
                "Completed with {}, {}, and {}:",
                counted(*errors, "error"),
                partial_successes(*partial),
                counted(*warnings, "warning")
            )),
            Self::ResultFailure { resource_type, name, path } => {
                style.red(&format!("Failure in {resource_type} {name} ({path})"))
            }
            Self::ResultWarning { resource_type, name, path } => {
                style.yellow(&format!("Warning in {resource_type} {name} ({path})"))
            }
            Self::ResultMessage { message, is_warning: true } => message.clone(),
            Self::ResultMessage { message, .. } => format!("  {}", difference::paint(message, style)),
            Self::ResultCode(code) => format!("  {code}: {}", code.title()),
            Self::CompiledPath(path) => format!("  compiled code at {path}"),
            Self::StoredFailures { relation } => {
                let rule = "-".repeat(relation.len() + 16);
                format!("  See test failures:\n  {rule}\n  select * from {relation}\n  {rule}")
            }
            Self::Stats { pass, warn, error, skip, no_op } => format!(
                "Done. PASS={pass} WARN={warn} ERROR={error} SKIP={skip} NO-OP={no_op} TOTAL={}",
                pass + warn + error + skip + no_op
            ),
            Self::FreshnessDone => "Done.".to_owned(),
            Self::NothingToDo => {
                "Nothing to do. Try checking your model configs and model specification args".to_owned()
            }
            Self::NoNodesSelected => "No nodes selected!".to_owned(),
            Self::NothingMatches(text) => capitalized(text),
            Self::Diagnostic(diagnostic) => paint_diagnostic(diagnostic, style),
            Self::EncounteredError(text) => format!("Encountered an error:\n{text}"),
        }
    }

    /// The `data` object of a JSON line.
    pub fn data(&self) -> Json {
        match self {
            Self::MainReportVersion { version } => json!({ "log_version": 3, "version": format!("={version}") }),
            Self::AdapterRegistered { adapter, version } => {
                json!({ "adapter_name": adapter, "adapter_version": format!("={version}") })
            }
            Self::FoundStats(stats) => json!({ "stat_line": stats }),
            Self::Concurrency { threads, target } => {
                json!({ "node_count": 0, "num_threads": threads, "target_name": target })
            }
            Self::Blank => json!({ "msg": "" }),
            Self::Note(text) | Self::DebugNote(text) | Self::EncounteredError(text) | Self::NothingMatches(text) => {
                json!({ "msg": text })
            }
            Self::Started(node) | Self::Skipped(node) => json!({
                "description": node.description, "index": node.index, "total": node.total, "node_info": node.info,
            }),
            Self::Finished { node, status, message, failures, seconds } => json!({
                "description": node.description, "index": node.index, "total": node.total, "node_info": node.info,
                "status": status_word(node.kind, *status, message), "num_failures": failures, "execution_time": seconds,
            }),
            Self::Batch(batch) => json!({
                "description": batch.description, "batch_index": batch.index, "total_batches": batch.total,
                "status": batch.status(), "execution_time": batch.seconds,
            }),
            Self::FinishedRunning { counts, seconds } => json!({
                "stat_line": counts, "execution": format!(" in {}", spelled_duration(*seconds)), "execution_time": seconds,
            }),
            Self::Summary { errors, partial, warnings, ended } => json!({
                "num_errors": errors, "num_warnings": warnings, "num_partial_success": partial,
                "keyboard_interrupt": *ended == Ended::Interrupted,
            }),
            Self::ResultFailure { resource_type, name, path } | Self::ResultWarning { resource_type, name, path } => {
                json!({ "resource_type": resource_type, "node_name": name, "path": path })
            }
            Self::ResultMessage { message, .. } => json!({ "msg": message }),
            Self::ResultCode(code) => json!({ "code": code.as_str(), "title": code.title() }),
            Self::CompiledPath(path) => json!({ "path": path }),
            Self::StoredFailures { relation } => json!({ "relation_name": relation }),
            Self::Stats { pass, warn, error, skip, no_op } => json!({ "stats": {
                "pass": pass, "warn": warn, "error": error, "skip": skip, "noop": no_op,
                "total": pass + warn + error + skip + no_op,
            }}),
            Self::FreshnessDone | Self::NothingToDo | Self::NoNodesSelected => json!({}),
            Self::Diagnostic(diagnostic) => serde_json::to_value(diagnostic).unwrap_or(Json::Null),
        }
    }
}

/// What a finished node's line begins with, and what stands in its brackets.
fn result_words(kind: NodeKind, status: NodeStatus, message: &str, failures: Option<i64>) -> (String, String) {
    let failures = failures.unwrap_or(0);
    let (head, label) = match (kind, status) {
        (NodeKind::Source, status) => {
            let word = match status {
                NodeStatus::Warn => "WARN",
                NodeStatus::Fail => "ERROR STALE",
                NodeStatus::Error | NodeStatus::PartialSuccess => "ERROR",
                NodeStatus::Skipped | NodeStatus::NoOp => "SKIP",
                NodeStatus::Pass | NodeStatus::Success => "PASS",
            };
            (word.to_owned(), word.to_owned())
        }
        (NodeKind::Test, NodeStatus::Pass | NodeStatus::Success) => ("PASS".to_owned(), "PASS".to_owned()),
        (_, NodeStatus::Warn) => (format!("WARN {failures}"), format!("WARN {failures}")),
        (_, NodeStatus::Fail) => (format!("FAIL {failures}"), format!("FAIL {failures}")),
        (NodeKind::Model, NodeStatus::Error) => ("ERROR creating".to_owned(), "ERROR".to_owned()),
        (NodeKind::Seed, NodeStatus::Error) => ("ERROR loading".to_owned(), "ERROR".to_owned()),
        (NodeKind::Snapshot, NodeStatus::Error) => ("ERROR snapshotting".to_owned(), "ERROR".to_owned()),
        (NodeKind::Test | NodeKind::Hook | NodeKind::Exposure, NodeStatus::Error) => {
            ("ERROR".to_owned(), "ERROR".to_owned())
        }
        (_, NodeStatus::PartialSuccess) => {
            ("PARTIALLY created".to_owned(), message.lines().next().unwrap_or_default().to_owned())
        }
        (_, NodeStatus::NoOp) => ("NO-OP".to_owned(), "NO-OP".to_owned()),
        (NodeKind::Model, _) => ("OK created".to_owned(), message.to_owned()),
        (NodeKind::Seed, _) => ("OK loaded".to_owned(), message.to_owned()),
        (NodeKind::Snapshot, _) => ("OK snapshotted".to_owned(), message.to_owned()),
        (NodeKind::Hook | NodeKind::Test | NodeKind::Exposure, _) => ("OK".to_owned(), "OK".to_owned()),
    };
    (head, label)
}

fn status_word(kind: NodeKind, status: NodeStatus, message: &str) -> String {
    match (kind, status) {
        (NodeKind::Source, status) => freshness_word(status).to_owned(),
        (NodeKind::Test, _) | (_, NodeStatus::Error | NodeStatus::PartialSuccess) => {
            serde_json::to_value(status).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
        }
        (NodeKind::Hook, _) => "success".to_owned(),
        _ => message.to_owned(),
    }
}

/// dbt's status of a source: one that is too old is an `error`, one that cannot be looked at a `runtime error`.
fn freshness_word(status: NodeStatus) -> &'static str {
    match status {
        NodeStatus::Pass | NodeStatus::Success => "pass",
        NodeStatus::Warn => "warn",
        NodeStatus::Fail => "error",
        NodeStatus::Error | NodeStatus::PartialSuccess => "runtime error",
        NodeStatus::Skipped | NodeStatus::NoOp => "skipped",
    }
}

impl BatchLine {
    fn status(&self) -> &'static str {
        match self.step {
            BatchState::Started => "started",
            BatchState::Built => "OK",
            BatchState::Failed(_) => "error",
            BatchState::Skipped => "skipped",
        }
    }

    /// What went wrong stands before the line that says so.
    fn text(&self, style: Style, width: usize) -> String {
        let (head, label) = match &self.step {
            BatchState::Started => ("START", "RUN".to_owned()),
            BatchState::Built => ("OK created", style.green("OK")),
            BatchState::Failed(_) => ("ERROR creating", style.red("ERROR")),
            BatchState::Skipped => ("SKIP", style.yellow("SKIPPED")),
        };
        let seconds = (self.step != BatchState::Started).then_some(self.seconds);
        let filled = filled(&format!("{} of {} {head} {} ", self.index, self.total, self.description), width);
        let line = format!("Batch {}", labelled(&filled, &label, seconds));
        match &self.step {
            BatchState::Failed(message) => format!("{}\n{line}", message.trim_end()),
            _ => line,
        }
    }
}

/// `3 of 8 START test x ..... [RUN]`, filled with dots up to `width`.
fn padded(node: &NodeLine, text: &str, label: &str, seconds: Option<f64>, width: usize) -> String {
    let text = format!("{} of {} {text} ", node.index, node.total);
    let mut line = filled(&text, width);
    if node.kind == NodeKind::Hook && text.chars().count() > width.saturating_sub(3) {
        line = line.chars().take(width.saturating_sub(3)).collect::<String>() + "...";
    }
    labelled(&line, label, seconds)
}

fn filled(text: &str, width: usize) -> String {
    let dots = width.saturating_sub(text.chars().count());
    text.chars().chain(std::iter::repeat_n('.', dots)).collect()
}

fn labelled(line: &str, label: &str, seconds: Option<f64>) -> String {
    let time = seconds.map(|seconds| format!(" in {seconds:.2}s")).unwrap_or_default();
    format!("{line} [{label}{time}]")
}

/// `1 partial success`
fn partial_successes(count: usize) -> String {
    if count == 1 { "1 partial success".to_owned() } else { format!("{count} partial successes") }
}

/// `1 error`, `2 errors`
pub fn counted(count: usize, word: &str) -> String {
    if count == 1 {
        return format!("1 {word}");
    }
    match word.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'o'])) {
        Some(stem) => format!("{count} {stem}ies"),
        None if word == "analysis" => format!("{count} analyses"),
        None => format!("{count} {word}s"),
    }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn spelled_duration(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    let (hours, minutes) = (whole / 3600, whole / 60 % 60);
    let rest = seconds - (hours * 3600 + minutes * 60) as f64;
    format!("{hours} hours {minutes} minutes and {rest:.2} seconds")
}

fn paint_diagnostic(diagnostic: &Diagnostic, style: Style) -> String {
    let text = diagnostic.to_string();
    let (head, rest) = text.split_once(':').unwrap_or((&text, ""));
    match diagnostic.severity {
        Severity::Error => format!("{}:{rest}", style.red(head)),
        Severity::Warning => format!("{}:{rest}", style.yellow(head)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(kind: NodeKind, description: &str) -> NodeLine {
        NodeLine {
            description: description.to_owned(),
            skip_description: "relation main.b".to_owned(),
            index: 1,
            total: 11,
            kind,
            info: Json::Null,
        }
    }

    #[test]
    fn lines_are_those_of_dbt() {
        let plain = Style { colors: false };
        let model = node(NodeKind::Model, "sql view model main.a");
        let test = node(NodeKind::Test, "test accepted_values_a_id__1");
        let finished = |node: &NodeLine, status, message: &str, failures| Event::Finished {
            node: node.clone(),
            status,
            message: message.to_owned(),
            failures,
            seconds: 0.114,
        };
        let lines = [
            Event::Started(model.clone()),
            finished(&model, NodeStatus::Success, "CREATE VIEW", None),
            finished(&model, NodeStatus::Error, "", None),
            Event::Started(test.clone()),
            finished(&test, NodeStatus::Fail, "", Some(1)),
            Event::Skipped(model),
            Event::Summary { errors: 1, partial: 0, warnings: 2, ended: Ended::Complete },
            Event::FinishedRunning { counts: "1 seed".to_owned(), seconds: 3725.5 },
            Event::Stats { pass: 7, warn: 1, error: 1, skip: 3, no_op: 0 },
        ]
        .map(|event| event.message(plain, 80));
        assert_eq!(
            lines,
            [
                "1 of 11 START sql view model main.a ............................................ [RUN]",
                "1 of 11 OK created sql view model main.a ....................................... [CREATE VIEW in 0.11s]",
                "1 of 11 ERROR creating sql view model main.a ................................... [ERROR in 0.11s]",
                "1 of 11 START test accepted_values_a_id__1 ..................................... [RUN]",
                "1 of 11 FAIL 1 accepted_values_a_id__1 ......................................... [FAIL 1 in 0.11s]",
                "1 of 11 SKIP relation main.b ................................................... [SKIP]",
                "Completed with 1 error, 0 partial successes, and 2 warnings:",
                "Finished running 1 seed in 1 hours 2 minutes and 5.50 seconds (3725.50s).",
                "Done. PASS=7 WARN=1 ERROR=1 SKIP=3 NO-OP=0 TOTAL=12",
            ]
        );
    }

    #[test]
    fn counts_have_their_plural() {
        assert_eq!(
            [counted(1, "analysis"), counted(2, "analysis"), counted(2, "query"), counted(0, "seed")],
            ["1 analysis", "2 analyses", "2 queries", "0 seeds"]
        );
    }
}
