//! A generated dbt project of small view models in layers, some of them described and tested.
//!
//! Every model reads one model of the layer below and one of the first layer, so that the work of binding a view stays the same
//! however wide the project is. The same size always gives the same files.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Result;

const LAYERS: usize = 10;
/// Of the models of a layer, one in so many has a description, documented columns and two tests.
const DESCRIBED_EVERY: usize = 5;
const MACRO_EVERY: usize = 10;

/// Where the project connects to; read from the environment, as in many real profiles.
const PROFILES: &str = r#"bench:
  target: duckdb
  outputs:
    duckdb:
      type: duckdb
      path: "{{ env_var('BENCH_DUCKDB', 'bench.duckdb') }}"
      threads: 2
    postgres:
      type: postgres
      host: "{{ env_var('PGHOST', 'localhost') }}"
      port: "{{ env_var('PGPORT', '5432') | as_number }}"
      user: "{{ env_var('PGUSER', 'postgres') }}"
      password: ""
      dbname: "{{ env_var('PGDATABASE', 'bench') }}"
      schema: bench
      threads: 2
"#;

const SETTINGS: &str = "name: bench
version: \"1.0.0\"
profile: bench
models:
  bench:
    +materialized: view
";

const MACROS: &str = "{% macro doubled(column) %}{{ column }} * 2{% endmacro %}\n";

/// A project on disk.
pub struct Project {
    pub root: PathBuf,
    pub models: usize,
}

impl Project {
    /// Writes the project into a new folder.
    pub fn generate(root: &Path, models: usize) -> Result<Self> {
        if root.exists() {
            std::fs::remove_dir_all(root)?;
        }
        std::fs::create_dir_all(root.join("macros"))?;
        std::fs::write(root.join("dbt_project.yml"), SETTINGS)?;
        std::fs::write(root.join("profiles.yml"), PROFILES)?;
        std::fs::write(root.join("macros/doubled.sql"), MACROS)?;
        let project = Self { root: root.to_owned(), models };
        for layer in 0..LAYERS {
            project.write_layer(layer)?;
        }
        Ok(project)
    }

    /// A model in the middle of the graph, for `run --select`.
    pub fn one_model(&self) -> String {
        name(LAYERS / 2 * self.width())
    }

    /// A copy of the project's sources, so that two engines never share a target folder.
    pub fn copy(&self, root: &Path) -> Result<Self> {
        Self::generate(root, self.models)
    }

    fn width(&self) -> usize {
        self.models / LAYERS
    }

    fn write_layer(&self, layer: usize) -> Result<()> {
        let folder = self.root.join(format!("models/layer_{layer}"));
        std::fs::create_dir_all(&folder)?;
        let mut properties = String::from("version: 2\nmodels:\n");
        for position in 0..self.width() {
            let model = layer * self.width() + position;
            std::fs::write(folder.join(format!("{}.sql", name(model))), self.sql(model))?;
            if position % DESCRIBED_EVERY == 0 {
                let _ = write!(
                    properties,
                    "  - name: {}\n    description: Model {position} of layer {layer}.\n    columns:\n      - name: id\n        \
                     description: One for each row.\n        data_tests: [unique, not_null]\n      - name: amount\n",
                    name(model)
                );
            }
        }
        std::fs::write(folder.join("_models.yml"), properties)?;
        Ok(())
    }

    fn sql(&self, model: usize) -> String {
        let Some(below) = model.checked_sub(self.width()) else {
            return format!("select {model} as id, {} as amount, 'model {model}' as name\n", model * 3);
        };
        let base = (model * 7) % self.width();
        let amount = if model.is_multiple_of(MACRO_EVERY) { "{{ doubled('b.amount') }}" } else { "b.amount" };
        format!(
            "select a.id, a.amount + {amount} as amount, a.name\nfrom {{{{ ref('{}') }}}} as a\nleft join {{{{ ref('{}') }}}} as b \
             on a.id = b.id\n",
            name(below),
            name(base)
        )
    }
}

fn name(model: usize) -> String {
    format!("model_{model:05}")
}
