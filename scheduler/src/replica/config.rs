//! How a replica is set up.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use proto::tls::Tls;

use crate::leader::Policy;
use crate::store::SyncData;

#[derive(Clone, Debug)]
pub struct Config {
    /// Holds identity, log, snapshot and blobs; made if missing. One process at a time.
    pub directory: PathBuf,
    /// Unique in the cluster and stable, such as `kontiki-0`.
    pub name: String,
    /// Host and port at which other replicas reach this one.
    pub advertise: String,
    /// Where to look for others: `host:port`, each of which may resolve to several addresses. It may name this replica.
    pub peers: Vec<String>,
    /// How many replicas make a fresh cluster. Counts only while there is none.
    pub replicas: usize,
    pub timings: Timings,
    /// How the leader judges time.
    pub policy: Policy,
    /// Entries after which a snapshot is saved; half as many are kept behind it.
    pub snapshot_entries: u64,
    /// How other replicas and callers are talked to; plainly without it.
    pub tls: Option<Tls>,
    /// How the log is made durable; tests put something else in its place.
    pub sync: Durability,
}

/// Makes the function that makes the log durable.
#[derive(Clone)]
pub struct Durability(Arc<dyn Fn() -> SyncData + Send + Sync>);

impl Durability {
    pub fn new(make: impl Fn() -> SyncData + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }

    pub(super) fn make(&self) -> SyncData {
        (self.0)()
    }
}

impl Default for Durability {
    fn default() -> Self {
        Self::new(|| Box::new(std::fs::File::sync_data))
    }
}

impl fmt::Debug for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Durability")
    }
}

impl Config {
    /// A cluster of one at `advertise`.
    pub fn new(directory: impl Into<PathBuf>, name: impl Into<String>, advertise: impl Into<String>) -> Self {
        Self {
            directory: directory.into(),
            name: name.into(),
            advertise: advertise.into(),
            peers: Vec::new(),
            replicas: 1,
            timings: Timings::default(),
            policy: Policy {
                lease: Duration::from_secs(10),
                lose_on_disconnect: false,
                runs_kept: 1_000,
                history_kept: None,
                transcripts_kept: None,
            },
            snapshot_entries: 20_000,
            tls: None,
            sync: Durability::default(),
        }
    }
}

/// What decides how soon a dead leader is replaced. A follower waits for the longer election timeout, in which the leader may
/// still be there, and then for a random time between the two.
#[derive(Clone, Debug)]
pub struct Timings {
    pub heartbeat: Duration,
    pub election_min: Duration,
    pub election_max: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(100),
            election_min: Duration::from_millis(150),
            election_max: Duration::from_millis(300),
        }
    }
}
