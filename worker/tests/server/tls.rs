//! libpq's `sslmode`s against a server with a certificate of its own authority.

use common::diagnostic::Code;
use common::table::Datum;
use common::task::FailureKind;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use testing::Postgres;
use worker::warehouse::Error;

use crate::open;

/// A server whose certificate is for `localhost`, and files with its authority and with another one.
struct World {
    server: Postgres,
    trusted: tempfile::NamedTempFile,
    stranger: tempfile::NamedTempFile,
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn file(authority: &CertifiedIssuer<'static, KeyPair>) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), authority.pem()).unwrap();
    file
}

fn world() -> World {
    let ours = authority();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, &ours).unwrap();
    let settings = ["ssl=on", "ssl_cert_file=server.crt", "ssl_key_file=server.key"];
    let files = [("server.crt", certificate.pem()), ("server.key", key.serialize_pem())];
    let files = [(files[0].0, files[0].1.as_str()), (files[1].0, files[1].1.as_str())];
    let server = Postgres::start_with_files(&settings, &files);
    World { server, trusted: file(&ours), stranger: file(&authority()) }
}

/// Whether the connection is encrypted, as the server sees it.
fn connect(server: &Postgres, host: &str, mode: &str, root: Option<&tempfile::NamedTempFile>) -> Result<bool, Error> {
    let mut settings =
        serde_json::json!({"host": host, "port": server.port(), "dbname": "postgres", "sslmode": mode, "retries": 0});
    if let Some(root) = root {
        settings["sslrootcert"] = root.path().to_str().unwrap().into();
    }
    let mut connection = open(settings).connect()?;
    let rows = connection.query("select ssl from pg_stat_ssl where pid = pg_backend_pid()")?.1.rows;
    Ok(rows == [[Datum::Bool(true)]])
}

#[test]
fn modes_ask_for_what_their_names_say() {
    let World { server, trusted, stranger } = &world();
    let encrypted = |host, mode, root| connect(server, host, mode, root).map_err(|error| (error.kind, error.code));
    let refused = Err((FailureKind::User, Code::ProfileInvalid));
    assert_eq!(encrypted("127.0.0.1", "disable", None), Ok(false));
    assert_eq!(encrypted("127.0.0.1", "allow", None), Ok(false));
    assert_eq!(encrypted("127.0.0.1", "prefer", None), Ok(true));
    assert_eq!(encrypted("127.0.0.1", "require", None), Ok(true));
    // With an authority to hand, `require` checks it, as libpq does.
    assert_eq!(encrypted("127.0.0.1", "require", Some(stranger)), refused);
    assert_eq!(encrypted("127.0.0.1", "verify-ca", Some(trusted)), Ok(true));
    assert_eq!(encrypted("127.0.0.1", "verify-ca", Some(stranger)), refused);
    assert_eq!(encrypted("localhost", "verify-full", Some(trusted)), Ok(true));
    assert_eq!(encrypted("localhost", "verify-full", Some(stranger)), refused);
    // The right authority, and the name of somebody else.
    assert_eq!(encrypted("127.0.0.1", "verify-full", Some(trusted)), refused);
}

#[test]
fn statements_are_canceled_over_tls() {
    let World { server, trusted, .. } = &world();
    let settings = serde_json::json!({
        "host": "localhost", "port": server.port(), "dbname": "postgres", "sslmode": "verify-full",
        "sslrootcert": trusted.path(),
    });
    let mut connection = open(settings).connect().unwrap();
    let canceller = connection.canceller();
    let mut bare = server.client("postgres");
    let canceler = std::thread::spawn(move || {
        let asleep = "select count(*) from pg_stat_activity where query like 'select pg_sleep%' and state = 'active'";
        while bare.query_one(asleep, &[]).unwrap().get::<_, i64>(0) == 0 {}
        canceller.cancel();
    });
    let error = connection.execute("select pg_sleep(600)").unwrap_err();
    canceler.join().unwrap();
    assert_eq!((error.kind, error.code), (FailureKind::Canceled, Code::Canceled));
}

#[test]
fn a_server_without_tls_is_not_asked_again() {
    let server = Postgres::start();
    let error = connect(&server, "127.0.0.1", "require", None).unwrap_err();
    assert_eq!((error.kind, error.code), (FailureKind::User, Code::ProfileInvalid), "{}", error.message);
    assert!(!connect(&server, "127.0.0.1", "prefer", None).unwrap());
}
