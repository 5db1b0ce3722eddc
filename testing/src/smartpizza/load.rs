//! Raw files into the schema `raw` of a PostgreSQL, where the models find them as sources.
//!
//! Invariant: one transaction; whoever reads sees the raw data of before or all of the new.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use postgres::{Client, NoTls};

/// File, and the columns of its table.
const TABLES: [(&str, &str); 8] = [
    ("branches", "branch_id bigint, name text, city text, country_code text, opened_on date, seats bigint"),
    (
        "customers",
        "customer_id bigint, email text, first_name text, last_name text, signed_up_at timestamp, country_code text",
    ),
    ("recipes", "recipe_id bigint, name text, category text, price_cents bigint"),
    ("recipe_ingredients", "recipe_id bigint, ingredient_id bigint, grams bigint"),
    (
        "orders",
        "order_id bigint, customer_id bigint, branch_id bigint, ordered_at timestamp, status text, channel text",
    ),
    (
        "order_lines",
        "order_id bigint, line_number bigint, recipe_id bigint, size text, quantity bigint, unit_price_cents bigint",
    ),
    (
        "deliveries",
        "delivery_id bigint, order_id bigint, courier_id bigint, dispatched_at timestamp, delivered_at timestamp, \
         distance_m bigint",
    ),
    (
        "inventory_movements",
        "movement_id bigint, branch_id bigint, ingredient_id bigint, moved_at timestamp, kind text, grams bigint",
    ),
];

/// Replaces the raw tables by the files of `folder`. `server` is a connection string of libpq's form.
///
/// Tables that exist are emptied and filled, not made anew: the views of earlier builds read them.
pub fn load(server: &str, folder: &Path) -> Result<u64> {
    let mut client = Client::connect(server, NoTls).context("cannot connect to PostgreSQL")?;
    let mut transaction = client.transaction()?;
    transaction.batch_execute("create schema if not exists raw")?;
    let mut rows = 0;
    for (table, columns) in TABLES {
        transaction
            .batch_execute(&format!("create table if not exists raw.{table} ({columns}); truncate raw.{table}"))
            .with_context(|| format!("cannot prepare raw.{table}"))?;
        let path = folder.join(format!("{table}.csv"));
        let mut file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut sink = transaction.copy_in(&format!("copy raw.{table} from stdin with (format csv, header true)"))?;
        std::io::copy(&mut file, &mut sink).with_context(|| format!("cannot load {}", path.display()))?;
        rows += sink.finish().with_context(|| format!("cannot load {}", path.display()))?;
    }
    transaction.batch_execute("analyze")?;
    transaction.commit()?;
    Ok(rows)
}
