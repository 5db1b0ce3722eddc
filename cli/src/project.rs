//! From the command line to a parsed project: where it is, which profile it uses, what its files say.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::diagnostic::Code;
use common::target::{Connection, Target};
use common::telemetry::Context;
use common::{Diagnostic, JsonMap, Manifest, Timestamp};
use dbt::context::invocation::{BatchEvent, BatchStep};
use dbt::context::{Invocation, Yaml};
use dbt::files::ProjectFiles;
use dbt::parse::{Fingerprint, ParseOptions};
use dbt::profile::{Choice, Profile};
use dbt::project::{Project, RawProject};

use crate::args::Global;
use crate::console::{BatchLine, BatchState, Console, Event};

/// What every verb knows of this call of the program.
pub struct Call {
    pub global: Global,
    pub console: Console,
    pub verb: &'static str,
    pub invocation_id: String,
    pub started_at: Timestamp,
    /// `--vars`
    pub vars: Arc<JsonMap>,
    pub env: Arc<BTreeMap<String, String>>,
    /// Where `source freshness` writes, where somebody said.
    pub sources_path: Option<PathBuf>,
}

/// A project with its profile, before its files are read.
pub struct Opened {
    pub root: PathBuf,
    pub profiles_dir: PathBuf,
    pub project: Arc<Project>,
    pub target: Target,
    pub connection: Connection,
}

/// The verb cannot go on; what is wrong has been printed.
#[derive(Debug)]
pub struct Refused;

impl Call {
    /// The trace context of whoever called this program; pipelines tell by this variable.
    pub fn caller(&self) -> Option<String> {
        self.env.get("TRACEPARENT").cloned().filter(|text| Context::parse(text).is_some())
    }

    /// The folder with `dbt_project.yml`: the given one, or the nearest from here upwards.
    pub fn project_dir(&self) -> PathBuf {
        project_dir(&self.global)
    }

    pub fn profiles_dir(&self, project_dir: &Path) -> PathBuf {
        let current = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        let home = self.env.get("HOME").map(PathBuf::from);
        dbt::profile::find_dir(self.global.profiles_dir.as_deref(), &current, home.as_deref(), project_dir)
    }

    /// Where artifacts go.
    pub fn target_path(&self, opened: &Opened) -> PathBuf {
        match &self.global.target_path {
            Some(path) => opened.root.join(path),
            None => opened.root.join(&opened.project.paths.target),
        }
    }

    /// Reads `dbt_project.yml` and the profile.
    pub fn open(&self) -> Result<Opened, Refused> {
        let mut diagnostics = Vec::new();
        let opened = self.open_target(self.global.target.as_deref(), &mut diagnostics);
        self.report(&diagnostics)?;
        opened.ok_or(Refused)
    }

    fn open_target(&self, target: Option<&str>, diagnostics: &mut Vec<Diagnostic>) -> Option<Opened> {
        let root = self.project_dir();
        let profiles_dir = self.profiles_dir(&root);
        let raw = RawProject::load(&root, "", diagnostics)?;
        let invocation = self.invocation();
        let profile_context = Yaml::secret(invocation.clone());
        let render = |text: &str| profile_context.value(text);
        let choice = Choice {
            profiles_dir: profiles_dir.clone(),
            profile: self.global.profile.clone().or_else(|| rendered_text(&render, raw.profile()?)),
            target: target.map(str::to_owned),
            threads: self.global.threads,
        };
        let profile = dbt::profile::load(&choice, &render, diagnostics);
        let target = profile.as_ref().map(|profile| &profile.target);
        let project_context = Yaml::configuration(invocation, target.cloned());
        let render = |text: &str| project_context.value(text);
        let project = raw.render(&render, self.global.version_check(), diagnostics);
        let (Some(project), Some(Profile { target, connection, .. })) = (project, profile) else { return None };
        Some(Opened { root, profiles_dir, project: Arc::new(project), target, connection })
    }

    /// Another output of the project's profile, or what is wrong with it.
    pub fn other_target(&self, name: &str) -> Result<Target, Vec<Diagnostic>> {
        let mut diagnostics = Vec::new();
        let opened = self.open_target(Some(name), &mut diagnostics);
        opened.map(|opened| opened.target).ok_or(diagnostics)
    }

    /// The project and the packages it depends on, root first.
    pub fn packages(&self, opened: &Opened, diagnostics: &mut Vec<Diagnostic>) -> Vec<Arc<Project>> {
        let context = Yaml::configuration(self.invocation(), Some(opened.target.clone()));
        let render = |text: &str| context.value(text);
        dbt::packages::load(Arc::clone(&opened.project), &render, self.global.version_check(), diagnostics)
    }

