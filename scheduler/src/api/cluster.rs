//! `kontiki.v1.ClusterService`: the Raft group and the limits of pools, for operators.

use futures::stream::{BoxStream, StreamExt};
use proto::v1;
use proto::v1::cluster_service_server::ClusterService;
use proto::v1::replica::Role as WireRole;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{commit, refusal, trace};
use crate::replica::{Consistency, Handle, Member, Role};
use crate::state::{Command, State};

pub struct Service {
    handle: Handle,
}

impl Service {
    pub fn new(handle: Handle) -> Self {
        Self { handle }
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl ClusterService for Service {
    type SaveSnapshotStream = BoxStream<'static, Result<v1::SaveSnapshotResponse, Status>>;

    async fn get_status(&self, _: Request<v1::GetStatusRequest>) -> Answer<v1::GetStatusResponse> {
        let status = self.handle.status();
        Ok(Response::new(v1::GetStatusResponse {
            cluster_id: status.cluster,
            replica_id: status.replica,
            leader_id: status.leader.map_or(0, |leader| leader.id),
            term: status.term,
            last_log_index: status.last_log,
            committed_index: status.committed,
            applied_index: status.applied,
            snapshot_index: status.snapshot,
            purged_index: status.purged,
            state_digest: status.digest,
            replicas: status.members.into_iter().map(replica).collect(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }))
    }

    async fn add_replica(&self, request: Request<v1::AddReplicaRequest>) -> Answer<v1::AddReplicaResponse> {
        let v1::AddReplicaRequest { replica_id, address, name } = request.into_inner();
        let member = Member { id: replica_id, name, address, promote: false };
        self.handle.add_learner(member).await.map_err(|error| refusal::failed(&error))?;
        Ok(Response::new(v1::AddReplicaResponse {}))
    }

    async fn promote_replica(&self, request: Request<v1::PromoteReplicaRequest>) -> Answer<v1::PromoteReplicaResponse> {
        let promoted = self.handle.promote(request.into_inner().replica_id).await;
        promoted.map_err(|error| refusal::failed(&error))?;
        Ok(Response::new(v1::PromoteReplicaResponse {}))
    }

    async fn remove_replica(&self, request: Request<v1::RemoveReplicaRequest>) -> Answer<v1::RemoveReplicaResponse> {
        let removed = self.handle.remove(request.into_inner().replica_id).await;
        removed.map_err(|error| refusal::failed(&error))?;
        Ok(Response::new(v1::RemoveReplicaResponse {}))
    }

    async fn transfer_leadership(
        &self,
        request: Request<v1::TransferLeadershipRequest>,
    ) -> Answer<v1::TransferLeadershipResponse> {
        let to = request.into_inner().replica_id;
        let leader = self.handle.transfer((to != 0).then_some(to)).await.map_err(|error| refusal::failed(&error))?;
        Ok(Response::new(v1::TransferLeadershipResponse { leader_id: leader.id }))
    }

    async fn save_snapshot(&self, _: Request<v1::SaveSnapshotRequest>) -> Answer<Self::SaveSnapshotStream> {
        let pieces = self.handle.back_up().await.map_err(|error| refusal::failed(&error))?;
        let pieces = ReceiverStream::new(pieces).map(|piece| match piece {
            Ok(data) => Ok(v1::SaveSnapshotResponse { data }),
            Err(error) => Err(Status::unavailable(format!("the snapshot could not be read: {error}"))),
        });
        Ok(Response::new(pieces.boxed()))
    }

    async fn set_pool(&self, request: Request<v1::SetPoolRequest>) -> Answer<v1::SetPoolResponse> {
        let (metadata, _, v1::SetPoolRequest { pool, places }) = request.into_parts();
        let command = Command::SetPool { pool, places };
        commit::repeatable(&self.handle, trace::proposal(&metadata, command)).await?;
        Ok(Response::new(v1::SetPoolResponse {}))
    }

    async fn list_pools(&self, _: Request<v1::ListPoolsRequest>) -> Answer<v1::ListPoolsResponse> {
        let view = |state: &State, (pool, places): (&str, u32)| v1::Pool {
            pool: pool.to_owned(),
            places,
            running: state.in_pool(pool),
        };
        let list = |state: &State| state.pools().map(|pool| view(state, pool)).collect();
        let pools = self.handle.read(Consistency::Linearizable, list).await;
        Ok(Response::new(v1::ListPoolsResponse { pools: pools.map_err(|error| refusal::failed(&error))? }))
    }
}

fn replica((member, role, matched): (Member, Role, Option<u64>)) -> v1::Replica {
    let role = match role {
        Role::Leader => WireRole::Leader,
        Role::Follower => WireRole::Follower,
        Role::Learner => WireRole::Learner,
    };
    v1::Replica {
        replica_id: member.id,
        address: member.address,
        name: member.name,
        role: role.into(),
        matched: matched.unwrap_or(0),
    }
}
