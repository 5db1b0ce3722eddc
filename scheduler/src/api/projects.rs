//! `kontiki.v1.ProjectService`: deployments, and the files that workers and replicas fetch.
//!
//! What has a digest never changes, so it is taken from this replica's state where it is there already; anything else is asked of the
//! leader first.

use common::ContentDigest;
use futures::stream::BoxStream;
use proto::access::Role;
use proto::project::{check_project, file, of_digest, to_digest, to_digests, to_revision};
use proto::scalar::timestamp;
use proto::v1;
use proto::v1::project_service_server::ProjectService;
use tonic::{Request, Response, Status, Streaming};

use super::uploads::Uploads;
use super::{commit, download, pages, refusal, trace};
use crate::access::Principal;
use crate::replica::{Consistency, Handle};
use crate::state::projects::{Deployment, FILES_MAX, Projects, digest};
use crate::state::{Command, Reply, State};

/// Most bytes of a bundle.
const BUNDLE_BYTES_MAX: u64 = 512 << 20;

pub struct Service {
    handle: Handle,
    uploads: Uploads,
}

impl Service {
    pub fn new(handle: Handle) -> Self {
        Self { handle, uploads: Uploads::new() }
    }

    async fn read<T>(&self, question: impl FnOnce(&State) -> T) -> Result<T, Status> {
        let answer = self.handle.read(Consistency::Linearizable, question).await;
        answer.map_err(|error| refusal::failed(&error))
    }

