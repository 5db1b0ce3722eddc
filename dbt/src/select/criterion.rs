//! The grammar of one criterion on the command line: `[@] [n+] [method:] value [+n]`.

use common::Json;

use super::spec::{Criterion, IndirectSelection, Method};

impl Criterion {
    /// Reads one criterion, e.g. `2+tag:nightly+`.
    pub fn parse(raw: &str, indirect: IndirectSelection) -> Result<Self, String> {
        let (childrens_parents, rest) = match raw.strip_prefix('@') {
            Some(rest) => (true, rest),
            None => (false, raw),
        };
        let (parents, rest) = leading_plus(rest);
        let (method, rest) = method(rest);
        let (value, children) = trailing_plus(rest);
        Self {
            method: Method::Fqn,
            arguments: Vec::new(),
            value: Json::String(value.to_owned()),
            childrens_parents,
            parents,
            children,
            indirect,
        }
        .with_method(method)?
        .checked(raw)
    }

    /// Sets the method from its name with arguments, or from the look of the value where none is named.
    pub fn with_method(mut self, name: Option<&str>) -> Result<Self, String> {
        match name {
            Some(name) => {
                let mut parts = name.split('.');
                self.method = Method::named(parts.next().unwrap_or_default())?;
                self.arguments = parts.map(str::to_owned).collect();
            }
            None => self.method = default_method(self.value.as_str().unwrap_or_default()),
        }
        Ok(self)
    }

    /// `@` already means all descendants, so `+` behind makes no sense.
    pub fn checked(self, raw: &str) -> Result<Self, String> {
        if self.childrens_parents && self.children.is_some() {
            return Err(format!("'{raw}' has both the prefix '@' and the suffix '+', which are incompatible"));
        }
        Ok(self)
    }
}

fn default_method(value: &str) -> Method {
    let lower = value.to_lowercase();
    if value.contains('/') {
        Method::Path
    } else if [".sql", ".py", ".csv"].iter().any(|suffix| lower.ends_with(suffix)) {
        Method::File
    } else {
        Method::Fqn
    }
}

fn depth(digits: &str) -> Option<usize> {
    // More steps than fit a number are as good as unlimited.
    if digits.is_empty() { None } else { Some(digits.parse().unwrap_or(usize::MAX)) }
}

fn leading_plus(text: &str) -> (Option<Option<usize>>, &str) {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    match text[digits..].strip_prefix('+') {
        Some(rest) => (Some(depth(&text[..digits])), rest),
        None => (None, text),
    }
}

fn method(text: &str) -> (Option<&str>, &str) {
    match text.split_once(':') {
        Some((name, value))
            if !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.')) =>
        {
            (Some(name), value)
        }
        _ => (None, text),
    }
}

fn trailing_plus(text: &str) -> (&str, Option<Option<usize>>) {
    let without_digits = text.trim_end_matches(|c: char| c.is_ascii_digit());
    match without_digits.strip_suffix('+') {
        Some(value) => (value, Some(depth(&text[without_digits.len()..]))),
        None => (text, None),
    }
}
