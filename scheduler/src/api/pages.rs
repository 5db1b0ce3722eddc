//! Long answers, one page at a time. A token names the last entry of the page before, so that a page is the same at every replica.

use std::str::FromStr;

use proto::invalid::Invalid;

const SIZE_DEFAULT: usize = 50;
const SIZE_MAX: usize = 500;

/// How many entries the client gets: 0 leaves it to us.
pub fn size(asked: u32) -> usize {
    match asked {
        0 => SIZE_DEFAULT,
        asked => usize::try_from(asked).unwrap_or(SIZE_MAX).min(SIZE_MAX),
    }
}

/// None for the first page.
pub fn after<T: FromStr>(token: &str) -> Result<Option<T>, Invalid> {
    if token.is_empty() {
        return Ok(None);
    }
    token.parse().map(Some).map_err(|_| Invalid::new("page_token", "is not one that an earlier answer gave"))
}

/// The page, and the token of the next one, empty where there is none. `entries` hold one more than the page if there are more.
pub fn cut<T>(mut entries: Vec<T>, size: usize, token: impl FnOnce(&T) -> String) -> (Vec<T>, String) {
    let next = if entries.len() > size { entries.get(size - 1).map(token).unwrap_or_default() } else { String::new() };
    entries.truncate(size);
    (entries, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_its_last_entry_where_more_follow() {
        let token = |entry: &u32| entry.to_string();
        assert_eq!(cut(vec![1, 2, 3], 2, token), (vec![1, 2], "2".to_owned()));
        assert_eq!(cut(vec![1, 2], 2, token), (vec![1, 2], String::new()));
        assert_eq!(cut(vec![], 2, token), (vec![], String::new()));
    }

    #[test]
    fn sizes_are_bounded_and_tokens_checked() {
        assert_eq!([0, 1, u32::MAX].map(size), [50, 1, 500]);
        assert_eq!(after::<u32>(""), Ok(None));
        assert_eq!(after::<u32>("7"), Ok(Some(7)));
        assert_eq!(after::<u32>("x").map_err(|invalid| invalid.field), Err("page_token"));
    }
}
