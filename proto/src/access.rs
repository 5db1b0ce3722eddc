//! Who may call which method: what a certificate has to say, and which role a person needs.
//!
//! Invariant: what the tables do not know nobody may call.

use crate::tls::Identity;

const REPLICA: &[Identity] = &[Identity::Replica];
const WORKER: &[Identity] = &[Identity::Worker];
const CLIENT: &[Identity] = &[Identity::Client];
const WORKER_OR_CLIENT: &[Identity] = &[Identity::Worker, Identity::Client];

/// What somebody may do; each may do what those before may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look at everything.
    Viewer,
    /// Begin, cancel and retry runs; pause, resume and trigger schedules; backfill.
    Operator,
    /// Deploy projects, declare schedules.
    Deployer,
    /// Change the cluster.
    Admin,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Deployer => "deployer",
            Self::Admin => "admin",
        }
    }
}

/// Where somebody needs the role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In any project: the answer is nobody's secret.
    Anywhere,
    /// In the projects that the request is about; its service finds out which those are, and leaves out of a list what is of others.
    Project,
    /// In all projects: it is about the cluster.
    Cluster,
}

/// What a client needs for a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    pub role: Role,
    pub scope: Scope,
}

/// What a certificate has to say for a method, by its path, where no policy says more; nothing where nobody may call it.
pub fn allowed(path: &str) -> &'static [Identity] {
    let Some((service, method)) = split(path) else { return &[] };
    match (service, method) {
        ("kontiki.v1.RaftService", _) => REPLICA,
        ("kontiki.v1.WorkerService", "Session" | "DescribeRun") => WORKER,
        // A worker leaves by draining itself, and fetches what it runs.
        ("kontiki.v1.WorkerService", "DrainWorker")
        | ("kontiki.v1.ProjectService", "GetBundle" | "DownloadBlob")
        | ("kontiki.v1.RunService", "GetRun")
        | ("kontiki.v1.ClusterService", "GetStatus") => WORKER_OR_CLIENT,
        ("grpc.health.v1.Health" | "grpc.reflection.v1.ServerReflection", _) => &Identity::ALL,
        _ if needed(path).is_some() => CLIENT,
        _ => &[],
    }
}

/// What a client needs for a method, by its path; none where it is not for clients, or for everybody.
pub fn needed(path: &str) -> Option<Need> {
    use Role::{Admin, Deployer, Operator, Viewer};
    use Scope::{Anywhere, Cluster, Project};
    let (service, method) = split(path)?;
    let (role, scope) = match (service.strip_prefix("kontiki.v1."), method) {
        (Some("ClusterService"), "GetStatus" | "ListPools") => (Viewer, Anywhere),
        (Some("ClusterService"), _) => (Admin, Cluster),
        // Files are known by their digests, and of no project until one is deployed with them.
        (Some("ProjectService"), "FindMissingBlobs" | "UploadBlobs") => (Deployer, Anywhere),
        (Some("ProjectService"), "DeployProject") => (Deployer, Project),
        (Some("ProjectService"), "GetProject" | "ListProjects" | "GetBundle") => (Viewer, Project),
        (Some("ProjectService"), "DownloadBlob") => (Viewer, Cluster),
        (Some("RunService"), "SubmitRun" | "CancelRun" | "RetryRun") => (Operator, Project),
        (Some("RunService"), "GetRun" | "ListRuns" | "WatchRun" | "GetTask" | "ReadTranscripts") => (Viewer, Project),
        (Some("ScheduleService"), "ApplySchedules" | "DeleteSchedules") => (Deployer, Project),
        (
            Some("ScheduleService"),
            "PauseSchedule" | "ResumeSchedule" | "TriggerSchedule" | "StartBackfill" | "SteerBackfill",
        ) => (Operator, Project),
        (
            Some("ScheduleService"),
            "GetSchedule" | "ListSchedules" | "ListTicks" | "PreviewTicks" | "GetBackfill" | "ListBackfills",
        ) => (Viewer, Project),
        // Channels hear of all projects.
        (Some("AlertService"), "ListChannels" | "ListNotices") => (Viewer, Cluster),
        (Some("AlertService"), "TestChannel") => (Operator, Cluster),
        (Some("AlertService"), "ApplyChannels" | "DeleteChannels") => (Admin, Cluster),
        (Some("WorkerService"), "ListWorkers") => (Viewer, Anywhere),
        (Some("WorkerService"), "GetWorker") => (Viewer, Cluster),
        (Some("WorkerService"), "DrainWorker") => (Operator, Cluster),
        // KEDA counts the tasks of all projects.
        (None, _) if service == "externalscaler.ExternalScaler" => (Viewer, Cluster),
        _ => return None,
    };
    Some(Need { role, scope })
}

fn split(path: &str) -> Option<(&str, &str)> {
    path.trim_start_matches('/').split_once('/')
}

/// The paths of all methods, as reflection tells them.
pub fn methods() -> Result<Vec<String>, prost::DecodeError> {
    let set: prost_types::FileDescriptorSet = prost::Message::decode(crate::DESCRIPTORS)?;
    let services = set.file.into_iter().flat_map(|file| {
        let package = file.package().to_owned();
        file.service.into_iter().map(move |service| (package.clone(), service))
    });
    let of_service = |(package, service): (String, prost_types::ServiceDescriptorProto)| {
        let name = format!("/{package}.{}", service.name());
        service.method.into_iter().map(move |method| format!("{name}/{}", method.name())).collect::<Vec<_>>()
    };
    Ok(services.flat_map(of_service).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn every_method_is_for_somebody_and_none_is_for_all() {
        let methods = methods().unwrap();
        assert!(methods.len() > 40, "{methods:?}");
        for method in methods {
            let allowed = allowed(&method);
            assert!(!allowed.is_empty() && allowed.len() < Identity::ALL.len(), "{method}: {allowed:?}");
            // A client is somebody who needs a role.
            assert_eq!(allowed.contains(&Identity::Client), needed(&method).is_some(), "{method}");
        }
    }

    #[test]
    fn what_is_not_known_nobody_may_call() {
        let paths = [
            "/kontiki.v2.RunService/SubmitRun",
            "/kontiki.v1.RunService/Destroy",
            "/",
            "",
            "/kontiki.v1.RunServices/X",
            "kontiki",
        ];
        for path in paths {
            assert_eq!(allowed(path), &[] as &[Identity], "{path}");
            assert_eq!(needed(path), None, "{path}");
        }
    }
}
