//! A day at SmartPizza as raw files: what tills, couriers' phones and stores send.
//!
//! The same settings always give the same files. Faults are the mistakes that the tests of the example must catch.

mod faults;
mod load;
mod menu;
mod random;
mod writer;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use chrono::NaiveDate;

use faults::Faults;
pub use load::load;
use random::Random;
use writer::Csv;

/// Branches, customers and pizzas of a full day.
const BRANCHES: f64 = 20_000.0;
const CUSTOMERS: f64 = 4_000_000.0;
const PIZZAS: f64 = 5_000_000.0;

/// Which day it is, and how busy.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// 1 is a full day: 20,000 branches, 4 million customers, 5 million pizzas.
    pub scale: f64,
    pub day: NaiveDate,
    pub seed: u64,
    /// Plants bad rows: repeated and missing keys, unknown references, impossible amounts and times.
    pub faults: bool,
}

/// Rows that were written.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    pub branches: u64,
    pub customers: u64,
    pub orders: u64,
    pub pizzas: u64,
}

/// Writes a file for each source into `folder`, which is made where missing.
pub fn write(settings: &Settings, folder: &Path) -> Result<Counts> {
    ensure!(settings.scale > 0.0 && settings.scale <= 10.0, "the scale must be above 0 and at most 10");
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create the folder {}", folder.display()))?;
    let day = Day {
        branches: (BRANCHES * settings.scale).ceil() as u64,
        customers: (CUSTOMERS * settings.scale).ceil() as u64,
        pizzas: (PIZZAS * settings.scale).ceil() as u64,
        midnight: settings.day.and_hms_opt(0, 0, 0).expect("midnight exists").and_utc().timestamp(),
        random: Random::new(settings.seed),
        faults: if settings.faults { Faults::planted() } else { Faults::default() },
    };
    day.write(folder)
}

struct Day {
    branches: u64,
    customers: u64,
    pizzas: u64,
    /// Seconds since the epoch.
    midnight: i64,
    random: Random,
    faults: Faults,
}

impl Day {
    fn write(mut self, out: &Path) -> Result<Counts> {
        self.write_branches(Csv::create(out, "branches", "branch_id,name,city,country_code,opened_on,seats")?)?;
        self.write_customers(Csv::create(
            out,
            "customers",
            "customer_id,email,first_name,last_name,signed_up_at,country_code",
        )?)?;
        menu::write(
            Csv::create(out, "recipes", "recipe_id,name,category,price_cents")?,
            Csv::create(out, "recipe_ingredients", "recipe_id,ingredient_id,grams")?,
        )?;
        let (orders, pizzas) = self.write_orders(out)?;
        self.write_inventory(Csv::create(
            out,
            "inventory_movements",
            "movement_id,branch_id,ingredient_id,moved_at,kind,grams",
        )?)?;
        Ok(Counts { branches: self.branches, customers: self.customers, orders, pizzas })
    }

    fn write_branches(&mut self, mut csv: Csv) -> Result<()> {
        for branch in 1..=self.branches {
            let (city, country) = menu::CITIES[self.random.below(menu::CITIES.len() as u64) as usize];
            let opened = self.midnight - self.random.below(20 * 365) as i64 * 86_400;
            let seats = 10 + self.random.below(90);
            csv.row(format_args!("{branch},SmartPizza {city} {branch},{city},{country},{},{seats}", date(opened)))?;
        }
        csv.finish()
    }

    fn write_customers(&mut self, mut csv: Csv) -> Result<()> {
        for customer in 1..=self.customers {
            let first = menu::FIRST_NAMES[self.random.below(menu::FIRST_NAMES.len() as u64) as usize];
            let last = menu::LAST_NAMES[self.random.below(menu::LAST_NAMES.len() as u64) as usize];
            let (_, country) = menu::CITIES[self.random.below(menu::CITIES.len() as u64) as usize];
            let signed_up = self.midnight - 1 - self.random.below(5 * 365 * 86_400) as i64;
            csv.row(format_args!(
                "{customer},{first}.{last}{customer}@example.com,{first},{last},{},{country}",
                time(signed_up)
            ))?;
        }
        csv.finish()
    }

