//! The name someone probably meant.

/// The closest of `known` to `name`, if one is close enough that a typing mistake is the likely reason.
pub fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let allowed = (name.chars().count() / 3).clamp(1, 4);
    known
        .into_iter()
        .filter(|candidate| *candidate != name)
        .map(|candidate| (strsim::damerau_levenshtein(&name.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// The hint that goes with it.
pub fn hint<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<String> {
    nearest(name, known).map(|candidate| format!("did you mean '{candidate}'?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_slip_and_nothing_else() {
        let known = ["stg_orders", "stg_order_lines", "customers"];
        assert_eq!(nearest("stg_ordres", known), Some("stg_orders"));
        assert_eq!(nearest("Customers", known), Some("customers"));
        assert_eq!(nearest("inventory", known), None);
    }
}
