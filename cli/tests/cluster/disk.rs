//! Replicas whose disks are full, for real: small file systems of the test's own.

use testing::Mount;

use crate::fleet::Fleet;
use crate::support::Project;

#[test]
fn a_full_disk_takes_one_replica_out_until_there_is_room() {
    let project = Project::small();
    let mount = |index: usize| Mount::new(&project.path(&format!("replica-{index}")), "size=64m");
    let Some(disks) = (0..3).map(mount).collect::<Option<Vec<Mount>>>() else {
        eprintln!(
            "not permitted to mount: the disk that cannot sync in the tests of replicas stands in for a full one"
        );
        return;
    };
    let mut fleet = Fleet::start(project, 3, 1);
    fleet.kontiki(&["build"]).expect(0);
    for is_leader in [false, true] {
        let leader = fleet.leader();
        let full = if is_leader { leader } else { (leader + 1) % 3 };
        disks[full].fill();
        let ended = fleet.kontiki(&["build"]);
        assert_eq!(ended.code, Some(0), "{ended}\n{}", fleet.logs());
        ended.says("Done. PASS=4 WARN=0 ERROR=0 SKIP=0 NO-OP=0 TOTAL=4");
        // What it cannot keep it does not promise: it stops, and says why.
        let code = fleet.replica(full).code();
        assert_eq!(code, Some(2), "{}", fleet.logs());
        let said = fleet.replica(full).lines();
        assert!(said.contains("No space left on device"), "{said}");

        disks[full].empty();
        fleet.restart_replica(full);
        let address = fleet.addresses()[full].clone();
        let newest = fleet.json(&["runs", "list"])[0]["id"].as_str().unwrap().to_owned();
        fleet.until("the replica to be back", || {
            let logs = fleet.project.kontiki(&["task", "logs", &newest, "--server", &address]);
            logs.code == Some(0) && logs.stdout.contains("model.p.second, attempt 1")
        });
    }
    // Nothing was lost: three runs published three nodes each.
    assert_eq!(fleet.json(&["runs", "list"]).as_array().unwrap().len(), 3);
    assert_eq!(fleet.client().published().len(), 9);
}
