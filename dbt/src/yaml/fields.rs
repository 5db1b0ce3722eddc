//! Taking the keys of a mapping one by one, each with its type; what is left at the end is unknown.

use common::diagnostic::Code;
use common::node_config::QuotingOverride;
use common::{Diagnostic, Json, JsonMap};

use super::{Entry, Mapping, Node, Source, Span, Value};

/// A mapping being read. A value of the wrong type is reported and counts as not given.
pub struct Fields<'a> {
    mapping: Mapping,
    /// The place of the whole mapping.
    span: Span,
    /// What is described, for messages: `model 'orders'`.
    what: String,
    /// Keys asked for so far: what may stand here.
    known: Vec<&'static str>,
    /// Whether `null` counts as not given where a list or a mapping is expected.
    lenient: bool,
    source: &'a Source,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl<'a> Fields<'a> {
    pub fn new(
        mapping: Mapping,
        span: Span,
        what: String,
        source: &'a Source,
        diagnostics: &'a mut Vec<Diagnostic>,
    ) -> Self {
        Self { mapping, span, what, known: Vec::new(), lenient: false, source, diagnostics }
    }

    /// Accepts `null` for lists and mappings, as dbt does in `dbt_project.yml` and `profiles.yml`.
    pub fn lenient(self) -> Self {
        Self { lenient: true, ..self }
    }

    pub fn what(&self) -> &str {
        &self.what
    }

    pub fn span(&self) -> Span {
        self.span
    }

    pub fn contains(&self, key: &str) -> bool {
        self.mapping.contains_key(key)
    }

    /// Whether a value other than `null` stands under `key`.
    pub fn is_given(&self, key: &str) -> bool {
        self.mapping.get(key).is_some_and(|node| !node.is_null())
    }

    /// The place of a key that is still to be taken.
    pub fn key_span(&self, key: &str) -> Option<Span> {
        self.mapping.entry(key).map(|entry| entry.key_span)
    }

    /// Fields of a mapping inside this one.
    pub fn inner(&mut self, mapping: Mapping, span: Span, what: String) -> Fields<'_> {
        let lenient = self.lenient;
        Fields { lenient, ..Fields::new(mapping, span, what, self.source, self.diagnostics) }
    }

    pub fn report(&mut self, diagnostic: Diagnostic, span: Span) {
        self.diagnostics.push(diagnostic.at(self.source.at(span)));
    }

    pub fn error(&mut self, span: Span, message: String) {
        self.report(Diagnostic::error(Code::YamlShape, message), span);
    }

    pub fn warn(&mut self, code: Code, span: Span, message: String, hint: &str) {
        self.report(Diagnostic::warning(code, message).hint(hint), span);
    }

    /// What stands under `key`, left in its place.
    pub fn peek(&self, key: &str) -> Option<&Node> {
        self.mapping.get(key)
    }

    /// Takes whatever stands under `key`, `null` included.
    pub fn take(&mut self, key: &'static str) -> Option<Entry> {
        self.known.push(key);
        self.mapping.remove(key)
    }

    /// Takes the value under `key`; `null` counts as not given.
    pub fn node(&mut self, key: &'static str) -> Option<Node> {
        self.take(key).map(|entry| entry.value).filter(|node| !node.is_null())
    }

    fn typed<T>(&mut self, key: &'static str, expected: &str, convert: fn(&Node) -> Option<T>) -> Option<T> {
        let node = self.node(key)?;
        let value = convert(&node);
        if value.is_none() {
            self.error(node.span, format!("'{key}' of {} must be {expected}, not {}", self.what, node.kind()));
        }
        value
    }

    /// The name, which every entry must have, and its place.
    pub fn name(&mut self) -> Option<(String, Span)> {
        let span = self.mapping.get("name").map(|node| node.span);
        match (self.typed("name", "text", text), span) {
            (Some(name), Some(span)) => Some((name, span)),
            (_, Some(_)) => None,
            (_, None) => {
                self.error(self.span, format!("{} has no 'name'", self.what.trim_end_matches(" ''")));
                None
            }
        }
    }

    pub fn text(&mut self, key: &'static str) -> Option<String> {
        self.typed(key, "text", text)
    }

    /// The description, still a template; it cannot be `null`.
    pub fn description(&mut self) -> String {
        self.refuse_null("description", "text");
        self.text("description").unwrap_or_default()
    }

    fn refuse_null(&mut self, key: &'static str, expected: &str) {
        if !self.lenient
            && let Some(node) = self.mapping.get(key).filter(|node| node.is_null())
        {
            let span = node.span;
            self.error(span, format!("'{key}' of {} must be {expected}, not nothing", self.what));
        }
    }

    pub fn bool(&mut self, key: &'static str) -> Option<bool> {
        self.typed(key, "true or false", Node::as_bool)
    }

    pub fn mapping(&mut self, key: &'static str) -> Mapping {
        self.refuse_null(key, "a mapping");
        self.typed(key, "a mapping", |node| node.as_mapping().cloned()).unwrap_or_default()
    }

    pub fn json_map(&mut self, key: &'static str) -> JsonMap {
        self.mapping(key).to_json()
    }

    pub fn json(&mut self, key: &'static str) -> Option<Json> {
        self.node(key).map(|node| node.to_json())
    }

    pub fn list(&mut self, key: &'static str) -> Vec<Node> {
        self.refuse_null(key, "a list");
        self.typed(key, "a list", |node| node.as_sequence().map(<[Node]>::to_vec)).unwrap_or_default()
    }

    pub fn json_list(&mut self, key: &'static str) -> Vec<Json> {
        self.list(key).iter().map(Node::to_json).collect()
    }

    /// A list of texts.
    pub fn texts(&mut self, key: &'static str) -> Vec<String> {
        let items = self.list(key);
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            match text(&item) {
                Some(text) => texts.push(text),
                None => self.error(item.span, format!("'{key}' of {} holds texts, not {}", self.what, item.kind())),
            }
        }
        texts
    }

    pub fn quoting(&mut self) -> QuotingOverride {
        let span = self.mapping.get("quoting").map_or(self.span, |node| node.span);
        let mapping = self.mapping("quoting");
        let what = format!("'quoting' of {}", self.what);
        let mut fields = self.inner(mapping, span, what);
        let quoting = QuotingOverride {
            database: fields.bool("database"),
            schema: fields.bool("schema"),
            identifier: fields.bool("identifier"),
            column: fields.bool("column"),
        };
        fields.finish();
        quoting
    }

    /// Each mapping of the list under `key`, as fields of its own, read by `read`.
    pub fn each<T>(
        &mut self,
        key: &'static str,
        what: impl Fn(&Mapping) -> String,
        read: impl Fn(Fields<'_>) -> Option<T>,
    ) -> Vec<T> {
        let mut typed = Vec::new();
        for item in self.list(key) {
            let span = item.span;
            match item.value {
                Value::Mapping(mapping) => {
                    let what = what(&mapping);
                    typed.extend(read(self.inner(mapping, span, what)));
                }
                _ => self.error(
                    span,
                    format!("an entry of '{key}' of {} must be a mapping, not {}", self.what, item.kind()),
                ),
            }
        }
        typed
    }

    /// What no one asked for, still in order.
    pub fn rest(&mut self) -> Mapping {
        std::mem::take(&mut self.mapping)
    }

    /// Reports what no one asked for.
    pub fn finish(mut self) {
        for (key, entry) in self.rest() {
            self.unknown(&key, entry.key_span);
        }
    }

    /// Reports a key that means nothing here.
    pub fn unknown(&mut self, key: &str, span: Span) {
        self.report(unknown_key(key, &self.what, &self.known), span);
    }

    /// Like `finish`, where an unknown key is an error.
    pub fn refuse(mut self) {
        for (key, entry) in self.rest() {
            let warning = unknown_key(&key, &self.what, &self.known);
            let message = format!("unknown key '{key}' in {}", self.what);
            let diagnostic = Diagnostic { hint: warning.hint, ..Diagnostic::error(Code::UnknownKey, message) };
            self.report(diagnostic, entry.key_span);
        }
    }
}

fn text(node: &Node) -> Option<String> {
    node.as_str().map(str::to_owned)
}

/// A warning about a key that is ignored, with the nearest known one where there is one.
pub fn unknown_key(key: &str, what: &str, known: &[&str]) -> Diagnostic {
    let diagnostic = Diagnostic::warning(Code::UnknownKey, format!("unknown key '{key}' in {what}: it is ignored"));
    let nearest = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(key, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 3);
    match nearest {
        Some((_, candidate)) => diagnostic.hint(format!("did you mean '{candidate}'?")),
        None if known.contains(&"config") => {
            diagnostic.hint("configs belong under 'config:', values of your own under 'config: {meta: …}'")
        }
        None => diagnostic,
    }
}
