//! `kontiki cluster snapshot save|verify`

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use common::diagnostic::Code;
use proto::v1::SaveSnapshotRequest;
use proto::v1::cluster_service_client::ClusterServiceClient;
use scheduler::backup::{self, Checked};
use tonic::Status;

use super::connect::Connected;
use crate::exit::Exit;
use crate::project::{Call, Refused};

/// Reads all of the file and says what it holds.
pub fn verify(call: &Call, file: &Path) -> Result<Exit, Refused> {
    let checked = backup::verify(file).map_err(|error| call.refuse_with(Code::Io, &error))?;
    let Checked { cluster, last_index, state, files } = checked;
    let (projects, runs) = (state.projects().latest().count(), state.runs().count());
    call.console.output(&format!(
        "{} is whole: cluster {cluster} up to entry {last_index}, with {projects} projects, {runs} runs and {files} files",
        file.display()
    ));
    Ok(Exit::Success)
}

/// Writes beside the file first, so that what has its name is whole.
pub fn save(cluster: &Connected<'_>, file: &Path) -> Result<u64, Refused> {
    let mut name = file.as_os_str().to_owned();
    name.push(".partial");
    let partial = PathBuf::from(name);
    let saved = cluster.block_on(receive(cluster, &partial, file));
    if saved.is_err() {
        // It may not have come to be; the failure itself is told.
        let _ = std::fs::remove_file(&partial);
    }
    saved
}

/// Only the answer's beginning has to come in time; its bytes may take as long as they take.
async fn receive(cluster: &Connected<'_>, partial: &Path, file: &Path) -> Result<u64, Refused> {
    let cannot = |error: std::io::Error| {
        cluster.call.refuse_with(Code::Io, &format!("cannot write {}: {error}", partial.display()))
    };
    let refused = |status: Status| cluster.refuse(&status);
    let mut out = File::create(partial).map_err(cannot)?;
    let answer = cluster
        .replicas
        .call(|channel| async move { ClusterServiceClient::new(channel).save_snapshot(SaveSnapshotRequest {}).await });
    let mut chunks = answer.await.map_err(refused)?.into_inner();
    let mut bytes = 0;
    while let Some(chunk) = chunks.message().await.map_err(refused)? {
        bytes += chunk.data.len() as u64;
        out.write_all(&chunk.data).map_err(cannot)?;
    }
    out.sync_all().and_then(|()| std::fs::rename(partial, file)).map_err(cannot)?;
    Ok(bytes)
}
