//! Mutual TLS: who calls is known by the certificate that they show, and so is who answers. Callers that a token tells of may do without
//! one, where the server lets them.
//!
//! A certificate says what its holder is in names of the form `kontiki:replica`, `kontiki:worker` and `kontiki:client` among its subject
//! alternative names (URI). One may hold several.
//!
//! Invariants: files are read again soon after they changed, and what was read last stays in use while they cannot be; a private key
//! is neither printed nor told.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientCertVerifierBuilder, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use x509_parser::extensions::GeneralName;

/// Files are looked at so often at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const ALPN: &[u8] = b"h2";
const PREFIX: &str = "kontiki:";

/// What the holder of a certificate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    Replica,
    Worker,
    Client,
}

impl Identity {
    pub const ALL: [Self; 3] = [Self::Replica, Self::Worker, Self::Client];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Replica => "replica",
            Self::Worker => "worker",
            Self::Client => "client",
        }
    }
}

/// Where certificates and the key are, all PEM. Only a client may do without `cert` and `key`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// Certificates of those who sign: whoever shows another one is refused.
    pub ca: PathBuf,
    /// This process's own, its chain after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", file.display())]
pub struct Error {
    file: PathBuf,
    problem: String,
}

/// What this process shows and whom it trusts, as the files say now. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    shared: Arc<Shared>,
    /// Whom to expect at an address that does not say so itself.
    name: Option<Arc<str>>,
}

struct Shared {
    files: Files,
    loaded: Mutex<Loaded>,
}

struct Loaded {
    changed: [Option<SystemTime>; 3],
    looked_at: Instant,
    /// None without a certificate of its own.
    server: Option<Servers>,
    client: Arc<ClientConfig>,
}

/// The same server for callers of both kinds.
struct Servers {
    /// For those who show a certificate.
    known: Arc<ServerConfig>,
    /// For those who may show one.
    any: Arc<ServerConfig>,
}

/// Whom a server lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callers {
    /// Who shows a certificate that it trusts.
    Certified,
    /// Whoever shows one that it trusts, or none.
    Any,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.files.fmt(f)
    }
}

impl Tls {
    pub fn load(files: Files) -> Result<Self, Error> {
        let loaded = Mutex::new(Loaded::read(&files)?);
        Ok(Self { shared: Arc::new(Shared { files, loaded }), name: None })
    }

    /// The same, for connections to addresses at which this host is expected.
    #[must_use]
    pub fn named(&self, host: &str) -> Self {
        Self { shared: Arc::clone(&self.shared), name: Some(host.into()) }
    }

    pub(crate) fn expected(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// For connections that are accepted now; none where this process has no certificate to show.
    pub fn server(&self, callers: Callers) -> Option<Arc<ServerConfig>> {
        self.current(|loaded| {
            let servers = loaded.server.as_ref()?;
            Some(match callers {
                Callers::Certified => Arc::clone(&servers.known),
                Callers::Any => Arc::clone(&servers.any),
            })
        })
    }

    /// For connections that are made now.
    pub fn client(&self) -> Arc<ClientConfig> {
        self.current(|loaded| Arc::clone(&loaded.client))
    }

    fn current<T>(&self, take: impl FnOnce(&Loaded) -> T) -> T {
        let files = &self.shared.files;
        let mut loaded = self.shared.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.looked_at.elapsed() >= LOOK_EVERY {
            loaded.looked_at = Instant::now();
            if loaded.changed != changed(files) {
                match Loaded::read(files) {
                    Ok(read) => {
                        *loaded = read;
                        tracing::info!(ca = %files.ca.display(), "certificates were read again");
                    }
                    Err(error) => {
                        tracing::warn!(%error, "certificates changed and cannot be read: those before stay in use")
                    }
                }
            }
        }
        take(&loaded)
    }
}

impl Loaded {
    fn read(files: &Files) -> Result<Self, Error> {
        // Before the files: a change while they are read is one more.
        let changed = changed(files);
        let certificates = |file: &Path| {
            let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            match read {
                Ok(found) if found.is_empty() => Err(problem(file, "it holds no certificate")),
                Ok(found) => Ok(found),
                Err(error) => Err(problem(file, error)),
            }
        };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&files.ca)? {
            roots.add(certificate).map_err(|error| problem(&files.ca, error))?;
        }
        let roots = Arc::new(roots);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| problem(&files.ca, error))?
            .with_root_certificates(Arc::clone(&roots));
        let (mut client, server) = match (&files.cert, &files.key) {
            (None, None) => (client.with_no_client_auth(), None),
            (Some(cert), Some(key)) => {
                let chain = certificates(cert)?;
                let own = || PrivateKeyDer::from_pem_file(key).map_err(|error| problem(key, error));
                let verifier =
                    || WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider));
                let server = |verifier: ClientCertVerifierBuilder| {
                    let verifier = verifier.build().map_err(|error| problem(&files.ca, error))?;
                    let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
                        .with_safe_default_protocol_versions()
                        .map_err(|error| problem(cert, error))?
                        .with_client_cert_verifier(verifier)
                        .with_single_cert(chain.clone(), own()?)
                        .map_err(|error| problem(cert, error))?;
                    server.alpn_protocols = vec![ALPN.to_vec()];
                    Ok::<_, Error>(Arc::new(server))
                };
                let servers = Servers { known: server(verifier())?, any: server(verifier().allow_unauthenticated())? };
                let client = client.with_client_auth_cert(chain.clone(), own()?);
                (client.map_err(|error| problem(cert, error))?, Some(servers))
            }
            (Some(present), None) | (None, Some(present)) => {
                return Err(problem(present, "a certificate needs its key, and a key its certificate"));
            }
        };
        client.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self { changed, looked_at: Instant::now(), server, client: Arc::new(client) })
    }
}

fn problem(file: &Path, problem: impl fmt::Display) -> Error {
    Error { file: file.to_owned(), problem: problem.to_string() }
}

/// When each file was changed last; of a link, what it leads to.
fn changed(files: &Files) -> [Option<SystemTime>; 3] {
    [Some(&files.ca), files.cert.as_ref(), files.key.as_ref()]
        .map(|file| std::fs::metadata(file?).and_then(|found| found.modified()).ok())
}

/// What a certificate says of its holder.
pub fn identities(certificate: &CertificateDer<'_>) -> BTreeSet<Identity> {
    let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else { return BTreeSet::new() };
    let Ok(Some(names)) = parsed.subject_alternative_name() else { return BTreeSet::new() };
    let named = names.value.general_names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => uri.strip_prefix(PREFIX),
        _ => None,
    });
    named.filter_map(|name| Identity::ALL.into_iter().find(|identity| identity.as_str() == name)).collect()
}

/// The holder's common name, for people; empty where there is none.
pub fn name(certificate: &CertificateDer<'_>) -> String {
    let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else { return String::new() };
    let common = parsed.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
    common.unwrap_or_default().to_owned()
}
