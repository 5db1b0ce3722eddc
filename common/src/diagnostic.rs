//! A finding about the user's input, with everything needed to act on it.
//!
//! All findings of a project are collected and shown at once; nothing stops at the first.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// How bad a finding is. Only errors make the verb fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Severity {
    Warning,
    Error,
}

/// A position in a file of the project. Lines and columns count from 1; 0 means "not known".
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Location {
    /// Relative to the project's root, with `/` between components.
    pub file: Arc<str>,
    pub line: u32,
    pub column: u32,
    /// The text of that line, without its end.
    pub source_line: Option<String>,
}

/// A finding with code, place and hint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Diagnostic {
    pub severity: Severity,
    /// Stable, `K` and four digits, e.g. `K1003`; each has its page `docs/errors/K1003.md`.
    pub code: Code,
    pub message: String,
    pub location: Option<Location>,
    pub hint: Option<String>,
}

/// Declares the codes once: identifier, text and one-line title stay together.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $title:literal;)*) => {
        /// The stable code of a finding or failure. `docs/errors/` has a page for each. It is written as its text, since logs
        /// outlive the order of this list.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($(#[$doc])* $name),* }

        impl Code {
            /// Every code, in order.
            pub const ALL: &'static [Code] = &[$(Code::$name),*];

            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text),* }
            }

            /// What the code means, in a few words; the heading of its page.
            pub fn title(self) -> &'static str {
                match self { $(Code::$name => $title),* }
            }
        }
    };
}

