//! `kontiki cluster pools list|set|unset`

use proto::v1::cluster_service_client::ClusterServiceClient;
use proto::v1::{ListPoolsRequest, Pool, SetPoolRequest};
use serde_json::json;

use super::args::Pools;
use super::connect::Connected;
use super::show::{Column, Listing, Row, column, show};
use crate::exit::Exit;
use crate::project::Refused;

const COLUMNS: [Column; 3] = [column("POOL"), column("PLACES"), column("RUNNING")];

pub fn pools(cluster: &Connected<'_>, verb: &Pools) -> Result<Exit, Refused> {
    match verb {
        Pools::List(shown) => show(cluster.call, *shown, || list(cluster)),
        Pools::Set { pool, places } => {
            set(cluster, pool, Some(*places))?;
            cluster.call.console.output(&format!("pool {pool} has {places} places"));
            Ok(Exit::Success)
        }
        Pools::Unset { pool } => {
            set(cluster, pool, None)?;
            cluster.call.console.output(&format!("pool {pool} has no limit of the cluster's"));
            Ok(Exit::Success)
        }
    }
}

fn list(cluster: &Connected<'_>) -> Result<Listing, Refused> {
    let answer = cluster
        .ask(|channel| async move { ClusterServiceClient::new(channel).list_pools(ListPoolsRequest {}).await })?;
    Ok(Listing::list(&COLUMNS, answer.pools.iter().map(row).collect()))
}

fn set(cluster: &Connected<'_>, pool: &str, places: Option<u32>) -> Result<(), Refused> {
    let request = SetPoolRequest { pool: pool.to_owned(), places };
    cluster.ask(|channel| {
        let request = request.clone();
        async move { ClusterServiceClient::new(channel).set_pool(request).await }
    })?;
    Ok(())
}

fn row(pool: &Pool) -> Row {
    let Pool { pool, places, running } = pool;
    Row {
        name: pool.clone(),
        cells: vec![pool.clone(), places.to_string(), running.to_string()],
        json: json!({ "pool": pool, "places": places, "running": running }),
    }
}
