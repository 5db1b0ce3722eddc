//! `target/compiled` and `target/run`: the SQL of each node, for people to read.

use std::fs;
use std::path::{Path, PathBuf};

use common::diagnostic::Code;
use common::manifest::Node;

use super::Attempt;
use crate::failure::{Failure, Result};
use crate::run::Artifacts;

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
        self.write("run", sql)
    }

    /// Where the compiled SQL is, for messages; `None` where it is not kept.
    pub(super) fn compiled_path(&self) -> Option<String> {
        let Artifacts::Write { target_path } = &self.run.artifacts else { return None };
        let folder = target_path.strip_prefix(&self.run.project_root).unwrap_or(target_path);
        Some(path(&folder.join("compiled"), self.node).display().to_string())
    }

    fn write(&self, folder: &str, sql: &str) -> Result<()> {
        let Artifacts::Write { target_path } = &self.run.artifacts else { return Ok(()) };
        let path = path(&target_path.join(folder), self.node);
        let written = match path.parent() {
            Some(parent) => fs::create_dir_all(parent).and_then(|()| fs::write(&path, sql)),
            None => fs::write(&path, sql),
        };
        written.map_err(|error| Failure::system(Code::Io, format!("cannot write {}: {error}", path.display())))
    }
}

/// dbt's place for a node: its file, or, where a file declares many nodes, a folder of that name.
fn path(root: &Path, node: &Node) -> PathBuf {
    let package = root.join(&node.package_name);
    let file = Path::new(&node.original_file_path);
    if file.file_name() == Path::new(&node.path).file_name() {
        package.join(file)
    } else {
        package.join(file).join(&node.path)
    }
}
