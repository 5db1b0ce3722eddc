//! Alerts: what people are told about runs and schedules, and over which channels.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{NodeId, RunId, ScheduleName, Timestamp};

/// What an alert is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AlertKind {
    /// A run ended without success, and not since somebody or something took its place.
    Failure,
    /// What had failed succeeded again.
    Recovery,
    /// A tick's run had not succeeded when it should have.
    Deadline,
    /// A tick has no run, and nobody meant that.
    TickMissed,
    /// A source is older than its project allows.
    SourceStale,
    /// Somebody tries a channel out.
    Test,
}

impl AlertKind {
    pub const ALL: [Self; 6] =
        [Self::Failure, Self::Recovery, Self::Deadline, Self::TickMissed, Self::SourceStale, Self::Test];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Recovery => "recovery",
            Self::Deadline => "deadline",
            Self::TickMissed => "tick_missed",
            Self::SourceStale => "source_stale",
            Self::Test => "test",
        }
    }
}

/// A place that alerts go to, as somebody declared it. Holds no secret: only where each replica finds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// Spelled like the names of schedules.
    pub name: ScheduleName,
    pub receiver: Receiver,
    /// Kinds that go here. An attempt to try the channel out always does.
    pub on: Vec<AlertKind>,
    /// Names of schedules, in which `*` stands for anything; none stands for all.
    pub schedules: Vec<String>,
    /// Also runs that no schedule began.
    pub all_runs: bool,
}

impl Channel {
    /// Whether an alert of this kind about this schedule, or about a run of none, goes here.
    pub fn takes(&self, kind: AlertKind, schedule: Option<&ScheduleName>) -> bool {
        let of_this = match schedule {
            Some(name) => self.schedules.is_empty() || self.schedules.iter().any(|known| fits(known, name.as_str())),
            None => self.all_runs,
        };
        self.on.contains(&kind) && of_this
    }
}

/// Whether the name is that of the pattern, in which `*` stands for anything.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == name };
    let Some(rest) = name.strip_prefix(head) else { return false };
    (0..=rest.len()).any(|at| rest.is_char_boundary(at) && fits(tail, &rest[at..]))
}

/// Who takes alerts, and how they reach it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Receiver {
    Webhook(Webhook),
    Slack(Slack),
    Email(Email),
}

/// An HTTP POST. Signed as <https://www.standardwebhooks.com> says where there is a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    pub url: Reference,
    pub secret: Option<Reference>,
    pub headers: BTreeMap<String, Reference>,
    /// A template over the alert; JSON of everything where there is none.
    pub body: Option<String>,
}

/// What Slack and those who imitate it take: an HTTP POST of `{"text": …}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slack {
    pub url: Reference,
    /// A template over the alert.
    pub text: Option<String>,
}

/// A mail over SMTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Email {
    /// Host, and port where that is not the usual one.
    pub server: String,
    pub security: MailSecurity,
    /// A user and a password.
    pub login: Option<(Reference, Reference)>,
    pub from: String,
    pub to: Vec<String>,
    /// Templates over the alert.
    pub subject: Option<String>,
    pub body: Option<String>,
}

/// How a mail server is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum MailSecurity {
    /// In the open first, and TLS from then on; a server that cannot is given nothing.
    #[default]
    StartTls,
    /// TLS from the first byte.
    Tls,
    /// In the open.
    None,
}

/// A text, or where each replica finds it: secrets never enter the log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reference {
    Plain(String),
    /// A variable of the replica's environment.
    Env(String),
    /// A file on the replica's machine; white space around its content does not count.
    File(String),
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Somebody may have put a secret there all the same.
            Self::Plain(_) => f.write_str("Plain(…)"),
            Self::Env(name) => write!(f, "Env({name})"),
            Self::File(path) => write!(f, "File({path})"),
        }
    }
}

/// What happened, for people and for programs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    pub kind: AlertKind,
    pub at: Timestamp,
    pub schedule: Option<ScheduleName>,
    /// The tick that it is about.
    pub scheduled_at: Option<Timestamp>,
    pub run: Option<RunId>,
    pub project: Option<String>,
    /// In a sentence's words, where the nodes do not say it.
    pub reason: Option<String>,
    /// The first of those that failed.
    pub nodes: Vec<Trouble>,
    /// How many failed.
    pub nodes_total: u32,
}

/// A node that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    pub node: NodeId,
    /// The beginning of what was said about it.
    pub message: String,
}

impl Alert {
    /// About nothing in particular yet.
    pub fn new(kind: AlertKind, at: Timestamp) -> Self {
        Self {
            kind,
            at,
            schedule: None,
            scheduled_at: None,
            run: None,
            project: None,
            reason: None,
            nodes: Vec::new(),
            nodes_total: 0,
        }
    }

    /// What happened, in one line.
    pub fn summary(&self) -> String {
        let subject = match (&self.schedule, &self.run) {
            (Some(schedule), _) => format!("schedule {schedule}"),
            (None, Some(run)) => format!("run {run}"),
            (None, None) => "Kontiki".to_owned(),
        };
        let tick = self.scheduled_at.map(|at| format!(" of {}", at.to_iso())).unwrap_or_default();
        let what = match self.kind {
            AlertKind::Failure => format!("the run{tick} failed"),
            AlertKind::Recovery => format!("the run{tick} succeeded again"),
            AlertKind::Deadline => format!("the run{tick} has not succeeded in time"),
            AlertKind::TickMissed => format!("the tick{tick} has no run"),
            AlertKind::SourceStale => format!("sources were stale in the run{tick}"),
            AlertKind::Test => "this is a test".to_owned(),
        };
        let nodes = match (self.nodes.first(), self.nodes_total) {
            (None, _) => String::new(),
            (Some(first), 1) => format!(": {}", first.node),
            (Some(first), total) => format!(": {} and {} more", first.node, total - 1),
        };
        let reason = self.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        format!("{subject}: {what}{nodes}{reason}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, name, expected) in [
            ("nightly", "nightly", true),
            ("nightly", "nightly2", false),
            ("night*", "nightly", true),
            ("*", "a", true),
            ("*-eu", "sales-eu", true),
            ("*-eu", "sales-eu-2", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "acb", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_channel_takes_what_it_was_declared_for() {
        let channel = Channel {
            name: ScheduleName::new("ops").unwrap(),
            receiver: Receiver::Slack(Slack { url: Reference::Env("URL".to_owned()), text: None }),
            on: vec![AlertKind::Failure],
            schedules: vec!["night*".to_owned()],
            all_runs: false,
        };
        let name = |text| ScheduleName::new(text).unwrap();
        assert!(channel.takes(AlertKind::Failure, Some(&name("nightly"))));
        assert!(!channel.takes(AlertKind::Recovery, Some(&name("nightly"))));
        assert!(!channel.takes(AlertKind::Failure, Some(&name("hourly"))));
        assert!(!channel.takes(AlertKind::Failure, None));
        assert!(Channel { all_runs: true, ..channel }.takes(AlertKind::Failure, None));
    }
}