    /// Asks for what never changes: here, and where it is not known here, as of now.
    async fn find<T>(&self, question: impl Fn(&Projects) -> Option<T>) -> Result<Option<T>, Status> {
        let here = self.handle.read(Consistency::Stale, |state| question(state.projects())).await;
        match here {
            Ok(Some(found)) => Ok(Some(found)),
            Ok(None) | Err(_) => self.read(|state| question(state.projects())).await,
        }
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl ProjectService for Service {
    type DownloadBlobStream = BoxStream<'static, Result<v1::DownloadBlobResponse, Status>>;

    async fn find_missing_blobs(
        &self,
        request: Request<v1::FindMissingBlobsRequest>,
    ) -> Answer<v1::FindMissingBlobsResponse> {
        let asked = to_digests(&request.into_inner().digests).map_err(|invalid| refusal::invalid(&invalid))?;
        let is_missing = |state: &State, digest: &ContentDigest| {
            state.projects().blob(digest).is_none_or(|blob| !blob.is_complete())
        };
        let missing = self
            .read(|state| asked.iter().filter(|digest| is_missing(state, digest)).map(of_digest).collect::<Vec<_>>());
        Ok(Response::new(v1::FindMissingBlobsResponse { digests: missing.await? }))
    }

    async fn upload_blobs(
        &self,
        request: Request<Streaming<v1::UploadBlobsRequest>>,
    ) -> Answer<v1::UploadBlobsResponse> {
        let (metadata, _, pieces) = request.into_parts();
        let uploaded = self.uploads.receive(&self.handle, trace::parent(&metadata), pieces).await?;
        Ok(Response::new(v1::UploadBlobsResponse { blobs: uploaded.files, bytes: uploaded.bytes }))
    }

    async fn deploy_project(&self, request: Request<v1::DeployProjectRequest>) -> Answer<v1::DeployProjectResponse> {
        let (metadata, extensions, request) = request.into_parts();
        Principal::of(&extensions).require(Role::Deployer, Some(&request.project))?;
        check_size(&request)?;
        let revision = to_revision(request).map_err(|invalid| refusal::invalid(&invalid))?;
        let bundle = digest(&revision.files);
        let command = Command::DeployProject {
            project: revision.project,
            bundle,
            files: revision.files,
            revision: revision.revision,
        };
        let reply = commit::repeatable(&self.handle, trace::proposal(&metadata, command)).await?;
        let changed = matches!(reply, Reply::Deployed { changed: true });
        Ok(Response::new(v1::DeployProjectResponse { bundle_digest: of_digest(&bundle), changed }))
    }

    async fn get_project(&self, request: Request<v1::GetProjectRequest>) -> Answer<v1::GetProjectResponse> {
        let (_, extensions, v1::GetProjectRequest { project: name }) = request.into_parts();
        check_project(&name).map_err(|invalid| refusal::invalid(&invalid))?;
        Principal::of(&extensions).require(Role::Viewer, Some(&name))?;
        let found = self.read(|state| {
            let projects = state.projects();
            projects.deployments(&name).next_back().map(|latest| view(projects, &name, latest))
        });
        match found.await? {
            Some(project) => Ok(Response::new(v1::GetProjectResponse { project: Some(project) })),
            None => Err(refusal::not_found(format!("project '{name}' was never deployed"))),
        }
    }

    async fn list_projects(&self, request: Request<v1::ListProjectsRequest>) -> Answer<v1::ListProjectsResponse> {
        let (_, extensions, v1::ListProjectsRequest { page_size, page_token }) = request.into_parts();
        let caller = Principal::of(&extensions);
        let size = pages::size(page_size);
        let page = self.read(|state| {
            let projects = state.projects();
            let rest = projects.latest().filter(|(name, _)| *name > page_token.as_str());
            let rest = rest.filter(|(name, _)| caller.may(Role::Viewer, Some(name)));
            rest.take(size + 1).map(|(name, latest)| view(projects, name, latest)).collect::<Vec<_>>()
        });
        let (projects, next_page_token) = pages::cut(page.await?, size, |project| project.name.clone());
        Ok(Response::new(v1::ListProjectsResponse { projects, next_page_token }))
    }

    async fn get_bundle(&self, request: Request<v1::GetBundleRequest>) -> Answer<v1::GetBundleResponse> {
        let (_, extensions, request) = request.into_parts();
        let digest = to_digest("bundle_digest", &request.bundle_digest);
        let digest = digest.map_err(|invalid| refusal::invalid(&invalid))?;
        let found = self.find(|projects| projects.bundle(&digest).cloned()).await?;
        let bundle = found.ok_or_else(|| refusal::not_found(format!("bundle {digest} is not deployed")))?;
        Principal::of(&extensions).require(Role::Viewer, Some(&bundle.project))?;
        let files = bundle.files.iter().map(file).collect();
        Ok(Response::new(v1::GetBundleResponse { project: bundle.project, files }))
    }

    async fn download_blob(&self, request: Request<v1::DownloadBlobRequest>) -> Answer<Self::DownloadBlobStream> {
        let digest = to_digest("digest", &request.into_inner().digest);
        let digest = digest.map_err(|invalid| refusal::invalid(&invalid))?;
        let is_held = |projects: &Projects| projects.blob(&digest).filter(|blob| blob.is_complete()).map(drop);
        let held = self.find(is_held).await?;
        held.ok_or_else(|| refusal::not_found(format!("no file is {digest}")))?;
        download::file(&self.handle.blob(&digest.to_string())).await.map(Response::new)
    }
}

fn check_size(request: &v1::DeployProjectRequest) -> Result<(), Status> {
    let files = request.files.len();
    if files > FILES_MAX {
        return Err(refusal::exhausted(format!("the project has {files} files; {FILES_MAX} are the most")));
    }
    let bytes = request.files.iter().fold(0_u64, |bytes, file| bytes.saturating_add(file.size));
    if bytes > BUNDLE_BYTES_MAX {
        return Err(refusal::exhausted(format!("the project has {bytes} bytes; {BUNDLE_BYTES_MAX} are the most")));
    }
    Ok(())
}

fn view(projects: &Projects, name: &str, deployment: &Deployment) -> v1::Project {
    let files = projects.bundle(&deployment.bundle).map(|bundle| bundle.files.as_slice()).unwrap_or_default();
    v1::Project {
        name: name.to_owned(),
        bundle_digest: of_digest(&deployment.bundle),
        revision: deployment.revision.clone(),
        deployed_at: Some(timestamp(deployment.at)),
        files: u32::try_from(files.len()).unwrap_or(u32::MAX),
        bytes: files.iter().map(|file| file.size).sum(),
    }
}
