//! `require-dbt-version`: ranges of semantic versions.

use std::cmp::Ordering;

/// The version of dbt-core whose behaviour Kontiki has.
pub const DBT_VERSION: &str = "1.11.16";

#[derive(Clone, Debug, PartialEq, Eq)]
struct Version {
    numbers: [u64; 3],
    prerelease: Option<String>,
}

/// Whether `DBT_VERSION` satisfies `requirement` (`>=1.0.0`, `<2.0.0`, …); an error says that it cannot be read.
pub fn is_satisfied(requirement: &str) -> Result<bool, String> {
    let text = requirement.trim();
    let operator_end = text.find(|c| !matches!(c, '<' | '>' | '=')).unwrap_or(text.len());
    let (operator, version) = text.split_at(operator_end);
    let unreadable = || format!("'{requirement}' is not a version requirement such as '>=1.7.0'");
    let required = parse(version.trim()).ok_or_else(unreadable)?;
    let installed = parse(DBT_VERSION).ok_or_else(unreadable)?;
    let ordering = compare(&installed, &required);
    match operator {
        "" | "=" => Ok(ordering == Ordering::Equal),
        ">" => Ok(ordering == Ordering::Greater),
        ">=" => Ok(ordering != Ordering::Less),
        "<" => Ok(ordering == Ordering::Less),
        "<=" => Ok(ordering != Ordering::Greater),
        _ => Err(unreadable()),
    }
}

fn parse(text: &str) -> Option<Version> {
    let text = text.split('+').next()?;
    // A prerelease may follow without a hyphen: `1.0.0b1`.
    let numbers_end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (numbers, prerelease) = text.split_at(numbers_end);
    let mut parts = numbers.split('.').map(|part| {
        let canonical = part == "0" || !part.starts_with('0');
        part.parse::<u64>().ok().filter(|_| canonical)
    });
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    if parts.next().is_some() {
        return None;
    }
    let prerelease = prerelease.strip_prefix('-').unwrap_or(prerelease);
    let valid = prerelease.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'));
    valid.then(|| Version { numbers, prerelease: (!prerelease.is_empty()).then(|| prerelease.to_owned()) })
}

fn compare(left: &Version, right: &Version) -> Ordering {
    left.numbers.cmp(&right.numbers).then_with(|| match (&left.prerelease, &right.prerelease) {
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Greater,
        (Some(_), None) => Ordering::Less,
        (Some(left), Some(right)) => left.cmp(right),
    })
}

#[cfg(test)]
mod tests {
    use super::is_satisfied;

    #[test]
    fn ranges_compare_as_semantic_versions() {
        for satisfied in [">=1.0.0", "<2.0.0", "=1.11.16", "1.11.16", ">1.11.0", ">=1.11.0-b1", "<=1.11.16", " >=1.7.0"]
        {
            assert_eq!(is_satisfied(satisfied), Ok(true), "{satisfied}");
        }
        for unsatisfied in [">=2.0.0", "<1.11.0", "=1.11.15", ">1.11.16", "<1.11.16-rc1"] {
            assert_eq!(is_satisfied(unsatisfied), Ok(false), "{unsatisfied}");
        }
        for unreadable in ["", "latest", ">=1.7", "=>1.0.0", "~1.0.0"] {
            assert!(is_satisfied(unreadable).is_err(), "{unreadable}");
        }
    }
}
