//! The methods of node selection: what a criterion's value is compared with.
//!
//! Source: dbt's reference, "Node selector methods".

mod config;
mod fqn;
mod path;
mod version;

use std::collections::{BTreeMap, BTreeSet};

use common::diagnostic::Code;
use common::manifest::ResourceType;
use common::{Diagnostic, Json, Manifest, NodeId};

use super::fnmatch::fnmatch;
use super::member::Member;
use super::spec::{Criterion, Method};
use crate::graph::Graph;

/// Where criteria are searched.
#[derive(Clone, Copy)]
pub struct Catalog<'a> {
    pub manifest: &'a Manifest,
    pub graph: &'a Graph,
    /// Statuses of an earlier run, for `result:`.
    pub results: Option<&'a BTreeMap<NodeId, String>>,
}

impl<'a> Catalog<'a> {
    pub fn members(self) -> impl Iterator<Item = (&'a NodeId, Member<'a>)> {
        self.graph.nodes().filter_map(move |id| Some((id, Member::of(self.manifest, id)?)))
    }

    /// The members a criterion names itself, without relatives and tests.
    pub fn search(self, criterion: &Criterion) -> Result<BTreeSet<NodeId>, Box<Diagnostic>> {
        let value = text(&criterion.value);
        let matches = self.matcher(criterion, &value).map_err(|problem| match problem {
            Problem::Invalid(message) => Box::new(Diagnostic::error(Code::SelectorInvalid, message)),
            Problem::Unsupported(message) => Box::new(Diagnostic::error(Code::Unsupported, message)),
        })?;
        Ok(self.members().filter(|(id, member)| matches(id, *member)).map(|(id, _)| id.clone()).collect())
    }

    fn matcher<'c>(self, criterion: &'c Criterion, value: &'c str) -> Result<Matcher<'c>, Problem>
    where
        'a: 'c,
    {
        Ok(match criterion.method {
            Method::Fqn => Box::new(move |_, member| fqn::matches(member, value)),
            Method::Tag => Box::new(move |_, member| member.tags().iter().any(|tag| fnmatch(tag, value))),
            Method::Group => Box::new(move |_, member| group(member).is_some_and(|group| fnmatch(group, value))),
            Method::Access => Box::new(move |_, member| {
                member.as_node().and_then(|node| node.model.as_ref()).is_some_and(|model| model.access == value)
            }),
            Method::Source => source(value)?,
            Method::Exposure => exposure(value)?,
            Method::Path => path::matcher(self, value),
            Method::File => Box::new(move |_, member| path::is_file(member.original_file_path(), value)),
            Method::Package => {
                let package = if value == "this" { self.manifest.project_name.as_str() } else { value };
                Box::new(move |_, member| fnmatch(member.package_name(), package))
            }
            Method::Config => {
                Box::new(move |_, member| config::matches(member, &criterion.arguments, &criterion.value))
            }
            Method::TestName => Box::new(move |_, member| {
                if member.resource_type() == ResourceType::UnitTest {
                    return member.as_node().is_some_and(|node| fnmatch(&node.name, value));
                }
                let test = member.as_node().and_then(|node| node.test.as_ref()).and_then(|test| test.metadata.as_ref());
                test.is_some_and(|test| fnmatch(&test.name, value))
            }),
            Method::TestType => test_type(value)?,
            Method::ResourceType => {
                let wanted = resource_type(value)?;
                Box::new(move |_, member| Some(member.resource_type()) == wanted)
            }
            Method::Version => version::matcher(value)?,
            Method::Result => {
                let results = self.results.ok_or_else(|| {
                    Problem::Invalid(
                        "'result:' needs the results of an earlier run: name their folder with --state".to_owned(),
                    )
                })?;
                Box::new(move |id, _| results.get(id).is_some_and(|status| status == value))
            }
            Method::State => {
                return Err(Problem::Unsupported("the selector method 'state' is not supported".to_owned()));
            }
            Method::SourceStatus => {
                return Err(Problem::Unsupported("the selector method 'source_status' is not supported".to_owned()));
            }
            Method::UnitTest => unit_test(value)?,
            // A manifest of ours holds none of these: the parse has warned of each by name.
            Method::Metric | Method::SemanticModel | Method::SavedQuery => Box::new(|_, _| false),
        })
    }
}

/// Whether a member is meant.
type Matcher<'a> = Box<dyn Fn(&NodeId, Member<'_>) -> bool + 'a>;

/// Why a criterion cannot be searched.
enum Problem {
    Invalid(String),
    Unsupported(String),
}

