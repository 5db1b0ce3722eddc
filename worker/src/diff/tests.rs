//! Tables that dbt printed for the same rows.

use super::*;

fn cell(text: Option<&str>) -> Cell {
    Cell { text: text.map(str::to_owned), spelled: text.unwrap_or("null").to_owned() }
}

/// Cells are separated by `|`; a cell `~` is null.
fn rows(rows: &[&str]) -> Vec<Vec<Cell>> {
    let row = |row: &&str| row.split('|').map(|text| cell(Some(text).filter(|text| *text != "~"))).collect();
    rows.iter().map(row).collect()
}

fn diff(columns: &str, expected: &[&str], actual: &[&str]) -> Option<String> {
    let columns = columns.split('|').map(str::to_owned).collect();
    let text = describe(&Sides { columns, actual: rows(actual), expected: rows(expected) })?;
    let table = text.strip_prefix(HEADING).and_then(|text| text.strip_suffix("\r\n\n"));
    Some(table.expect("dbt's words").replace("\r\n", "\n"))
}

#[test]
fn equal_rows_do_not_differ() {
    assert_eq!(diff("a|b", &["1|x", "2|~"], &["1|x", "2|~"]), None);
    assert_eq!(diff("a", &[], &[]), None);
    assert_eq!(diff("a|b", &["1|None"], &["1|~"]), None, "Python spells null like that");
}

#[test]
fn a_changed_cell_stands_between_its_neighbours() {
    let expected = ["ann|3.50", "bob|2.00"];
    let actual = ["ann|1.50", "bob|2.00"];
    let table = "@@,customer,total\n→ ,ann     ,3.50→1.50\n  ,bob     ,2.00";
    assert_eq!(diff("customer|total", &expected, &actual).as_deref(), Some(table));
}

#[test]
fn rows_of_one_side_are_marked() {
    let table = diff("id|name", &["1|ann", "9|zoe"], &["1|ann", "2|bob, \"the\" one"]);
    let expected = "@@ ,id,name\n   ,1 ,ann\n+++,2 ,\"bob, \"\"the\"\" one\"\n---,9 ,zoe";
    assert_eq!(table.as_deref(), Some(expected));
    assert_eq!(diff("a", &[], &["~"]).as_deref(), Some("@@ ,a\n+++,null"));
}

#[test]
fn what_is_far_from_a_change_is_left_out() {
    let same: Vec<String> = (1..10).map(|id| format!("{id}|a{id}")).collect();
    let same: Vec<&str> = same.iter().map(String::as_str).collect();
    let mut changed = same.clone();
    changed[8] = "9|b";
    let table = diff("id|name", &same, &changed);
    assert_eq!(table.as_deref(), Some("@@ ,id ,name\n...,...,...\n   ,8  ,a8\n→  ,9  ,a9→b"));
}

#[test]
fn spaces_that_alone_tell_cells_apart_are_shown() {
    assert_eq!(diff("id|name", &["1|a b"], &["1| ab"]).as_deref(), Some("@@,id,name\n→ ,1 ,a␣b→ ab"));
}

#[test]
fn a_long_difference_is_cut_between_lines() {
    let rows: Vec<String> = (0..20_000).map(|id| id.to_string()).collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let table = diff("id", &[], &rows).expect("a difference");
    assert!(table.len() < BYTES_MAX + 100, "{}", table.len());
    let lines: Vec<&str> = table.lines().collect();
    let shown = lines.len() - 2;
    assert_eq!(lines[shown], format!("+++,{}", shown - 1));
    assert_eq!(lines[shown + 1], format!("… and {} more lines", 20_000 - shown));
}

#[test]
fn arrows_in_cells_are_no_changes() {
    let table = diff("id|name", &["1|x->y"], &["1|x"]);
    assert_eq!(table.as_deref(), Some("@@,id,name\n→ ,1 ,x->y→x"));
}

#[derive(serde::Deserialize)]
struct Golden {
    columns: Vec<String>,
    expected: Vec<Vec<Option<String>>>,
    actual: Vec<Vec<Option<String>>>,
    text: Option<String>,
}

/// `goldens/generate.py` made these with dbt's own program.
#[test]
fn random_tables_differ_as_in_dbt() {
    let goldens: Vec<Golden> = serde_json::from_str(include_str!("goldens/tables.json")).expect("goldens");
    assert!(goldens.len() >= 100);
    for Golden { columns, expected, actual, text } in goldens {
        let side = |rows: &[Vec<Option<String>>]| {
            rows.iter().map(|row| row.iter().map(|text| cell(text.as_deref())).collect()).collect()
        };
        let sides = Sides { columns, actual: side(&actual), expected: side(&expected) };
        let text = text.map(|text| format!("{HEADING}{text}\n"));
        assert_eq!(describe(&sides), text, "from {expected:?} to {actual:?}");
    }
}
