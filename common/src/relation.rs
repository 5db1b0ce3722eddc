//! What a warehouse stores under a name.

use serde::{Deserialize, Serialize};

/// The kind of a relation, in dbt's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RelationType {
    Table,
    View,
    Cte,
    MaterializedView,
    External,
}

impl RelationType {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::View => "view",
            Self::Cte => "cte",
            Self::MaterializedView => "materialized_view",
            Self::External => "external",
        }
    }
}

/// Which parts of a name are put between quotes when it is rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Quoting {
    pub database: bool,
    pub schema: bool,
    pub identifier: bool,
}

impl Default for Quoting {
    /// Everything quoted, as dbt does on DuckDB and PostgreSQL.
    fn default() -> Self {
        Self { database: true, schema: true, identifier: true }
    }
}

/// `database.schema.identifier`, and what it is if that is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Relation {
    pub database: Option<String>,
    pub schema: Option<String>,
    pub identifier: Option<String>,
    pub relation_type: Option<RelationType>,
    pub quoting: Quoting,
}

impl Relation {
    pub fn new(database: impl Into<String>, schema: impl Into<String>, identifier: impl Into<String>) -> Self {
        Self {
            database: Some(database.into()),
            schema: Some(schema.into()),
            identifier: Some(identifier.into()),
            relation_type: None,
            quoting: Quoting::default(),
        }
    }

    pub fn with_type(mut self, relation_type: RelationType) -> Self {
        self.relation_type = Some(relation_type);
        self
    }

    pub fn with_identifier(mut self, identifier: impl Into<String>) -> Self {
        self.identifier = Some(identifier.into());
        self
    }

    /// As SQL, with the quotes that `quoting` asks for; quotes inside a quoted name are doubled.
    pub fn render(&self) -> String {
        let parts = [
            (&self.database, self.quoting.database),
            (&self.schema, self.quoting.schema),
            (&self.identifier, self.quoting.identifier),
        ];
        let rendered: Vec<String> = parts
            .into_iter()
            .filter_map(|(name, quoted)| {
                let name = name.as_ref()?;
                Some(if quoted { quote_identifier(name) } else { name.clone() })
            })
            .collect();
        rendered.join(".")
    }
}

impl std::fmt::Display for Relation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.render())
    }
}

/// Standard SQL quoting, which DuckDB and PostgreSQL share: `a"b` becomes `"a""b"`.
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A SQL string literal: `it's` becomes `'it''s'`.
pub fn quote_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
