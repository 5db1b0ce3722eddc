//! Exact plans: each materialization, each existing state, each dialect.
