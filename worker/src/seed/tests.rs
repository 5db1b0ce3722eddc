//! Seed files against what dbt makes of them.
