//! A running program that can be killed, frozen and thawed.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::spawner;
use crate::wait::wait_until;

/// A thread that waits for a disk stops when that has answered.
const FREEZE_LIMIT: Duration = Duration::from_secs(10);

/// A program started in the sandbox. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    pid: u32,
    child: Mutex<Child>,
}

/// Whether each thread of a process is stopped, or has ended (`proc_pid_stat(5)`: the state follows
/// the name in parentheses).
fn stands_still(pid: u32) -> Result<bool> {
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        // It may end while this looks at it.
        let stat = fs::read_to_string(thread?.path().join("stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        if !(state.is_empty() || state.starts_with(['T', 't', 'Z', 'X'])) {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Process {
    /// Starts a command made by [`spawner::bound_command`]; its output goes to `log`.
    pub(crate) fn start(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("open {}", log.display()))?;
        let errors = output
            .try_clone()
            .context("share the log between two streams")?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        let child = spawner::spawn(command).with_context(|| format!("start {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            log: log.to_path_buf(),
            pid: child.id(),
            child: Mutex::new(child),
        })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The file with its standard output and error.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last lines of its log.
    pub fn log_tail(&self, lines: usize) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let skipped = text.lines().count().saturating_sub(lines);
        text.lines().skip(skipped).collect::<Vec<_>>().join("\n")
    }

    /// Kills it as a crash would, and says at what moment. Returns once it is gone.
    pub fn kill9(&self) -> Result<Instant> {
        let mut child = self.child();
        let at = Instant::now();
        if signal(&self.name, &mut child, Signal::KILL)? {
            child
                .wait()
                .with_context(|| format!("wait for the end of {}", self.name))?;
        }
        Ok(at)
    }

    /// Stops it in mid-instruction, and says at what moment: its sockets stay open, nothing
    /// answers. Returns once all its threads stand still: until then one may answer.
    pub fn freeze(&self) -> Result<Instant> {
        let at = Instant::now();
        self.require_signal(Signal::STOP)?;
        let what = format!("{} stands still", self.name);
        wait_until(&what, FREEZE_LIMIT, || stands_still(self.pid))?;
        Ok(at)
    }

    /// Lets a frozen process go on.
    pub fn thaw(&self) -> Result<()> {
        self.require_signal(Signal::CONT)
    }

    /// Asks it to end (SIGTERM) and waits for that.
    pub fn terminate(&self, limit: Duration) -> Result<ExitStatus> {
        if let Some(status) = self.exit_status()? {
            return Ok(status);
        }
        // A frozen process would not see the request.
        self.require_signal(Signal::CONT)?;
        self.require_signal(Signal::TERM)?;
        self.wait(limit)
    }

    /// Waits until it ends by itself.
    pub fn wait(&self, limit: Duration) -> Result<ExitStatus> {
        wait_until(&format!("{} has ended", self.name), limit, || {
            Ok(self.exit_status()?.is_some())
        })?;
        self.exit_status()?
            .context("a process that ended has a status")
    }

    /// How it ended, or `None` while it runs.
    pub fn exit_status(&self) -> Result<Option<ExitStatus>> {
        self.child()
            .try_wait()
            .with_context(|| format!("look at {}", self.name))
    }

    fn require_signal(&self, number: Signal) -> Result<()> {
        let mut child = self.child();
        if !signal(&self.name, &mut child, number)? {
            bail!("{} has ended", self.name);
        }
        Ok(())
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Whoever is dropped has nobody left to report to.
        self.kill9().ok();
    }
}

/// Sends a signal unless the process has ended. Its id cannot have been given to another:
/// that takes our own `wait`, which the lock around the child keeps away.
fn signal(name: &str, child: &mut Child, number: Signal) -> Result<bool> {
    if child
        .try_wait()
        .with_context(|| format!("look at {name}"))?
        .is_some()
    {
        return Ok(false);
    }
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .context("odd process id")?;
    kill_process(pid, number).with_context(|| format!("send {number:?} to {name}"))?;
    Ok(true)
}
