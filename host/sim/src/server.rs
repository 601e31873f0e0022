//! One simulated server: what it has executed, what it has received, who may write, who holds its
//! lock.

use std::collections::BTreeSet;

use baton_core::gtid::{GtidSet, Interval, MysqlGtidSet, Uuid};
use baton_core::ids::Address;

/// One transaction: who committed it first, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Txn {
    /// Server that committed it first.
    pub origin: u32,
    /// Number, from 1.
    pub number: u64,
}

/// The `server_uuid` of server `number`.
pub(crate) fn uuid(number: u32) -> String {
    format!("{number:08x}-0000-0000-0000-000000000000")
}

/// Transactions as a GTID set.
pub(crate) fn gtid_set<'a>(txns: impl IntoIterator<Item = &'a Txn>) -> GtidSet {
    let mut set = MysqlGtidSet::new();
    // Neighbours are joined before they are inserted, which keeps readings of long histories cheap.
    let mut run: Option<(u32, u64, u64)> = None;
    for txn in txns {
        match &mut run {
            Some((origin, _, last)) if *origin == txn.origin && *last + 1 == txn.number => {
                *last += 1;
            }
            _ => {
                if let Some(run) = run.replace((txn.origin, txn.number, txn.number)) {
                    insert(&mut set, run);
                }
            }
        }
    }
    if let Some(run) = run {
        insert(&mut set, run);
    }
    GtidSet::Mysql(set)
}

/// The first transactions of each origin, up to a number, as a GTID set.
pub(crate) fn gtid_ranges(ranges: impl IntoIterator<Item = (u32, u64)>) -> GtidSet {
    let mut set = MysqlGtidSet::new();
    for (origin, last) in ranges {
        if last > 0 {
            insert(&mut set, (origin, 1, last));
        }
    }
    GtidSet::Mysql(set)
}

fn insert(set: &mut MysqlGtidSet, (origin, first, last): (u32, u64, u64)) {
    if let (Ok(uuid), Some(interval)) = (
        uuid(origin).parse::<Uuid>(),
        Interval::from_first_to_last(first, last),
    ) {
        set.insert(uuid, None, interval);
    }
}

/// State of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// Works.
    Up,
    /// Killed: sockets closed, port refused.
    Dead,
    /// Stopped in its tracks: sockets stay open, nothing answers.
    Frozen,
}

/// A replica's channel.
#[derive(Clone, Debug)]
pub struct SimChannel {
    /// Where it points.
    pub source: Address,
    /// The receiver was started.
    pub receiver_on: bool,
    /// The receiver has a connection, as far as it knows.
    pub connected: bool,
    /// The applier was started.
    pub applier_on: bool,
    /// Heartbeats received.
    pub heartbeats: u64,
    /// One is heard so often, milliseconds.
    pub heartbeat_period: u64,
    /// How much of the source's log was looked at over this connection.
    pub cursor: usize,
}

/// A simulated server.
#[derive(Clone, Debug)]
pub struct SimServer {
    /// Its number; also `server_id`.
    pub number: u32,
    /// Where it listens.
    pub address: Address,
    /// Process.
    pub process: Process,
    /// Grows with each start: sessions of earlier processes are gone.
    pub incarnation: u64,
    /// When the process started, milliseconds of the world.
    pub started: u64,
    /// `read_only` and `super_read_only` at once.
    pub read_only: bool,
    /// `read_only` after a start, as its configuration file says.
    pub starts_read_only: bool,
    /// Binary log, in order.
    pub log: Vec<Txn>,
    /// Executed.
    pub executed: BTreeSet<Txn>,
    /// Received, not applied, in order.
    pub relay: Vec<Txn>,
    /// Next own transaction number.
    pub next_number: u64,
    /// Channel.
    pub channel: Option<SimChannel>,
    /// Second channel, by the name of [`SECOND`].
    pub second: Option<SimChannel>,
    /// Commits wait for acknowledgements, where semi-sync is installed.
    pub waits: bool,
    /// For so many.
    pub wait_for: u32,
    /// Its receiver acknowledges.
    pub acknowledges: bool,
    /// Session that holds the cluster's lock.
    pub lock: Option<u64>,
    /// Applies at most this many transactions a millisecond.
    pub apply_rate: usize,
    /// Applies what it received only so much later, milliseconds.
    pub delay: u64,
    /// When each waiting transaction was received; as long as `relay`.
    pub received_at: Vec<u64>,
    /// Until then a fence keeps out whoever `read_only` does not bind.
    pub locked_until: u64,
    /// It belongs to another cluster.
    pub foreign: bool,
    /// A person opened it.
    pub opened_by_hand: bool,
    /// A person stopped its replication.
    pub stopped_by_hand: bool,
    /// A person had it forget its source.
    pub reset_by_hand: bool,
    /// When its relay log was thrown away.
    pub relay_lost_at: Option<u64>,
    /// When another, empty server took its place.
    pub replaced_at: Option<u64>,
}

