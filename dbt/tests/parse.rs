//! Parses fixture projects and compares what comes out: diagnostics as snapshots, manifests with dbt-core's.

mod parse {
    mod agreement;
    mod cache;
    mod compare;
    mod diagnostics;
    mod edits;
    mod project;
}