/// The value as text; YAML selectors may hold other scalars.
fn text(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn group<'a>(member: Member<'a>) -> Option<&'a str> {
    let node = member.as_node()?;
    node.config.group.as_deref().or_else(|| node.model.as_ref()?.group.as_deref())
}

/// `source`, `source.table` or `package.source.table`, each part a pattern.
fn source(value: &str) -> Result<Matcher<'_>, Problem> {
    let parts: Vec<&str> = value.split('.').collect();
    let (package, source, table) = match parts.as_slice() {
        [source] => ("*", *source, "*"),
        [source, table] => ("*", *source, *table),
        [package, source, table] => (*package, *source, *table),
        _ => {
            let form = "${source_name}, ${source_name}.${table_name} or ${package_name}.${source_name}.${table_name}";
            return Err(Problem::Invalid(format!(
                "invalid source selector value '{value}': sources must be of the form {form}"
            )));
        }
    };
    Ok(Box::new(move |_, member| {
        member.as_source().is_some_and(|found| {
            fnmatch(&found.package_name, package) && fnmatch(&found.source_name, source) && fnmatch(&found.name, table)
        })
    }))
}

/// `exposure` or `package.exposure`, each part a pattern.
fn exposure(value: &str) -> Result<Matcher<'_>, Problem> {
    let (package, name) = in_package(value, "exposure", "${exposure_name} or ${package_name}.${exposure_name}")?;
    Ok(Box::new(move |_, member| {
        member.as_exposure().is_some_and(|found| fnmatch(&found.package_name, package) && fnmatch(&found.name, name))
    }))
}

/// `unit_test` or `package.unit_test`, each part a pattern.
fn unit_test(value: &str) -> Result<Matcher<'_>, Problem> {
    let form = "${unit_test_name} or ${unit_test_package_name.unit_test_name}";
    let (package, name) = in_package(value, "unit test", form)?;
    Ok(Box::new(move |_, member| {
        let is_meant = |node: &common::manifest::Node| {
            node.unit_test.is_some() && fnmatch(&node.package_name, package) && fnmatch(&node.name, name)
        };
        member.as_node().is_some_and(is_meant)
    }))
}

/// The parts of `name` or `package.name`; any package where there is none.
fn in_package<'v>(value: &'v str, kind: &str, form: &str) -> Result<(&'v str, &'v str), Problem> {
    match *value.split('.').collect::<Vec<_>>() {
        [name] => Ok(("*", name)),
        [package, name] => Ok((package, name)),
        _ => Err(Problem::Invalid(format!(
            "invalid {kind} selector value '{value}': {kind}s must be of the form {form}"
        ))),
    }
}

fn test_type(value: &str) -> Result<Matcher<'static>, Problem> {
    let (generic, singular) = match value {
        "generic" | "schema" => (true, false),
        "singular" => (false, true),
        "data" => (true, true),
        "unit" => return Ok(Box::new(|_, member| member.resource_type() == ResourceType::UnitTest)),
        _ => {
            return Err(Problem::Invalid(format!(
                "invalid test type '{value}': expected generic, singular, unit or data"
            )));
        }
    };
    Ok(Box::new(move |_, member| {
        let test = member.as_node().and_then(|node| node.test.as_ref());
        test.is_some_and(|test| if test.metadata.is_some() { generic } else { singular })
    }))
}

/// The resource type of that name; `None` for those that dbt knows and a manifest of ours cannot hold.
fn resource_type(value: &str) -> Result<Option<ResourceType>, Problem> {
    Ok(Some(match value {
        "model" => ResourceType::Model,
        "seed" => ResourceType::Seed,
        "snapshot" => ResourceType::Snapshot,
        "test" => ResourceType::Test,
        "analysis" => ResourceType::Analysis,
        "operation" => ResourceType::Operation,
        "sql_operation" => ResourceType::SqlOperation,
        "source" => ResourceType::Source,
        "exposure" => ResourceType::Exposure,
        "unit_test" => ResourceType::UnitTest,
        "metric" => ResourceType::Metric,
        "semantic_model" => ResourceType::SemanticModel,
        "saved_query" => ResourceType::SavedQuery,
        "macro" => ResourceType::Macro,
        "doc" => ResourceType::Doc,
        "group" => ResourceType::Group,
        "rpc" | "fixture" | "function" => return Ok(None),
        _ => return Err(Problem::Invalid(format!("invalid resource_type selector '{value}'"))),
    }))
}
