//! The writer's connection to one server.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Error, Opts};
use tokio::time::{sleep, timeout};

use super::{Acknowledged, NEXT_ID, Shared};

/// For connecting to a server that may be frozen: its kernel accepts, then nothing follows.
const CONNECT_LIMIT: Duration = Duration::from_millis(500);
/// A lane that waits for its turn looks up this often, should a notice have been missed.
const IDLE_LIMIT: Duration = Duration::from_millis(20);

/// Whether a lane may write now.
enum Turn {
    /// Its server is in use, or none is, or the one in use is silent.
    Mine,
    /// Another server is in use and answers.
    Theirs,
}

/// Runs one lane per server until the writer is stopped.
pub(super) async fn run_all(shared: &Arc<Shared>, opts: Vec<Opts>) {
    let mut lanes = tokio::task::JoinSet::new();
    for (index, opts) in opts.into_iter().enumerate() {
        lanes.spawn(run(Arc::clone(shared), index, opts));
    }
    lanes.join_all().await;
}

async fn run(shared: Arc<Shared>, index: usize, opts: Opts) {
    // Connected before its turn comes, so that a gap contains no handshake.
    let mut connection = connect(&opts).await;
    while !shared.is_stopped() {
        let notice = shared.turn.notified();
        match shared.turn_of(index) {
            Turn::Theirs => {
                // Whether a notice or the limit ended the wait does not matter.
                timeout(IDLE_LIMIT, notice).await.ok();
            }
            Turn::Mine => {
                connection = tokio::select! {
                    connection = attempt(&shared, index, connection, &opts) => connection,
                    // Somebody else's row was acknowledged, or the end: the statement under
                    // way, if any, is given up with its connection, its outcome unknown.
                    () = shared.moved_from(index) => None,
                };
            }
        }
    }
    if let Some(connection) = connection {
        // A frozen server would not say goodbye.
        timeout(CONNECT_LIMIT, connection.disconnect()).await.ok();
    }
}

/// Tries to write one row and returns the connection if it can still be used.
async fn attempt(
    shared: &Shared,
    index: usize,
    connection: Option<Conn>,
    opts: &Opts,
) -> Option<Conn> {
    let connection = match connection {
        Some(connection) => Some(connection),
        None => connect(opts).await,
    };
    let Some(mut connection) = connection else {
        shared.refused(index);
        sleep(shared.options.retry).await;
        return None;
    };
    let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
    let statement = format!("INSERT INTO app.writes (id) VALUES ({id})");
    let outcome = connection.query_drop(statement).await;
    match outcome {
        Ok(()) => {
            shared.acknowledged(index, id);
            sleep(shared.options.pace).await;
            Some(connection)
        }
        Err(error) => {
            shared.refused(index);
            sleep(shared.options.retry).await;
            // After a refusal, such as "read only", the session goes on.
            matches!(error, Error::Server(_)).then_some(connection)
        }
    }
}

async fn connect(opts: &Opts) -> Option<Conn> {
    timeout(CONNECT_LIMIT, Conn::new(opts.clone()))
        .await
        .ok()?
        .ok()
}

impl Shared {
    fn turn_of(&self, index: usize) -> Turn {
        let log = self.log();
        match log.in_use {
            None => Turn::Mine,
            Some(in_use) if in_use == index => Turn::Mine,
            Some(_) if log.last.elapsed() > self.options.patience => Turn::Mine,
            Some(_) => Turn::Theirs,
        }
    }

    fn acknowledged(&self, index: usize, id: u64) {
        let mut log = self.log();
        let at = Instant::now();
        log.acknowledged.push(Acknowledged {
            id,
            at,
            server: index,
        });
        log.last = at;
        if log.in_use.replace(index) != Some(index) {
            drop(log);
            self.turn.notify_waiters();
        }
    }

    /// If the server in use refused, all may try.
    fn refused(&self, index: usize) {
        let mut log = self.log();
        if log.in_use == Some(index) {
            log.in_use = None;
            drop(log);
            self.turn.notify_waiters();
        }
    }

    /// Ends when another server came into use after this lane began its attempt, or at the
    /// writer's end.
    async fn moved_from(&self, index: usize) {
        let before = self.log().in_use;
        loop {
            let notice = self.turn.notified();
            let in_use = self.log().in_use;
            let moved = in_use.is_some() && in_use != Some(index) && in_use != before;
            if self.is_stopped() || moved {
                return;
            }
            timeout(IDLE_LIMIT, notice).await.ok();
        }
    }
}
