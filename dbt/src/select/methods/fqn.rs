//! Names: a node by its own name, by its path of names, or by a pattern over either.

use super::super::fnmatch::fnmatch;
use super::super::member::Member;

/// Sources are never found by name; everything else is, with or without its package in front.
pub fn matches(member: Member<'_>, selector: &str) -> bool {
    if member.as_source().is_some() {
        return false;
    }
    let fqn: Vec<&str> = member.fqn().iter().map(String::as_str).collect();
    let versioned = member.is_versioned();
    is_selected(&fqn, selector, versioned)
        || fqn.get(1..).is_some_and(|unscoped| is_selected(unscoped, selector, versioned))
}

fn is_selected(fqn: &[&str], selector: &str, versioned: bool) -> bool {
    let wanted: Vec<&str> = selector.split('.').collect();
    // The last part of a versioned model's fqn is the version, the one before it the name.
    let leaf = if versioned { fqn.len().checked_sub(2).map(|at| fqn[at]) } else { fqn.last().copied() };
    if leaf == Some(selector) {
        return true;
    }
    if versioned && last_two(fqn) == last_two(&wanted) {
        return true;
    }
    // Dots in names act as separators.
    let flat: Vec<&str> = fqn.iter().flat_map(|part| part.split('.')).collect();
    if flat.len() < wanted.len() {
        return false;
    }
    for (at, part) in wanted.iter().enumerate() {
        if part.contains(['*', '?', '[', ']']) {
            // From the first pattern on, everything below must match.
            return fnmatch(&flat[at..].join("."), &wanted[at..].join("."))
                || (wanted.len() == 1 && leaf.is_some_and(|leaf| fnmatch(leaf, selector)));
        }
        if flat[at] != *part {
            return false;
        }
    }
    true
}

/// `dim.v1` and `dim_v1` name the same version.
fn last_two(parts: &[&str]) -> String {
    parts[parts.len().saturating_sub(2)..].join("_")
}
