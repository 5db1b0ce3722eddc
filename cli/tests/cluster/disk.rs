//! Replicas whose disks are full, for real: small file systems of the test's own.

use testing::Mount;

use crate::fleet::Fleet;
use crate::support::Project;

/// Far more than fit into what a replica has reserved.
const BUILDS_MAX: usize = 40;

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
    let mut builds = 1;
    for is_leader in [false, true] {
        let leader = fleet.leader();
        let full = if is_leader { leader } else { (leader + 1) % 3 };
        disks[full].fill();
        // What it has reserved may hold a little more; then it can keep nothing.
        for _ in 0..BUILDS_MAX {
            let ended = fleet.kontiki(&["build"]);
            assert_eq!(ended.code, Some(0), "{ended}\n{}", fleet.logs());
            ended.says("Done. PASS=4 WARN=0 ERROR=0 SKIP=0 NO-OP=0 TOTAL=4");
            builds += 1;
            if fleet.replica(full).has_ended() {
                break;
            }
        }
        // What it cannot keep it does not promise: it stops, and says why.
        assert!(fleet.replica(full).has_ended(), "{}", fleet.logs());
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
    // Nothing was lost: each run is there, and published its three nodes.
    assert_eq!(fleet.json(&["runs", "list", "--limit", "500"]).as_array().unwrap().len(), builds);
    assert_eq!(fleet.client().published().len(), 3 * builds);
}
