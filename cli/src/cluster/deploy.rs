//! Uploads a project: what the cluster has is not sent again, and an upload that broke off goes on where it was.
//!
//! Invariant: only files that belong to a bundle leave this machine; `profiles.yml` never does.

use std::path::PathBuf;
use std::time::Duration;

use common::ContentDigest;
use common::bundle::BundleFile;
use common::diagnostic::Code;
use dbt::files::ProjectFiles;
use futures::StreamExt;
use futures::stream;
use proto::v1::project_service_client::ProjectServiceClient;
use proto::v1::{self, DeployProjectRequest, FindMissingBlobsRequest, UploadBlobsRequest};
use sha2::{Digest, Sha256};
use tonic::Status;

use super::connect::{Connected, PATIENCE};
use crate::project::{Opened, Refused};

/// Digests asked about at once.
const DIGESTS_MAX: usize = 10_000;
/// Bytes of one message.
const CHUNK_BYTES: usize = 256 << 10;
/// A file beyond this is refused before it is read.
const FILE_BYTES_MAX: u64 = 32 << 20;
/// Bytes of files that are sent in one call; a larger file has a call of its own.
const CALL_BYTES: u64 = 4 << 20;
/// A line slower than this is as good as none.
const BYTES_PER_SECOND_MIN: u64 = 64 << 10;

pub struct Deployed {
    pub bundle: ContentDigest,
    /// Whether the project has a new latest bundle.
    pub changed: bool,
}

/// A file of this machine.
struct Local {
    file: BundleFile,
    absolute: PathBuf,
}

pub fn deploy(cluster: &Connected<'_>, opened: &Opened, revision: &str) -> Result<Deployed, Refused> {
    let files = collect(cluster, opened)?;
    let missing = missing(cluster, &files)?;
    upload(cluster, files.iter().filter(|file| missing.contains(&file.file.digest)).collect())?;
    let request = DeployProjectRequest {
        project: opened.project.name.clone(),
        files: files.iter().map(|local| wire(&local.file)).collect(),
        revision: revision.to_owned(),
    };
    let answer = cluster.ask(|channel| {
        let request = request.clone();
        async move { ProjectServiceClient::new(channel).deploy_project(request).await }
    })?;
    let bundle = ContentDigest::try_from(&answer.bundle_digest[..])
        .map_err(|error| cluster.call.refuse_with(Code::Internal, &error))?;
    Ok(Deployed { bundle, changed: answer.changed })
}

fn wire(file: &BundleFile) -> v1::BundleFile {
    v1::BundleFile { path: file.path.clone(), digest: file.digest.0.to_vec().into(), size: file.size }
}

fn collect(cluster: &Connected<'_>, opened: &Opened) -> Result<Vec<Local>, Refused> {
    let call = cluster.call;
    let mut findings = Vec::new();
    let sources = {
        let projects = call.packages(opened, &mut findings);
        let files = ProjectFiles::discover(projects, &mut findings);
        dbt::bundle::collect(&files, &mut findings)
    };
    // Warnings were told when the project was parsed.
    findings.retain(common::Diagnostic::is_error);
    call.report(&findings)?;
    let read = |source: dbt::bundle::Source| {
        let cannot = |error: &dyn std::fmt::Display| {
            call.refuse_with(Code::FileUnreadable, &format!("cannot read {}: {error}", source.absolute.display()))
        };
        let size = std::fs::metadata(&source.absolute).map_err(|error| cannot(&error))?.len();
        if size > FILE_BYTES_MAX {
            return Err(cannot(&format_args!("it has {size} bytes; a cluster takes {FILE_BYTES_MAX} at most")));
        }
        let content = std::fs::read(&source.absolute).map_err(|error| cannot(&error))?;
        let digest = ContentDigest(Sha256::digest(&content).into());
        let file = BundleFile { path: source.path, digest, size: content.len() as u64 };
        Ok(Local { file, absolute: source.absolute })
    };
    sources.into_iter().map(read).collect()
}

