//! An onlooker that reads all the time which servers take writes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use mysql_async::prelude::Queryable as _;
use mysql_async::{Conn, Opts};
use tokio::time::{sleep, timeout};

use crate::{Server, sql};

/// Between two looks at one server.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A frozen server gives no answer; after this it counts as not seen.
const ANSWER_LIMIT: Duration = Duration::from_millis(500);
/// Two looks at one server that are further apart say nothing about what was between them.
const APART_MAX: Duration = Duration::from_millis(200);

/// One answer of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    server: usize,
    asked: Instant,
    answered: Instant,
    is_open: bool,
}

/// Reads `read_only` of every server as root over its socket, until stopped.
#[derive(Debug)]
pub struct Witness {
    names: Vec<String>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stopped: AtomicBool,
    looks: Mutex<Vec<Look>>,
}

/// What a witness saw.
#[derive(Clone, Debug)]
pub struct Testimony {
    names: Vec<String>,
    /// In the order of the answers.
    looks: Vec<Look>,
}

impl Witness {
    /// Begins to look.
    pub fn start(servers: &[Server]) -> Result<Self> {
        let opts: Vec<Opts> = servers
            .iter()
            .map(|server| sql::socket_opts(&server.socket(), None))
            .collect();
        let shared = Arc::new(Shared::default());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("start the witness's runtime")?;
        let lanes = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("witness".into())
            .spawn(move || {
                runtime.block_on(async {
                    let mut set = tokio::task::JoinSet::new();
                    for (server, opts) in opts.into_iter().enumerate() {
                        set.spawn(look_on(Arc::clone(&lanes), server, opts));
                    }
                    set.join_all().await;
                });
            })
            .context("start the witness's thread")?;
        Ok(Self {
            names: servers.iter().map(|s| s.name().to_owned()).collect(),
            shared,
            thread: Some(thread),
        })
    }

    /// Ends looking and says what was seen.
    pub fn stop(mut self) -> Testimony {
        self.end();
        Testimony {
            names: self.names.clone(),
            looks: self.shared.looks().clone(),
        }
    }

    fn end(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // One that panicked has said so.
            thread.join().ok();
        }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn looks(&self) -> MutexGuard<'_, Vec<Look>> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn look_on(shared: Arc<Shared>, server: usize, opts: Opts) {
    let mut connection = None;
    while !shared.stopped.load(Ordering::Relaxed) {
        let asked = Instant::now();
        // An answer that does not come in time takes its connection along.
        let seen = timeout(ANSWER_LIMIT, ask(connection.take(), &opts)).await;
        if let Ok(Some((kept, is_open))) = seen {
            connection = Some(kept);
            let answered = Instant::now();
            shared.looks().push(Look {
                server,
                asked,
                answered,
                is_open,
            });
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn ask(connection: Option<Conn>, opts: &Opts) -> Option<(Conn, bool)> {
    let mut connection = match connection {
        Some(connection) => connection,
        None => Conn::new(opts.clone()).await.ok()?,
    };
    let closed: Option<u8> = connection
        .query_first("SELECT @@GLOBAL.read_only")
        .await
        .ok()?;
    closed.map(|closed| (connection, closed == 0))
}

impl Testimony {
    /// Servers that certainly took writes at the same moment, each pair once with the first
    /// such moment: the one was open before and after the other was seen open.
    pub fn open_together(&self) -> Vec<(String, String, Instant)> {
        let mut found: Vec<(usize, usize, Instant)> = Vec::new();
        for look in self.looks.iter().filter(|look| look.is_open) {
            for other in 0..self.names.len() {
                let pair = (look.server.min(other), look.server.max(other));
                let is_known = found.iter().any(|(one, two, _)| (*one, *two) == pair);
                if other != look.server && !is_known && self.is_open_around(other, look) {
                    found.push((pair.0, pair.1, look.answered));
                }
            }
        }
        let name = |server: usize| self.names.get(server).cloned().unwrap_or_default();
        found
            .into_iter()
            .map(|(one, two, at)| (name(one), name(two), at))
            .collect()
    }

    /// The most servers that certainly took writes at one moment.
    pub fn most_open(&self) -> usize {
        let open = self.looks.iter().filter(|look| look.is_open);
        let count = |look: &Look| {
            let others = 0..self.names.len();
            1 + others
                .filter(|other| *other != look.server && self.is_open_around(*other, look))
                .count()
        };
        open.map(count).max().unwrap_or(0)
    }

    fn is_open_around(&self, server: usize, look: &Look) -> bool {
        let of = |other: &&Look| other.server == server;
        let before = self
            .looks
            .iter()
            .filter(of)
            .rfind(|other| other.answered <= look.asked);
        let after = self
            .looks
            .iter()
            .filter(of)
            .find(|other| other.asked >= look.answered);
        let (Some(before), Some(after)) = (before, after) else {
            return false;
        };
        let between = self
            .looks
            .iter()
            .filter(of)
            .filter(|other| other.asked >= before.asked && other.answered <= after.answered);
        after.answered.duration_since(before.asked) <= APART_MAX
            && between.into_iter().all(|other| other.is_open)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Look, Testimony};

    /// Looks at `(server, millisecond, is open)`, each answered one millisecond later.
    fn seen(looks: &[(usize, u64, bool)]) -> Testimony {
        let begun = Instant::now();
        let look = |(server, at, is_open): &(usize, u64, bool)| Look {
            server: *server,
            asked: begun + Duration::from_millis(*at),
            answered: begun + Duration::from_millis(at + 1),
            is_open: *is_open,
        };
        Testimony {
            names: vec!["p1".into(), "r1".into()],
            looks: looks.iter().map(look).collect(),
        }
    }

    #[test]
    fn a_server_open_before_and_after_another_was_open_with_it() {
        let both = seen(&[(0, 0, true), (1, 10, true), (0, 20, true)]);
        assert_eq!(both.open_together().len(), 1);
        assert_eq!(both.most_open(), 2);
    }

    #[test]
    fn a_change_of_hands_is_no_overlap() {
        let change = seen(&[
            (0, 0, true),
            (1, 5, false),
            (1, 10, true),
            (0, 20, false),
            (1, 30, true),
        ]);
        assert!(change.open_together().is_empty());
        assert_eq!(change.most_open(), 1);
    }

    #[test]
    fn a_server_that_was_not_seen_for_long_is_not_called_open() {
        let frozen = seen(&[(0, 0, true), (1, 500, true), (0, 1000, true)]);
        assert!(frozen.open_together().is_empty());
    }
}
