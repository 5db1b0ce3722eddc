//! `target/compiled` and `target/run`: the SQL of each node, for people to read.

use std::path::{Path, PathBuf};

use common::diagnostic::Code;
use common::manifest::ResourceType;
use dbt::artifacts::{batch_path, sql_path};

use super::Attempt;
use crate::failure::{Failure, Result};
use crate::run::Artifacts;
use crate::transcript;

impl Attempt<'_> {
    /// Keeps what came out of the templates.
    pub(super) fn write_compiled(&self) -> Result<()> {
        match &self.result.compiled_code {
            Some(sql) => self.write("compiled", sql),
            None => Ok(()),
        }
    }

    /// Keeps what builds the node.
    pub(super) fn write_run(&self, sql: &str) -> Result<()> {
        transcript::keep_run_code(sql);
        self.write("run", sql)
    }

    /// Where the compiled SQL is, for messages; `None` where it is not kept.
    pub(super) fn compiled_path(&self) -> Option<String> {
        if self.node.resource_type == ResourceType::Source {
            return None;
        }
        let folder = match &self.run.artifacts {
            Artifacts::Skip => return None,
            // Whoever submitted the run writes it there.
            Artifacts::Report => Path::new("target"),
            Artifacts::Write { target_path } => target_path.strip_prefix(&self.run.project_root).unwrap_or(target_path),
        };
        Some(folder.join("compiled").join(self.sql_path()).display().to_string())
    }

    /// Each batch of a microbatch model has a file of its own.
    fn sql_path(&self) -> PathBuf {
        match &self.part {
            Some(part) => batch_path(self.node, &part.batch),
            None => sql_path(self.node),
        }
    }

    fn write(&self, folder: &str, sql: &str) -> Result<()> {
        let Artifacts::Write { target_path } = &self.run.artifacts else { return Ok(()) };
        let path = target_path.join(folder).join(self.sql_path());
        self.run
            .folders
            .write(&path, sql)
            .map_err(|error| Failure::system(Code::Io, format!("cannot write {}: {error}", path.display())))
    }
}
