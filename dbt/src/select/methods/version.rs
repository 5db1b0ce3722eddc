//! `version:` latest, prerelease, old or none.

use std::cmp::Ordering;

use common::Json;

use super::{Matcher, Problem};

pub fn matcher(value: &str) -> Result<Matcher<'static>, Problem> {
    let wanted = match value {
        "latest" => Wanted::Ordered(Ordering::Equal),
        "prerelease" => Wanted::Ordered(Ordering::Greater),
        "old" => Wanted::Ordered(Ordering::Less),
        "none" => Wanted::Unversioned,
        _ => {
            let message = format!("invalid version type '{value}': expected one of latest, prerelease, old or none");
            return Err(Problem::Invalid(message));
        }
    };
    Ok(Box::new(move |_, member| {
        let Some(model) = member.as_node().and_then(|node| node.model.as_ref()) else { return false };
        match (&wanted, &model.version, &model.latest_version) {
            (Wanted::Unversioned, version, _) => version.is_none(),
            (Wanted::Ordered(wanted), Some(version), Some(latest)) => compare(version, latest) == *wanted,
            (Wanted::Ordered(_), _, _) => false,
        }
    }))
}

enum Wanted {
    /// How the version compares with the latest.
    Ordered(Ordering),
    Unversioned,
}

/// As numbers where both are, else as text.
fn compare(left: &Json, right: &Json) -> Ordering {
    let number = |json: &Json| json.as_f64().or_else(|| json.as_str()?.parse().ok());
    let text = |json: &Json| json.as_str().map_or_else(|| json.to_string(), str::to_owned);
    match (number(left), number(right)) {
        (Some(left), Some(right)) => left.total_cmp(&right),
        _ => text(left).cmp(&text(right)),
    }
}
