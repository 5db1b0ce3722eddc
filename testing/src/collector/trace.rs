//! Spans of one trace as the tree that they are.

use std::collections::{BTreeMap, BTreeSet};

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;

/// Spans of one trace, checked to be one tree: one root, and nothing that leads into nowhere.
pub struct Trace {
    pub spans: BTreeMap<Vec<u8>, Span>,
}

impl Trace {
    /// Panics where something is missing.
    #[track_caller]
    pub fn of(spans: Vec<Span>) -> Self {
        Self::complete(spans).unwrap_or_else(|missing| panic!("{missing}"))
    }

    /// Says what is missing where the spans are no tree, or not yet.
    pub fn complete(spans: Vec<Span>) -> Result<Self, String> {
        let traces: BTreeSet<&[u8]> = spans.iter().map(|span| span.trace_id.as_slice()).collect();
        if traces.len() != 1 {
            return Err(format!("one run is one trace, not {}", traces.len()));
        }
        let mut trace = Self { spans: BTreeMap::new() };
        for span in spans {
            // Whoever takes over records again what may have been lost, and that is the same.
            let known = trace.spans.entry(span.span_id.clone()).or_insert_with(|| span.clone());
            assert_eq!(*known, span, "recorded twice, and not alike");
            assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
        }
        let roots = trace.spans.values().filter(|span| span.parent_span_id.is_empty()).count();
        if roots != 1 {
            return Err(format!("a tree has one root, not {roots}"));
        }
        for span in trace.spans.values().filter(|span| !span.parent_span_id.is_empty()) {
            if !trace.spans.contains_key(&span.parent_span_id) {
                return Err(format!("an orphan: {span:?}"));
            }
        }
        for link in trace.spans.values().flat_map(|span| &span.links) {
            if !trace.spans.contains_key(&link.span_id) {
                return Err(format!("a link into nowhere: {link:?}"));
            }
        }
        Ok(trace)
    }

    pub fn root(&self) -> &Span {
        self.spans.values().find(|span| span.parent_span_id.is_empty()).expect("checked: there is one")
    }

    pub fn below(&self, parent: &Span) -> Vec<&Span> {
        let mut below: Vec<&Span> = self.spans.values().filter(|span| span.parent_span_id == parent.span_id).collect();
        below.sort_by_key(|span| span.start_time_unix_nano);
        below
    }

    /// The attempts at a node, in order.
    pub fn attempts(&self, node: &str) -> Vec<&Span> {
        self.below(self.root()).into_iter().filter(|span| span.name == node).collect()
    }

    pub fn child(&self, parent: &Span, name: &str) -> &Span {
        let found = self.below(parent).into_iter().find(|span| span.name == name);
        found.unwrap_or_else(|| panic!("no '{name}' below {parent:?}"))
    }

    pub fn names_below(&self, parent: &Span) -> BTreeSet<&str> {
        self.below(parent).into_iter().map(|span| span.name.as_str()).collect()
    }

    /// What a span's links say, with the names of the spans at their other ends.
    pub fn links<'s>(&'s self, span: &'s Span) -> BTreeSet<(String, &'s str)> {
        let what = |attributes: &[KeyValue]| text(attributes, "kontiki.link").expect("each link says what it is");
        span.links.iter().map(|link| (what(&link.attributes), self.spans[&link.span_id].name.as_str())).collect()
    }
}

/// An attribute, as text.
pub fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => Some(format!("{other:?}")),
    }
}