/// The name of a second channel.
pub(crate) const SECOND: &str = "two";

impl SimServer {
    /// A server that has executed nothing.
    pub fn new(number: u32, address: Address) -> Self {
        Self {
            number,
            address,
            process: Process::Up,
            incarnation: 1,
            started: 0,
            read_only: true,
            starts_read_only: true,
            log: Vec::new(),
            executed: BTreeSet::new(),
            relay: Vec::new(),
            next_number: 1,
            channel: None,
            second: None,
            waits: false,
            wait_for: 1,
            acknowledges: true,
            lock: None,
            apply_rate: 5,
            delay: 0,
            received_at: Vec::new(),
            locked_until: 0,
            foreign: false,
            opened_by_hand: false,
            stopped_by_hand: false,
            reset_by_hand: false,
            relay_lost_at: None,
            replaced_at: None,
        }
    }

    /// Executed or received.
    pub fn possesses(&self, txn: Txn) -> bool {
        self.executed.contains(&txn) || self.relay.contains(&txn)
    }

    /// Executes one transaction and logs it.
    pub fn execute(&mut self, txn: Txn) {
        if self.executed.insert(txn) {
            self.log.push(txn);
        }
    }

    /// Commits a new transaction of a client.
    pub fn commit(&mut self) -> Txn {
        let txn = Txn {
            origin: self.number,
            number: self.next_number,
        };
        self.next_number += 1;
        self.execute(txn);
        txn
    }

    /// Receives a transaction at `now`.
    pub fn receive(&mut self, txn: Txn, now: u64) {
        self.received_at.truncate(self.relay.len());
        self.received_at.resize(self.relay.len(), 0);
        self.relay.push(txn);
        self.received_at.push(now);
    }

    /// Applies up to `most` received transactions that are old enough at `now`.
    pub fn apply(&mut self, most: usize, now: u64) {
        let due = |at: &u64| at.saturating_add(self.delay) <= now;
        let old = if self.delay == 0 {
            self.relay.len()
        } else {
            let received = self.received_at.iter().take(self.relay.len());
            received.take_while(|at| due(at)).count()
        };
        let count = most.min(old);
        let batch: Vec<Txn> = self.relay.drain(..count).collect();
        self.received_at.drain(..count.min(self.received_at.len()));
        for txn in batch {
            self.execute(txn);
        }
    }

    /// The process ends: sessions, lock and connections go, data stays.
    pub fn die(&mut self) {
        self.process = Process::Dead;
        self.lock = None;
        for channel in self.channel.iter_mut().chain(&mut self.second) {
            channel.connected = false;
        }
    }

    /// The process starts again, with what its configuration file says.
    pub fn start(&mut self, now: u64) {
        self.process = Process::Up;
        self.started = now;
        self.incarnation += 1;
        self.read_only = self.starts_read_only;
        self.lock = None;
        // Real servers start replication when they start.
        let by_hand = self.stopped_by_hand;
        for channel in self.channel.iter_mut().chain(&mut self.second) {
            channel.receiver_on = !by_hand;
            channel.applier_on = !by_hand;
        }
    }

    /// A fence holds the global read lock, as it does on MariaDB: nobody commits.
    pub(crate) fn is_locked(&self, now: u64) -> bool {
        self.read_only && now < self.locked_until
    }

    /// When it lost what it had received, or all it had.
    pub(crate) fn lost_at(&self) -> Option<u64> {
        self.relay_lost_at.max(self.replaced_at)
    }

    /// A person sees to it.
    pub(crate) fn is_a_persons(&self) -> bool {
        self.opened_by_hand
            || self.stopped_by_hand
            || self.reset_by_hand
            || self.replaced_at.is_some()
    }

    /// True if clients of the cluster could commit here.
    pub(crate) fn serves(&self) -> bool {
        self.takes_writes() && !self.foreign
    }

    /// True if a client could commit here.
    pub fn takes_writes(&self) -> bool {
        self.process == Process::Up && !self.read_only
    }
}
