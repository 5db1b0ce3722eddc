//! Limits of pools, and what is told of workers.

use proto::v1;
use proto::v1::cluster_service_client::ClusterServiceClient;
use proto::v1::watch_run_response::Event;
use proto::v1::worker_service_client::WorkerServiceClient;
use tonic::Code;

use crate::fixture::*;

#[tokio::test]
async fn operators_limit_pools() {
    let cluster = Cluster::start().await;
    let mut client = ClusterServiceClient::new(cluster.channel.clone());
    let set = |pool: &str, places| v1::SetPoolRequest { pool: pool.to_owned(), places };
    client.set_pool(set("tag:heavy", Some(2))).await.unwrap();
    client.set_pool(set("target:shop.prod", Some(0))).await.unwrap();
    let listed = client.list_pools(v1::ListPoolsRequest {}).await.unwrap().into_inner().pools;
    let pool = |pool: &str, places| v1::Pool { pool: pool.to_owned(), places, running: 0 };
    assert_eq!(listed, [pool("tag:heavy", 2), pool("target:shop.prod", 0)]);

    // Without places nothing starts; given back, the run goes on.
    cluster.deploy(&CHAIN).await;
    tokio::spawn(work(cluster.handle.connect_worker().unwrap(), "w"));
    cluster.workers(1).await;
    let run = cluster.submit(&request("r")).await.run_id;
    assert_eq!(cluster.run(&run).await.run.unwrap().counts.unwrap().running, 0);
    client.set_pool(set("target:shop.prod", None)).await.unwrap();
    let last = cluster.watch(&run, 0).await.pop().unwrap().event;
    assert!(matches!(last, Some(Event::Finished(finished)) if finished.state() == v1::RunState::Success));

    let refused = client.set_pool(set("", Some(1))).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "NAME_TOO_LONG"));
}

#[tokio::test]
async fn the_leader_says_when_it_heard_a_worker_and_refuses_one_that_says_too_much() {
    let cluster = Cluster::start().await;
    let mut client = WorkerServiceClient::new(cluster.channel.clone());
    tokio::spawn(work(cluster.handle.connect_worker().unwrap(), "w"));
    cluster.workers(1).await;
    let listed = client.list_workers(v1::ListWorkersRequest {}).await.unwrap().into_inner().workers;
    assert_eq!(listed.len(), 1);
    assert!(listed[0].heard_at.is_some());
    let asked = v1::GetWorkerRequest { worker_id: "w".to_owned() };
    let worker = client.get_worker(asked).await.unwrap().into_inner().worker.unwrap();
    assert_eq!(worker.heard_at, listed[0].heard_at);

    let labels = (0..65).map(|label| (label.to_string(), String::new())).collect();
    let hello = v1::session_request::Hello { worker_id: "v".to_owned(), slots: 1, labels, ..Default::default() };
    let hello = v1::SessionRequest { message: Some(v1::session_request::Message::Hello(hello)) };
    let refused = client.session(futures::stream::iter([hello])).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "TOO_MANY_LABELS"));
}
