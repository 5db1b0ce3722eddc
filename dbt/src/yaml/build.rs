//! From parser events to a tree: anchors, aliases, merge keys, keys given twice.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use common::Diagnostic;
use common::diagnostic::{Code, Location};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, StrInput, Tag};

use super::relax::relax;
use super::{Mapping, Node, Source, Span, Value, scalar};

/// Nesting beyond which a file is refused.
pub const DEPTH_MAX: usize = 100;
/// How many nodes aliases may add to one file before it is refused ("billion laughs").
pub const ALIASED_NODES_MAX: usize = 250_000;

const CORE_TAG: &str = "tag:yaml.org,2002:";

/// What stops the reading of a file.
struct Stop(Box<Diagnostic>);

/// Reads the single document of `source`; findings go to `diagnostics`, `None` means that reading stopped.
pub fn build(source: &Source, diagnostics: &mut Vec<Diagnostic>) -> Option<Node> {
    let text = source.text.strip_prefix('\u{feff}').unwrap_or(&source.text);
    let before = diagnostics.len();
    let strict = Builder::new(source, &[], diagnostics).document(text);
    let stop = match strict {
        Ok(root) => return Some(root),
        Err(stop) => stop,
    };
    if stop.0.code == Code::YamlSyntax
        && let Some(relaxed) = relax(text)
    {
        let warnings = diagnostics.split_off(before);
        if let Ok(root) = Builder::new(source, &relaxed.added, diagnostics).document(&relaxed.text) {
            return Some(root);
        }
        diagnostics.truncate(before);
        diagnostics.extend(warnings);
    }
    diagnostics.push(*stop.0);
    None
}

/// A collection that is not closed yet.
struct Open {
    anchor: usize,
    span: Span,
    kind: Kind,
    /// Nodes inside so far, itself included.
    size: usize,
}

enum Kind {
    Sequence(Vec<Node>),
    Mapping { entries: Vec<(Key, Node)>, key: Option<Key> },
}

struct Key {
    text: String,
    span: Span,
    is_merge: bool,
}

struct Builder<'a> {
    source: &'a Source,
    /// Columns added to the front of each line before it was parsed.
    added: &'a [u32],
    diagnostics: &'a mut Vec<Diagnostic>,
    stack: Vec<Open>,
    /// Finished anchored nodes, with the number of nodes in each.
    anchors: HashMap<usize, (Node, usize)>,
    aliased: usize,
    root: Option<Node>,
    documents: usize,
}

impl<'a> Builder<'a> {
    fn new(source: &'a Source, added: &'a [u32], diagnostics: &'a mut Vec<Diagnostic>) -> Self {
        Self {
            source,
            added,
            diagnostics,
            stack: Vec::new(),
            anchors: HashMap::new(),
            aliased: 0,
            root: None,
            documents: 0,
        }
    }

    fn document(mut self, text: &str) -> Result<Node, Stop> {
        self.read(&mut Parser::new_from_str(text))?;
        Ok(self.root.unwrap_or_default())
    }

