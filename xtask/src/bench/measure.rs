//! One run of another program under the clock: time, time to its first line, peak memory.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often the memory of a running program is looked at. The peak is the kernel's own count, so only what grows in the last moments
/// can be missed.
const LOOK_EVERY: Duration = Duration::from_millis(5);

#[derive(Clone, Copy, Debug, Default)]
pub struct Measured {
    pub seconds: f64,
    pub first_line_seconds: f64,
    /// Where the system tells it (Linux).
    pub peak_mib: Option<f64>,
}

/// Runs a program to its end. Any exit code but the expected one is an error that shows the end of what it printed.
pub fn measure(command: &mut Command) -> Result<Measured> {
    let line = shown(command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let began = Instant::now();
    let mut child = command.spawn().with_context(|| format!("cannot start `{line}`"))?;
    let memory = Memory::watch(&child)?;
    let mut errors = child.stderr.take().expect("stderr is piped");
    let errors = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = errors.read_to_end(&mut text);
        text
    });
    let mut output = BufReader::new(child.stdout.take().expect("stdout is piped"));
    let mut text = Vec::new();
    output.read_until(b'\n', &mut text)?;
    let first_line_seconds = began.elapsed().as_secs_f64();
    output.read_to_end(&mut text)?;
    let status = child.wait()?;
    let seconds = began.elapsed().as_secs_f64();
    let peak_mib = memory.stop();
    if !status.success() {
        text.extend(errors.join().unwrap_or_default());
        let text = String::from_utf8_lossy(&text);
        let tail: Vec<&str> = text.lines().rev().take(30).collect();
        bail!("`{line}` failed: {status}\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
    }
    Ok(Measured { seconds, first_line_seconds, peak_mib })
}

/// The median by time of several runs; `prepare` comes before each, off the clock.
pub fn median(
    repetitions: usize,
    mut prepare: impl FnMut() -> Result<()>,
    mut run: impl FnMut() -> Result<Measured>,
) -> Result<Measured> {
    let mut all = Vec::new();
    for _ in 0..repetitions.max(1) {
        prepare()?;
        all.push(run()?);
    }
    all.sort_by(|left, right| left.seconds.total_cmp(&right.seconds));
    Ok(all[all.len() / 2])
}

/// The average number of runnable tasks over the last minute.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("unknown").to_owned()
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let words = command.get_args().map(|word| word.to_string_lossy().into_owned());
    std::iter::once(program).chain(words).collect::<Vec<_>>().join(" ")
}

/// Reads the high-water mark that the kernel keeps for a process.
struct Memory {
    peak_kib: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl Memory {
    fn watch(child: &Child) -> Result<Self> {
        let peak_kib = Arc::new(AtomicU64::new(0));
        let ended = Arc::new(AtomicBool::new(false));
        let status = format!("/proc/{}/status", child.id());
        let (peak, end) = (Arc::clone(&peak_kib), Arc::clone(&ended));
        let thread = std::thread::Builder::new().name("memory".to_owned()).spawn(move || {
            while !end.load(Ordering::Relaxed) {
                let Ok(text) = std::fs::read_to_string(&status) else { return };
                if let Some(kib) = high_water_kib(&text) {
                    peak.fetch_max(kib, Ordering::Relaxed);
                }
                std::thread::sleep(LOOK_EVERY);
            }
        })?;
        Ok(Self { peak_kib, ended, thread })
    }

    fn stop(self) -> Option<f64> {
        self.ended.store(true, Ordering::Relaxed);
        let _ = self.thread.join();
        let kib = self.peak_kib.load(Ordering::Relaxed);
        (kib > 0).then(|| kib as f64 / 1024.0)
    }
}

fn high_water_kib(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_high_water_mark() {
        assert_eq!(high_water_kib("Name:\tx\nVmHWM:\t  2048 kB\nVmRSS:\t 1 kB\n"), Some(2048));
        assert_eq!(high_water_kib("Name:\tx\n"), None);
    }

    #[test]
    fn takes_the_median() {
        let mut times = [3.0, 1.0, 2.0].into_iter();
        let next = || Ok(Measured { seconds: times.next().expect("one for each run"), ..Measured::default() });
        assert_eq!(median(3, || Ok(()), next).expect("runs").seconds, 2.0);
    }
}
