//! Uploads, deployments and what is fetched.

use proto::v1;
use tonic::Code;
use tonic_types::StatusExt;

use crate::fixture::*;

#[tokio::test]
async fn files_are_uploaded_deployed_and_fetched() {
    let cluster = Cluster::start().await;
    let large: String = "x".repeat(2 * PIECE + 7);
    let files = [PROJECT, ("seeds/large.csv", large.as_str()), ("seeds/empty.csv", "")];
    let digests: Vec<_> = files.iter().map(|(_, text)| digest(text.as_bytes()).into()).collect();
    let ask = v1::FindMissingBlobsRequest { digests: digests.clone() };
    assert_eq!(cluster.projects().find_missing_blobs(ask.clone()).await.unwrap().into_inner().digests, digests);

    let unheld = files.iter().map(|(path, text)| file(path, text)).collect();
    let refused = cluster.projects().deploy_project(deployment(unheld)).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::FailedPrecondition, "MISSING_BLOBS"));

    let first = cluster.deploy(&files).await;
    assert!(first.changed);
    assert!(cluster.projects().find_missing_blobs(ask).await.unwrap().into_inner().digests.is_empty());
    let again = cluster.deploy(&files).await;
    assert_eq!((again.changed, &again.bundle_digest), (false, &first.bundle_digest));

    let asked = v1::GetBundleRequest { bundle_digest: first.bundle_digest.clone() };
    let bundle = cluster.projects().get_bundle(asked).await.unwrap().into_inner();
    let paths: Vec<&str> = bundle.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(
        (bundle.project.as_str(), paths),
        ("shop", vec!["dbt_project.yml", "seeds/empty.csv", "seeds/large.csv"])
    );

    let asked = v1::DownloadBlobRequest { digest: digests[1].clone() };
    let mut stream = cluster.projects().download_blob(asked).await.unwrap().into_inner();
    let mut content = Vec::new();
    while let Some(piece) = stream.message().await.unwrap() {
        content.extend_from_slice(&piece.data);
    }
    assert_eq!(content, large.as_bytes());

    let asked = v1::GetProjectRequest { project: "shop".to_owned() };
    let project = cluster.projects().get_project(asked).await.unwrap().into_inner().project.unwrap();
    assert_eq!((project.revision.as_str(), project.files), ("r1", 3));
    let listed = cluster.projects().list_projects(v1::ListProjectsRequest::default()).await.unwrap().into_inner();
    assert_eq!((listed.projects, listed.next_page_token), (vec![project], String::new()));
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let cluster = Cluster::start().await;
    let nothing: tonic::codegen::Bytes = vec![7; 32].into();
    let mut projects = cluster.projects();
    let blob = projects.download_blob(v1::DownloadBlobRequest { digest: nothing.clone() }).await.map(drop);
    let bundle = projects.get_bundle(v1::GetBundleRequest { bundle_digest: nothing }).await.map(drop);
    let project = projects.get_project(v1::GetProjectRequest { project: "shop".to_owned() }).await.map(drop);
    let mut runs = cluster.runs();
    let run_id = "0197a000-0000-7000-8000-000000000000".to_owned();
    let run = runs.get_run(v1::GetRunRequest { run_id: run_id.clone(), ..Default::default() }).await.map(drop);
    let watch = runs.watch_run(v1::WatchRunRequest { run_id: run_id.clone(), after_sequence: 0 }).await.map(drop);
    let cancel = runs.cancel_run(v1::CancelRunRequest { run_id: run_id.clone() }).await.map(drop);
    let retry = runs.retry_run(v1::RetryRunRequest { run_id: run_id.clone(), ..Default::default() }).await.map(drop);
    let task = runs.get_task(v1::GetTaskRequest { run_id, node_id: "model.shop.a".to_owned() }).await.map(drop);
    let submitted = runs.submit_run(request("r")).await.map(drop);
    for answer in [blob, bundle, project, run, watch, cancel, retry, task, submitted] {
        assert_eq!(answer.unwrap_err().code(), Code::NotFound);
    }
}

