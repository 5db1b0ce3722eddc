//! Readers never see a relation missing, empty or half-built while it is replaced.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{Project, places};

#[test]
fn readers_see_the_old_rows_or_the_new() {
    for place in places() {
        let mut project = Project::new();
        project.model("x", "table", "select i as id, 0 as version from generate_series(1, 1000) as t(i)");
        project.model("above", "view", "select id, version from main.x");
        let run = project.run(&place, |_| {});
        place.build(&run, "model.p.x");
        place.build(&run, "model.p.above");
        let done = AtomicBool::new(false);
        let reads = std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut connection = place.connect();
                let mut reads = 0;
                while !done.load(Ordering::Relaxed) {
                    for relation in ["x", "above"] {
                        let sql = format!("select count(*), count(distinct version) from main.{relation}");
                        let (_, table) = connection.query(&sql).unwrap_or_else(|error| panic!("{relation}: {error}"));
                        let cells: Vec<String> = table.rows[0].iter().map(crate::support::cell).collect();
                        assert_eq!(cells, ["1000", "1"], "{relation}");
                    }
                    reads += 1;
                }
                reads
            });
            let kinds = ["table", "view", "incremental", "table", "incremental", "incremental", "view", "view"];
            for (version, materialized) in kinds.into_iter().cycle().take(24).enumerate() {
                let node = project.node("x");
                node.config.materialized = materialized.to_owned().into();
                node.config.unique_key = vec!["id".to_owned()];
                node.raw_code =
                    format!("select i as id, {} as version from generate_series(1, 1000) as t(i)", version + 1);
                place.build(&project.run(&place, |_| {}), "model.p.x");
            }
            done.store(true, Ordering::Relaxed);
            reader.join().unwrap()
        });
        assert!(reads > 0);
        assert_eq!(place.rows("select distinct version from main.above"), [["24"]]);
    }
}