    /// Parses the project and its packages.
    pub fn parse(&self, opened: &Opened) -> Result<(Arc<Manifest>, Option<Fingerprint>), Refused> {
        let mut diagnostics = Vec::new();
        let invocation = self.invocation();
        let context = Yaml::configuration(invocation, Some(opened.target.clone()));
        let render = |text: &str| context.value(text);
        let projects = self.packages(opened, &mut diagnostics);
        self.report(&diagnostics)?;
        let files = ProjectFiles::discover(projects, &mut diagnostics);
        let options = self.parse_options(opened);
        let parsed = dbt::parse(&files, &opened.target, &options);
        diagnostics.extend(parsed.diagnostics);
        let selectors = dbt::select::selectors::load(&opened.project, &render, &mut diagnostics);
        self.report(&diagnostics)?;
        Ok((Arc::new(Manifest { selectors, ..parsed.manifest }), parsed.fingerprint))
    }

    pub fn parse_options(&self, opened: &Opened) -> ParseOptions {
        ParseOptions {
            invocation: self.invocation(),
            cache: self.global.partial_parse().then(|| self.target_path(opened)),
        }
    }

    /// What templates see of this call.
    pub fn invocation(&self) -> Invocation {
        Invocation {
            vars: Arc::clone(&self.vars),
            env: Arc::clone(&self.env),
            verb: self.verb.to_owned(),
            invocation_id: self.invocation_id.clone(),
            run_started_at: self.started_at,
            output: Arc::new(TemplateOutput(self.console.clone())),
            ..Invocation::default()
        }
    }

    /// Prints findings; fails where one of them is an error, or a warning under `--warn-error`.
    pub fn report(&self, diagnostics: &[Diagnostic]) -> Result<(), Refused> {
        for diagnostic in diagnostics {
            self.console.emit(&Event::Diagnostic(diagnostic.clone()));
        }
        let fatal = |diagnostic: &Diagnostic| diagnostic.is_error() || self.global.warn_error;
        if diagnostics.iter().any(fatal) { Err(Refused) } else { Ok(()) }
    }

    /// Prints findings about a selection; what matches nothing is told in dbt's words.
    pub fn report_selection(&self, diagnostics: &[Diagnostic]) -> Result<(), Refused> {
        let (empty, others): (Vec<_>, Vec<_>) = diagnostics
            .iter()
            .cloned()
            .partition(|finding| finding.code == Code::NothingSelected && !self.global.warn_error);
        for finding in empty {
            self.console.emit(&Event::NothingMatches(finding.message));
        }
        self.report(&others)
    }

    pub fn refuse(&self, diagnostic: Diagnostic) -> Refused {
        self.console.emit(&Event::Diagnostic(diagnostic));
        Refused
    }

    /// For failures of the world around us: a full disk, a locked file.
    pub fn refuse_with(&self, code: Code, error: &dyn std::fmt::Display) -> Refused {
        self.refuse(Diagnostic::error(code, error.to_string()))
    }
}

fn project_dir(global: &Global) -> PathBuf {
    if let Some(dir) = &global.project_dir {
        return dir.canonicalize().unwrap_or_else(|_| dir.clone());
    }
    let current = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
    let nearest = current.ancestors().find(|dir| dir.join(dbt::project::FILE_NAME).is_file()).map(Path::to_owned);
    nearest.unwrap_or(current)
}

/// Where `dbt.log` goes; nowhere without a project, and nothing is said of a folder that cannot be written.
pub fn log_dir(global: &Global) -> Option<PathBuf> {
    let root = project_dir(global);
    match &global.log_path {
        // As dbt does, from the folder where the program was started.
        Some(path) => Some(path.clone()),
        None => root.join(dbt::project::FILE_NAME).is_file().then(|| root.join("logs")),
    }
}

fn rendered_text(render: &dyn Fn(&str) -> Result<common::Json, String>, text: &str) -> Option<String> {
    match render(text) {
        Ok(common::Json::String(text)) => Some(text),
        Ok(other) => Some(other.to_string()),
        Err(_) => Some(text.to_owned()),
    }
}

/// Templates print, log and warn through the console.
struct TemplateOutput(Console);

impl dbt::context::Output for TemplateOutput {
    fn print(&self, text: &str) {
        self.0.print(text);
    }

    fn log(&self, text: &str, info: bool) {
        self.0.emit(&if info { Event::Note(text.to_owned()) } else { Event::DebugNote(text.to_owned()) });
    }

    fn warn(&self, text: &str) {
        self.0.emit(&Event::Diagnostic(Diagnostic::warning(Code::CompilerError, text)));
    }

    fn batch(&self, event: &BatchEvent<'_>) {
        let step = match event.step {
            BatchStep::Started => BatchState::Started,
            BatchStep::Built(_) => BatchState::Built,
            BatchStep::Failed(message) => BatchState::Failed(message.to_owned()),
            BatchStep::Skipped => BatchState::Skipped,
        };
        self.0.emit(&Event::Batch(BatchLine {
            description: format!("batch {} of {}", event.name, event.relation),
            index: event.number,
            total: event.total,
            step,
            seconds: event.took.as_secs_f64(),
        }));
    }
}
