//! Keeps secrets of the environment off the console, as dbt does: `*****` stands for the value of each `DBT_ENV_SECRET…` variable.

use std::borrow::Cow;

use dbt::context::SECRET_PREFIX;

const CONCEALED: &str = "*****";

/// The texts that are never shown, longest first: one may be a part of another.
#[derive(Default)]
pub struct Secrets(Vec<String>);

impl Secrets {
    pub fn of_environment() -> Self {
        Self::new(std::env::vars_os().filter_map(|(name, value)| {
            let secret = name.to_str()?.starts_with(SECRET_PREFIX);
            secret.then(|| value.into_string().ok())?
        }))
    }

    fn new(values: impl Iterator<Item = String>) -> Self {
        let mut texts = Vec::new();
        for value in values.filter(|value| !value.trim().is_empty()) {
            // A line of JSON shows it escaped, and a statement with its quotes doubled.
            let escaped = common::Json::from(value.as_str()).to_string();
            texts.push(escaped[1..escaped.len() - 1].to_owned());
            texts.push(value.replace('\'', "''"));
            texts.push(value);
        }
        texts.sort_by_key(|text| std::cmp::Reverse(text.len()));
        texts.dedup();
        Self(texts)
    }

    pub fn conceal<'a>(&self, line: &'a str) -> Cow<'a, str> {
        self.0.iter().fold(Cow::Borrowed(line), |line, secret| {
            if line.contains(secret.as_str()) { Cow::Owned(line.replace(secret.as_str(), CONCEALED)) } else { line }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conceals_values_however_they_are_written() {
        let values = ["it's \"x\"", "it's \"x\" and more", " "].map(str::to_owned);
        let secrets = Secrets::new(values.into_iter());
        assert_eq!(secrets.conceal("a it's \"x\" b"), "a ***** b");
        assert_eq!(secrets.conceal("a it's \"x\" and more b"), "a ***** b");
        assert_eq!(secrets.conceal(r#"{"msg":"it's \"x\""}"#), r#"{"msg":"*****"}"#);
        assert_eq!(secrets.conceal("'it''s \"x\"'"), "'*****'");
        assert!(matches!(secrets.conceal("nothing to hide"), Cow::Borrowed(_)));
    }
}