codes! {
    ProjectNotFound = "K1001", "No dbt_project.yml found";
    YamlSyntax = "K1002", "A YAML file cannot be read";
    YamlShape = "K1003", "A YAML file has an unexpected shape";
    UnknownKey = "K1004", "A key is not known here";
    ProfileNotFound = "K1005", "The profile or target does not exist";
    ProfileInvalid = "K1006", "The profile cannot be used";
    PackageMissing = "K1007", "A package is not installed";
    FileUnreadable = "K1008", "A project file cannot be read";
    VarsInvalid = "K1009", "The variables given on the command line cannot be read";
    JinjaSyntax = "K1101", "A template cannot be parsed";
    JinjaRender = "K1102", "A template failed while it was rendered";
    JinjaBudget = "K1103", "A template used more than its budget of steps, depth, output or memory";
    CompilerError = "K1104", "The project raised a compiler error";
    UnknownRef = "K1201", "A ref() names a node that does not exist";
    DisabledRef = "K1202", "A ref() names a disabled node";
    UnknownSource = "K1203", "A source() is not declared";
    DuplicateName = "K1204", "Two resources share a name";
    Cycle = "K1205", "The graph has a cycle";
    UnknownMacro = "K1206", "A macro does not exist";
    PatchWithoutNode = "K1207", "A properties file describes something that does not exist";
    AmbiguousAlias = "K1208", "Two nodes would write the same relation";
    AccessDenied = "K1209", "A node may not be referenced from here";
    InvalidConfig = "K1301", "A config value is not valid";
    Unsupported = "K1302", "A feature of dbt that Kontiki does not support yet";
    ContractInvalid = "K1303", "A model contract cannot be enforced";
    UnitTestInvalid = "K1304", "A unit test cannot be run as it is written";
    LeftOut = "K1305", "A resource is not in the manifest";
    DeclarationInvalid = "K1306", "A declaration cannot be used";
    SelectorInvalid = "K1401", "A node selection cannot be understood";
    NothingSelected = "K1402", "The selection matches no node";
    SqlError = "K2001", "The warehouse refused the SQL";
    WarehouseUnavailable = "K2002", "The warehouse cannot be reached";
    WarehouseBusy = "K2003", "The warehouse is locked by another process";
    WarehouseConflict = "K2004", "The warehouse asked to retry";
    WarehouseResource = "K2005", "The warehouse ran out of a resource";
    Fenced = "K2006", "A newer attempt owns the relation";
    SeedInvalid = "K2007", "A seed file cannot be loaded";
    ContractBroken = "K2008", "A relation does not match its contract";
    SchemaChanged = "K2009", "The columns of an incremental model changed";
    LibraryMissing = "K2010", "The DuckDB library cannot be loaded";
    TestFailed = "K2011", "A data test found failures";
    UnitTestFailed = "K2012", "A model gave other rows than its unit test expects";
    SourceStale = "K2013", "A source is older than it may be";
    Canceled = "K2101", "The run was canceled";
    Timeout = "K2102", "A task ran out of time";
    WorkerLost = "K2103", "The worker stopped while it ran the task";
    Internal = "K2999", "A defect in Kontiki";
    StateCorrupt = "K3001", "The local state cannot be read";
    StateLocked = "K3002", "Another Kontiki process works on this project";
    NothingToRetry = "K3003", "There is no run to retry";
    Io = "K3004", "A file or folder cannot be written";
    Usage = "K3005", "The command line cannot be understood";
    ConfigUnknown = "K3006", "A setting is not known";
    ConfigInvalid = "K3007", "The configuration cannot be used";
    WorkerSetup = "K3008", "The worker cannot start";
    ServerSetup = "K3009", "The replica cannot start";
    ReplicaStopped = "K3010", "The replica stopped";
    TelemetrySetup = "K3011", "Telemetry cannot be sent";
    ClusterUnavailable = "K4001", "No replica of the cluster answers";
    ClusterRefused = "K4002", "The cluster refused the request";
    ClusterNotFound = "K4003", "The cluster has no such thing";
    BundleDiffers = "K4004", "A worker reads the project differently than the scheduler";
    OneWriter = "K4005", "Several workers would write one DuckDB file";
    ClusterMixedUp = "K4006", "Replicas of two clusters are mixed up";
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    /// A code that only a newer version knows reads as [`Code::Internal`].
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Ok(Self::ALL.iter().copied().find(|code| code.as_str() == text).unwrap_or(Self::Internal))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Diagnostic {
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, code, message: message.into(), location: None, hint: None }
    }

    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    pub fn at(mut self, location: Location) -> Self {
        self.location = Some(location);
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl Location {
    /// A place without a line, for findings about a whole file.
    pub fn file(file: impl Into<Arc<str>>) -> Self {
        Self { file: file.into(), ..Self::default() }
    }

    /// A place in `text`; picks the source line out of it. `line` and `column` count from 1.
    pub fn in_text(file: impl Into<Arc<str>>, text: &str, line: u32, column: u32) -> Self {
        let source_line = (line > 0).then(|| text.lines().nth(line as usize - 1).map(str::to_owned)).flatten();
        Self { file: file.into(), line, column, source_line }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, "{label}[{}]: {}", self.code, self.message)?;
        if let Some(location) = &self.location {
            write!(f, "\n  --> {}", location.file)?;
            if location.line > 0 {
                write!(f, ":{}", location.line)?;
                if location.column > 0 {
                    write!(f, ":{}", location.column)?;
                }
            }
            if let Some(line) = &location.source_line {
                let (line, column) = excerpt(line, location.column as usize);
                let number = location.line.to_string();
                let pad = " ".repeat(number.len());
                write!(f, "\n {pad} |\n {number} | {line}")?;
                if column > 0 {
                    let indent: String =
                        line.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
                    write!(f, "\n {pad} | {indent}^")?;
                }
            }
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

/// The part of a line around its column, and where the column is in that part: generated files have lines of megabytes.
fn excerpt(line: &str, column: usize) -> (std::borrow::Cow<'_, str>, usize) {
    const CHARS_MAX: usize = 200;
    const CHARS_BEFORE: usize = 80;
    if line.len() <= CHARS_MAX {
        return (line.into(), column);
    }
    let skipped = column.saturating_sub(CHARS_BEFORE + 1);
    let mut rest = line.chars().skip(skipped);
    let part: String = rest.by_ref().take(CHARS_MAX).collect();
    let (before, after) = (if skipped > 0 { "…" } else { "" }, if rest.next().is_some() { "…" } else { "" });
    let shift = if skipped > 0 { skipped - 1 } else { 0 };
    (format!("{before}{part}{after}").into(), column.saturating_sub(shift))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_shown_around_the_column() {
        let text = format!("{}^{}", "a".repeat(1_000), "b".repeat(1_000));
        let shown =
            Diagnostic::error(Code::JinjaSyntax, "odd").at(Location::in_text("m.sql", &text, 1, 1_001)).to_string();
        let lines: Vec<&str> = shown.lines().collect();
        let (line, marker) = (lines[3], lines[4]);
        assert_eq!(line, format!(" 1 | …{}^{}…", "a".repeat(80), "b".repeat(119)));
        assert_eq!(line.chars().position(|c| c == '^'), marker.chars().position(|c| c == '^'));
    }

    #[test]
    fn shows_code_place_line_and_hint() {
        let text = "select *\nfrom {{ ref('ordrs') }}\n";
        let diagnostic = Diagnostic::error(Code::UnknownRef, "model 'a' depends on 'ordrs', which does not exist")
            .at(Location::in_text("models/a.sql", text, 2, 9))
            .hint("did you mean 'orders'?");
        assert_eq!(
            diagnostic.to_string(),
            "error[K1201]: model 'a' depends on 'ordrs', which does not exist\n  --> models/a.sql:2:9\n   |\n 2 | from {{ \
             ref('ordrs') }}\n   |         ^\n  hint: did you mean 'orders'?"
        );
    }

    #[test]
    fn codes_are_unique() {
        let mut codes: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Code::ALL.len());
    }
}
