//! Compiling a unit test: the model's own code, over CTEs of the rows that are given for its inputs.

use common::NodeId;
use common::manifest::{Node, ResourceType};
use common::node_config::{Materialization, NodeConfig};
use common::unit_test::{FixtureRows, Given, UnitTest};

use super::values;
use super::{Error, ExtraCte, Session};
use crate::context::parsing::error_of;
use crate::context::rendering::raise;
use crate::context::unit_test::{cte_name, override_macros, restore_macros, this};
use crate::jinja::value::Value;

impl Session<'_> {
    /// The model's code, with what the test overrides.
    pub(super) fn unit_test_code(&mut self, test: &UnitTest) -> Result<String, Error> {
        if let Some(given) = test.given.iter().find(|given| given.node.is_none()) {
            let (name, input) = (&self.node.name, &given.input);
            let message = format!("Unit test '{name}' had an input ({input}) which was not found in the manifest.");
            return Err(self.located(error_of(raise(message))));
        }
        // As in dbt, the rows of what was built before come along whether the code asks for them or not.
        this(&self.context);
        override_macros(&self.context);
        let code = self.node.raw_code.clone();
        let rendered = self.render(&code);
        restore_macros(&self.context);
        rendered
    }

    /// The rows that the code just rendered needs, as CTEs.
    pub(super) fn fixtures(&self, test: &UnitTest) -> Result<Vec<ExtraCte>, Error> {
        let wanted = self.context.ephemeral.take();
        let given = |id: &NodeId| test.given.iter().rfind(|given| given.node.as_ref() == Some(id));
        wanted.iter().filter_map(|id| self.fixture(id, given(id)?)).collect()
    }

    /// None where the manifest has no such node, which no reference leads to.
    fn fixture(&self, id: &NodeId, given: &Given) -> Option<Result<ExtraCte, Error>> {
        let node = self.stand_in(id)?;
        let name = cte_name(self.compiler.manifest(), id)?;
        let mut session = self.compiler.session_for(node, self.adapter.clone());
        let sql = match &given.fixture.rows {
            FixtureRows::Sql(query) => session.render(query),
            FixtureRows::Table(rows) => {
                let arguments = vec![(None, values::rows(rows)), (None, Value::None)];
                session.call_macro("get_fixture_sql", arguments).map(|sql| values::text(&sql))
            }
        };
        Some(sql.map(|sql| ExtraCte { id: id.clone(), sql: format!(" __dbt__cte__{name} as (\n{sql}\n)") }))
    }

    /// The node in whose name the rows are made: it stands where the input does, since its types are those of the rows.
    fn stand_in(&self, id: &NodeId) -> Option<Node> {
        let manifest = self.compiler.manifest();
        let config = NodeConfig { materialized: Materialization::Ephemeral, ..NodeConfig::default() };
        let stand_in = |name: &str, package: &str| Node {
            package_name: package.to_owned(),
            original_file_path: self.node.original_file_path.clone(),
            config,
            ..Node::new(id.clone(), name, ResourceType::Model)
        };
        if let Some(node) = manifest.nodes.get(id) {
            return Some(Node {
                database: node.database.clone(),
                schema: node.schema.clone(),
                alias: node.alias.clone(),
                ..stand_in(&node.name, &node.package_name)
            });
        }
        let source = manifest.sources.get(id)?;
        Some(Node {
            database: source.database.clone().unwrap_or_default(),
            schema: source.schema.clone(),
            alias: source.identifier.clone(),
            ..stand_in(&source.name, &source.package_name)
        })
    }
}
