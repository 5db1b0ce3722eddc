//! What may happen between a worker and its PostgreSQL server: encryption that is refused, replies that get lost.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod commit;
mod proxy;
mod tls;

use std::sync::Arc;

use common::target::{self, AdapterType};
use common::{Epoch, NodeId, Relation, RunId};
use worker::warehouse::{self, Publication, Statement, Warehouse};

/// The warehouse of a profile with these settings beside the usual ones.
fn open(settings: serde_json::Value) -> Arc<dyn Warehouse> {
    let mut all = serde_json::json!({"type": "postgres", "user": "postgres", "password": "", "schema": "public"});
    let all = all.as_object_mut().unwrap();
    all.extend(settings.as_object().unwrap().clone());
    let connection = target::Connection { adapter_type: AdapterType::Postgres, settings: all.clone() };
    warehouse::open(&connection, "test").unwrap()
}

fn publication(node: &str, epoch: u64, relation: &Relation, statements: Vec<Statement>) -> Publication {
    Publication {
        run: RunId(uuid::Uuid::nil()),
        node: NodeId::from(node),
        epoch: Epoch(epoch),
        relation: relation.clone(),
        statements,
        response: None,
    }
}
