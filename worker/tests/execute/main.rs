//! Tasks from assignment to report, over real warehouses.

mod seeds;
mod session;
mod support;
