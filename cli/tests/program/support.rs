//! Projects in temporary folders, and the program run in them with an environment of its own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use common::table::Datum;
use common::target::{AdapterType, Connection};

/// A project folder, deleted with the value. It has a profile for a DuckDB file `db.duckdb` in it.
pub struct Project {
    folder: tempfile::TempDir,
}

/// How a call of the program ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    #[track_caller]
    pub fn expect(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self}");
        assert!(!self.stderr.contains("panicked"), "{self}");
        self
    }

    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        assert!(self.stdout.contains(text) || self.stderr.contains(text), "'{text}' is missing:\n{self}");
        self
    }

    #[track_caller]
    pub fn is_silent_about(&self, text: &str) -> &Self {
        assert!(!self.stdout.contains(text) && !self.stderr.contains(text), "'{text}' is there:\n{self}");
        self
    }

    /// Console lines without the time before them and without dots and durations.
    pub fn lines(&self) -> Vec<String> {
        self.stdout.lines().map(bare).filter(|line| !line.is_empty()).collect()
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "code {:?}\n{}\n{}", self.code, self.stdout, self.stderr)
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A program under way; killed when dropped.
pub struct Running {
    pub child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    /// The next console line; `None` at the end.
    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.stdout.read_line(&mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(bare(line.trim_end())),
        }
    }

    /// Reads on to a line that contains `text`.
    #[track_caller]
    pub fn await_line(&mut self, text: &str) -> String {
        let mut seen = String::new();
        while let Some(line) = self.line() {
            if line.contains(text) {
                return line;
            }
            seen += &line;
            seen.push('\n');
        }
        panic!("the program ended without '{text}':\n{seen}");
    }

    /// Reads the rest and waits for the end.
    pub fn finish(mut self) -> Ended {
        let mut stdout = String::new();
        while let Some(line) = self.line() {
            stdout += &line;
            stdout.push('\n');
        }
        let code = self.child.wait().unwrap().code();
        Ended { code, stdout, stderr: String::new() }
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only where the process is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Project {
    pub fn empty() -> Self {
        let project = Self { folder: tempfile::tempdir().unwrap() };
        project.file("dbt_project.yml", "name: p\nversion: '1.0'\nprofile: p\n");
        project.profile("      type: duckdb\n      path: db.duckdb\n      threads: 2\n");
        project
    }

    /// Two models, of which the second reads the first, a seed and a test.
    pub fn small() -> Self {
        let project = Self::empty();
        project.file("seeds/raw.csv", "id,name\n1,one\n2,two\n");
        project.model("first", "view", "select id, name from {{ ref('raw') }}");
        project.model("second", "table", "select id from {{ ref('first') }}");
        project.file(
            "models/schema.yml",
            "models:\n  - name: second\n    columns:\n      - name: id\n        data_tests: [unique]\n",
        );
        project
    }

    /// The folder and everything in it once more.
    pub fn copy(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy_folder(self.root(), folder.path());
        Self { folder }
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    pub fn file(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn profile(&self, settings: &str) {
        self.file("profiles.yml", format!("p:\n  target: dev\n  outputs:\n    dev:\n{settings}"));
    }

    pub fn model(&self, name: &str, materialized: &str, sql: &str) {
        let text = format!("{{{{ config(materialized='{materialized}') }}}}\n{sql}\n");
        self.file(&format!("models/{name}.sql"), text);
    }

    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap()
    }

    /// The program, in this folder, seeing none of the caller's settings.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kontiki"));
        command.args(arguments).current_dir(self.root()).env_clear();
        command.env("KONTIKI_DUCKDB_LIBRARY", testing::duckdb_library());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", self.root());
        command.stdin(Stdio::null());
        command
    }

    pub fn kontiki(&self, arguments: &[&str]) -> Ended {
        self.command(arguments).output().unwrap().into()
    }

    pub fn start(&self, arguments: &[&str]) -> Running {
        let mut child = self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Running { child, stdout }
    }

    /// Rows of a query on `db.duckdb`, each as its cells with `|` between.
    pub fn rows(&self, sql: &str) -> Vec<String> {
        self.rows_of("db.duckdb", sql)
    }

    pub fn rows_of(&self, file: &str, sql: &str) -> Vec<String> {
        let settings = serde_json::json!({
            "path": self.path(file), "library": testing::duckdb_library(),
        });
        let connection =
            Connection { adapter_type: AdapterType::Duckdb, settings: settings.as_object().unwrap().clone() };
        let warehouse = worker::warehouse::open(&connection, "test").unwrap();
        let table = warehouse.connect().unwrap().query(sql).unwrap().1;
        table.rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>().join("|")).collect()
    }
}

/// A PostgreSQL server with a database for one test.
pub struct Postgres {
    pub server: testing::Postgres,
    pub database: String,
}

impl Postgres {
    /// A server of its own: the test stops it, or counts what is on it.
    pub fn start() -> Self {
        let server = testing::Postgres::start_own(&[]);
        let database = server.database();
        Self { server, database }
    }

    pub fn client(&self) -> postgres::Client {
        self.server.client(&self.database)
    }

    /// An output of `profiles.yml`, with one thread.
    pub fn profile(&self) -> String {
        let (host, port, user) = (self.server.host(), self.server.port(), self.server.user());
        let database = &self.database;
        format!(
            "      type: postgres\n      host: {host}\n      port: {port}\n      user: {user}\n      password: ''\n      \
             dbname: {database}\n      schema: main\n      threads: 1\n"
        )
    }
}

fn cell(datum: &Datum) -> String {
    match datum {
        Datum::Text(text) => text.clone(),
        Datum::Int(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// `12:00:01  1 of 2 OK created x ..... [CREATE VIEW in 0.02s]` as `1 of 2 OK created x [CREATE VIEW]`.
fn bare(line: &str) -> String {
    let line = match line.split_once("  ") {
        Some((time, rest)) if time.len() == 8 && time.bytes().all(|byte| byte.is_ascii_digit() || byte == b':') => rest,
        _ => line,
    };
    let Some((head, label)) = line.rsplit_once(" [") else { return line.trim_end().to_owned() };
    let label = label.trim_end_matches(']').split(" in ").next().unwrap_or_default();
    format!("{} [{label}]", head.trim_end_matches('.').trim_end())
}
