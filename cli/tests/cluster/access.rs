//! A cluster that knows its callers by tokens, and what each of them may do in which project.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proto::access::{Scope, methods, needed};
use proto::client::{Channel, Credentials, Replicas};
use proto::tls::{Files, Tls};
use proto::v1;
use proto::v1::project_service_client::ProjectServiceClient;
use proto::v1::run_service_client::RunServiceClient;
use proto::v1::schedule_service_client::ScheduleServiceClient;
use tonic::{Code, Response, Status};

use crate::fleet::Fleet;
use crate::support::{Ended, Project};
use crate::tls::{certificates, role, variables};

/// What a policy says of a token, and the token.
fn make_token(project: &Project, name: &str) -> (String, String) {
    let made = Ended::from(project.command(&["access", "token", name]).output().unwrap());
    made.expect(0);
    let (token, entry) = made.stdout.split_once('\n').unwrap();
    assert!(token.starts_with("kontiki_") && entry.contains(name) && !entry.contains(token), "{made}");
    (token.to_owned(), entry.to_owned())
}

struct Secured {
    fleet: Fleet,
    folder: PathBuf,
    policy: String,
    /// Of `shop`, the project that is there: who deploys it, and who looks at it. Of `bank`: who may do everything.
    deployer: String,
    viewer: String,
    banker: String,
}

impl Secured {
    fn start(replicas: usize) -> Self {
        let project = Project::small();
        let name = project.read("dbt_project.yml");
        let name = name.lines().find_map(|line| line.strip_prefix("name:")).unwrap().trim().to_owned();
        let (folder, _) = certificates(&project);
        let [deployer, viewer, banker] = ["deployer", "viewer", "banker"].map(|name| make_token(&project, name));
        let mut policy = [&deployer, &viewer, &banker].map(|(_, entry)| entry.as_str()).concat();
        // The certificate of the fleet's own client.
        policy += "[[grant]]\nto = [\"certificate:the client\"]\nrole = \"admin\"\n";
        for (token, role, project) in
            [("deployer", "deployer", name.as_str()), ("viewer", "viewer", &name), ("banker", "admin", "bank")]
        {
            policy += &format!("[[grant]]\nto = [\"token:{token}\"]\nrole = \"{role}\"\nprojects = [\"{project}\"]\n");
        }
        let file = folder.join("access.toml");
        std::fs::write(&file, &policy).unwrap();
        let checked = project.command(&["access", "check", &file.display().to_string()]).output().unwrap();
        Ended::from(checked).expect(0);
        let certificates = folder.clone();
        let fleet = Fleet::start_as(project, replicas, 1, move |arguments| {
            let role = role(arguments);
            let mut variables = variables(&certificates, role);
            if role == "replica" {
                let policy = certificates.join("access.toml").display().to_string();
                variables.push(("KONTIKI_SERVER_ACCESS_POLICY".to_owned(), policy));
            }
            variables
        });
        Self { fleet, folder, policy, deployer: deployer.0, viewer: viewer.0, banker: banker.0 }
    }

    /// Calls with a token, and without a certificate.
    fn call(&self, token: &str, arguments: &[&str]) -> Ended {
        let mut command = self.fleet.command(arguments);
        command.env_remove("KONTIKI_TLS_CERT").env_remove("KONTIKI_TLS_KEY").env("KONTIKI_TOKEN", token);
        command.output().unwrap().into()
    }

    fn write_policy(&self, text: &str) {
        std::fs::write(self.folder.join("access.toml"), text).unwrap();
    }
}

