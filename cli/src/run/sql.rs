//! The SQL of nodes that a cluster ran, brought to where a run on this machine leaves it: `target/compiled`, `target/run` and
//! `run_results.json`.

use std::collections::BTreeMap;

use common::diagnostic::Code;
use common::manifest::ResourceType;
use common::{Diagnostic, Manifest, NodeId};
use dbt::artifacts::{Folders, sql_path};
use proto::v1::{ReadTranscriptsRequest, Transcript};

use super::{Accepted, Outcomes};
use crate::cluster::{Connected, diagnostic, read_transcripts};
use crate::console::Event;
use crate::project::Opened;

/// Tells, and goes on, where something is missing: the run is what it is without it.
pub fn fetch(
    cluster: &Connected<'_>,
    opened: &Opened,
    manifest: &Manifest,
    accepted: &Accepted,
    outcomes: &mut Outcomes,
) {
    let is_retry = accepted.after > 0;
    let nodes = outcomes.all.iter().filter(|_| is_retry).map(|outcome| outcome.node.to_string());
    let request = ReadTranscriptsRequest { run_id: accepted.run.clone(), node_ids: nodes.collect(), last_only: true };
    let console = &cluster.call.console;
    let transcripts = match read_transcripts(cluster, &request) {
        Ok(transcripts) => transcripts,
        Err(status) => {
            let Diagnostic { code, message, .. } = diagnostic(&status);
            let message = format!("the SQL of this run's nodes cannot be fetched: {message}");
            console.emit(&Event::Diagnostic(Diagnostic::warning(code, message)));
            return;
        }
    };
    let told = transcripts.into_iter().filter_map(|told| Some((NodeId::from(told.node_id), told.transcript?)));
    let told: BTreeMap<NodeId, Transcript> = told.collect();
    if let Err(error) = write(cluster, opened, manifest, &told) {
        console.emit(&Event::Diagnostic(Diagnostic::warning(Code::Io, error)));
    }
    for outcome in &mut outcomes.all {
        let compiled = told.get(&outcome.node).and_then(|transcript| transcript.compiled_code.clone());
        outcome.result.compiled_code = compiled;
    }
}

fn write(
    cluster: &Connected<'_>,
    opened: &Opened,
    manifest: &Manifest,
    told: &BTreeMap<NodeId, Transcript>,
) -> Result<(), String> {
    let target = cluster.call.target_path(opened);
    let folders = Folders::default();
    for (node, transcript) in told {
        // The SQL of hooks is in run_results.json alone.
        let is_file = |node: &&common::manifest::Node| node.resource_type != ResourceType::Operation;
        let Some(node) = manifest.nodes.get(node).filter(is_file) else { continue };
        for (folder, sql) in [("compiled", &transcript.compiled_code), ("run", &transcript.run_code)] {
            let Some(sql) = sql else { continue };
            let path = target.join(folder).join(sql_path(node));
            folders.write(&path, sql).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        }
    }
    Ok(())
}
