//! A program of a cluster that speaks no SQL.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};

use crate::process::Process;
use crate::spawner::bound_command;
use crate::{Host, sandbox::Sandbox};

/// A clean end of a data node writes what memory holds.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// A program that can be killed, frozen, and started again with the same command line.
#[derive(Debug)]
pub struct Part {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
    host: Option<Host>,
    folder: PathBuf,
    process: Mutex<Option<Process>>,
}

impl Part {
    pub(super) fn new(
        sandbox: &Sandbox,
        name: &str,
        program: &Path,
        arguments: Vec<String>,
        host: Option<Host>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            program: program.to_path_buf(),
            arguments,
            host,
            folder: sandbox.folder().to_path_buf(),
            process: Mutex::new(None),
        }
    }

    /// Its name in the sandbox.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The host it runs on, if that is not this machine.
    pub fn host(&self) -> Option<&Host> {
        self.host.as_ref()
    }

    /// Whether it was started and has not ended by itself.
    pub fn is_running(&self) -> Result<bool> {
        match self.process().as_ref() {
            Some(process) => Ok(process.exit_status()?.is_none()),
            None => Ok(false),
        }
    }

    /// Starts it, or starts it again; returns at once.
    pub fn launch(&self) -> Result<()> {
        if self.is_running()? {
            bail!("{} runs already", self.name);
        }
        let mut command = bound_command(self.host.as_ref(), self.program.as_os_str());
        command.args(&self.arguments).current_dir(&self.folder);
        let log = self.folder.join(format!("{}.log", self.name));
        *self.process() = Some(Process::start(&self.name, command, &log)?);
        Ok(())
    }

    /// Kills it as a crash would, and says at what moment.
    pub fn kill9(&self) -> Result<Instant> {
        match self.process().take() {
            Some(process) => process.kill9(),
            None => bail!("{} does not run", self.name),
        }
    }

    /// Stops it in mid-instruction (SIGSTOP) and says at what moment.
    pub fn freeze(&self) -> Result<Instant> {
        self.with_process(Process::freeze)
    }

    /// Lets it go on.
    pub fn thaw(&self) -> Result<()> {
        self.with_process(Process::thaw)
    }

    /// Asks it to end, and waits for that.
    pub fn stop(&self) -> Result<()> {
        match self.process().take() {
            Some(process) => process.terminate(STOP_LIMIT).map(drop),
            None => Ok(()),
        }
    }

    /// The last lines of its log.
    pub fn log_tail(&self, lines: usize) -> String {
        let process = self.process();
        process
            .as_ref()
            .map(|process| process.log_tail(lines))
            .unwrap_or_default()
    }

    fn with_process<T>(&self, action: impl FnOnce(&Process) -> Result<T>) -> Result<T> {
        let process = self.process();
        action(
            process
                .as_ref()
                .ok_or_else(|| anyhow!("{} does not run", self.name))?,
        )
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
