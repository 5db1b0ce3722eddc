//! Who may do what: the access policy of a cluster.
//!
//! ```text
//!   token ─────────┬─ known by its hash ──┐
//!                  └─ signed by an issuer ├─▶ subjects ─▶ grants ─▶ Principal ─▶ may(role, project)?
//!   certificate ──── its common name ─────┘
//! ```
//!
//! Invariants: whom no grant names may do nothing; a file that cannot be read changes nothing; a token is neither kept nor printed.

mod issuers;
mod policy;
mod principal;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use common::ContentDigest;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use self::issuers::Keys;
use self::policy::Subject;
pub use self::policy::{Policy, Problem};
pub use self::principal::Principal;
use crate::local::clock;

/// The file is looked at so often at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The policy in a file, as the file says now.
pub struct Access {
    file: PathBuf,
    loaded: Mutex<Loaded>,
}

struct Loaded {
    changed: Option<SystemTime>,
    looked_at: Instant,
    inner: Arc<Inner>,
}

struct Inner {
    policy: Policy,
    keys: Keys,
}

/// Why somebody is nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stranger {
    #[error("this cluster wants a token or a client's certificate")]
    Nothing,
    #[error("the token is not one of this cluster's")]
    UnknownToken,
    #[error("the token '{0}' has expired")]
    Expired(String),
    #[error("the token was refused: {0}")]
    Refused(String),
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Access").field(&self.file).finish()
    }
}

impl Access {
    /// Reads the policy, and the keys of issuers that are in files.
    pub fn load(file: PathBuf) -> Result<Self, Problem> {
        let loaded = Loaded::read(&file)?;
        Ok(Self { file, loaded: Mutex::new(loaded) })
    }

    /// Who calls: by the token where there is one, otherwise by the certificate's common name.
    pub async fn principal(&self, token: Option<&str>, certificate: Option<&str>) -> Result<Principal, Stranger> {
        let inner = self.current();
        let policy = &inner.policy;
        let Some(token) = token else {
            let name = certificate.ok_or(Stranger::Nothing)?;
            return Ok(policy.principal(name, &[Subject::Certificate(name.to_owned())]));
        };
        if let Some(known) = policy.token(&ContentDigest(Sha256::digest(token).into())) {
            if known.expires.is_some_and(|expires| clock::now() >= expires) {
                return Err(Stranger::Expired(known.name.clone()));
            }
            return Ok(policy.principal(&known.name, &[Subject::Token(known.name.clone())]));
        }
        let Some(issuer) = issuers::issuer(policy, token) else { return Err(Stranger::UnknownToken) };
        let identity = inner.keys.verify(issuer, token).await.map_err(Stranger::Refused)?;
        let in_issuer = |name: &str| format!("{}/{name}", issuer.name);
        let groups = identity.groups.iter().map(|group| Subject::Group(in_issuer(group)));
        let user = in_issuer(&identity.user);
        let subjects: Vec<_> = groups.chain([Subject::User(user.clone())]).collect();
        Ok(policy.principal(&user, &subjects))
    }

    fn current(&self) -> Arc<Inner> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.looked_at.elapsed() >= LOOK_EVERY {
            loaded.looked_at = Instant::now();
            if loaded.changed != changed(&self.file) {
                match Loaded::read(&self.file) {
                    Ok(read) => {
                        *loaded = read;
                        tracing::info!(file = %self.file.display(), "the access policy was read again");
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the access policy changed and cannot be read: the one before stays in force");
                    }
                }
            }
        }
        Arc::clone(&loaded.inner)
    }
}

impl Loaded {
    fn read(file: &Path) -> Result<Self, Problem> {
        // Before the file: a change while it is read is one more.
        let changed = changed(file);
        let policy = Policy::read(file)?;
        let keys = Keys::of(&policy, file)?;
        Ok(Self { changed, looked_at: Instant::now(), inner: Arc::new(Inner { policy, keys }) })
    }
}

fn changed(file: &Path) -> Option<SystemTime> {
    std::fs::metadata(file).and_then(|found| found.modified()).ok()
}
