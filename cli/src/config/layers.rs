//! The layers, the highest of which decides.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use common::Diagnostic;
use common::diagnostic::{Code, Location};
use dbt::resolve::suggest::nearest;

use super::SECTIONS;
use super::environment::{stray, variable};
use super::file::{self, File};
use super::section::Section;
use super::value::{Raw, Value};

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    Default,
    File(Location),
    Environment(String),
    Flag(String),
}

/// One setting as it is in force.
#[derive(Clone, Debug)]
pub struct Effective {
    pub key: &'static str,
    /// As TOML; `None` where it is absent.
    pub value: Option<String>,
    pub origin: Origin,
}

/// Everything that may say something about a setting.
#[derive(Debug, Default)]
pub struct Layers {
    file: File,
    env: BTreeMap<String, String>,
    flags: BTreeMap<(&'static str, &'static str), String>,
    effective: BTreeMap<(&'static str, &'static str), Effective>,
    findings: Vec<Diagnostic>,
}

impl Layers {
    pub fn new(path: Option<&Path>, env: BTreeMap<String, String>) -> Self {
        let mut findings = Vec::new();
        let file = path.map(|path| file::read(path, &mut findings)).unwrap_or_default();
        let mut layers = Self { file, env, findings, ..Self::default() };
        layers.find_unknown();
        layers
    }

    /// Puts flags on top.
    pub fn flags<'a, S: Section>(&mut self, values: impl IntoIterator<Item = (&'a &'static str, &'a String)>) {
        self.flags.extend(values.into_iter().map(|(key, value)| ((S::NAME, *key), value.clone())));
    }

    pub fn read<S: Section>(&mut self) -> S {
        S::read(self)
    }

    /// What is wrong so far.
    pub fn take_findings(&mut self) -> Vec<Diagnostic> {
        std::mem::take(&mut self.findings)
    }

    /// A setting that was read.
    pub fn effective(&self, section: &'static str, key: &'static str) -> Option<&Effective> {
        self.effective.get(&(section, key))
    }

    /// The value of one setting.
    pub fn take<T: Value>(&mut self, section: &'static str, key: &'static str, default: &'static str) -> T {
        let fallback = || T::from_text(default).expect("the default of a setting is a value of its type");
        let (raw, origin) = self.highest(section, key);
        let value = match raw.map_or_else(|| Ok(fallback()), |raw| T::from_raw(&raw)) {
            Ok(value) => value,
            Err(problem) => {
                self.findings.push(origin.finding(section, key, &problem));
                fallback()
            }
        };
        self.effective.insert((section, key), Effective { key, value: value.to_toml(), origin });
        value
    }

    fn highest(&self, section: &'static str, key: &'static str) -> (Option<Raw>, Origin) {
        if let Some(text) = self.flags.get(&(section, key)) {
            return (Some(Raw::Text(text.clone())), Origin::Flag(format!("--{key}")));
        }
        let name = variable(section, key);
        if let Some(text) = self.env.get(&name) {
            return (Some(Raw::Text(text.clone())), Origin::Environment(name));
        }
        match self.file.sections.get(section).and_then(|(_, entries)| entries.get(key)) {
            Some(entry) => (Some(entry.value.clone()), Origin::File(entry.location.clone())),
            None => (None, Origin::Default),
        }
    }

    /// Sections, keys and variables that nobody would ever ask for.
    fn find_unknown(&mut self) {
        let keys = |name: &str| SECTIONS.iter().find(|(section, _)| *section == name).map(|(_, settings)| *settings);
        let mut findings = Vec::new();
        for (section, (location, entries)) in &self.file.sections {
            let Some(settings) = keys(section) else {
                let message = format!("there is no section '{section}'");
                findings.push(unknown(&message, section, SECTIONS.iter().map(|(name, _)| *name)).at(location.clone()));
                continue;
            };
            for (key, entry) in entries.iter().filter(|(key, _)| settings.iter().all(|setting| setting.key != *key)) {
                let message = format!("there is no setting '{key}' in section '{section}'");
                let names = settings.iter().map(|setting| setting.key);
                findings.push(unknown(&message, key, names).at(entry.location.clone()));
            }
        }
        for name in self.env.keys() {
            let Some((section, key)) = stray(name) else { continue };
            let message = format!("the variable {name} stands for no setting of section '{section}'");
            let names = keys(section).unwrap_or_default().iter().map(|setting| setting.key);
            let nearest = nearest(&key, names).map(|key| format!("did you mean {}?", variable(section, key)));
            findings.push(Diagnostic { hint: nearest, ..Diagnostic::error(Code::ConfigUnknown, message) });
        }
        self.findings.extend(findings);
    }
}

fn unknown<'a>(message: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> Diagnostic {
    let hint = match nearest(name, known.clone()) {
        Some(nearest) => format!("did you mean '{nearest}'?"),
        None => format!("it may be: {}", known.collect::<Vec<_>>().join(", ")),
    };
    Diagnostic::error(Code::ConfigUnknown, message).hint(hint)
}

impl Origin {
    fn finding(&self, section: &str, key: &str, problem: &str) -> Diagnostic {
        let finding = |name: &str| Diagnostic::error(Code::ConfigInvalid, format!("{name}: {problem}"));
        match self {
            Self::Default => finding(&format!("{section}.{key}")),
            Self::File(location) => finding(&format!("{section}.{key}")).at(location.clone()),
            Self::Environment(name) | Self::Flag(name) => finding(name),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(location) => write!(f, "{}:{}", location.file, location.line),
            Self::Environment(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Effective {
    /// `lease = "10s"  # default`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{} = {value}  # {}", self.key, self.origin),
            None => write!(f, "# {} is not set", self.key),
        }
    }
}
