//! Fully qualified names and paths of nodes, which drive configuration and selection.

/// `[package, folders…, name]` for a file at `path`, relative to the folder of its kind.
pub fn of_path(package: &str, path: &str, name: &str) -> Vec<String> {
    let mut fqn = prefix(package, path);
    fqn.push(name.to_owned());
    fqn
}

/// `[package, folders…]`
pub fn prefix(package: &str, path: &str) -> Vec<String> {
    let folders = path.rsplit_once('/').map_or("", |(folders, _)| folders);
    std::iter::once(package).chain(folders.split('/').filter(|part| !part.is_empty())).map(str::to_owned).collect()
}

/// The file's name without its folders and its last extension.
pub fn stem(path: &str) -> &str {
    let file = path.rsplit('/').next().unwrap_or(path);
    match file.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => file,
    }
}

/// A made-up `.sql` file for a test, beside the file that declares it.
pub fn pseudo_test_path(name: &str, source_path: &str) -> String {
    match source_path.rsplit_once('/') {
        Some((folders, _)) => format!("{folders}/{name}.sql"),
        None => format!("{name}.sql"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_folders() {
        assert_eq!(
            of_path("shop", "staging/core/stg_orders.sql", "stg_orders"),
            ["shop", "staging", "core", "stg_orders"]
        );
        assert_eq!(of_path("shop", "orders.sql", "orders"), ["shop", "orders"]);
        assert_eq!(stem("a/b.c.sql"), "b.c");
        assert_eq!(pseudo_test_path("t", "a/b/x.yml"), "a/b/t.sql");
        assert_eq!(pseudo_test_path("t", "x.yml"), "t.sql");
    }
}
