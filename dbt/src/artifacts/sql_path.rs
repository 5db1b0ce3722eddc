//! Where `target/compiled` and `target/run` have the SQL of a node.

use std::path::{Path, PathBuf};

use common::manifest::Node;
use common::microbatch::Batch;

use crate::parse::fqn::pseudo_test_path;

/// dbt's place for a node, below the folder: its file, or, where a file declares many nodes, a folder of that name.
pub fn sql_path(node: &Node) -> PathBuf {
    let package = Path::new(&node.package_name);
    let file = Path::new(&node.original_file_path);
    if node.unit_test.is_some() {
        // A test for each version of a model has a file of its own.
        package.join(file).join(pseudo_test_path(&node.alias, &node.original_file_path))
    } else if file.file_name() == Path::new(&node.path).file_name() {
        package.join(file)
    } else {
        package.join(file).join(&node.path)
    }
}

/// The place of one batch of a node: in a folder with the name of the node's file.
pub fn batch_path(node: &Node, batch: &Batch) -> PathBuf {
    let path = sql_path(node);
    let part =
        |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned()).unwrap_or_default();
    let (stem, extension) = (part(path.file_stem()), part(path.extension()));
    path.with_file_name(&stem).join(format!("{stem}_{}.{extension}", batch.name()))
}
