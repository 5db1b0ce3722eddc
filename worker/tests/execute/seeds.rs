//! Seeds: created, filled again, replaced, refused.

use common::diagnostic::Code;
use common::task::{FailureKind, TaskOutcome};
use serde_json::json;

use crate::support::{Place, Project};

const CSV: &str = "id,name,price,day\n1,a,1.5,2024-05-01\n2,,2,2024-05-02\n";

#[test]
fn a_seed_becomes_a_table_with_inferred_types() {
    for fast in [true, false] {
        let place = Place::duckdb();
        let mut project = Project::new();
        project.seed("s", CSV).config.extra.insert("fast".to_owned(), json!(fast));
        let run = project.run(&place, |_| {});
        assert_eq!(place.build(&run, "seed.p.s"), "INSERT 2");
        assert_eq!(place.columns("s"), ["id INTEGER", "name VARCHAR", "price DOUBLE", "day DATE"]);
        let rows = [["1", "a", "1.5", "2024-05-01"], ["2", "NULL", "2", "2024-05-02"]];
        assert_eq!(place.rows("select * from main.s order by id"), rows);

        project.write("seeds/s.csv", "id,name,price,day\n3,c,3,2024-05-03\n");
        assert_eq!(place.build(&project.run(&place, |_| {}), "seed.p.s"), "INSERT 1");
        assert_eq!(place.rows("select * from main.s"), [["3", "c", "3", "2024-05-03"]]);
        assert_eq!(place.columns("s")[2], "price DOUBLE");

        let refresh = project.run(&place, |options| options.full_refresh = true);
        assert_eq!(place.build(&refresh, "seed.p.s"), "CREATE 1");
        assert_eq!(place.columns("s")[2], "price INTEGER");
    }
}

#[test]
fn column_types_and_quoting_are_the_users() {
    let place = Place::duckdb();
    let mut project = Project::new();
    let node = project.seed("s", "Zip Code;n\n01234;1\n");
    node.config.delimiter = ";".to_owned();
    node.config.column_types.insert("Zip Code".to_owned(), "varchar(5)".to_owned());
    node.config.column_types.insert("n".to_owned(), "bigint".to_owned());
    place.build(&project.run(&place, |_| {}), "seed.p.s");
    assert_eq!(place.columns("s"), ["Zip Code VARCHAR", "n BIGINT"]);
    assert_eq!(place.rows("select * from main.s"), [["01234", "1"]]);
}

#[test]
fn a_file_that_does_not_fit_changes_nothing() {
    let place = Place::duckdb();
    let mut project = Project::new();
    project.seed("s", CSV);
    place.build(&project.run(&place, |_| {}), "seed.p.s");
    let bad = [
        ("id,name\n1,x,y\n", "seeds/s.csv:2: Row 0 has 3 values, but Table only has 2 columns."),
        ("id,name,price,day\nx,a,1,2024-05-01\n", "seeds/s.csv: "),
        ("", "seeds/s.csv:1: is empty"),
    ];
    for (text, message) in bad {
        project.write("seeds/s.csv", text);
        let report = place.execute(&project.run(&place, |_| {}), "seed.p.s");
        let TaskOutcome::Failure { kind, code, message: found } = report.outcome else { panic!("{text:?} was loaded") };
        assert_eq!((kind, code), (FailureKind::User, Code::SeedInvalid), "{found}");
        assert!(found.starts_with("Runtime Error in seed s (seeds/s.csv)\n  ") && found.contains(message), "{found}");
        assert_eq!(place.rows("select count(*) from main.s"), [["2"]]);
    }
}

#[test]
fn a_seed_does_not_replace_a_view() {
    let place = Place::duckdb();
    let mut project = Project::new();
    project.seed("s", CSV);
    place.connect().execute("create view main.s as select 1 as id").unwrap();
    let report = place.execute(&project.run(&place, |_| {}), "seed.p.s");
    let message = report.result.message.unwrap();
    let expected = "Compilation Error in seed s (seeds/s.csv)\n  Cannot seed to '\"db\".\"main\".\"s\"', it is a view";
    assert_eq!(message, expected);
}

#[test]
fn an_empty_seed_is_an_empty_table() {
    let place = Place::duckdb();
    let mut project = Project::new();
    project.seed("s", "a,b\n");
    assert_eq!(place.build(&project.run(&place, |_| {}), "seed.p.s"), "INSERT 0");
    assert_eq!(place.columns("s"), ["a INTEGER", "b INTEGER"]);
}

#[test]
fn an_attempt_after_a_lost_one_adopts_what_it_published() {
    let place = Place::duckdb();
    let mut project = Project::new();
    project.seed("s", CSV);
    let run = project.run(&place, |_| {});
    let id = common::RunId(uuid::Uuid::now_v7());
    let first = crate::support::assignment(id, "seed.p.s", 1);
    let second = crate::support::assignment(id, "seed.p.s", 2);
    assert_eq!(place.attempt(&run, &first).outcome, TaskOutcome::Success);
    place.connect().execute("delete from main.s where id = 1").unwrap();
    let report = place.attempt(&run, &second);
    assert_eq!((report.outcome, report.result.message.as_deref()), (TaskOutcome::Success, Some("INSERT 2")));
    assert_eq!(place.rows("select count(*) from main.s"), [["1"]], "the seed was not loaded again");
}

#[test]
fn what_ran_is_kept() {
    let place = Place::duckdb();
    let mut project = Project::new();
    project.seed("s", "a\n1\n");
    place.build(&project.run(&place, |_| {}), "seed.p.s");
    let text = std::fs::read_to_string(project.target_path().join("run/p/seeds/s.csv")).unwrap();
    assert!(text.starts_with("create table \"db\".\"main\".\"s\" (\"a\" integer);\ncopy "), "{text}");
}
