//! One process of the cluster: started detached, found again by the id in its folder.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// After this, a process that was asked to end is killed.
const STOP_SECONDS_MAX: u64 = 40;

pub struct Process {
    name: String,
    folder: PathBuf,
}

impl Process {
    pub fn new(cluster: &Path, name: &str) -> Self {
        Self { name: name.to_owned(), folder: cluster.join(name) }
    }

    /// Starts it in a process group of its own, so that Ctrl-C here does not end it; does nothing where it runs.
    pub fn start(&self, command: &mut Command) -> Result<()> {
        if self.is_running() {
            return Ok(());
        }
        std::fs::create_dir_all(&self.folder)?;
        let log = File::options().create(true).append(true).open(self.folder.join("log"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        let child = command.spawn().with_context(|| format!("cannot start {}", self.name))?;
        let began = stat(child.id()).map(|(_, began)| began).unwrap_or_default();
        std::fs::write(self.folder.join("pid"), format!("{} {began}", child.id()))?;
        println!("{} started, process {}", self.name, child.id());
        Ok(())
    }

    /// The process, while it lives; one that ended and was not waited for does not, and neither does another that got its id since.
    fn id(&self) -> Option<u32> {
        let text = std::fs::read_to_string(self.folder.join("pid")).ok()?;
        let (id, began) = text.trim().split_once(' ')?;
        let id = id.parse().ok()?;
        let (state, now) = stat(id)?;
        (state != 'Z' && now == began).then_some(id)
    }

    pub fn is_running(&self) -> bool {
        self.id().is_some()
    }

    pub fn stop(&self) -> Result<()> {
        if !self.is_running() {
            return Ok(());
        }
        // PostgreSQL takes SIGINT for "do not wait for clients"; for the others it is as good as SIGTERM.
        self.signal("INT")?;
        let deadline = Instant::now() + Duration::from_secs(STOP_SECONDS_MAX);
        while self.is_running() {
            if Instant::now() > deadline {
                println!("{} does not end and is killed", self.name);
                return self.kill();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        println!("{} stopped", self.name);
        self.forget()
    }

    pub fn kill(&self) -> Result<()> {
        self.signal("KILL")?;
        self.forget()
    }

    fn forget(&self) -> Result<()> {
        std::fs::remove_file(self.folder.join("pid")).with_context(|| format!("{} cannot be forgotten", self.name))
    }

    fn signal(&self, signal: &str) -> Result<()> {
        let id = self.id().with_context(|| format!("{} does not run", self.name))?;
        let status = Command::new("kill").args([&format!("-{signal}"), &id.to_string()]).status()?;
        if !status.success() {
            bail!("cannot signal {}, process {id}", self.name);
        }
        Ok(())
    }
}

/// A process's state, and when it began since the machine did.
fn stat(id: u32) -> Option<(char, String)> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // Words behind the name, which stands in parentheses: the third of all is the state, the 22nd the beginning.
    let (_, words) = text.rsplit_once(") ")?;
    let mut words = words.split(' ');
    Some((words.next()?.chars().next()?, words.nth(18)?.to_owned()))
}

/// The processes that were ever started: workers first, as they should end before what they talk to.
pub fn names(cluster: &Path) -> Result<Vec<String>> {
    let Ok(entries) = std::fs::read_dir(cluster) else { return Ok(Vec::new()) };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.path().join("log").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort_by_key(|name| (!name.starts_with("worker"), !name.starts_with("replica"), name.clone()));
    Ok(names)
}

/// Prints the end of one log, or of all.
pub fn logs(cluster: &Path, name: Option<&str>, lines: usize) -> Result<()> {
    let names = match name {
        Some(name) => vec![name.to_owned()],
        None => names(cluster)?,
    };
    for name in names {
        let path = cluster.join(&name).join("log");
        let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let text = String::from_utf8_lossy(&text);
        let all: Vec<&str> = text.lines().collect();
        println!("== {name}");
        for line in &all[all.len().saturating_sub(lines)..] {
            println!("{line}");
        }
    }
    Ok(())
}
