//! SmartPizza's database: a small day of raw data, and what builds made of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use testing::{Postgres, smartpizza};

/// How long the warehouse takes for each relation that it makes, so that faults find it at work.
const PACE_SECONDS: f64 = 0.1;

/// A database of its own on the server of this test process.
pub struct Warehouse {
    postgres: Arc<Postgres>,
    database: String,
}

impl Warehouse {
    pub fn new() -> Self {
        let postgres = Postgres::start();
        let database = postgres.database();
        let raw = tempfile::tempdir().unwrap();
        let day = chrono::NaiveDate::from_ymd_opt(2024, 5, 1).unwrap();
        let settings = smartpizza::Settings { scale: 0.0002, day, seed: 1, faults: false };
        smartpizza::write(&settings, raw.path()).unwrap();
        let (host, port, user) = (postgres.host(), postgres.port(), postgres.user());
        smartpizza::load(&format!("host={host} port={port} user={user} dbname={database}"), raw.path()).unwrap();
        Self { postgres, database }
    }

    /// What SmartPizza's profile asks for.
    pub fn environment(&self) -> [(&'static str, String); 5] {
        [
            ("SMARTPIZZA_TARGET", "postgres".to_owned()),
            ("PGHOST", self.postgres.host().to_owned()),
            ("PGPORT", self.postgres.port().to_string()),
            ("PGUSER", self.postgres.user().to_owned()),
            ("PGDATABASE", self.database.clone()),
        ]
    }

    pub fn database(&self) -> &str {
        &self.database
    }

    pub fn client(&self) -> postgres::Client {
        self.postgres.client(&self.database)
    }

    /// From now on every relation takes a while.
    pub fn slow_down(&self) {
        let sql = format!(
            "create function public.pace() returns event_trigger language plpgsql as
             $body$ begin perform pg_sleep({PACE_SECONDS}); end $body$;
             create event trigger pace on ddl_command_end when tag in ('CREATE TABLE AS', 'CREATE VIEW')
             execute function public.pace()"
        );
        self.client().batch_execute(&sql).unwrap();
    }

    /// What is in each relation that readers see.
    pub fn contents(&self) -> BTreeMap<String, String> {
        let mut client = self.client();
        let relations = self.relations(false).into_iter();
        relations.map(|relation| (relation.clone(), Self::content(&mut client, &relation).unwrap())).collect()
    }

    /// What is in a relation, whatever the order of its rows; or why it cannot be read.
    pub fn content(client: &mut postgres::Client, relation: &str) -> Result<String, String> {
        let sql = format!(
            "select count(*)::text || ' rows, ' || md5(coalesce(string_agg(r::text, E'\\n' order by r::text), ''))
             from smartpizza.\"{relation}\" as r"
        );
        client.query_one(&sql, &[]).map(|row| row.get(0)).map_err(|error| format!("{error:?}"))
    }

    /// Relations that attempts have not published yet, or left behind.
    pub fn staged(&self) -> Vec<String> {
        self.relations(true)
    }

    fn relations(&self, staged: bool) -> Vec<String> {
        let sql = "select relname::text from pg_class
                   where relnamespace = 'smartpizza'::regnamespace and relkind in ('r', 'v', 'm')
                   and (relname like '%\\_\\_kontiki\\_%') = $1 order by 1";
        self.client().query(sql, &[&staged]).unwrap().iter().map(|row| row.get(0)).collect()
    }

    /// Run and node of everything that was published.
    pub fn published(&self) -> Vec<(String, String)> {
        let sql = "select run::text, node from kontiki.publish_log order by 1, 2";
        self.client().query(sql, &[]).unwrap().iter().map(|row| (row.get(0), row.get(1))).collect()
    }
}