#[test]
fn a_token_opens_what_its_role_may_do_in_its_projects() {
    let secured = Secured::start(3);
    let Secured { deployer, viewer, banker, .. } = &secured;
    secured.call(deployer, &["build"]).expect(0);
    let listed = secured.call(viewer, &["runs", "list", "-o", "name"]);
    listed.expect(0);
    let run = listed.stdout.trim().to_owned();
    assert!(!run.is_empty(), "{listed}");
    secured.call(viewer, &["runs", "get", &run]).expect(0);
    secured
        .call(viewer, &["runs", "cancel", &run])
        .expect(2)
        .says("K4002")
        .says("'viewer' is not operator of any project");
    secured.call(viewer, &["build"]).expect(2).says("K4002");
    secured.call(deployer, &["cluster", "pool", "set", "small", "1"]).expect(2);
    secured.call(banker, &["build"]).expect(2).says("K4002").says("'banker' is not deployer of project");
    assert_eq!(secured.call(banker, &["runs", "list", "-o", "name"]).expect(0).stdout.trim(), "");
    secured.call(banker, &["runs", "get", &run]).expect(2).says("'banker' is not viewer of project");
    // Nobody, and somebody whom nobody knows.
    let nobody = secured.call("", &["runs", "list"]);
    nobody.expect(2).says("this cluster wants a token or a client's certificate");
    secured.call("kontiki_guessed", &["runs", "list"]).expect(2).says("the token is not one of this cluster's");
    assert!(!secured.call("kontiki_guessed", &["runs", "list"]).stderr.contains("kontiki_guessed"));
    // A token goes to nobody who does not show a certificate.
    let mut plain = secured.fleet.command(&["runs", "list"]);
    for name in ["KONTIKI_TLS_CA", "KONTIKI_TLS_CERT", "KONTIKI_TLS_KEY"] {
        plain.env_remove(name);
    }
    let plain = Ended::from(plain.env("KONTIKI_TOKEN", viewer).output().unwrap());
    plain.expect(2).says("a token is told to nobody but a replica that shows its certificate");

    // A context brings its token, from a file.
    let (home, file) = (secured.folder.join("config"), secured.folder.join("token"));
    std::fs::write(&file, format!("{viewer}\n")).unwrap();
    let in_context = |arguments: &[&str]| {
        let mut command = secured.fleet.project.command(arguments);
        Ended::from(command.env("XDG_CONFIG_HOME", &home).current_dir(&secured.folder).output().unwrap())
    };
    let server = secured.fleet.addresses()[0].clone();
    in_context(&["context", "set", "shop", &server, "--tls-ca", "ca.crt", "--token-file", "token"]).expect(0);
    in_context(&["runs", "list", "--context", "shop"]).expect(0).says(&run);
    std::fs::remove_file(&file).unwrap();
    in_context(&["runs", "list", "--context", "shop"]).expect(2).says("the token cannot be read");
}

#[test]
fn a_policy_counts_as_soon_as_it_changes_and_one_that_is_broken_never_does() {
    let secured = Secured::start(1);
    let list = || secured.call(&secured.viewer, &["runs", "list"]);
    list().expect(0);
    secured.write_policy("[[token]]\nname = 7\n");
    secured.fleet.until("the replica that says the policy is broken, and goes on with the one before", || {
        list().expect(0);
        secured.fleet.logs().contains("the access policy changed and cannot be read")
    });
    let revoked = secured.policy.replace("[\"token:viewer\"]", "[\"token:deployer\"]");
    assert_ne!(revoked, secured.policy);
    secured.write_policy(&revoked);
    secured.fleet.until("the token that is granted nothing any more", || list().code == Some(2));
    list().says("'viewer' is not viewer of any project");
    secured.write_policy(&secured.policy);
    secured.fleet.until("the token that is granted something again", || list().code == Some(0));

    // A replica does not start with a policy that says something else than was meant, nor with one that nothing enforces.
    let start = |policy: &str, is_secured: bool| {
        let file = secured.folder.join("other.toml");
        std::fs::write(&file, policy).unwrap();
        let mut command = secured.fleet.project.command(&["server", "--listen", "127.0.0.1:0"]);
        command.env("KONTIKI_SERVER_ACCESS_POLICY", &file);
        if is_secured {
            command.envs(variables(&secured.folder, "replica"));
        }
        Ended::from(command.output().unwrap())
    };
    start("[[grant]]\nto = [\"token:ci\"]\nrole = \"viewer\"\n", true)
        .expect(2)
        .says("K3007")
        .says("there is no token 'ci'")
        .says("other.toml:2");
    start(&secured.policy, false).expect(2).says("K3007").says("an access policy needs TLS");
}

