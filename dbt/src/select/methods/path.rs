//! Paths and files.

use std::collections::BTreeSet;

use super::super::fnmatch::fnmatch;
use super::{Catalog, Matcher};

/// Members whose file, properties file or any folder above it is matched by the glob `selector`, relative to the root project.
/// What exists there is taken from the root project's members.
pub fn matcher<'a>(catalog: Catalog<'a>, selector: &'a str) -> Matcher<'a> {
    let pattern: Vec<&str> = components(selector);
    let mut matched: BTreeSet<Vec<&'a str>> = BTreeSet::new();
    let mut tried: BTreeSet<Vec<&'a str>> = BTreeSet::new();
    for (_, member) in catalog.members() {
        if member.package_name() != catalog.manifest.project_name {
            continue;
        }
        for path in [Some(member.original_file_path()), member.patch_path()].into_iter().flatten() {
            let parts = components(path);
            for length in 1..=parts.len() {
                let prefix = parts[..length].to_vec();
                if tried.insert(prefix.clone()) && glob(&prefix, &pattern, length < parts.len()) {
                    matched.insert(prefix);
                }
            }
        }
    }
    // `.` is the project's own folder: everything is below it.
    let is_root = pattern.is_empty() && !selector.is_empty();
    Box::new(move |_, member| {
        let file = components(member.original_file_path());
        let is_below = (1..=file.len()).any(|length| matched.contains(&file[..length]));
        is_root || is_below || member.patch_path().is_some_and(|path| matched.contains(components(path).as_slice()))
    })
}

/// Whether the file's name, with or without suffix, matches.
pub fn is_file(path: &str, selector: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let stem = match name.rfind('.') {
        Some(dot) if dot > 0 => &name[..dot],
        _ => name,
    };
    fnmatch(name, selector) || fnmatch(stem, selector)
}

fn components(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".").collect()
}

/// Matches component by component; `**` stands for any number of folders, and at the end for folders only.
fn glob(path: &[&str], pattern: &[&str], is_folder: bool) -> bool {
    // `reachable[n]`: the first n components of the path are matched by the pattern read so far.
    let mut reachable = vec![false; path.len() + 1];
    reachable[0] = true;
    for (at, part) in pattern.iter().enumerate() {
        let mut next = vec![false; path.len() + 1];
        if *part == "**" {
            let first = reachable.iter().position(|&reached| reached).unwrap_or(path.len() + 1);
            next.iter_mut().skip(first).for_each(|reached| *reached = true);
            if at + 1 == pattern.len() && !is_folder {
                next[path.len()] = false;
            }
        } else {
            for length in 0..path.len() {
                next[length + 1] = reachable[length] && fnmatch(path[length], part);
            }
        }
        reachable = next;
    }
    !pattern.is_empty() && reachable[path.len()]
}

#[cfg(test)]
mod tests {
    use super::{components, glob};

    #[test]
    fn globs_match_as_pathlib_does() {
        for (path, pattern, is_folder, expected) in [
            ("models/staging", "models/staging", true, true),
            ("models/staging", "./models/staging/", true, true),
            ("models/a.sql", "models/*", false, true),
            ("models/a/b.sql", "models/*", false, false),
            ("models/a/b.sql", "models/**/*.sql", false, true),
            ("models/b.sql", "models/**/*.sql", false, true),
            ("models/b.sql", "models/**", false, false),
            ("models/a", "models/**", true, true),
            ("models", "models/**", true, true),
            ("models/a.sql", "**/a.sql", false, true),
            ("models/a.sql", "models", false, false),
        ] {
            assert_eq!(glob(&components(path), &components(pattern), is_folder), expected, "{path} {pattern}");
        }
    }
}
