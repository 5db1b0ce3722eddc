//! `kontiki project …`

use proto::v1::project_service_client::ProjectServiceClient;
use proto::v1::{GetProjectRequest, ListProjectsRequest, Project};
use serde_json::json;

use super::args;
use super::connect::Connected;
use super::deploy::deploy;
use super::show::{Column, Listing, Row, column, show, wide};
use super::time::{hex, moment, short};
use crate::exit::Exit;
use crate::project::{Call, Refused};
use crate::verbs;

const COLUMNS: [Column; 6] =
    [column("PROJECT"), column("BUNDLE"), wide("REVISION"), column("FILES"), wide("BYTES"), column("DEPLOYED")];
const PAGE_SIZE: u32 = 500;

pub fn projects(call: &Call, verb: &args::Project) -> Result<Exit, Refused> {
    let cluster = Connected::new(call)?;
    match verb {
        args::Project::List(shown) => {
            show(call, *shown, || Ok(Listing::list(&COLUMNS, list(&cluster)?.iter().map(row).collect())))
        }
        args::Project::Get { project, shown } => show(call, *shown, || {
            let request = GetProjectRequest { project: project.clone() };
            let answer = cluster.ask(|channel| {
                let request = request.clone();
                async move { ProjectServiceClient::new(channel).get_project(request).await }
            })?;
            Ok(Listing::one(&COLUMNS, row(&answer.project.unwrap_or_default())))
        }),
        args::Project::Deploy { revision } => {
            let ready = verbs::ready(call)?;
            let deployed = deploy(&cluster, &ready.opened, revision)?;
            let state = if deployed.changed { "deployed" } else { "unchanged" };
            let name = &ready.manifest.project_name;
            call.console.output(&format!("project {name} {state}: bundle {}", deployed.bundle));
            Ok(Exit::Success)
        }
    }
}

fn list(cluster: &Connected<'_>) -> Result<Vec<Project>, Refused> {
    let mut projects = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListProjectsRequest { page_size: PAGE_SIZE, page_token };
        let page = cluster.ask(|channel| {
            let request = request.clone();
            async move { ProjectServiceClient::new(channel).list_projects(request).await }
        })?;
        projects.extend(page.projects);
        if page.next_page_token.is_empty() {
            return Ok(projects);
        }
        page_token = page.next_page_token;
    }
}

fn row(project: &Project) -> Row {
    let deployed_at = moment(project.deployed_at.as_ref());
    Row {
        name: project.name.clone(),
        cells: vec![
            project.name.clone(),
            short(&project.bundle_digest),
            project.revision.clone(),
            project.files.to_string(),
            project.bytes.to_string(),
            deployed_at.clone(),
        ],
        json: json!({
            "name": project.name,
            "bundle": hex(&project.bundle_digest),
            "revision": project.revision,
            "files": project.files,
            "bytes": project.bytes,
            "deployed_at": deployed_at,
        }),
    }
}
