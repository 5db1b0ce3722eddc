//! How a replica comes to belong to a cluster.
//!
//! ```text
//!   no identity ── all peers see one another without a cluster ──▶ the lowest name makes one and tells the others who they are
//!       │
//!       └──────── a peer belongs to a cluster ──▶ join it through its leader, as a learner under a fresh id
//! ```
//!
//! Invariant: a cluster is made only by as many replicas as the configuration says, all of them without one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proto::tls::Tls;
use proto::v1;
use proto::v1::raft_service_client::RaftServiceClient;
use tonic::transport::Channel;

use super::shell::Shell;
use super::{Error, Member};
use crate::raft::identity::Identity;
use crate::raft::network::connect;

const PAUSE: Duration = Duration::from_millis(200);
const ASK_TIMEOUT: Duration = Duration::from_secs(1);
const JOIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Looks for others until this replica has a log.
pub(super) async fn run(shell: Arc<Shell>) {
    loop {
        match step(&shell).await {
            Ok(true) => return,
            Ok(false) => {}
            // Told every time: whoever started the replica watches for it.
            Err(error @ (Error::WrongPeer(_) | Error::Config(_))) => {
                tracing::error!(%error, "cannot make or join a cluster")
            }
            Err(error) => tracing::info!(%error, "no cluster yet"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// True once the replica belongs to a cluster that exists.
async fn step(shell: &Arc<Shell>) -> Result<bool, Error> {
    if is_initialized(shell).await? {
        return Ok(true);
    }
    let others = find(shell).await;
    let own = shell.identity();
    if let Some(member) = others.values().find(|other| other.is_initialized) {
        return match own {
            // Its leader will send the log.
            Some(own) if own.cluster == member.cluster_id => Ok(false),
            Some(own) => Err(Error::WrongPeer(format!(
                "{} belongs to cluster {}, this replica to {}",
                member.name, member.cluster_id, own.cluster
            ))),
            None => join(shell, member).await,
        };
    }
    let first = others.keys().next().is_none_or(|name| shell.config.name < *name);
    match others.len() + 1 {
        found if found > shell.config.replicas => Err(Error::Config(format!(
            "{found} replicas found one another, but the cluster was to have {}",
            shell.config.replicas
        ))),
        found if found == shell.config.replicas && first => make(shell, &others).await,
        _ => Ok(false),
    }
}

async fn is_initialized(shell: &Shell) -> Result<bool, Error> {
    if shell.identity().is_none() {
        return Ok(false);
    }
    shell.raft()?.is_initialized().await.map_err(|fatal| Error::Stopped(fatal.to_string().into()))
}

/// The other replicas that answer, by name.
async fn find(shell: &Shell) -> BTreeMap<String, v1::IdentifyResponse> {
    let mut addresses = Vec::new();
    for peer in &shell.config.peers {
        match tokio::net::lookup_host(peer).await {
            // What a name stands for is asked under that name, which is what certificates know.
            Ok(found) => addresses.extend(found.map(|address| (address.to_string(), host(peer).to_owned()))),
            Err(error) => tracing::debug!(peer, %error, "cannot be resolved"),
        }
    }
    addresses.sort();
    addresses.dedup();
    let answers = addresses.iter().map(|(address, host)| identify(shell, address, host));
    let answers = futures::future::join_all(answers).await.into_iter().flatten();
    answers.filter(|other| other.name != shell.config.name).map(|other| (other.name.clone(), other)).collect()
}

async fn identify(shell: &Shell, address: &str, host: &str) -> Option<v1::IdentifyResponse> {
    let tls = shell.config.tls.as_ref().map(|tls| tls.named(host));
    let ask = async { client(address, tls.as_ref()).ok()?.identify(v1::IdentifyRequest::default()).await.ok() };
    Some(tokio::time::timeout(ASK_TIMEOUT, ask).await.ok()??.into_inner())
}

/// Of `host:port`.
fn host(address: &str) -> &str {
    address.rsplit_once(':').map_or(address, |(host, _)| host)
}

fn client(address: &str, tls: Option<&Tls>) -> Result<RaftServiceClient<Channel>, Error> {
    let channel = connect(address, tls).ok_or_else(|| Error::Config(format!("'{address}' is not an address")))?;
    Ok(RaftServiceClient::new(channel))
}

/// Makes the cluster. What an earlier try left is taken up: identities that were given stay.
async fn make(shell: &Arc<Shell>, others: &BTreeMap<String, v1::IdentifyResponse>) -> Result<bool, Error> {
    let own = shell.identity();
    let given = others.values().map(|other| other.cluster_id.clone()).filter(|cluster| !cluster.is_empty());
    let mut clusters: Vec<String> = given.chain(own.map(|own| own.cluster.clone())).collect();
    clusters.sort();
    clusters.dedup();
    if clusters.len() > 1 {
        return Err(Error::WrongPeer(format!("the replicas belong to different clusters: {}", clusters.join(", "))));
    }
    let cluster = clusters.pop().unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let mut taken: Vec<u64> = others.values().map(|other| other.replica_id).collect();
    taken.extend(own.map(|own| own.replica));
    let mut free = (1..).filter(|id| !taken.contains(id));
    let mut number = |id: u64| if id == 0 { free.next().unwrap_or_default() } else { id };

    let config = &shell.config;
    let own_id = number(own.map_or(0, |own| own.replica));
    let itself = Member { id: own_id, name: config.name.clone(), address: config.advertise.clone(), promote: false };
    let mut members = BTreeMap::from([(own_id, itself)]);
    for other in others.values() {
        let id = number(other.replica_id);
        let (name, address) = (other.name.clone(), other.address.clone());
        members.insert(id, Member { id, name, address, promote: false });
    }
    // First itself: should it die half-way, it goes on with the same cluster.
    adopt(shell, cluster.clone(), own_id).await?;
    for member in members.values().filter(|member| member.id != own_id) {
        let request =
            v1::AdoptRequest { cluster_id: cluster.clone(), replica_id: member.id, name: member.name.clone() };
        let mut client = client(&member.address, shell.config.tls.as_ref())?;
        let adopted = tokio::time::timeout(ASK_TIMEOUT, client.adopt(request)).await;
        if !matches!(adopted, Ok(Ok(_))) {
            tracing::info!(name = member.name, "did not answer while the cluster was being made");
            return Ok(false);
        }
    }
    tracing::info!(cluster, replicas = members.len(), "makes a cluster");
    let made = shell.raft()?.initialize(members).await;
    made.map(|()| true).map_err(|error| Error::Config(error.to_string()))
}

/// Makes this replica the one that is named, if it is none yet.
pub(super) async fn adopt(shell: &Arc<Shell>, cluster: String, replica: u64) -> Result<(), Error> {
    if let Some(own) = shell.identity() {
        return if own.cluster == cluster && own.replica == replica {
            Ok(())
        } else {
            Err(Error::WrongPeer(format!("this is replica {} of cluster {} already", own.replica, own.cluster)))
        };
    }
    let identity = Identity::new(cluster, replica);
    identity.save(&shell.config.directory)?;
    shell.take_part(identity).await
}

async fn join(shell: &Arc<Shell>, member: &v1::IdentifyResponse) -> Result<bool, Error> {
    if member.leader_address.is_empty() {
        return Err(Error::NotLeader { leader: None });
    }
    let config = &shell.config;
    let request = v1::JoinRequest { name: config.name.clone(), address: config.advertise.clone() };
    let mut client = client(&member.leader_address, shell.config.tls.as_ref())?;
    let joined = tokio::time::timeout(JOIN_TIMEOUT, client.join(request)).await;
    let joined = match joined {
        Ok(Ok(joined)) => joined.into_inner(),
        Ok(Err(status)) => {
            tracing::info!(leader = member.leader_address, %status, "does not let this replica in yet");
            return Ok(false);
        }
        Err(_) => return Err(Error::Unavailable { reason: "the leader did not answer in time" }),
    };
    adopt(shell, joined.cluster_id, joined.replica_id).await?;
    Ok(true)
}
