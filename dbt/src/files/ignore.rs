//! `.dbtignore`: patterns as in `.gitignore`, relative to the project's folder.

use common::Diagnostic;
use common::diagnostic::{Code, Location};
use globset::{GlobBuilder, GlobMatcher};

use super::contents::read_text;
use crate::project::Project;

const FILE_NAME: &str = ".dbtignore";

/// The rules in order; the last one that matches decides.
#[derive(Debug, Default)]
pub struct IgnoreRules {
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    matcher: GlobMatcher,
    /// `!pattern`: what it matches is read after all.
    negated: bool,
}

impl IgnoreRules {
    pub fn load(project: &Project, diagnostics: &mut Vec<Diagnostic>) -> Self {
        let path = project.dir.join(FILE_NAME);
        if !path.exists() {
            return Self::default();
        }
        let display = project.display_path(FILE_NAME);
        match read_text(&path, &display) {
            Ok(text) => Self::parse(&text, &display, diagnostics),
            Err(diagnostic) => {
                diagnostics.push(*diagnostic);
                Self::default()
            }
        }
    }

    pub fn parse(text: &str, file: &str, diagnostics: &mut Vec<Diagnostic>) -> Self {
        let mut rules = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let pattern = line.trim_end();
            if pattern.is_empty() || pattern.starts_with('#') {
                continue;
            }
            let (negated, pattern) = match pattern.strip_prefix('!') {
                Some(rest) => (true, rest),
                None => {
                    (false, pattern.strip_prefix('\\').filter(|rest| rest.starts_with(['#', '!'])).unwrap_or(pattern))
                }
            };
            for glob in globs(pattern) {
                match GlobBuilder::new(&glob).literal_separator(true).backslash_escape(true).build() {
                    Ok(glob) => rules.push(Rule { matcher: glob.compile_matcher(), negated }),
                    Err(error) => diagnostics.push(
                        Diagnostic::error(
                            Code::InvalidConfig,
                            format!("'{pattern}' is not a pattern: {}", error.kind()),
                        )
                        .at(Location::in_text(file, text, index as u32 + 1, 1)),
                    ),
                }
            }
        }
        Self { rules }
    }

    /// Whether the file at `path` (relative to the project, with `/`) is left out.
    pub fn ignores(&self, path: &str) -> bool {
        self.rules.iter().rev().find(|rule| rule.matcher.is_match(path)).is_some_and(|rule| !rule.negated)
    }
}

/// The globs on whole paths that one pattern stands for: the file itself, and everything below a folder of that name.
fn globs(pattern: &str) -> Vec<String> {
    let folder_only = pattern.ends_with('/');
    let trimmed = pattern.trim_end_matches('/');
    // A slash before the end ties the pattern to the project's folder.
    let anchored = trimmed.contains('/');
    let body = trimmed.trim_start_matches('/');
    if body.is_empty() {
        return Vec::new();
    }
    let base = if anchored || body.starts_with("**/") { body.to_owned() } else { format!("**/{body}") };
    let below = format!("{base}/**");
    if folder_only { vec![below] } else { vec![base, below] }
}
