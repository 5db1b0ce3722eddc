//! `kontiki cluster …`

use proto::v1::cluster_service_client::ClusterServiceClient;
use proto::v1::{
    AddReplicaRequest, GetStatusRequest, GetStatusResponse, PromoteReplicaRequest, RemoveReplicaRequest, Replica,
    TransferLeadershipRequest, replica,
};
use serde_json::json;

use super::connect::Connected;
use super::pools::pools;
use super::show::{Column, Listing, Row, column, show, wide};
use super::{args, snapshot};
use crate::exit::Exit;
use crate::project::{Call, Refused};

const REPLICAS: [Column; 5] = [column("REPLICA"), column("NAME"), column("ADDRESS"), column("ROLE"), column("MATCHED")];
const STATUS: [Column; 9] = [
    column("CLUSTER"),
    column("LEADER"),
    column("TERM"),
    column("COMMITTED"),
    column("APPLIED"),
    wide("SNAPSHOT"),
    wide("PURGED"),
    wide("DIGEST"),
    wide("VERSION"),
];

pub fn cluster(call: &Call, verb: &args::Cluster) -> Result<Exit, Refused> {
    if let args::Cluster::Snapshot(args::Snapshot::Verify { file }) = verb {
        return snapshot::verify(call, file);
    }
    let cluster = Connected::new(call)?;
    let done = |text: String| {
        call.console.output(&text);
        Ok(Exit::Success)
    };
    match verb {
        args::Cluster::Status(shown) => show(call, *shown, || status(&cluster)),
        args::Cluster::Add { id, address, name } => {
            let request = AddReplicaRequest { replica_id: *id, address: address.clone(), name: name.clone() };
            cluster.ask(|channel| {
                let request = request.clone();
                async move { ClusterServiceClient::new(channel).add_replica(request).await }
            })?;
            done(format!("replica {id} is a learner"))
        }
        args::Cluster::Promote { id } => {
            let request = PromoteReplicaRequest { replica_id: *id };
            cluster.ask(|channel| async move { ClusterServiceClient::new(channel).promote_replica(request).await })?;
            done(format!("replica {id} votes"))
        }
        args::Cluster::Remove { id } => {
            let request = RemoveReplicaRequest { replica_id: *id };
            cluster.ask(|channel| async move { ClusterServiceClient::new(channel).remove_replica(request).await })?;
            done(format!("replica {id} is removed"))
        }
        args::Cluster::Transfer { id } => {
            let request = TransferLeadershipRequest { replica_id: id.unwrap_or_default() };
            let answer = cluster
                .ask(|channel| async move { ClusterServiceClient::new(channel).transfer_leadership(request).await })?;
            done(format!("replica {} leads", answer.leader_id))
        }
        args::Cluster::Pools(verb) => pools(&cluster, verb),
        args::Cluster::Snapshot(args::Snapshot::Save { file } | args::Snapshot::Verify { file }) => {
            let bytes = snapshot::save(&cluster, file)?;
            done(format!("{bytes} bytes saved in {}", file.display()))
        }
    }
}

fn status(cluster: &Connected<'_>) -> Result<Listing, Refused> {
    let status = cluster
        .ask(|channel| async move { ClusterServiceClient::new(channel).get_status(GetStatusRequest {}).await })?;
    let replicas: Vec<Row> = status.replicas.iter().map(row).collect();
    let leader = status.replicas.iter().find(|replica| replica.replica_id == status.leader_id);
    let mut listing = Listing::one(&STATUS, summary(&status, leader, &replicas));
    listing.below.push(Listing::list(&REPLICAS, replicas));
    Ok(listing)
}

fn summary(status: &GetStatusResponse, leader: Option<&Replica>, replicas: &[Row]) -> Row {
    let digest = format!("{:016x}", status.state_digest);
    Row {
        name: status.cluster_id.clone(),
        cells: vec![
            status.cluster_id.clone(),
            leader.map(|leader| leader.name.clone()).unwrap_or_default(),
            status.term.to_string(),
            status.committed_index.to_string(),
            status.applied_index.to_string(),
            status.snapshot_index.to_string(),
            status.purged_index.to_string(),
            digest.clone(),
            status.version.clone(),
        ],
        json: json!({
            "cluster": status.cluster_id,
            "answered_by": status.replica_id,
            "leader": (status.leader_id > 0).then_some(status.leader_id),
            "term": status.term,
            "last_log_index": status.last_log_index,
            "committed_index": status.committed_index,
            "applied_index": status.applied_index,
            "snapshot_index": status.snapshot_index,
            "purged_index": status.purged_index,
            "state_digest": digest,
            "version": status.version,
            "replicas": replicas.iter().map(|row| &row.json).collect::<Vec<_>>(),
        }),
    }
}

fn row(replica: &Replica) -> Row {
    let role = match replica.role() {
        replica::Role::Leader => "leader",
        replica::Role::Follower => "follower",
        replica::Role::Learner => "learner",
        replica::Role::Unspecified => "",
    };
    let matched = if replica.matched > 0 { replica.matched.to_string() } else { String::new() };
    Row {
        name: replica.name.clone(),
        cells: vec![
            replica.replica_id.to_string(),
            replica.name.clone(),
            replica.address.clone(),
            role.to_owned(),
            matched,
        ],
        json: json!({
            "id": replica.replica_id,
            "name": replica.name,
            "address": replica.address,
            "role": role,
            "matched": (replica.matched > 0).then_some(replica.matched),
        }),
    }
}