    fn read(&mut self, parser: &mut Parser<'_, StrInput<'_>>) -> Result<(), Stop> {
        while let Some(event) = parser.next_event() {
            let (event, place) = event.map_err(|error| self.syntax(&error))?;
            let span = self.span(&place);
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(_) => {
                    self.documents += 1;
                    if self.documents > 1 {
                        return Err(self
                            .stop(Code::YamlSyntax, span, "expected a single document, found another one")
                            .hinting("split the documents into files; remove the line '---'"));
                    }
                }
                Event::Scalar(text, style, anchor, tag) => {
                    let is_merge = text == "<<" && style == ScalarStyle::Plain && tag.is_none();
                    let value = self.scalar(&text, style, tag.as_deref(), span)?;
                    self.add(Node::new(value, span), anchor, 1, is_merge)?;
                }
                Event::Alias(anchor) => self.alias(anchor, span)?,
                Event::SequenceStart(anchor, tag) => {
                    self.check_tag(tag.as_deref(), "seq", span)?;
                    self.open(anchor, span, Kind::Sequence(Vec::new()))?;
                }
                Event::MappingStart(anchor, tag) => {
                    self.check_tag(tag.as_deref(), "map", span)?;
                    self.open(anchor, span, Kind::Mapping { entries: Vec::new(), key: None })?;
                }
                Event::SequenceEnd | Event::MappingEnd => self.close(span)?,
                Event::Nothing | Event::StreamStart | Event::DocumentEnd => {}
            }
        }
        Ok(())
    }

    fn open(&mut self, anchor: usize, span: Span, kind: Kind) -> Result<(), Stop> {
        if self.stack.len() >= DEPTH_MAX {
            return Err(self.stop(Code::YamlShape, span, format!("values are nested deeper than {DEPTH_MAX} levels")));
        }
        self.stack.push(Open { anchor, span, kind, size: 1 });
        Ok(())
    }

    fn close(&mut self, end: Span) -> Result<(), Stop> {
        let Some(open) = self.stack.pop() else { return Ok(()) };
        let span = Span { end_line: end.end_line, end_column: end.end_column, ..open.span };
        let value = match open.kind {
            Kind::Sequence(items) => Value::Sequence(items),
            Kind::Mapping { entries, .. } => Value::Mapping(self.mapping(entries)?),
        };
        self.add(Node::new(value, span), open.anchor, open.size, false)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Stop> {
        let Some((node, size)) = self.anchors.get(&anchor).cloned() else {
            return Err(self.stop(Code::YamlSyntax, span, "an alias stands inside the value it names"));
        };
        self.aliased += size;
        if self.aliased > ALIASED_NODES_MAX {
            let message = format!("aliases expand to more than {ALIASED_NODES_MAX} values");
            return Err(self.stop(Code::YamlShape, span, message));
        }
        self.add(node, 0, size, false)
    }

    /// Puts a finished node where it belongs: into the open collection, as a key or a value, or at the root.
    fn add(&mut self, node: Node, anchor: usize, size: usize, is_merge: bool) -> Result<(), Stop> {
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(open) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        open.size += size;
        match &mut open.kind {
            Kind::Sequence(items) => items.push(node),
            Kind::Mapping { entries, key } => match key.take() {
                Some(key) => entries.push((key, node)),
                None => {
                    let span = node.span;
                    match key_text(node.value) {
                        Some(text) => *key = Some(Key { text, span, is_merge }),
                        None => return Err(self.stop(Code::YamlShape, span, "a list or mapping cannot be a key")),
                    }
                }
            },
        }
        Ok(())
    }

    /// Applies merge keys (merged keys come first and yield to the mapping's own) and reports keys given twice.
    fn mapping(&mut self, entries: Vec<(Key, Node)>) -> Result<Mapping, Stop> {
        let mut merged = Mapping::default();
        for (key, node) in entries.iter().filter(|(key, _)| key.is_merge) {
            let parts: Vec<&Node> = match &node.value {
                Value::Mapping(_) => vec![node],
                // Earlier mappings of the list win: insert them last.
                Value::Sequence(items) => items.iter().rev().collect(),
                _ => Vec::new(),
            };
            if parts.is_empty() && !matches!(&node.value, Value::Sequence(_)) {
                return Err(self.stop(
                    Code::YamlShape,
                    key.span,
                    "'<<' needs a mapping or a list of mappings to merge",
                ));
            }
            for part in parts {
                let Some(mapping) = part.as_mapping() else {
                    return Err(self.stop(Code::YamlShape, part.span, "'<<' can only merge mappings"));
                };
                for (name, entry) in mapping.iter() {
                    merged.insert(name, entry.key_span, entry.value.clone());
                }
            }
        }
        let mut seen: HashMap<String, Span> = HashMap::new();
        for (key, node) in entries.into_iter().filter(|(key, _)| !key.is_merge) {
            match seen.entry(key.text.clone()) {
                Slot::Occupied(first) => self.diagnostics.push(
                    Diagnostic::warning(
                        Code::YamlShape,
                        format!("duplicate key '{}': the value given last is used", key.text),
                    )
                    .at(self.source.at(key.span))
                    .hint(format!("it is first given on line {}", first.get().line)),
                ),
                Slot::Vacant(slot) => {
                    slot.insert(key.span);
                }
            }
            merged.insert(key.text, key.span, node);
        }
        Ok(merged)
    }

    fn scalar(&self, text: &str, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Result<Value, Stop> {
        let Some(tag) = tag else {
            return Ok(match style {
                ScalarStyle::Plain => scalar::resolve(text),
                _ => Value::String(text.to_owned()),
            });
        };
        let name = tag_name(tag);
        let typed = match name.strip_prefix(CORE_TAG) {
            Some("str") => Some(Value::String(text.to_owned())),
            Some("null") => Some(Value::Null),
            Some("int") => scalar::int(text),
            Some("float") => scalar::float(text).or_else(|| text.replace('_', "").parse().ok()).map(Value::Float),
            Some("bool" | "timestamp") => Some(scalar::resolve(text)),
            _ if name == "!" && style == ScalarStyle::Plain => Some(scalar::resolve(text)),
            _ if name == "!" => Some(Value::String(text.to_owned())),
            _ => return Err(self.unknown_tag(&name, span)),
        };
        typed.ok_or_else(|| self.stop(Code::YamlShape, span, format!("'{text}' does not fit its tag '{name}'")))
    }

    fn check_tag(&self, tag: Option<&Tag>, expected: &str, span: Span) -> Result<(), Stop> {
        match tag.map(tag_name) {
            Some(name) if name.strip_prefix(CORE_TAG) != Some(expected) => Err(self.unknown_tag(&name, span)),
            _ => Ok(()),
        }
    }

    fn unknown_tag(&self, name: &str, span: Span) -> Stop {
        self.stop(Code::YamlShape, span, format!("the tag '{name}' is not known here"))
    }

    fn stop(&self, code: Code, span: Span, message: impl Into<String>) -> Stop {
        Stop(Box::new(Diagnostic::error(code, message).at(self.source.at(span))))
    }

    fn span(&self, place: &saphyr_parser::Span) -> Span {
        let column = |marker: &Marker| {
            let added = self.added.get(marker.line().saturating_sub(1)).copied().unwrap_or(0);
            (marker.col() as u32 + 1).saturating_sub(added).max(1)
        };
        Span {
            line: place.start.line() as u32,
            column: column(&place.start),
            end_line: place.end.line() as u32,
            end_column: column(&place.end),
        }
    }

    fn syntax(&self, error: &ScanError) -> Stop {
        let (line, column) = (error.marker().line() as u32, error.marker().col() as u32 + 1);
        let at = |line, column| Location::in_text(self.source.file.clone(), &self.source.text, line, column);
        let message = error.info().to_owned();
        // The scanner notices a tab at the end of the line before it.
        for (line, column) in [(line, column), (line + 1, 1)] {
            let location = at(line, column);
            if location.source_line.as_deref().is_some_and(|line| line.trim_start_matches(' ').starts_with('\t')) {
                return Stop(Box::new(Diagnostic::error(Code::YamlSyntax, message).at(location)))
                    .hinting("YAML does not allow tabs for indentation; use spaces");
            }
        }
        Stop(Box::new(Diagnostic::error(Code::YamlSyntax, message).at(at(line, column))))
    }
}

impl Stop {
    fn hinting(mut self, hint: &str) -> Self {
        self.0.hint = Some(hint.to_owned());
        self
    }
}

fn tag_name(tag: &Tag) -> String {
    match tag.handle.as_str() {
        "!!" => format!("{CORE_TAG}{}", tag.suffix),
        handle => format!("{handle}{}", tag.suffix),
    }
}

fn key_text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Null => Some("null".to_owned()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Int(value) => Some(value.to_string()),
        Value::Float(value) => Some(value.to_string()),
        Value::Sequence(_) | Value::Mapping(_) => None,
    }
}
