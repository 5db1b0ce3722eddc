//! Descriptions, bundles and files from whichever replica answers, for threads that wait.

use std::sync::{Arc, OnceLock};

use common::bundle::BundleFile;
use common::diagnostic::Code;
use common::task::{FailureKind, NodeResult};
use common::{ContentDigest, NodeId, RunId};
use proto::client::{Replicas, is_retryable};
use proto::v1::project_service_client::ProjectServiceClient;
use proto::v1::run_service_client::RunServiceClient;
use proto::v1::worker_service_client::WorkerServiceClient;
use proto::v1::{self, DescribeRunRequest, DownloadBlobRequest, GetBundleRequest, GetRunRequest};
use tokio::runtime::Handle;
use tonic::Status;

use super::runs::{Description, Source};
use crate::warehouse::Error;

pub(super) struct FromReplicas {
    replicas: Replicas,
    runtime: Handle,
    /// Known from the first welcome on, so before anything is assigned.
    cluster: Arc<OnceLock<String>>,
}

impl FromReplicas {
    pub fn new(replicas: Replicas, runtime: Handle, cluster: Arc<OnceLock<String>>) -> Self {
        Self { replicas, runtime, cluster }
    }
}

impl Source for FromReplicas {
    fn describe(&self, run: RunId) -> Result<Description, Error> {
        let asked = self.replicas.call(|channel| async move {
            let request = DescribeRunRequest { run_id: run.to_string() };
            let answer = WorkerServiceClient::new(channel).describe_run(request).await;
            // A replica that is behind has not heard of the run yet: another has, since somebody assigned it.
            answer.map_err(|status| if status.code() == tonic::Code::NotFound { behind(&status) } else { status })
        });
        let answer = self.runtime.block_on(asked).map_err(|status| refuse(&status))?.into_inner();
        let described = proto::description::to_description(answer).map_err(|error| defect(&error.to_string()))?;
        let cluster = self.cluster.get().ok_or_else(|| defect("an assignment before its welcome"))?;
        Ok(Description { cluster: cluster.clone(), described })
    }

    fn bundle(&self, digest: ContentDigest) -> Result<Vec<BundleFile>, Error> {
        let asked = self.replicas.call(|channel| async move {
            let request = GetBundleRequest { bundle_digest: digest.0.to_vec().into() };
            ProjectServiceClient::new(channel).get_bundle(request).await
        });
        let answer = self.runtime.block_on(asked).map_err(|status| refuse(&status))?.into_inner();
        let entry = |file: v1::BundleFile| {
            let digest = ContentDigest::try_from(&file.digest[..]).map_err(|error| defect(&error.to_string()))?;
            Ok(BundleFile { path: file.path, digest, size: file.size })
        };
        answer.files.into_iter().map(entry).collect()
    }

    fn file(&self, entry: &BundleFile) -> Result<Vec<u8>, Error> {
        let asked = self.replicas.call(|channel| async move {
            let request = DownloadBlobRequest { digest: entry.digest.0.to_vec().into() };
            let mut chunks = ProjectServiceClient::new(channel).download_blob(request).await?.into_inner();
            let mut content = Vec::new();
            while let Some(chunk) = chunks.message().await? {
                if (content.len() + chunk.data.len()) as u64 > entry.size {
                    return Err(Status::data_loss("the file is larger than announced"));
                }
                content.extend_from_slice(&chunk.data);
            }
            Ok(content)
        });
        self.runtime.block_on(asked).map_err(|status| refuse(&status))
    }

    fn outcomes(&self, run: RunId) -> Result<Vec<(NodeId, NodeResult)>, Error> {
        let asked = self.replicas.call(|channel| async move {
            let mut client = RunServiceClient::new(channel);
            let mut request = GetRunRequest { run_id: run.to_string(), with_tasks: true, ..GetRunRequest::default() };
            let mut tasks = Vec::new();
            loop {
                let page = client.get_run(request.clone()).await?.into_inner();
                tasks.extend(page.tasks);
                if page.next_page_token.is_empty() {
                    return Ok(tasks);
                }
                request.page_token = page.next_page_token;
            }
        });
        let tasks = self.runtime.block_on(asked).map_err(|status| refuse(&status))?;
        let outcome = |task| proto::task::to_outcome(task).map_err(|error| defect(&error.to_string()));
        tasks.into_iter().filter_map(|task| outcome(task).transpose()).collect()
    }
}

fn behind(status: &Status) -> Status {
    Status::unavailable(status.message())
}

fn refuse(status: &Status) -> Error {
    let kind = if is_retryable(status) { FailureKind::Transient } else { FailureKind::System };
    Error::new(kind, Code::ClusterUnavailable, format!("no replica told what the run is: {}", status.message()))
}

fn defect(message: &str) -> Error {
    Error::new(FailureKind::System, Code::Internal, format!("a replica answered with {message}"))
}