/// What somebody gets who asks about a project that is not theirs.
async fn refused<T>(answer: impl Future<Output = Result<Response<T>, Status>>) -> Result<(), String> {
    match answer.await {
        Err(status) if status.code() == Code::PermissionDenied && status.message().contains("of project '") => Ok(()),
        Err(status) => Err(status.to_string()),
        Ok(_) => Err("it was answered".to_owned()),
    }
}

fn channel(secured: &Secured, folder: &Path, token: &str) -> Channel {
    let tls = Tls::load(Files { ca: folder.join("ca.crt"), cert: None, key: None }).unwrap();
    let address = secured.fleet.addresses()[0].clone();
    let replicas = Replicas::new([address.as_str()], Duration::from_secs(10), Some(tls)).unwrap();
    let replicas = replicas.called_by(Credentials::Token(token.into())).unwrap();
    replicas.channel(&address).unwrap()
}

/// Every method whose service has to look for the project itself.
#[test]
fn every_method_is_closed_to_the_roles_of_other_projects() {
    let secured = Secured::start(1);
    let kontiki = |arguments: &[&str]| secured.call(&secured.deployer, arguments);
    kontiki(&["build"]).expect(0);
    secured
        .fleet
        .project
        .file("kontiki.yml", "schedules:\n  - name: nightly\n    cron: '0 3 * * *'\n    select: first\n");
    let apply = secured.call(&secured.banker, &["schedule", "apply"]);
    apply.expect(2).says("'banker' is not deployer of project");
    kontiki(&["schedule", "apply"]).expect(0);
    kontiki(&["schedule", "backfill", "nightly", "--from", "2026-01-01", "--to", "2026-01-03"]).expect(0);
    let run_id = kontiki(&["runs", "list", "-o", "name"]).expect(0).stdout.lines().next().unwrap().to_owned();
    let project = secured.fleet.json(&["project", "list"])[0].clone();
    let (name, bundle) = (project["name"].as_str().unwrap().to_owned(), project["bundle"].as_str().unwrap().to_owned());
    let bundle = bundle.trim_start_matches("sha256:").as_bytes().chunks(2);
    let bundle: Vec<u8> =
        bundle.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect();
    let backfills = secured.fleet.json(&["backfill", "list"]);
    let backfill_id = backfills[0]["id"].as_u64().unwrap();

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let channel = channel(&secured, &secured.folder, &secured.banker);
    // By the command line above.
    let mut tried = BTreeSet::from(["ScheduleService/ApplySchedules".to_owned()]);
    runtime.block_on(async {
        let mut runs = RunServiceClient::new(channel.clone());
        let mut projects = ProjectServiceClient::new(channel.clone());
        let mut schedules = ScheduleServiceClient::new(channel);
        let nightly = || "nightly".to_owned();
        let run = || run_id.clone();
        macro_rules! closed {
            ($($client:ident.$method:ident($name:literal, $request:expr);)*) => {$(
                #[allow(clippy::needless_update, reason = "most messages have more fields")]
                let answer = refused($client.$method($request)).await;
                assert_eq!(answer, Ok(()), $name);
                tried.insert($name.to_owned());
            )*};
        }
        closed! {
            projects.deploy_project("ProjectService/DeployProject", v1::DeployProjectRequest { project: name.clone(), ..Default::default() });
            projects.get_project("ProjectService/GetProject", v1::GetProjectRequest { project: name.clone() });
            projects.get_bundle("ProjectService/GetBundle", v1::GetBundleRequest { bundle_digest: bundle.clone().into(), ..Default::default() });
            runs.submit_run("RunService/SubmitRun", v1::SubmitRunRequest { project: name.clone(), ..Default::default() });
            runs.get_run("RunService/GetRun", v1::GetRunRequest { run_id: run(), ..Default::default() });
            runs.watch_run("RunService/WatchRun", v1::WatchRunRequest { run_id: run(), ..Default::default() });
            runs.cancel_run("RunService/CancelRun", v1::CancelRunRequest { run_id: run() });
            runs.retry_run("RunService/RetryRun", v1::RetryRunRequest { run_id: run(), ..Default::default() });
            runs.get_task("RunService/GetTask", v1::GetTaskRequest { run_id: run(), ..Default::default() });
            runs.read_transcripts("RunService/ReadTranscripts", v1::ReadTranscriptsRequest { run_id: run(), ..Default::default() });
            schedules.get_schedule("ScheduleService/GetSchedule", v1::GetScheduleRequest { name: nightly() });
            schedules.delete_schedules("ScheduleService/DeleteSchedules", v1::DeleteSchedulesRequest { names: vec![nightly()] });
            schedules.pause_schedule("ScheduleService/PauseSchedule", v1::PauseScheduleRequest { name: nightly() });
            schedules.resume_schedule("ScheduleService/ResumeSchedule", v1::ResumeScheduleRequest { name: nightly() });
            schedules.trigger_schedule("ScheduleService/TriggerSchedule", v1::TriggerScheduleRequest { name: nightly(), request_id: "r".to_owned(), ..Default::default() });
            schedules.list_ticks("ScheduleService/ListTicks", v1::ListTicksRequest { name: nightly(), ..Default::default() });
            schedules.preview_ticks("ScheduleService/PreviewTicks", v1::PreviewTicksRequest { name: nightly(), ..Default::default() });
            schedules.start_backfill("ScheduleService/StartBackfill", v1::StartBackfillRequest {
                name: nightly(),
                from: Some(prost_types::Timestamp { seconds: 1_767_225_600, nanos: 0 }),
                to: Some(prost_types::Timestamp { seconds: 1_767_484_800, nanos: 0 }),
                ..Default::default()
            });
            schedules.get_backfill("ScheduleService/GetBackfill", v1::GetBackfillRequest { backfill_id });
            schedules.steer_backfill("ScheduleService/SteerBackfill", v1::SteerBackfillRequest { backfill_id, steer: v1::steer_backfill_request::Steer::Cancel.into() });
        }
        // What there is of others is not in a list.
        assert!(projects.list_projects(v1::ListProjectsRequest::default()).await.unwrap().into_inner().projects.is_empty());
        assert!(runs.list_runs(v1::ListRunsRequest::default()).await.unwrap().into_inner().runs.is_empty());
        let listed = schedules.list_schedules(v1::ListSchedulesRequest::default()).await.unwrap().into_inner();
        assert!(listed.schedules.is_empty());
        let listed = schedules.list_backfills(v1::ListBackfillsRequest::default()).await.unwrap().into_inner();
        assert!(listed.backfills.is_empty());
        for list in ["ProjectService/ListProjects", "RunService/ListRuns", "ScheduleService/ListSchedules", "ScheduleService/ListBackfills"] {
            tried.insert(list.to_owned());
        }
    });
    let of_projects =
        methods().unwrap().into_iter().filter(|path| needed(path).is_some_and(|need| need.scope == Scope::Project));
    let of_projects: BTreeSet<String> = of_projects.map(|path| path.replace("/kontiki.v1.", "")).collect();
    assert_eq!(tried, of_projects);
    // Whoever may, still can.
    kontiki(&["runs", "get", &run_id]).expect(0);
    kontiki(&["schedule", "get", "nightly"]).expect(0);
}
