//! How many workers KEDA is told to have.

use std::collections::HashMap;

use proto::externalscaler::external_scaler_client::ExternalScalerClient;
use proto::externalscaler::{GetMetricsRequest, ScaledObjectRef};
use proto::v1;
use tonic::{Code, Streaming};

use crate::fixture::*;

fn workers(metadata: &[(&str, &str)]) -> ScaledObjectRef {
    let metadata: HashMap<_, _> =
        metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    ScaledObjectRef { name: "worker".to_owned(), namespace: "kontiki".to_owned(), scaler_metadata: metadata }
}

async fn next<T>(stream: &mut Streaming<T>) -> T {
    tokio::time::timeout(PATIENCE, stream.message()).await.unwrap().unwrap().unwrap()
}

#[tokio::test]
async fn workers_are_wanted_for_what_waits_and_runs_and_for_nothing_else() {
    let cluster = Cluster::start().await;
    let mut keda = ExternalScalerClient::new(cluster.channel.clone());
    let mut active = keda.stream_is_active(workers(&[])).await.unwrap().into_inner();
    assert!(!next(&mut active).await.result);

    cluster.deploy(&CHAIN).await;
    let run = cluster.submit(&request("r")).await.run_id;
    let picky =
        v1::SubmitRunRequest { worker_labels: [("gpu".to_owned(), "yes".to_owned())].into(), ..request("picky") };
    let picky = cluster.submit(&picky).await.run_id;
    // Of each chain one task is ready; the picky one's is for other workers.
    assert!(next(&mut active).await.result);
    let metrics = |metadata: &[(&str, &str)]| GetMetricsRequest {
        scaled_object_ref: Some(workers(metadata)),
        metric_name: "kontiki_tasks".to_owned(),
    };
    let plain = keda.get_metrics(metrics(&[])).await.unwrap().into_inner().metric_values;
    assert_eq!((plain[0].metric_value, plain[0].metric_value_float), (1, 1.0));
    let labelled = keda.get_metrics(metrics(&[("labels", "gpu=yes, zone=a")])).await.unwrap().into_inner();
    assert_eq!(labelled.metric_values[0].metric_value, 2);
    let target = keda.get_metric_spec(workers(&[("slots", "16")])).await.unwrap().into_inner().metric_specs;
    assert_eq!((target[0].target_size, target[0].target_size_float), (16, 16.0));

    // What nobody like these can take keeps none of them up.
    tokio::spawn(work(cluster.handle.connect_worker().unwrap(), "w"));
    cluster.watch(&run, 0).await;
    assert!(!next(&mut active).await.result);
    assert!(keda.is_active(workers(&[("labels", "gpu=yes")])).await.unwrap().into_inner().result);
    cluster.runs().cancel_run(v1::CancelRunRequest { run_id: picky }).await.unwrap();
    assert!(!keda.is_active(workers(&[("labels", "gpu=yes")])).await.unwrap().into_inner().result);

    for bad in [("slots", "0"), ("slots", "many"), ("labels", "gpu")] {
        let refused = keda.get_metric_spec(workers(&[bad])).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{bad:?}");
        assert!(refused.message().starts_with(bad.0), "{refused}");
    }
}
