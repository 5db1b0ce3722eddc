//! Which environment variables templates read, as far as their text tells, and digests of their values.

use std::collections::BTreeMap;

use super::{Sum, sum};

/// Names that occur in `env_var(…)`.
#[derive(Default)]
pub struct Names {
    pub literal: Vec<String>,
    /// Whether a template computes a name; then all of the environment counts.
    pub computed: bool,
}

impl Names {
    pub fn scan(&mut self, text: &str) {
        for (position, found) in text.match_indices("env_var") {
            let rest = text[position + found.len()..].trim_start();
            let Some(argument) = rest.strip_prefix('(').map(str::trim_start) else { continue };
            let quote = argument.chars().next().filter(|c| matches!(c, '\'' | '"'));
            match quote.and_then(|quote| argument[1..].split_once(quote)) {
                Some((name, _)) => self.literal.push(name.to_owned()),
                None => self.computed = true,
            }
        }
    }
}

/// Of a variable's value; `None` where it is not set.
pub fn value(env: &BTreeMap<String, String>, name: &str) -> Option<Sum> {
    env.get(name).map(|value| sum(value.as_bytes()))
}

/// Of all variables.
pub fn whole(env: &BTreeMap<String, String>) -> Sum {
    sum(format!("{env:?}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_variables_that_templates_name() {
        let mut names = Names::default();
        names.scan("{{ env_var('A') }} {{ env_var( \"B\", 'x') }} env_var is a word");
        assert_eq!((names.literal, names.computed), (vec!["A".to_owned(), "B".to_owned()], false));
        let mut names = Names::default();
        names.scan("{{ env_var(name) }}");
        assert_eq!((names.literal, names.computed), (Vec::new(), true));
    }
}