    /// Orders, their lines and their deliveries, until the day's pizzas are sold.
    fn write_orders(&mut self, out: &Path) -> Result<(u64, u64)> {
        let mut orders = Csv::create(out, "orders", "order_id,customer_id,branch_id,ordered_at,status,channel")?;
        let mut lines =
            Csv::create(out, "order_lines", "order_id,line_number,recipe_id,size,quantity,unit_price_cents")?;
        let mut deliveries =
            Csv::create(out, "deliveries", "delivery_id,order_id,courier_id,dispatched_at,delivered_at,distance_m")?;
        // Ids of different days never meet.
        let first_id = self.midnight as u64 / 86_400 * 100_000_000;
        let (mut count, mut sold, mut delivered) = (0, 0, 0);
        while sold < self.pizzas {
            count += 1;
            let order = first_id + count;
            let customer = 1 + self.random.below(self.customers);
            let branch = 1 + self.random.skewed(self.branches);
            let ordered_at = self.midnight + 10 * 3600 + self.random.below(13 * 3600) as i64;
            let status = match self.random.below(100) {
                0..=2 => "canceled",
                3..=62 => "delivered",
                _ => "collected",
            };
            let channel = ["app", "web", "phone", "counter"][self.random.below(4) as usize];
            let key = if self.faults.repeats_key(count) { order - 1 } else { order };
            let customer_cell = if self.faults.drops_customer(count) { String::new() } else { customer.to_string() };
            let status_cell = if self.faults.breaks_status(count) { "eaten" } else { status };
            csv_order(&mut orders, key, &customer_cell, branch, ordered_at, status_cell, channel)?;
            for line in 1..=1 + self.random.below(3) {
                let recipe = 1 + self.random.skewed(menu::RECIPES.len() as u64);
                let size = ["small", "medium", "medium", "large"][self.random.below(4) as usize];
                let mut quantity = 1 + self.random.below(2) as i64;
                let price = menu::price_cents(recipe, size);
                sold += quantity as u64;
                if self.faults.turns_negative(count) && line == 1 {
                    quantity = -quantity;
                }
                let recipe_cell = if self.faults.breaks_recipe(count) && line == 1 { 999 } else { recipe };
                lines.row(format_args!("{order},{line},{recipe_cell},{size},{quantity},{price}"))?;
            }
            if status == "delivered" {
                delivered += 1;
                let dispatched = ordered_at + 600 + self.random.below(1200) as i64;
                let mut arrived = dispatched + 240 + self.random.below(1800) as i64;
                if self.faults.travels_back(delivered) {
                    arrived = dispatched - 60;
                }
                let courier = 1 + self.random.below(self.branches * 5);
                let distance = 200 + self.random.below(9_000);
                deliveries.row(format_args!(
                    "{},{order},{courier},{},{},{distance}",
                    first_id + delivered,
                    time(dispatched),
                    time(arrived)
                ))?;
            }
        }
        orders.finish()?;
        lines.finish()?;
        deliveries.finish()?;
        Ok((count, sold))
    }

    fn write_inventory(&mut self, mut csv: Csv) -> Result<()> {
        let mut movement = self.midnight as u64 / 86_400 * 100_000_000;
        for branch in 1..=self.branches {
            for ingredient in 1..=menu::INGREDIENTS {
                let delivered = 5_000 + self.random.below(20_000) as i64;
                let used = self.random.below(delivered as u64) as i64;
                let wasted = self.random.below(300) as i64;
                for (kind, hour, grams) in
                    [("delivery", 6, delivered), ("consumption", 22, -used), ("waste", 23, -wasted)]
                {
                    movement += 1;
                    let at = self.midnight + hour * 3600 + self.random.below(3600) as i64;
                    csv.row(format_args!("{movement},{branch},{ingredient},{},{kind},{grams}", time(at)))?;
                }
            }
        }
        csv.finish()
    }
}

fn csv_order(
    csv: &mut Csv,
    order: u64,
    customer: &str,
    branch: u64,
    ordered_at: i64,
    status: &str,
    channel: &str,
) -> Result<()> {
    csv.row(format_args!("{order},{customer},{branch},{},{status},{channel}", time(ordered_at)))
}

fn date(seconds: i64) -> String {
    chrono::DateTime::from_timestamp(seconds, 0).expect("within the calendar").format("%Y-%m-%d").to_string()
}

/// Formatting through chrono would take most of the generator's time at full scale.
fn time(seconds: i64) -> String {
    let of_day = seconds.rem_euclid(86_400);
    format!("{} {:02}:{:02}:{:02}", date(seconds), of_day / 3600, of_day / 60 % 60, of_day % 60)
}
