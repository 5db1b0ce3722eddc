//! A selection before it meets a graph: criteria, combined by sets.

use common::Json;

/// How tests are selected by what they test. Source: dbt's reference, "Test selection examples".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IndirectSelection {
    /// Any tested node is selected.
    #[default]
    Eager,
    /// All tested nodes are selected.
    Cautious,
    /// All tested nodes are selected, or upstream of selected ones.
    Buildable,
    /// Never.
    Empty,
}

impl std::str::FromStr for IndirectSelection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "eager" => Ok(Self::Eager),
            "cautious" => Ok(Self::Cautious),
            "buildable" => Ok(Self::Buildable),
            "empty" => Ok(Self::Empty),
            _ => Err(format!("'{text}' is not an indirect selection: expected eager, cautious, buildable or empty")),
        }
    }
}

/// How nodes are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    Fqn,
    Tag,
    Group,
    Access,
    Source,
    Path,
    File,
    Package,
    Config,
    TestName,
    TestType,
    ResourceType,
    State,
    Exposure,
    Metric,
    Result,
    SourceStatus,
    Version,
    SemanticModel,
    SavedQuery,
    UnitTest,
}

impl Method {
    pub const ALL: &[(&str, Method)] = &[
        ("fqn", Self::Fqn),
        ("tag", Self::Tag),
        ("group", Self::Group),
        ("access", Self::Access),
        ("source", Self::Source),
        ("path", Self::Path),
        ("file", Self::File),
        ("package", Self::Package),
        ("config", Self::Config),
        ("test_name", Self::TestName),
        ("test_type", Self::TestType),
        ("resource_type", Self::ResourceType),
        ("state", Self::State),
        ("exposure", Self::Exposure),
        ("metric", Self::Metric),
        ("result", Self::Result),
        ("source_status", Self::SourceStatus),
        ("version", Self::Version),
        ("semantic_model", Self::SemanticModel),
        ("saved_query", Self::SavedQuery),
        ("unit_test", Self::UnitTest),
    ];

    pub fn named(name: &str) -> Result<Self, String> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, method)| *method).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|(name, _)| *name).collect();
            format!("'{name}' is not a valid method name; expected one of {}", known.join(", "))
        })
    }
}

/// One criterion: a method with its value, and which relatives come along.
#[derive(Clone, Debug, PartialEq)]
pub struct Criterion {
    pub method: Method,
    /// What follows the method after a dot: `materialized` of `config.materialized`.
    pub arguments: Vec<String>,
    /// Text, except in YAML selectors, where it may be any scalar.
    pub value: Json,
    /// `@`: descendants, and the ancestors of all of them.
    pub childrens_parents: bool,
    /// `+` in front; the inner value limits the steps.
    pub parents: Option<Option<usize>>,
    /// `+` behind; the inner value limits the steps.
    pub children: Option<Option<usize>>,
    pub indirect: IndirectSelection,
}

/// What combines the parts of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Union,
    Intersection,
    /// The first part without all others.
    Difference,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Spec {
    Criterion(Criterion),
    Group {
        operator: Operator,
        parts: Vec<Spec>,
        indirect: IndirectSelection,
        /// As written, where matching nothing is worth a warning.
        expected: Option<String>,
    },
}

impl Spec {
    pub fn group(operator: Operator, parts: Vec<Spec>) -> Self {
        Self::Group { operator, parts, indirect: IndirectSelection::default(), expected: None }
    }
}
