//! A unit test: the rows that stand for a model's inputs, and the rows that the model must make of them.
//!
//! Invariant: rows are here as dbt has them after parsing: what a CSV or a file gave is part of them, and a worker needs no file to
//! run the test.

use serde::{Deserialize, Serialize};

use crate::{Json, JsonMap, NodeId};

/// What only unit tests have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnitTest {
    /// The tested model, as written.
    pub model: String,
    pub given: Vec<Given>,
    pub expect: Fixture,
    pub overrides: Option<Overrides>,
    /// Which versions of the model are tested; all where it is not given.
    pub versions: Option<TestedVersions>,
    /// The version of the model that this test is about.
    #[serde(with = "crate::json_codec::option")]
    pub version: Option<Json>,
    /// Changes when anything but the description does.
    pub checksum: String,
}

/// Rows in the place of one input of the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Given {
    /// `ref('…')`, `source('…', '…')` or `this`, as written.
    pub input: String,
    /// What that is; `None` where there is no such node, which fails the test when it runs.
    pub node: Option<NodeId>,
    pub fixture: Fixture,
}

/// Rows given by hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fixture {
    pub format: FixtureFormat,
    pub rows: FixtureRows,
    /// The file they were read from, by its name without suffix.
    pub file: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FixtureFormat {
    #[default]
    Dict,
    Csv,
    Sql,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum FixtureRows {
    /// Columns by name; a column that a row does not name is null.
    Table(#[serde(with = "crate::json_codec::maps")] Vec<JsonMap>),
    /// A query.
    Sql(String),
}

/// What the model's templates see instead of what is there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Overrides {
    /// By name or `package.name`: what a macro returns.
    #[serde(with = "crate::json_codec::map")]
    pub macros: JsonMap,
    #[serde(with = "crate::json_codec::map")]
    pub vars: JsonMap,
    #[serde(with = "crate::json_codec::map")]
    pub env_vars: JsonMap,
}

/// `versions:` of a unit test.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TestedVersions {
    #[serde(with = "crate::json_codec::option_list")]
    pub include: Option<Vec<Json>>,
    #[serde(with = "crate::json_codec::option_list")]
    pub exclude: Option<Vec<Json>>,
}

impl UnitTest {
    /// The name with the version it is about, as lines and selectors show it.
    pub fn versioned_name(&self, name: &str) -> String {
        match &self.version {
            Some(Json::String(version)) => format!("{name}_v{version}"),
            Some(version) => format!("{name}_v{version}"),
            None => name.to_owned(),
        }
    }
}

impl Given {
    /// Whether the rows stand for what the model built before.
    pub fn is_this(&self) -> bool {
        self.input.trim() == "this"
    }
}

impl FixtureFormat {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dict => "dict",
            Self::Csv => "csv",
            Self::Sql => "sql",
        }
    }
}
