//! What a dead process had staged is dropped by the next that looks; what a living one stages is left alone.

use postgres::Client;

use crate::support::{Postgres, Project};

/// So long that the names of what is staged for it are cut.
const MODEL: &str = "a_model_whose_name_takes_all_the_room_that_postgresql_gives_it";

fn staged(client: &mut Client) -> Vec<String> {
    let names = "select relname from pg_class where relname like '%\\_\\_kontiki\\_%' and relkind = 'r' order by 1";
    client.query(names, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

/// Waits until `count` relations are staged.
fn await_staged(client: &mut Client, count: usize) -> Vec<String> {
    loop {
        let names = staged(client);
        if names.len() == count {
            return names;
        }
    }
}

fn project(server: &Postgres) -> Project {
    let project = Project::empty();
    project.profile(&server.profile());
    project.model(MODEL, "table", "select 1 as id");
    project.model("other", "view", "select 1 as id");
    project
}

#[test]
fn of_two_that_stage_only_the_dead_ones_is_dropped() {
    let server = Postgres::start();
    let project = project(&server);
    project.kontiki(&["run"]).expect(0);
    let mut client = server.client();
    // While somebody reads the relation, it cannot be swapped, and what is staged for it waits.
    let mut reader = server.client();
    reader.batch_execute(&format!("begin; select * from main.{MODEL}")).unwrap();

    let (killed, living) = (project.copy(), project.copy());
    // Another machine's: with epochs of one origin, the later would fence the earlier off.
    std::fs::remove_dir_all(living.path(".kontiki")).unwrap();
    let mut killed = killed.start(&["run", "-s", MODEL]);
    let doomed = await_staged(&mut client, 1);
    let living = living.start(&["run", "-s", MODEL]);
    let both = await_staged(&mut client, 2);
    killed.child.kill().unwrap();
    killed.child.wait().unwrap();
    // The server takes a moment to notice; until then the dead one's relation counts as being built.
    let survivors: Vec<String> = loop {
        project.kontiki(&["run", "-s", "other"]).expect(0);
        let names = staged(&mut client);
        if names.len() < 2 {
            break names;
        }
    };
    assert_eq!(survivors, both.into_iter().filter(|name| *name != doomed[0]).collect::<Vec<_>>());

    reader.batch_execute("commit").unwrap();
    living.finish().expect(0).says("Done. PASS=1 WARN=0 ERROR=0 SKIP=0 NO-OP=0 TOTAL=1");
    assert_eq!(staged(&mut client), Vec::<String>::new());
}
