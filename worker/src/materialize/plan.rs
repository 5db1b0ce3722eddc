//! What a materialization does, in order.

use common::RelationType;

use crate::warehouse::{Statement, script};

/// Statements before, in and after the publication.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Each a transaction of its own. At most one statement of the whole plan is `main`.
    pub staging: Vec<Statement>,
    pub publication: Vec<Statement>,
    /// Run after the publication, and after a failure; failures here are not the node's.
    pub cleanup: Vec<String>,
    /// Run after a failure only.
    pub abandon: Vec<String>,
}

impl Plan {
    /// Puts hooks of the model's own transaction before it. They move the build into the transaction, since the model's SQL may use
    /// what they make: dbt, too, runs them all in one transaction.
    pub fn after_hooks(mut self, before: Vec<String>) -> Self {
        if !before.is_empty() {
            let mut statements: Vec<Statement> = before.into_iter().map(other).collect();
            statements.append(&mut self.staging);
            statements.append(&mut self.publication);
            self.publication = statements;
        }
        self
    }

    /// Whether all there is to do is to put a view where nothing or a view stands: quick, and known beforehand to answer the same
    /// whatever happens, so that several such plans may share a transaction.
    pub fn only_replaces_a_view(&self) -> bool {
        let is_alone = self.staging.is_empty() && self.cleanup.is_empty() && self.abandon.is_empty();
        let mut views = 0;
        let all_light = self.publication.iter().all(|statement| match statement {
            Statement::ReplaceView { target, sql } => {
                views += 1;
                matches!(target.relation_type, None | Some(RelationType::View)) && script::split(sql).len() == 1
            }
            Statement::Sql { main, .. } => !main,
            Statement::Swap { .. } => false,
        });
        is_alone && all_light && views == 1
    }

    /// The text that dbt would keep under `target/run`: what builds and fills the relation.
    pub fn run_sql(&self) -> String {
        let statements: Vec<String> = self
            .staging
            .iter()
            .chain(&self.publication)
            .filter_map(|statement| match statement {
                Statement::Sql { sql, .. } => Some(sql.trim_end().trim_end_matches(';').to_owned()),
                Statement::ReplaceView { target, sql } => Some(format!("create view {target} as (\n{sql}\n)")),
                Statement::Swap { .. } => None,
            })
            .collect();
        let mut text = statements.join(";\n");
        text.push_str(";\n");
        text
    }
}

/// A statement whose response is the node's.
pub(super) fn main(sql: String) -> Statement {
    Statement::Sql { sql, main: true }
}

/// Any other statement.
pub(super) fn other(sql: String) -> Statement {
    Statement::Sql { sql, main: false }
}
