//! The files that tools read after a run: `manifest.json` (v12), `run_results.json` (v6), `sources.json` (v3).
//!
//! Source: the JSON schemas at schemas.getdbt.com; names, nulls and order of keys as dbt-core 1.11 writes them. Invariant: a file
//! appears under its name only when it is complete.

mod config;
mod digest;
mod folders;
mod manifest;
mod node;
mod rewrite;
mod run_results;
mod sources;
mod sql_path;
mod unit_test;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use common::Timestamp;
use serde::Serialize;
use serde_json::json;

pub use config::config;
pub use digest::digest;
pub use folders::Folders;
pub use manifest::manifest;
pub use node::{exposure, node, source};
pub use rewrite::write_manifest;
pub use run_results::{NodeOutcome, RunResults, read_failed_batches, read_statuses, run_result, run_results};
pub use sources::sources;
pub use sql_path::{batch_path, sql_path};
pub use unit_test::unit_test;

use crate::project::DBT_VERSION;

/// What stands in every artifact's `metadata`.
#[derive(Clone, Debug)]
pub struct Metadata {
    pub generated_at: Timestamp,
    pub invocation_id: String,
    pub invocation_started_at: Timestamp,
    /// Variables whose names begin with `DBT_ENV_CUSTOM_ENV_`, without that prefix.
    pub env: std::collections::BTreeMap<String, String>,
}

impl Metadata {
    fn to_json(&self, schema: &str) -> common::Json {
        json!({
            "dbt_schema_version": format!("https://schemas.getdbt.com/dbt/{schema}.json"),
            "dbt_version": DBT_VERSION,
            "generated_at": self.generated_at.to_iso(),
            "invocation_id": self.invocation_id,
            "invocation_started_at": self.invocation_started_at.to_iso(),
            "env": self.env,
        })
    }
}

/// Writes an artifact.
pub fn write(path: &Path, artifact: &impl Serialize) -> io::Result<()> {
    replace(path, |out| Ok(serde_json::to_writer(out, artifact)?))
}

/// Replaces a file through one beside it that takes its name at the end.
fn replace(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let partial = path.with_extension("json.partial");
    let mut out = BufWriter::with_capacity(1 << 18, File::create(&partial)?);
    write(&mut out)?;
    out.flush()?;
    drop(out);
    std::fs::rename(partial, path)
}