fn missing(cluster: &Connected<'_>, files: &[Local]) -> Result<Vec<ContentDigest>, Refused> {
    let mut digests: Vec<ContentDigest> = files.iter().map(|local| local.file.digest).collect();
    digests.sort_unstable();
    digests.dedup();
    let mut missing = Vec::new();
    for some in digests.chunks(DIGESTS_MAX) {
        let request = FindMissingBlobsRequest { digests: some.iter().map(|digest| digest.0.to_vec().into()).collect() };
        let answer = cluster.ask(|channel| {
            let request = request.clone();
            async move { ProjectServiceClient::new(channel).find_missing_blobs(request).await }
        })?;
        missing.extend(answer.digests.iter().filter_map(|digest| ContentDigest::try_from(&digest[..]).ok()));
    }
    missing.sort_unstable();
    Ok(missing)
}

fn upload(cluster: &Connected<'_>, mut files: Vec<&Local>) -> Result<(), Refused> {
    files.sort_by_key(|local| local.file.digest);
    files.dedup_by_key(|local| local.file.digest);
    calls(&files).into_iter().try_for_each(|files| send(cluster, files))
}

/// Consecutive files that travel together.
fn calls<'a, 'b>(files: &'b [&'a Local]) -> Vec<&'b [&'a Local]> {
    let mut calls = Vec::new();
    let (mut first, mut bytes) = (0, 0);
    for (at, local) in files.iter().enumerate() {
        if at > first && bytes + local.file.size > CALL_BYTES {
            calls.push(&files[first..at]);
            (first, bytes) = (at, 0);
        }
        bytes += local.file.size;
    }
    if first < files.len() {
        calls.push(&files[first..]);
    }
    calls
}

/// One call, which has as much time as its bytes need on a slow line.
fn send(cluster: &Connected<'_>, files: &[&Local]) -> Result<(), Refused> {
    let bytes: u64 = files.iter().map(|local| local.file.size).sum();
    let replicas = cluster.replicas.patient(PATIENCE + Duration::from_secs(bytes / BYTES_PER_SECOND_MIN));
    let files: Vec<(BundleFile, PathBuf)> =
        files.iter().map(|local| (local.file.clone(), local.absolute.clone())).collect();
    let sent = cluster.block_on(replicas.call(|channel| {
        let files = files.clone();
        async move {
            // One file in memory at a time; one that cannot be read any more ends the stream, and the deployment is refused then.
            let chunks = stream::iter(files).flat_map(|(file, path)| {
                let content = std::fs::read(&path).unwrap_or_default();
                stream::iter(chunks(&file, &content))
            });
            ProjectServiceClient::new(channel).upload_blobs(chunks).await
        }
    }));
    sent.map(drop).map_err(|status: Status| cluster.refuse(&status))
}

/// A file's pieces; an empty file has one.
fn chunks(file: &BundleFile, content: &[u8]) -> Vec<UploadBlobsRequest> {
    let piece = |offset: usize, data: &[u8]| UploadBlobsRequest {
        digest: file.digest.0.to_vec().into(),
        size: file.size,
        offset: offset as u64,
        data: data.to_vec().into(),
    };
    if content.is_empty() {
        return vec![piece(0, &[])];
    }
    content.chunks(CHUNK_BYTES).enumerate().map(|(at, data)| piece(at * CHUNK_BYTES, data)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_follow_each_other_and_an_empty_file_has_one() {
        let content = vec![7_u8; CHUNK_BYTES + 5];
        let file = BundleFile { path: "a".to_owned(), digest: ContentDigest([1; 32]), size: content.len() as u64 };
        let pieces: Vec<(u64, usize)> =
            chunks(&file, &content).into_iter().map(|piece| (piece.offset, piece.data.len())).collect();
        assert_eq!(pieces, [(0, CHUNK_BYTES), (CHUNK_BYTES as u64, 5)]);
        assert_eq!(chunks(&file, &[]).len(), 1);
    }

    #[test]
    fn no_call_carries_more_than_its_share_unless_one_file_does() {
        let local = |size: u64| {
            let file = BundleFile { path: String::new(), digest: ContentDigest([0; 32]), size };
            Local { file, absolute: PathBuf::new() }
        };
        let files = [CALL_BYTES - 1, 1, 1, CALL_BYTES + 1, 0].map(local);
        let files: Vec<&Local> = files.iter().collect();
        let sizes = |files: &&[&Local]| files.iter().map(|local| local.file.size).collect::<Vec<_>>();
        let sizes: Vec<_> = calls(&files).iter().map(sizes).collect();
        assert_eq!(sizes, [vec![CALL_BYTES - 1, 1], vec![1], vec![CALL_BYTES + 1], vec![0]]);
        assert!(calls(&[]).is_empty());
    }
}
