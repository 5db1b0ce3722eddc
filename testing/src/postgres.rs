//! A PostgreSQL cluster in a temporary folder, shared by the tests of one process.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};

/// Stops the server when its standard input closes, which also happens when the test process is killed.
const GUARD: &str = r#""$@" & server=$!; cat > /dev/null; kill -QUIT $server; wait $server"#;

const START_SECONDS_MAX: u64 = 60;

/// A running server. Superuser `postgres` without a password, on loopback; stops when the last holder drops it.
pub struct Postgres {
    port: u16,
    /// `None` while the server is stopped.
    guard: Option<Child>,
    settings: Vec<String>,
    folder: tempfile::TempDir,
}

static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
static DATABASES: AtomicU32 = AtomicU32::new(0);

impl Postgres {
    /// The process's server, started if it does not run yet.
    pub fn start() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = shared.upgrade() {
            return running;
        }
        let started = Arc::new(Self::start_own(&[]));
        *shared = Arc::downgrade(&started);
        started
    }

    /// A server that no other test uses, with settings of its own (`name=value`).
    pub fn start_own(settings: &[&str]) -> Self {
        Self::start_with_files(settings, &[])
    }

    /// Likewise, with files (name, text) in its data folder that only the server may read.
    pub fn start_with_files(settings: &[&str], files: &[(&str, &str)]) -> Self {
        let folder = tempfile::Builder::new().prefix("kontiki-pg-").tempdir().expect("a temporary folder");
        let data = folder.path().join("data");
        let account = Account::for_server();
        account.own(folder.path());

        initialize(&data, folder.path(), &account);
        for (name, text) in files {
            let file = data.join(name);
            std::fs::write(&file, text).expect("a file in the data folder");
            account.own(&file);
            restrict(&file);
        }
        let settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut server = Self { port: free_port(), guard: None, settings, folder };
        server.start_again();
        server
    }

    /// Stops the server at once, as a crash would; what was committed stays.
    pub fn stop(&mut self) {
        let Some(mut guard) = self.guard.take() else { return };
        if let Some(mut stdin) = guard.stdin.take() {
            let _ = stdin.flush();
        }
        let _ = guard.wait();
    }

    /// Starts the server after `stop`, on the same port.
    pub fn start_again(&mut self) {
        let data = self.folder.path().join("data");
        let account = Account::for_server();
        let mut server = Command::new("sh");
        server.args(["-c", GUARD, "sh"]).arg(binary("postgres")).arg("-D").arg(&data);
        server.args(["-p", &self.port.to_string(), "-k", ""]);
        let own = self.settings.iter().map(String::as_str);
        for setting in ["listen_addresses=127.0.0.1", "fsync=off", "max_connections=60"].into_iter().chain(own) {
            server.args(["-c", setting]);
        }
        let log = std::fs::File::create(self.folder.path().join("log")).expect("a log file");
        server.current_dir(self.folder.path()).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
        account.apply(&mut server);
        self.guard = Some(server.spawn().expect("sh runs"));
        self.await_ready();
    }

    /// A server that outlives this process, with its data below `folder`, made where missing; not started yet.
    pub fn command(folder: &Path, port: u16) -> Command {
        let data = folder.join("data");
        let account = Account::for_server();
        account.own(folder);
        if !data.is_dir() {
            initialize(&data, folder, &account);
        }
        let mut server = Command::new(binary("postgres"));
        server.arg("-D").arg(&data).args(["-p", &port.to_string(), "-k", ""]);
        server.args(["-c", "listen_addresses=127.0.0.1"]).current_dir(folder);
        account.apply(&mut server);
        server
    }

    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn user(&self) -> &'static str {
        "postgres"
    }

    /// An empty database of a name that no other test has.
    pub fn database(&self) -> String {
        let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
        self.client("postgres").batch_execute(&format!("create database {name}")).expect("a new database");
        name
    }

    /// A bare connection, to look at what was done.
    pub fn client(&self, database: &str) -> Client {
        self.try_client(database).expect("the server answers")
    }

    fn try_client(&self, database: &str) -> Result<Client, postgres::Error> {
        let mut config = postgres::Config::new();
        config.host(self.host()).port(self.port).user(self.user()).dbname(database);
        config.connect(NoTls)
    }

    fn await_ready(&self) {
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        while let Err(error) = self.try_client("postgres") {
            assert!(Instant::now() < deadline, "PostgreSQL did not start: {error}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

fn initialize(data: &Path, folder: &Path, account: &Account) {
    let mut initdb = Command::new(binary("initdb"));
    initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "-D"]);
    initdb.arg(data).current_dir(folder);
    account.apply(&mut initdb);
    let made = initdb.output().expect("initdb runs");
    assert!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr));
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("a bound address").port()
}

/// From `PATH`, or where Debian puts the newest version.
fn binary(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(found) = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file()) {
        return found;
    }
    let mut installed: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin").join(name))
        .filter(|file| file.is_file())
        .collect();
    installed.sort();
    installed.pop().unwrap_or_else(|| panic!("tests need PostgreSQL's `{name}` on the PATH"))
}

/// Who runs the server: PostgreSQL refuses to run as root.
struct Account(Option<(u32, u32)>);

#[cfg(unix)]
impl Account {
    fn for_server() -> Self {
        use std::os::unix::fs::MetadataExt as _;
        // A file made by this process tells who it runs as.
        let probe = tempfile::NamedTempFile::new().expect("a temporary file");
        if probe.as_file().metadata().expect("its metadata").uid() != 0 {
            return Self(None);
        }
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let ids = |wanted: &str| {
            let line = users.lines().find(|line| line.split(':').next() == Some(wanted))?;
            let mut fields = line.split(':').skip(2);
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        };
        Self(Some(ids("postgres").or_else(|| ids("nobody")).unwrap_or((65_534, 65_534))))
    }

    fn own(&self, folder: &Path) {
        if let Self(Some((user, group))) = self {
            std::os::unix::fs::chown(folder, Some(*user), Some(*group)).expect("root may give a folder away");
        }
    }

    fn apply(&self, command: &mut Command) {
        use std::os::unix::process::CommandExt as _;
        if let Self(Some((user, group))) = self {
            command.uid(*user).gid(*group);
        }
    }
}

/// PostgreSQL refuses a key that others may read.
#[cfg(unix)]
fn restrict(file: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).expect("its owner may restrict a file");
}

#[cfg(not(unix))]
fn restrict(_file: &Path) {}

#[cfg(not(unix))]
impl Account {
    fn for_server() -> Self {
        Self(None)
    }

    fn own(&self, _folder: &Path) {}

    fn apply(&self, _command: &mut Command) {}
}
