//! The built-in macro package, named `dbt`: what dbt-core, dbt-duckdb and dbt-postgres bring along, written anew for Kontiki.
//!
//! Invariant: the SQL that a macro of this package renders to means the same as that of dbt's macro of the same name, for
//! both warehouses; implementations carry the prefixes `default__`, `duckdb__` and `postgres__`.

/// The files of the package: path within the package, and text.
pub const FILES: &[(&str, &str)] = &[];
