//! Unit tests on a cluster: their rows come from files that a worker gets with the bundle.

use crate::fleet::Fleet;
use crate::runs::told;
use crate::support::Project;

#[test]
fn unit_tests_are_told_as_on_this_machine() {
    let project = Project::small();
    project.file("tests/fixtures/two.csv", "id,name\n1,one\n2,two\n");
    project.file(
        "models/units.yml",
        "unit_tests:
  - name: keeps_rows
    model: first
    given: [{input: ref('raw')}]
    expect: {rows: [{id: 1, name: one}, {id: 2, name: two}]}
  - name: renumbers
    model: second
    given: [{input: ref('first'), format: csv, fixture: two}]
    expect: {rows: [{id: 1}, {id: 3}]}
",
    );
    let fleet = Fleet::start(project, 1, 1);
    let remote = fleet.kontiki(&["build"]);
    remote.expect(1).says("PASS first::keeps_rows").says("FAIL 1 second::renumbers").says("SKIP relation main.second");
    remote.says("+++,2").says("---,3").says("Done. PASS=3 WARN=0 ERROR=1 SKIP=2 NO-OP=0 TOTAL=6");
    assert_eq!(fleet.client().published(), ["model.p.first", "seed.p.raw"], "unit tests publish nothing");
    let local = fleet.project.kontiki(&["build"]);
    local.expect(1);
    assert_eq!(told(&remote), told(&local), "{}", fleet.logs());
}
