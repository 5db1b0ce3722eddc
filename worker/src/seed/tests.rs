//! Seed files against what dbt makes of them; `golden.py` writes the expectations with dbt's own code.

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Case {
    name: String,
    text: String,
    delimiter: String,
    forced: Vec<String>,
    error: Option<String>,
    #[serde(default)]
    columns: Vec<(String, String)>,
    #[serde(default)]
    rows: Vec<Vec<Option<String>>>,
}

#[test]
fn seeds_are_read_as_dbt_reads_them() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("golden.json")).unwrap();
    assert!(cases.len() > 40);
    for case in cases {
        let options = Options {
            delimiter: case.delimiter,
            column_types: case.forced.iter().map(|name| (name.clone(), "text".to_owned())).collect(),
            fast: true,
        };
        match (File::parse(&case.text, "s.csv", &options), case.error) {
            (Ok(file), None) => {
                let columns: Vec<_> =
                    file.columns().into_iter().map(|column| (column.name, column.data_type)).collect();
                assert_eq!(columns, case.columns, "{}", case.name);
                let rows: Vec<_> = file.values().collect();
                assert_eq!(rows, case.rows, "{}", case.name);
                assert_eq!(file.rows(), case.rows.len() as u64, "{}", case.name);
            }
            (Err(failure), Some(error)) => {
                assert!(failure.message.contains(&error), "{}: {} is not {error}", case.name, failure.message);
            }
            (Ok(_), Some(error)) => panic!("{}: dbt says {error}", case.name),
            (Err(failure), None) => panic!("{}: {}", case.name, failure.message),
        }
    }
}

#[test]
fn findings_name_the_line() {
    let options = Options { delimiter: ",".to_owned(), column_types: Vec::new(), fast: true };
    let message = |text: &str| File::parse(text, "seeds/s.csv", &options).err().unwrap().message;
    assert_eq!(message("a,b\n\"x\ny\",1\n1,2,3\n"), "seeds/s.csv:4: Row 1 has 3 values, but Table only has 2 columns.");
    assert_eq!(message(""), "seeds/s.csv:1: is empty: a line with column names is needed");
    let options = Options { delimiter: "||".to_owned(), ..options };
    let failure = File::parse("a||b\n", "seeds/s.csv", &options).err().unwrap();
    assert_eq!(failure.message, "seeds/s.csv: has a delimiter that is not one character");
    assert_eq!(failure.code, Code::SeedInvalid);
}

#[test]
fn bytes_that_are_not_text_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.csv");
    std::fs::write(&path, b"a\n1\n\xff\n").unwrap();
    let options = Options { delimiter: ",".to_owned(), column_types: Vec::new(), fast: true };
    let failure = File::read(&path, "seeds/s.csv", &options).err().unwrap();
    assert_eq!(failure.message, "seeds/s.csv:3: is not UTF-8");
}
