//! `dbt_project.yml`, typed: where a project's files are and how its resources are configured.
//!
//! Reading has two steps, because the profile that templates may ask for is named in this file: `RawProject::load` reads the
//! YAML, `RawProject::render` renders and types it. Invariants: a `Project` has a valid name and fits the version of dbt we stand
//! for; hooks, `vars` and `query-comment` are still as they were written, since dbt renders them later or never.

mod config_tree;
mod name;
mod paths;
mod raw;
mod version;

use std::path::PathBuf;

use common::JsonMap;
use common::manifest::QueryComment;
use common::node_config::QuotingOverride;

use crate::yaml::{Source, Span};

pub use config_tree::{ConfigTree, ConfigTrees};
pub use paths::Paths;
pub use raw::{FILE_NAME, RawProject};
pub use version::DBT_VERSION;

/// The query comment where `query-comment` is not given: a JSON object that names dbt, the target and the node.
pub const DEFAULT_QUERY_COMMENT: &str = "\
{%- set said_by = {'app': 'dbt', 'dbt_version': dbt_version, 'profile_name': target.profile_name, 'target_name': \
target.target_name} -%}
{%- set about = {'node_id': node.unique_id} if node else {'connection_name': connection_name} -%}
{{ return(tojson(dict(said_by, **about))) }}";

/// A project or package.
#[derive(Clone, Debug)]
pub struct Project {
    pub name: String,
    pub version: Option<String>,
    /// The folder of `dbt_project.yml`.
    pub dir: PathBuf,
    /// That folder relative to the root project, with `/` between components; empty for the root project itself.
    pub prefix: String,
    pub source: Source,
    pub profile: Option<String>,
    pub paths: Paths,
    /// As written: a variable is either global or under the name of a package.
    pub vars: JsonMap,
    pub configs: ConfigTrees,
    pub on_run_start: Vec<ProjectHook>,
    pub on_run_end: Vec<ProjectHook>,
    /// Macro namespaces and where their macros are searched, in order.
    pub dispatch: Vec<(String, Vec<String>)>,
    /// `None`: dbt's own comment.
    pub query_comment: Option<QueryComment>,
    pub quoting: QuotingOverride,
    pub restrict_access: bool,
    pub flags: JsonMap,
}

/// One statement of `on-run-start` or `on-run-end`, still a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectHook {
    pub sql: String,
    pub span: Span,
}

impl Project {
    /// A path of the project as diagnostics show it: relative to the root project.
    pub fn display_path(&self, path: &str) -> String {
        if self.prefix.is_empty() { path.to_owned() } else { format!("{}/{path}", self.prefix) }
    }
}

#[cfg(test)]
mod tests;