#[tokio::test]
async fn uploads_that_are_not_what_they_say_leave_nothing_behind() {
    let cluster = Cluster::start().await;
    let content = vec![1; PIECE + 1];
    let whole = pieces(&content);
    let change = |change: fn(&mut v1::UploadBlobsRequest)| {
        let mut pieces = whole.clone();
        change(&mut pieces[1]);
        pieces
    };
    let cases = [
        ("other content", change(|piece| piece.data = vec![2].into()), Code::InvalidArgument),
        ("a gap", change(|piece| piece.offset += 1), Code::InvalidArgument),
        ("another size", change(|piece| piece.size += 1), Code::InvalidArgument),
        ("another file in between", change(|piece| piece.digest = vec![3; 32].into()), Code::InvalidArgument),
        ("no digest", change(|piece| piece.digest = vec![3; 31].into()), Code::InvalidArgument),
        ("an end before the end", whole[..1].to_vec(), Code::InvalidArgument),
        ("a beginning in the middle", whole[1..].to_vec(), Code::InvalidArgument),
        ("a piece too large", vec![piece_of(PIECE + 1)], Code::InvalidArgument),
        (
            "a file too large",
            vec![v1::UploadBlobsRequest { size: (32 << 20) + 1, ..piece_of(1) }],
            Code::ResourceExhausted,
        ),
    ];
    for (what, pieces, code) in cases {
        let refused = cluster.projects().upload_blobs(futures::stream::iter(pieces)).await.unwrap_err();
        assert_eq!(refused.code(), code, "{what}: {refused}");
    }
    let ask = v1::FindMissingBlobsRequest { digests: vec![digest(&content).into()] };
    assert_eq!(cluster.projects().find_missing_blobs(ask).await.unwrap().into_inner().digests.len(), 1);
    // Whoever comes with the right bytes is not hindered by those before.
    let uploaded = cluster.projects().upload_blobs(futures::stream::iter(whole)).await.unwrap().into_inner();
    assert_eq!((uploaded.blobs, uploaded.bytes), (1, content.len() as u64));
}

fn piece_of(bytes: usize) -> v1::UploadBlobsRequest {
    v1::UploadBlobsRequest { digest: vec![9; 32].into(), size: 1 << 20, offset: 0, data: vec![0; bytes].into() }
}

#[tokio::test]
async fn a_blob_that_is_held_is_never_overwritten() {
    let cluster = Cluster::start().await;
    cluster.deploy(&CHAIN).await;
    let mut other = pieces(CHAIN[1].1.as_bytes());
    other[0].data = "select 2 as n\n".as_bytes().to_vec().into();
    let uploaded = cluster.projects().upload_blobs(futures::stream::iter(other)).await.unwrap().into_inner();
    assert_eq!(uploaded.blobs, 0);
    let asked = v1::DownloadBlobRequest { digest: digest(CHAIN[1].1.as_bytes()).into() };
    let mut stream = cluster.projects().download_blob(asked).await.unwrap().into_inner();
    assert_eq!(stream.message().await.unwrap().unwrap().data, CHAIN[1].1.as_bytes());
}

#[tokio::test]
async fn bundles_that_climb_or_are_too_large_are_refused() {
    let cluster = Cluster::start().await;
    cluster.deploy(&CHAIN).await;
    let mut projects = cluster.projects();
    for path in ["../a.sql", "/etc/passwd", "models/../../a.sql", "models\\..\\a.sql", "", "models//a.sql"] {
        let refused = projects.deploy_project(deployment(vec![file(path, CHAIN[1].1)])).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{path}");
        let violation = refused.get_details_bad_request().unwrap().field_violations.remove(0);
        assert_eq!(violation.field, "files.path");
    }
    let twice = deployment(vec![file("a.sql", CHAIN[1].1), file("a.sql", CHAIN[2].1)]);
    assert_eq!(projects.deploy_project(twice).await.unwrap_err().code(), Code::InvalidArgument);
    let none = deployment(Vec::new());
    assert_eq!(projects.deploy_project(none).await.unwrap_err().code(), Code::InvalidArgument);
    let many = (0..20_001).map(|number| file(&number.to_string(), "x")).collect();
    assert_eq!(projects.deploy_project(deployment(many)).await.unwrap_err().code(), Code::ResourceExhausted);
    let huge = (0..17).map(|number| v1::BundleFile { size: 32 << 20, ..file(&number.to_string(), "x") }).collect();
    assert_eq!(projects.deploy_project(deployment(huge)).await.unwrap_err().code(), Code::ResourceExhausted);
    let name = v1::DeployProjectRequest { project: "../shop".to_owned(), ..deployment(vec![file("a", "x")]) };
    assert_eq!(projects.deploy_project(name).await.unwrap_err().code(), Code::InvalidArgument);
}
