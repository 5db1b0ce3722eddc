//! Seeds: read the file, infer its types as dbt does, load it, publish.

use std::path::PathBuf;

use common::relation::RelationType;
use common::target::AdapterType;
use dbt::compile::Session;

use super::publish::Approach;
use super::{Attempt, hook};
use crate::failure::Result;
use crate::materialize::seed::{Load, Seeding, plan, rows_into};
use crate::materialize::{Request, ignored, should_full_refresh};
use crate::seed::{File, Options};
use crate::trace::Scope;

impl Attempt<'_> {
    pub(super) fn seed(&mut self, session: &mut Session<'_>) -> Result<()> {
        let node = self.node;
        let target = node.relation(self.run.manifest().quoting);
        let path = self.seed_path();
        let options = Options::of(node);
        let file = File::read(&path, &node.original_file_path, &options)?;
        let Approach::Open { existing } = self.approach(&target)? else {
            return self.run_outside(session, &node.config.post_hook);
        };
        let request = Request {
            node,
            target: &target,
            existing: existing.as_ref(),
            sql: "",
            dialect: self.adapter.kind(),
            full_refresh: should_full_refresh(node, self.run.options.full_refresh),
            builder: self.builder(),
            columns: &[],
            held_grants: &[],
            batch: None,
        };
        let seeding = Seeding::of(&request)?;
        self.warn(&ignored::warnings(&request, false)?);
        self.run_outside(session, &node.config.pre_hook)?;
        let before = hook::render(session, &node.config.pre_hook, true)?;

        let columns = file.columns();
        let copies = request.dialect == AdapterType::Duckdb && options.fast && !file.is_empty();
        let load = if copies {
            Load::Copy { path: &path, delimiter: &options.delimiter }
        } else {
            Load::Rows { into: rows_into(&request, seeding) }
        };
        let plan = plan(&request, seeding, &columns, &load)?;
        self.write_run(&plan.run_sql())?;
        let response = Seeding::response(&request, file.rows());
        let loaded = self.stage(&plan, None).and_then(|_| match &load {
            Load::Copy { .. } => Ok(()),
            Load::Rows { into } => {
                let mut rows = file.values();
                let _scope = Scope::step("load");
                self.adapter.connection()?.load(into, &columns, &mut rows)?;
                Ok(())
            }
        });
        // Rows are in place before the publication begins; hooks of its transaction come before all of its statements.
        let mut publication = plan.clone();
        publication.staging.clear();
        let publication = publication.after_hooks(before);
        let published =
            loaded.and_then(|()| self.publish(session, &publication, &target, &node.config.post_hook, Some(response)));
        self.tidy(&plan, published.is_err());
        let response = published.map_err(|failure| file.blame(failure))?;
        self.run.built(&target, RelationType::Table);
        self.collect(&target);
        self.respond(response);
        self.run_outside(session, &node.config.post_hook)
    }

    /// Packages have their seeds below their own root.
    fn seed_path(&self) -> PathBuf {
        let root =
            self.run.manifest().packages.get(&self.node.package_name).map_or("", |package| package.root.as_str());
        self.run.project_root.join(root).join(&self.node.original_file_path)
    }
}
