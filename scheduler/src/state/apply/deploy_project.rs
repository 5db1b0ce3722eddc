//! A project has a new revision. All of its files must be there.

use common::bundle::BundleFile;

use crate::state::projects::Deployment;
use crate::state::{NAME_MAX, Rejection, Reply, State};

pub(super) fn apply(
    state: &mut State,
    project: String,
    deployment: Deployment,
    files: Vec<BundleFile>,
) -> Result<Reply, Rejection> {
    if project.is_empty() || project.len() > NAME_MAX || deployment.revision.len() > NAME_MAX {
        return Err(Rejection::NameTooLong { max: NAME_MAX as u32 });
    }
    let changed = state.projects.deploy(project, deployment, files)?;
    Ok(Reply::Deployed { changed })
}
