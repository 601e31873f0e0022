//! What the contract tests share.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod gate;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use baton_core::gtid::GtidSet;
use baton_core::ids::Address;
use baton_core::model::ServerFacts;
use baton_core::time::{Timestamp, WallTime};
use baton_mysql::{Account, MysqlServers, Secret, Settings};
use baton_ports::{ActSession, Clock, Guard, LockState, ServerCommand, Servers as _, Session};
use baton_sandbox::{Flavor, Sandbox, Server, Topology, TopologySpec};

/// Far above what anything here takes.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);
/// A guard that does not end during a test.
pub(crate) const LONG: Guard = Guard {
    within: Duration::from_mins(1),
};
/// The lock's name.
pub(crate) const LOCK: &str = "baton:test";

/// Real time.
#[derive(Debug)]
pub(crate) struct RealClock(Instant);

impl Clock for RealClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(u64::try_from(self.0.elapsed().as_micros()).unwrap())
    }

    fn wall(&self) -> WallTime {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        WallTime::from_millis(u64::try_from(since.as_millis()).unwrap())
    }
}

/// A clock that starts now.
pub(crate) fn clock() -> Arc<RealClock> {
    Arc::new(RealClock(Instant::now()))
}

/// What the tests connect with.
pub(crate) fn settings() -> Settings {
    let mut settings = Settings::new("baton", "baton");
    settings.replication = Some(Account {
        user: "repl".into(),
        password: Secret::new("repl"),
    });
    settings
}

/// The port under test.
pub(crate) fn servers() -> MysqlServers {
    MysqlServers::new(settings(), clock())
}

/// A sandbox server's address.
pub(crate) fn address(server: &Server) -> Address {
    Address::new(&server.address().ip().to_string(), server.port()).unwrap()
}

/// A sandbox with a primary `p1` and a replica `r1` that follows it.
pub(crate) fn pair(flavor: Flavor) -> (Sandbox, Topology) {
    sketch(flavor, "p1\nr1 <- p1")
}

/// A sandbox with the servers of a sketch.
pub(crate) fn sketch(flavor: Flavor, sketch: &str) -> (Sandbox, Topology) {
    let sandbox = Sandbox::new("baton-mysql").unwrap();
    let spec = TopologySpec::parse(sketch)
        .unwrap()
        .with_heartbeat(Duration::from_secs(1));
    let topology = sandbox.topology(flavor, &spec).unwrap();
    (sandbox, topology)
}

/// One reading.
pub(crate) async fn read(server: &Server) -> ServerFacts {
    let mut watch = servers().watch(&address(server), LIMIT).await.unwrap();
    watch.read(Duration::ZERO, LIMIT).await.unwrap().facts
}

/// Reads until `condition` holds.
pub(crate) async fn read_until(
    server: &Server,
    what: &str,
    condition: impl Fn(&ServerFacts) -> bool,
) -> ServerFacts {
    repeat(what, condition, async || read(server).await).await
}

/// Repeats a reading until `condition` holds.
async fn repeat(
    what: &str,
    condition: impl Fn(&ServerFacts) -> bool,
    mut read: impl AsyncFnMut() -> ServerFacts,
) -> ServerFacts {
    let begun = Instant::now();
    loop {
        let facts = read().await;
        if condition(&facts) {
            return facts;
        }
        assert!(
            begun.elapsed() < LIMIT,
            "waited in vain until {what}; last: {facts:#?}"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A session that holds the lock.
pub(crate) async fn locked(server: &Server) -> Session {
    let mut session = servers().act(&address(server), LOCK, LIMIT).await.unwrap();
    assert_eq!(session.take_lock(LIMIT).await.unwrap(), LockState::Held);
    session
}

/// A session that holds the lock once an earlier holder has left.
pub(crate) async fn locked_in_time(server: &Server) -> Session {
    let mut session = servers().act(&address(server), LOCK, LIMIT).await.unwrap();
    let begun = Instant::now();
    while session.take_lock(LIMIT).await.unwrap() != LockState::Held {
        assert!(begun.elapsed() < LIMIT, "the lock was not let go");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    session
}

/// Waits until nobody holds the lock.
pub(crate) async fn unlocked_in_time(server: &Server) {
    let mut session = servers().act(&address(server), LOCK, LIMIT).await.unwrap();
    let begun = Instant::now();
    while session.verify_lock(LIMIT).await.unwrap() != LockState::Free {
        assert!(begun.elapsed() < LIMIT, "the lock was not let go");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Performs a command that must succeed.
pub(crate) async fn perform(session: &mut dyn ActSession, command: ServerCommand) {
    session
        .perform(&command, LIMIT)
        .await
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
}

/// Reads through the act session until `condition` holds.
pub(crate) async fn until(
    session: &mut dyn ActSession,
    what: &str,
    condition: impl Fn(&ServerFacts) -> bool,
) -> ServerFacts {
    let read = async || session.read(LIMIT).await.unwrap().facts;
    repeat(what, condition, read).await
}

/// What a server has executed, read by the sandbox itself.
pub(crate) fn executed(server: &Server) -> GtidSet {
    let text = server.executed().unwrap();
    match server.flavor() {
        Flavor::MariaDb => GtidSet::parse_mariadb_history(&text, "").unwrap(),
        Flavor::MySql => GtidSet::parse_mysql(&text).unwrap(),
    }
}

/// Makes a test per flavour out of an `async fn(Flavor)`.
#[macro_export]
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod mariadb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                baton_sandbox::require!(baton_sandbox::Flavor::MariaDb);
                super::$name(baton_sandbox::Flavor::MariaDb).await;
            })+
        }
        mod mysql {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                baton_sandbox::require!(baton_sandbox::Flavor::MySql);
                super::$name(baton_sandbox::Flavor::MySql).await;
            })+
        }
    };
}
