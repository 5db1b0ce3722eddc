//! The built-in macro package, named `dbt`: what dbt-core, dbt-duckdb and dbt-postgres bring along, written anew for Kontiki.
//!
//! Invariant: the SQL that a macro of this package renders to means the same as that of dbt's macro of the same name, for
//! both warehouses; implementations carry the prefixes `default__`, `duckdb__` and `postgres__`. Names that begin with `_`
//! are helpers of this package alone.

/// Name of the package.
pub const PACKAGE: &str = "dbt";

/// Names a file of the package once: its path and its text.
macro_rules! files {
    ($($path:literal),* $(,)?) => {
        /// The files of the package: path within the package, and text.
        pub const FILES: &[(&str, &str)] = &[$(($path, include_str!($path))),*];
    };
}

files![
    "macros/incremental/columns.sql",
    "macros/incremental/decide.sql",
    "macros/incremental/delete_insert.sql",
    "macros/incremental/merge.sql",
    "macros/incremental/schema_changes.sql",
    "macros/incremental/strategies.sql",
    "macros/relation/change.sql",
    "macros/relation/contract.sql",
    "macros/relation/create.sql",
    "macros/relation/hooks.sql",
    "macros/relation/names.sql",
    "macros/relation/seeds.sql",
    "macros/sql/aggregates.sql",
    "macros/sql/arrays.sql",
    "macros/sql/casts.sql",
    "macros/sql/data_types.sql",
    "macros/sql/dates.sql",
    "macros/sql/series.sql",
    "macros/sql/sets.sql",
    "macros/sql/strings.sql",
    "macros/tests/generic.sql",
    "macros/tests/run.sql",
    "macros/tests/unit.sql",
    "macros/warehouse/columns.sql",
    "macros/warehouse/comments.sql",
    "macros/warehouse/grants.sql",
    "macros/warehouse/indexes.sql",
    "macros/warehouse/metadata.sql",
    "macros/warehouse/names.sql",
    "macros/warehouse/partitions.sql",
    "macros/warehouse/schemas.sql",
    "macros/warehouse/statement.sql",
    "macros/warehouse/timestamps.sql",
];
