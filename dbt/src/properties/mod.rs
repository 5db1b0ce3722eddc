//! Properties files (`schema.yml` and the like), typed: what a project says about its resources beside their SQL.
//!
//! `read` renders one file's YAML where dbt renders it (see `late`), checks every entry and returns what it could understand
//! together with all findings. Invariants: nothing is dropped in silence (an unknown key gets a warning, a value of the wrong
//! shape an error); descriptions, test arguments and hooks are still templates, since dbt renders them later.

mod column;
mod entry;
mod exposure;
mod group;
mod late;
mod left_out;
mod macros;
mod model;
mod node;
mod source;
mod test_entry;
mod unit_test;

use common::Diagnostic;
use common::diagnostic::Code;

use crate::yaml::{self, Mapping, Node, Source, Value};

pub use column::ColumnProperties;
pub use exposure::ExposureProperties;
pub use group::GroupProperties;
pub use left_out::{LeftOutEntry, Section as LeftOutSection};
pub use macros::{ArgumentProperties, MacroProperties};
pub use model::{ModelProperties, VersionColumns, VersionProperties};
pub use node::NodeProperties;
pub use source::{SourceProperties, TableProperties};
pub use test_entry::TestEntry;
pub use unit_test::{FixtureProperties, GivenProperties, UnitTestProperties};

use entry::Section;

/// Everything one properties file declares, in the order it is written.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Properties {
    pub models: Vec<ModelProperties>,
    pub seeds: Vec<NodeProperties>,
    /// Those with a `relation` need no SQL file.
    pub snapshots: Vec<NodeProperties>,
    pub analyses: Vec<NodeProperties>,
    /// `data_tests:` at the top level: singular tests.
    pub data_tests: Vec<NodeProperties>,
    pub sources: Vec<SourceProperties>,
    pub macros: Vec<MacroProperties>,
    pub exposures: Vec<ExposureProperties>,
    pub groups: Vec<GroupProperties>,
    pub unit_tests: Vec<UnitTestProperties>,
    /// Entries of `metrics`, `semantic_models`, `saved_queries` and `functions`.
    pub left_out: Vec<LeftOutEntry>,
}

/// Reads the tree of one properties file. `template` renders a string in dbt's context for properties files.
pub fn read(
    source: &Source,
    root: &Node,
    template: &yaml::Render<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Properties {
    let mut properties = Properties::default();
    let sections = match &root.value {
        Value::Null => return properties,
        Value::Mapping(sections) => sections,
        _ => {
            diagnostics.push(
                Diagnostic::error(Code::YamlShape, format!("a properties file holds a mapping, not {}", root.kind()))
                    .at(source.at(root.span))
                    .hint("begin with a section such as 'models:' or 'sources:'"),
            );
            return properties;
        }
    };
    check_version(source, sections, diagnostics);
    for (key, entry) in sections.iter() {
        let mut section = Section { key, source, template, diagnostics };
        match key {
            "version" | "anchors" => {}
            "models" => properties.models = section.read(&entry.value, ModelProperties::read),
            "seeds" => properties.seeds = section.read(&entry.value, NodeProperties::read_seed),
            "snapshots" => properties.snapshots = section.read(&entry.value, NodeProperties::read_snapshot),
            "analyses" => properties.analyses = section.read(&entry.value, NodeProperties::read_analysis),
            "data_tests" => properties.data_tests = section.read(&entry.value, NodeProperties::read_singular_test),
            "sources" => properties.sources = section.read(&entry.value, SourceProperties::read),
            "macros" => properties.macros = section.read(&entry.value, MacroProperties::read),
            "exposures" => properties.exposures = section.read(&entry.value, ExposureProperties::read),
            "groups" => properties.groups = section.read(&entry.value, GroupProperties::read),
            "unit_tests" => properties.unit_tests = section.read(&entry.value, UnitTestProperties::read),
            _ => match left_out::Section::named(key) {
                Some(found) => properties.left_out.extend(left_out::read(found, &entry.value, &mut section)),
                None => {
                    let unknown = yaml::unknown_key(key, "a properties file", SECTIONS);
                    diagnostics.push(unknown.at(source.at(entry.key_span)));
                }
            },
        }
    }
    properties
}

const SECTIONS: &[&str] = &[
    "version",
    "models",
    "seeds",
    "snapshots",
    "analyses",
    "data_tests",
    "sources",
    "macros",
    "exposures",
    "groups",
    "unit_tests",
    "metrics",
    "semantic_models",
    "saved_queries",
    "functions",
    "anchors",
];

/// `version` is optional and without effect; dbt's documentation wants 2.
fn check_version(source: &Source, sections: &Mapping, diagnostics: &mut Vec<Diagnostic>) {
    let Some(version) = sections.get("version") else { return };
    if version.as_i64() != Some(2) {
        diagnostics.push(
            Diagnostic::warning(Code::YamlShape, "the version of a properties file must be 2")
                .at(source.at(version.span))
                .hint("write 'version: 2', or leave the key out"),
        );
    }
}

#[cfg(test)]
mod tests;
