//! A cluster under mutual TLS: each process shows a certificate that says what it is.

use std::path::{Path, PathBuf};

use rcgen::string::Ia5String;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};

use testing::{Process, ports};

use crate::fleet::Fleet;
use crate::support::{Ended, Project};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Writes `role.crt` and `role.key`.
fn issue(folder: &Path, authority: &Authority, role: &str) {
    let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, format!("the {role}"));
    params.subject_alt_names.push(SanType::URI(Ia5String::try_from(format!("kontiki:{role}")).unwrap()));
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    std::fs::write(folder.join(format!("{role}.key")), key.serialize_pem()).unwrap();
    std::fs::write(folder.join(format!("{role}.crt")), certificate.pem()).unwrap();
}

/// Whose certificate a process shows.
pub fn role(arguments: &[&str]) -> &'static str {
    match arguments {
        ["server", ..] => "replica",
        ["worker", "--servers", ..] => "worker",
        _ => "client",
    }
}

pub fn variables(folder: &Path, role: &str) -> Vec<(String, String)> {
    let file = |name: &str| folder.join(name).display().to_string();
    [("CA", file("ca.crt")), ("CERT", file(&format!("{role}.crt"))), ("KEY", file(&format!("{role}.key")))]
        .map(|(name, value)| (format!("KONTIKI_TLS_{name}"), value))
        .into()
}

/// A folder with a certificate for each role.
pub fn certificates(project: &Project) -> (PathBuf, Authority) {
    let folder = project.root().join("certificates");
    std::fs::create_dir(&folder).unwrap();
    let authority = authority();
    std::fs::write(folder.join("ca.crt"), authority.pem()).unwrap();
    for role in ["replica", "worker", "client"] {
        issue(&folder, &authority, role);
    }
    (folder, authority)
}

/// A cluster whose certificates are in the folder that comes with it.
fn fleet(replicas: usize) -> (Fleet, PathBuf, Authority) {
    let project = Project::small();
    let (folder, authority) = certificates(&project);
    let of_processes = folder.clone();
    let fleet = Fleet::start_as(project, replicas, 1, move |arguments| variables(&of_processes, role(arguments)));
    (fleet, folder, authority)
}

/// Calls the cluster with another certificate.
fn call_as(fleet: &Fleet, folder: &Path, role: &str, arguments: &[&str]) -> Ended {
    let mut command = fleet.command(arguments);
    command.envs(variables(folder, role));
    command.output().unwrap().into()
}

#[test]
fn runs_go_on_under_tls_and_each_role_may_do_its_own() {
    let (mut fleet, folder, authority) = fleet(3);
    fleet.kontiki(&["build"]).expect(0);
    let leader = fleet.leader();
    fleet.replica(leader).signal("KILL");
    fleet.replica(leader).code();
    fleet.await_leader_other_than(leader);
    fleet.kontiki(&["build"]).expect(0);

    // A certificate of the cluster's own that says something else.
    let refused = call_as(&fleet, &folder, "worker", &["runs", "list"]);
    refused.expect(2);
    refused.says("K4002").says("'the worker' (worker) may not call /kontiki.v1.RunService/ListRuns");
    // One that a stranger has signed.
    let strange = folder.join("strange");
    std::fs::create_dir(&strange).unwrap();
    let stranger = self::authority();
    std::fs::write(strange.join("ca.crt"), authority.pem()).unwrap();
    issue(&strange, &stranger, "client");
    call_as(&fleet, &strange, "client", &["runs", "list"]).expect(2);
    // None at all.
    let mut plain = fleet.command(&["runs", "list"]);
    for name in ["KONTIKI_TLS_CA", "KONTIKI_TLS_CERT", "KONTIKI_TLS_KEY"] {
        plain.env_remove(name);
    }
    Ended::from(plain.output().unwrap()).expect(2);
    // Half of what is needed.
    let mut half = fleet.command(&["runs", "list"]);
    half.env_remove("KONTIKI_TLS_KEY");
    let half = Ended::from(half.output().unwrap());
    half.expect(2);
    half.says("K3007").says("mutual TLS needs all of tls.ca, tls.cert and tls.key");
}

#[test]
fn a_context_brings_its_certificate() {
    let (fleet, folder, _) = fleet(1);
    let server = fleet.addresses()[0].clone();
    let home = fleet.project.root().join("config").display().to_string();
    let kontiki = |arguments: &[&str]| {
        let mut command = fleet.project.command(arguments);
        Ended::from(command.env("XDG_CONFIG_HOME", &home).current_dir(&folder).output().unwrap())
    };
    let set = ["context", "set", "shop", &server];
    let certificate = ["--tls-ca", "ca.crt", "--tls-cert", "client.crt", "--tls-key", "client.key"];
    kontiki(&[&set[..], &certificate].concat()).expect(0);
    kontiki(&["runs", "list", "--context", "shop"]).expect(0);
    // Without one it is not let in, and what is no certificate is refused at once.
    kontiki(&["context", "set", "plain", &server]).expect(0);
    kontiki(&["runs", "list", "--context", "plain"]).expect(2);
    kontiki(&[&set[..], &certificate[..4]].concat()).expect(2).says("--tls-key <FILE>");
    let swapped = ["--tls-ca", "ca.crt", "--tls-cert", "client.key", "--tls-key", "client.key"];
    kontiki(&[&set[..], &swapped].concat()).expect(2).says("client.key");
    let missing = ["--tls-ca", "nowhere.crt", "--tls-cert", "client.crt", "--tls-key", "client.key"];
    kontiki(&[&set[..], &missing].concat()).expect(2).says("cannot read nowhere.crt");
    // What was there before is there still.
    kontiki(&["runs", "list", "--context", "shop"]).expect(0);
}

#[test]
fn certificates_are_renewed_without_a_restart() {
    let (fleet, folder, old) = fleet(1);
    fleet.kontiki(&["build"]).expect(0);
    // Both authorities are trusted for a while, and the replica shows a certificate of the new one.
    let new = authority();
    std::fs::write(folder.join("ca.crt"), [old.pem(), new.pem()].concat()).unwrap();
    issue(&folder, &new, "replica");
    let renewed = folder.join("renewed");
    std::fs::create_dir(&renewed).unwrap();
    std::fs::write(renewed.join("ca.crt"), new.pem()).unwrap();
    issue(&renewed, &new, "client");
    fleet.until("a replica that those trust who know the new authority alone", || {
        call_as(&fleet, &renewed, "client", &["runs", "list"]).code == Some(0)
    });
    fleet.kontiki(&["build"]).expect(0);
}

#[test]
fn nobody_listens_to_strangers_by_accident() {
    let project = Project::small();
    let data = project.root().join("data").display().to_string();
    let port = ports::free(1)[0];
    let listen = format!("0.0.0.0:{port}");
    let server = ["server", "--listen", &listen, "--data-dir", &data];
    let refused = project.kontiki(&server);
    refused.expect(2);
    refused.says(&format!("it would listen at {listen} for anybody")).says("--insecure true");
    assert!(!Path::new(&data).exists());
    project.kontiki(&["dev", "--listen", "[::]:0"]).expect(2);
    let here = format!("127.0.0.1:{port}");
    let told_twice = [&server[..], &["--insecure", "true", "--advertise", &here]].concat();
    let process = Process::start("insecure", project.root(), project.command(&told_twice));
    let list = ["runs", "list", "--server", &here];
    let listens = || (project.kontiki(&list).code == Some(0)).then_some(()).ok_or("it does not answer");
    testing::obtain("a replica that listens to everybody", listens, || process.lines());
}
