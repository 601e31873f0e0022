//! A client that writes all the time and remembers what was acknowledged, and when.

mod lane;
mod report;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use mysql_async::Opts;
use tokio::sync::Notify;

use crate::wait::wait_until;
use crate::{Account, Host, Server};

pub use report::{Acknowledged, Gap, WriterReport};

/// Row ids, shared by all writers of this process so that they never collide.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// How a writer behaves.
#[derive(Clone, Debug)]
pub struct WriterOptions {
    /// Pause after an acknowledged row.
    pub pace: Duration,
    /// Pause after a refused attempt: the resolution of measured gaps.
    pub retry: Duration,
    /// Silence of the server in use after which the others are tried as well.
    pub patience: Duration,
    /// The host it runs on, if the servers are on hosts of a network.
    pub host: Option<Host>,
}

impl Default for WriterOptions {
    fn default() -> Self {
        let tick = Duration::from_millis(1);
        Self {
            pace: tick,
            retry: tick,
            patience: Duration::from_millis(50),
            host: None,
        }
    }
}

/// Inserts rows with increasing ids into `app.writes` on whichever server takes them.
///
/// It holds a connection to each server. One is in use; when that fails or falls silent, all
/// are tried until one acknowledges a row and becomes the one in use. Nothing tells it who
/// the primary is, so what it measures includes no router.
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<()>>>,
}

#[derive(Debug)]
struct Shared {
    names: Vec<String>,
    options: WriterOptions,
    stopped: AtomicBool,
    /// Told when the server in use changed or was lost, and at the end.
    turn: Notify,
    log: Mutex<Log>,
}

#[derive(Debug)]
struct Log {
    in_use: Option<usize>,
    last: Instant,
    acknowledged: Vec<Acknowledged>,
}

impl Writer {
    /// Starts writing through these servers as the account `app`.
    pub fn start(servers: &[Server]) -> Result<Self> {
        Self::start_with(servers, WriterOptions::default())
    }

    /// Starts writing with options.
    pub fn start_with(servers: &[Server], options: WriterOptions) -> Result<Self> {
        // The machine's own network has no route to hosts, and packets must not leave it.
        ensure!(
            options.host.is_some() || servers.iter().all(|server| server.host().is_none()),
            "a writer to servers on hosts runs on a host itself"
        );
        let names = servers
            .iter()
            .map(|server| server.name().to_owned())
            .collect();
        let opts: Vec<Opts> = servers
            .iter()
            .map(|server| server.opts(Account::App))
            .collect();
        let log = Log {
            in_use: None,
            last: Instant::now(),
            acknowledged: Vec::new(),
        };
        let shared = Arc::new(Shared {
            names,
            options,
            stopped: AtomicBool::new(false),
            turn: Notify::new(),
            log: Mutex::new(log),
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("start the writer's runtime")?;
        let lanes = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("writer".into())
            .spawn(move || {
                if let Some(host) = &lanes.options.host {
                    host.enter()?;
                }
                runtime.block_on(lane::run_all(&lanes, opts));
                Ok(())
            })
            .context("start the writer's thread")?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// How many rows were acknowledged so far.
    pub fn acknowledged_count(&self) -> usize {
        self.shared.log().acknowledged.len()
    }

    /// When the last row was acknowledged.
    pub fn last_acknowledged(&self) -> Option<Instant> {
        self.shared.log().acknowledged.last().map(|row| row.at)
    }

    /// The server whose acknowledgement was the last one.
    pub fn server_in_use(&self) -> Option<String> {
        let index = self.shared.log().acknowledged.last()?.server;
        self.shared.names.get(index).cloned()
    }

    /// Waits until this many more rows are acknowledged.
    pub fn wait_for_rows(&self, count: usize, limit: Duration) -> Result<()> {
        let wanted = self.acknowledged_count() + count;
        wait_until(
            &format!("{count} more rows are acknowledged"),
            limit,
            || Ok(self.acknowledged_count() >= wanted),
        )?;
        Ok(())
    }

    /// Waits until a server other than `server` acknowledges rows.
    pub fn wait_for_other_than(&self, server: &str, limit: Duration) -> Result<()> {
        wait_until(
            &format!("a server other than {server} takes writes"),
            limit,
            || Ok(self.server_in_use().is_some_and(|name| name != server)),
        )?;
        Ok(())
    }

    /// What happened so far.
    pub fn snapshot(&self) -> WriterReport {
        WriterReport::new(
            self.shared.names.clone(),
            self.shared.log().acknowledged.clone(),
        )
    }

    /// Ends writing and says what happened.
    pub fn stop(mut self) -> Result<WriterReport> {
        self.end()?;
        Ok(self.snapshot())
    }

    fn end(&mut self) -> Result<()> {
        self.shared.stopped.store(true, Ordering::Relaxed);
        self.shared.turn.notify_waiters();
        match self.thread.take() {
            Some(thread) => thread.join().map_err(|_| anyhow!("the writer panicked"))?,
            None => Ok(()),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // A writer that is not asked for its report has nobody to tell.
        self.end().ok();
    }
}

impl Shared {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}
