//! What attempts left for people to read, of whichever replica has it.

use proto::v1::run_service_client::RunServiceClient;
use proto::v1::{ReadTranscriptsRequest, ReadTranscriptsResponse};
use tonic::Status;

use super::connect::Connected;

/// In the order in which the attempts ended.
pub fn read(cluster: &Connected<'_>, request: &ReadTranscriptsRequest) -> Result<Vec<ReadTranscriptsResponse>, Status> {
    cluster.block_on(cluster.replicas.call(|channel| {
        let request = request.clone();
        async move {
            let mut stream = RunServiceClient::new(channel).read_transcripts(request).await?.into_inner();
            let mut all = Vec::new();
            while let Some(transcript) = stream.message().await? {
                all.push(transcript);
            }
            Ok(all)
        }
    }))
}
