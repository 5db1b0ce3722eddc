//! Unit tests, and projects of the Semantic Layer.

use crate::support::Project;

/// `second` with a unit test that passes and one that fails where `name` is given.
fn tested(name: &str) -> Project {
    let project = Project::small();
    project.model("second", "table", "select id, upper(name) as name from {{ ref('first') }}");
    project.file("tests/fixtures/two.csv", "id,name\n1,one\n2,two\n");
    project.file(
        "models/schema.yml",
        format!(
            "models:
  - name: second
    columns:
      - name: id
        data_tests: [unique]
unit_tests:
  - name: keeps_rows
    model: first
    given:
      - input: ref('raw')
    expect:
      rows: [{{id: 2}}, {{id: 1}}]
  - name: shouts
    model: second
    given:
      - input: ref('first')
        format: csv
        fixture: two
    expect:
      rows:
        - {{id: 1, name: ONE}}
        - {{id: 2, name: {name}}}
"
        ),
    );
    project
}

#[test]
fn a_unit_test_runs_before_its_model() {
    let ended = tested("TWO").kontiki(&["build", "--threads", "1"]);
    ended.expect(0).says("1 test, ").says(", 2 unit tests");
    let lines = ended.lines();
    let first = lines.iter().position(|line| line.starts_with("1 of 6 START")).expect("a first node");
    assert_eq!(
        lines[first..][..10],
        [
            "1 of 6 START seed file main.raw [RUN]",
            "1 of 6 OK loaded seed file main.raw [INSERT 2]",
            "2 of 6 START unit_test first::keeps_rows [RUN]",
            "2 of 6 PASS first::keeps_rows [PASS]",
            "3 of 6 START sql view model main.first [RUN]",
            "3 of 6 OK created sql view model main.first [OK]",
            "4 of 6 START unit_test second::shouts [RUN]",
            "4 of 6 PASS second::shouts [PASS]",
            "5 of 6 START sql table model main.second [RUN]",
            "5 of 6 OK created sql table model main.second [OK]",
        ]
    );
}

#[test]
fn a_unit_test_that_fails_shows_the_difference_and_skips_its_model() {
    let project = tested("too");
    let ended = project.kontiki(&["build"]);
    ended
        .expect(1)
        .says("FAIL 1 second::shouts")
        .says("SKIP relation main.second")
        .says("SKIP test unique_second_id")
        .says("Failure in unit_test shouts (models/schema.yml)")
        .says("@@,id,name\r\n  ,1 ,ONE\r\n→ ,2 ,too→TWO\r\n")
        .says("  K2012: A model gave other rows than its unit test expects")
        .says("compiled code at target/compiled/p/models/schema.yml/models/shouts.sql")
        .says("Done. PASS=3 WARN=0 ERROR=1 SKIP=2 NO-OP=0 TOTAL=6");
    assert!(project.read("target/compiled/p/models/schema.yml/models/shouts.sql").contains("__dbt__cte__first"));
    let results: serde_json::Value = serde_json::from_str(&project.read("target/run_results.json")).expect("JSON");
    let results = results["results"].as_array().expect("results");
    let shouts = results.iter().find(|result| result["unique_id"] == "unit_test.p.second.shouts").expect("a result");
    assert_eq!((&shouts["status"], &shouts["failures"]), (&"fail".into(), &1.into()));

    project.file("tests/fixtures/two.csv", "id,name\n1,one\n2,t\n");
    project.kontiki(&["test", "-s", "test_type:unit"]).expect(1).says("→ ,2 ,too→T").says("PASS=1 WARN=0 ERROR=1");
    let moved = project.kontiki(&["test", "-s", "unit_test:shouts", "--vars", "unused: 1"]);
    moved.expect(1).says("1 of 1 FAIL 1 second::shouts");
}

#[test]
fn what_a_unit_test_needs_is_said() {
    let project = tested("TWO");
    let early = project.kontiki(&["test", "-s", "shouts"]);
    early.expect(1).says("Not able to get columns for unit test 'first'").says("because the relation doesn't exist");
    project.kontiki(&["build", "-q"]).expect(0);
    project.file("tests/fixtures/two.csv", "id,nmae\n1,one\n");
    let unknown = project.kontiki(&["test", "-s", "shouts"]);
    unknown.expect(1).says("Invalid column name: 'nmae' in unit test fixture for 'first'.");
    unknown.says("Accepted columns for 'first' are: ['id', 'name']");
    project.file("tests/fixtures/two.csv", "id,name\none,1\n");
    let mistyped = project.kontiki(&["test", "-s", "shouts"]);
    mistyped.expect(1).says("An error occurred during execution of unit test 'shouts'.").says("check the data types");
}

#[test]
fn metrics_are_left_out_with_a_warning() {
    let project = Project::small();
    project.file("models/metrics.yml", "metrics:\n  - name: revenue\n    type: simple\n");
    let ended = project.kontiki(&["build", "-s", "+second", "metric:revenue"]);
    ended
        .expect(0)
        .says("warning[K1305]: metric 'revenue' is left out of the manifest: no build executes metrics")
        .says("models/metrics.yml:2:5")
        .says("he selection criterion 'metric:revenue' does not match any enabled nodes")
        .says("Done. PASS=4");
}
