//! A server's line.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{duration, need_duration, need_number};
use crate::model::{
    Closed, CommitProbe, Durability, EventName, EventState, Events, Flavor, LogFormat, Place,
    ProbeFailure, PromotionRule, ReplicationError, SemiSync, Space, ThreadState, TimeoutPhase,
    Version, WaitPoint,
};

/// What a server's line says.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a word that a line has or has not"
)]
pub(super) struct ServerSketch {
    pub(super) name: String,
    pub(super) primary: bool,
    pub(super) unprobed: bool,
    pub(super) unread: bool,
    pub(super) back: Option<Duration>,
    pub(super) failure: Option<ProbeFailure>,
    pub(super) failing: Duration,
    pub(super) read: Option<Duration>,
    pub(super) writable: Option<bool>,
    pub(super) super_read_only: bool,
    pub(super) missing: u64,
    pub(super) unapplied: u64,
    pub(super) ahead: u64,
    pub(super) wrote: u64,
    /// It has another history, which the server with that number wrote.
    pub(super) foreign: Option<u32>,
    pub(super) closed: Closed,
    /// `None`: not determined.
    pub(super) errant: Option<u64>,
    pub(super) progressed: Option<Duration>,
    pub(super) flavor: Flavor,
    pub(super) version: Version,
    pub(super) format: LogFormat,
    pub(super) log_bin: bool,
    pub(super) log_updates: bool,
    pub(super) gtid_mode: String,
    pub(super) place: Place,
    pub(super) promotion: PromotionRule,
    pub(super) downtime: bool,
    pub(super) maintenance: bool,
    pub(super) quarantined: bool,
    pub(super) commit: CommitProbe,
    pub(super) space: Space,
    pub(super) awaited: Option<Duration>,
    pub(super) privileged: Option<Vec<String>>,
    pub(super) connections: Option<(u32, u32)>,
    pub(super) semi_sync: Option<SemiSync>,
    pub(super) events: Option<Events>,
    pub(super) prepared: Option<Vec<(String, Duration)>>,
    pub(super) stalled: Option<Duration>,
    pub(super) durability: Durability,
    pub(super) aliases: Vec<String>,
    pub(super) attached: Vec<String>,
    pub(super) channels: Vec<ChannelSketch>,
}

/// What a line says about one channel.
#[derive(Clone, Debug)]
pub(super) struct ChannelSketch {
    pub(super) name: String,
    pub(super) source: String,
    pub(super) receiver: (ThreadState, Option<ReplicationError>),
    pub(super) applier: (ThreadState, Option<ReplicationError>),
    pub(super) lag: Option<Duration>,
    pub(super) delay: Duration,
    pub(super) lifted: Option<Duration>,
    pub(super) heartbeat: Option<Duration>,
    pub(super) period: Option<Duration>,
    pub(super) reconnected: Option<Duration>,
    pub(super) reconnect_failed: Option<Duration>,
    pub(super) severed: Option<Duration>,
    pub(super) ran: Option<Duration>,
    pub(super) acknowledged: Option<Duration>,
    /// What it received was written by the server with that number.
    pub(super) brings: Option<u32>,
    pub(super) outage: Option<(Duration, Duration)>,
    pub(super) starving: Option<Duration>,
    pub(super) gtid: bool,
    pub(super) filtered: bool,
    pub(super) user: String,
}

impl ServerSketch {
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            primary: false,
            unprobed: false,
            unread: false,
            back: None,
            failure: None,
            failing: Duration::from_secs(2),
            read: None,
            writable: None,
            super_read_only: false,
            missing: 0,
            unapplied: 0,
            ahead: 0,
            wrote: 0,
            foreign: None,
            closed: Closed::Unknown,
            errant: Some(0),
            progressed: None,
            flavor: Flavor::Mysql,
            version: Version {
                major: 8,
                minor: 4,
                patch: 6,
            },
            format: LogFormat::Row,
            log_bin: true,
            log_updates: true,
            gtid_mode: "ON".to_owned(),
            place: Place::default(),
            promotion: PromotionRule::Neutral,
            downtime: false,
            maintenance: false,
            quarantined: false,
            commit: CommitProbe::NotTried,
            space: Space::NoSign,
            awaited: None,
            privileged: None,
            connections: None,
            semi_sync: None,
            events: None,
            prepared: None,
            stalled: None,
            durability: Durability::default(),
            aliases: Vec::new(),
            attached: Vec::new(),
            channels: Vec::new(),
        }
    }

    /// Reads the words of a server's line.
    pub(super) fn from_words(name: &str, words: &[&str]) -> Result<Self, String> {
        let mut server = Self::new(name);
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if *word == "<-" {
                let source = words.next().ok_or("`<-` without a source")?;
                server.channels.push(ChannelSketch::new(source));
            } else if let Some((key, value)) = word.split_once('=') {
                server.pair(key, value)?;
            } else {
                server.word(word)?;
            }
        }
        Ok(server)
    }

    fn word(&mut self, word: &str) -> Result<(), String> {
        match word {
            "primary" => self.primary = true,
            "answering" => self.failure = None,
            "unprobed" => self.unprobed = true,
            "unread" => self.unread = true,
            "silent" => self.failure = Some(ProbeFailure::Refused),
            "partial" => self.failure = Some(ProbeFailure::Authentication { number: 1045 }),
            "rw" => self.writable = Some(true),
            "ro" => self.writable = Some(false),
            "closed" => self.closed = Closed::WhileRunning,
            "restarted" => self.closed = Closed::ByRestart,
            "started" => self.closed = Closed::AtStart,
            "sro" => (self.writable, self.super_read_only) = (Some(false), true),
            "mariadb" => self.become_mariadb(),
            "percona" => self.flavor = Flavor::Percona,
            "nolog" => (self.log_bin, self.log_updates) = (false, false),
            "noupdates" => self.log_updates = false,
            "downtime" => self.downtime = true,
            "maintenance" => self.maintenance = true,
            "quarantined" => self.quarantined = true,
            "nogtid" => self.channel()?.gtid = false,
            "filtered" => self.channel()?.filtered = true,
            _ => return self.derived_word(word),
        }
        Ok(())
    }

    /// Promotion rules, failures and times.
    fn derived_word(&mut self, word: &str) -> Result<(), String> {
        if let Some(rule) = PromotionRule::from_word(word) {
            self.promotion = rule;
        } else if let Some(failure) = failure(word)? {
            self.failure = Some(failure);
        } else if let Some(time) = duration(word) {
            self.failing = time;
        } else {
            return Err(format!("{word:?} is no server word"));
        }
        Ok(())
    }

    fn become_mariadb(&mut self) {
        self.flavor = Flavor::Mariadb;
        self.version = Version {
            major: 10,
            minor: 11,
            patch: 14,
        };
    }

    fn pair(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "read" => self.read = Some(need_duration(value)?),
            "back" => self.back = Some(need_duration(value)?),
            "missing" => self.missing = need_number(value)?,
            "unapplied" => self.unapplied = need_number(value)?,
            "ahead" => self.ahead = need_number(value)?,
            "wrote" => self.wrote = need_number(value)?,
            "foreign" => self.foreign = Some(need_number(value)?),
            "errant" if value == "unknown" => self.errant = None,
            "errant" => self.errant = Some(need_number(value)?),
            "progressed" => self.progressed = Some(need_duration(value)?),
            "version" => self.version = version(value)?,
            "format" => self.format = format_of(value)?,
            "gtid_mode" => value.clone_into(&mut self.gtid_mode),
            "dc" => value.clone_into(&mut self.place.data_center),
            "region" => value.clone_into(&mut self.place.region),
            "env" => value.clone_into(&mut self.place.environment),
            "commit" => self.commit = commit(value)?,
            "space" => self.space = space(value)?,
            "awaited" => self.awaited = Some(need_duration(value)?),
            "privileged" => {
                let accounts = value.split(',').filter(|account| !account.is_empty());
                self.privileged = Some(accounts.map(str::to_owned).collect());
            }
            "connections" => {
                let (open, most) = value.split_once('/').ok_or("connections=OPEN/MOST")?;
                self.connections = Some((need_number(open)?, need_number(most)?));
            }
            "ss" => self.semi_sync = Some(semi_sync(value)?),
            "wait_for" => self.semi_sync_state().wait_for = need_number(value)?,
            "clients" => self.semi_sync_state().clients = need_number(value)?,
            "waiting" => self.semi_sync_state().waiting_sessions = need_number(value)?,
            "prepared" => self.prepared = Some(prepared(value)?),
            "events" => self.events().states = events(value)?,
            "scheduler" => self.events().scheduler = value == "on",
            "timeout" => self.semi_sync_state().timeout = Some(need_duration(value)?),
            "wait_point" => self.semi_sync_state().wait_point = Some(wait_point(value)?),
            "stalled" => self.stalled = Some(need_duration(value)?),
            "sync_binlog" => self.durability.sync_binlog = Some(need_number(value)?),
            "flush" => self.durability.flush_log_at_commit = Some(need_number(value)?),
            "sync_relay_log" => self.durability.sync_relay_log = Some(need_number(value)?),
            "relay_log_recovery" => self.durability.relay_log_recovery = Some(value == "on"),
            "alias" => self.aliases.push(value.to_owned()),
            "attached" => self.attached = value.split(',').map(str::to_owned).collect(),
            _ => return self.channel()?.pair(key, value),
        }
        Ok(())
    }

    fn channel(&mut self) -> Result<&mut ChannelSketch, String> {
        self.channels
            .last_mut()
            .ok_or_else(|| "a channel word before `<-`".to_owned())
    }

    fn events(&mut self) -> &mut Events {
        self.events.get_or_insert_with(|| Events {
            scheduler: true,
            ..Events::default()
        })
    }

    fn semi_sync_state(&mut self) -> &mut SemiSync {
        self.semi_sync.get_or_insert_default()
    }
}

impl ChannelSketch {
    fn new(source: &str) -> Self {
        let (source, name) = source.split_once('@').unwrap_or((source, ""));
        Self {
            name: name.to_owned(),
            source: source.to_owned(),
            receiver: (ThreadState::Running, None),
            applier: (ThreadState::Running, None),
            lag: None,
            delay: Duration::ZERO,
            lifted: None,
            heartbeat: None,
            period: None,
            reconnected: None,
            reconnect_failed: None,
            severed: None,
            ran: None,
            acknowledged: None,
            brings: None,
            outage: None,
            starving: None,
            gtid: true,
            filtered: false,
            user: "repl".to_owned(),
        }
    }

    fn pair(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "io" => self.receiver = thread(value, 2003)?,
            "sql" => self.applier = thread(value, 0)?,
            "lag" => self.lag = Some(need_duration(value)?),
            "delay" => self.delay = need_duration(value)?,
            "lifted" => self.lifted = Some(need_duration(value)?),
            "heartbeat" => self.heartbeat = Some(need_duration(value)?),
            "period" => self.period = Some(need_duration(value)?),
            "reconnected" => self.reconnected = Some(need_duration(value)?),
            "severed" => self.severed = Some(need_duration(value)?),
            "ran" => self.ran = Some(need_duration(value)?),
            "acked" => self.acknowledged = Some(need_duration(value)?),
            "brings" => self.brings = Some(need_number(value)?),
            "starving" => self.starving = Some(need_duration(value)?),
            "cut" => {
                let (since, last) = value.split_once("..").ok_or("cut=SINCE..LAST")?;
                self.outage = Some((need_duration(since)?, need_duration(last)?));
            }
            "reconnect-failed" => self.reconnect_failed = Some(need_duration(value)?),
            "user" => value.clone_into(&mut self.user),
            _ => return Err(format!("{key:?} is no word of a server or channel")),
        }
        Ok(())
    }
}

fn thread(
    value: &str,
    connecting_error: u32,
) -> Result<(ThreadState, Option<ReplicationError>), String> {
    let (state, number) = value.split_once(':').unwrap_or((value, ""));
    let (state, usual_error) = match state {
        "running" => (ThreadState::Running, 0),
        "connecting" => (ThreadState::Connecting, connecting_error),
        "stopped" => (ThreadState::Stopped, 0),
        "unknown" => (ThreadState::Unknown, 0),
        _ => return Err(format!("{state:?} is no state of a thread")),
    };
    let number = if number.is_empty() {
        usual_error
    } else {
        need_number(number)?
    };
    let error = (number != 0).then(|| ReplicationError {
        number,
        message: format!("error {number}"),
    });
    Ok((state, error))
}

fn failure(word: &str) -> Result<Option<ProbeFailure>, String> {
    let (word, number) = word.split_once(':').unwrap_or((word, ""));
    let number = |usual| {
        if number.is_empty() {
            Ok(usual)
        } else {
            need_number(number)
        }
    };
    Ok(Some(match word {
        "refused" => ProbeFailure::Refused,
        "reset" => ProbeFailure::Reset,
        "timeout-connect" => ProbeFailure::Timeout(TimeoutPhase::Connect),
        "timeout-handshake" => ProbeFailure::Timeout(TimeoutPhase::Handshake),
        "timeout" => ProbeFailure::Timeout(TimeoutPhase::Statement),
        "no-route" => ProbeFailure::NoRoute,
        "dns" => ProbeFailure::Dns,
        "tls" => ProbeFailure::Tls,
        "authentication" => ProbeFailure::Authentication {
            number: number(1045)?,
        },
        "too-many-connections" => ProbeFailure::TooManyConnections,
        "host-blocked" => ProbeFailure::HostBlocked,
        "shutting-down" => ProbeFailure::ShuttingDown,
        "not-mysql" => ProbeFailure::NotMysql,
        "statement" => ProbeFailure::Statement {
            number: number(1064)?,
        },
        "receiver-waits-for-space" => ProbeFailure::ReceiverWaitsForSpace,
        "other" => ProbeFailure::Other("sketched".to_owned()),
        _ => return Ok(None),
    }))
}

fn version(value: &str) -> Result<Version, String> {
    let mut parts = value.split('.').map(need_number);
    let mut next = || parts.next().unwrap_or(Ok(0));
    Ok(Version {
        major: next()?,
        minor: next()?,
        patch: next()?,
    })
}

fn format_of(value: &str) -> Result<LogFormat, String> {
    match value {
        "statement" => Ok(LogFormat::Statement),
        "mixed" => Ok(LogFormat::Mixed),
        "row" => Ok(LogFormat::Row),
        _ => Err(format!("{value:?} is no binary log format")),
    }
}

fn prepared(value: &str) -> Result<Vec<(String, Duration)>, String> {
    let words = value.split(',').filter(|word| !word.is_empty());
    words
        .map(|word| {
            let (name, age) = word.split_once(':').unwrap_or((word, "0s"));
            Ok((name.to_owned(), need_duration(age)?))
        })
        .collect()
}

fn events(value: &str) -> Result<BTreeMap<EventName, EventState>, String> {
    let event = |text: &str| {
        let (name, state) = text.split_once(':').unwrap_or((text, ""));
        let state = match state {
            "" => EventState::Enabled,
            "disabled" => EventState::Disabled,
            "replica" => EventState::ReplicaDisabled { set_here: false },
            "here" => EventState::ReplicaDisabled { set_here: true },
            _ => return Err(format!("{state:?} is no state of an event")),
        };
        let name = EventName {
            schema: "app".to_owned(),
            name: name.to_owned(),
        };
        Ok((name, state))
    };
    value.split(',').map(event).collect()
}

fn commit(value: &str) -> Result<CommitProbe, String> {
    match value.split_once(':').unwrap_or((value, "")) {
        ("ok", _) => Ok(CommitProbe::Committed {
            took: Duration::from_millis(1),
        }),
        ("refused", number) => Ok(CommitProbe::Refused {
            number: need_number(number)?,
        }),
        ("stalled", waited) => Ok(CommitProbe::Stalled {
            waited: need_duration(waited)?,
        }),
        _ => Err(format!("{value:?} is no outcome of a commit probe")),
    }
}

fn space(value: &str) -> Result<Space, String> {
    match value.split_once(':').unwrap_or((value, "")) {
        ("waits", sessions) => Ok(Space::Awaited {
            sessions: need_number(sessions)?,
        }),
        ("refused", span) => {
            let (first, last) = span.split_once("..").ok_or("space=refused:T..T")?;
            Ok(Space::Refused {
                first: need_duration(first)?,
                last: need_duration(last)?,
            })
        }
        _ => Err(format!("{value:?} says nothing about space")),
    }
}

fn wait_point(value: &str) -> Result<WaitPoint, String> {
    match value {
        "after_sync" => Ok(WaitPoint::AfterSync),
        "after_commit" => Ok(WaitPoint::AfterCommit),
        _ => Err(format!("{value:?} is no wait point")),
    }
}

fn semi_sync(value: &str) -> Result<SemiSync, String> {
    let source = SemiSync {
        source_enabled: true,
        source_active: true,
        wait_for: 1,
        clients: 1,
        timeout: Some(Duration::from_hours(1)),
        waits_without_replicas: Some(true),
        ..SemiSync::default()
    };
    match value {
        "source" => Ok(source),
        "fallback" => Ok(SemiSync {
            source_active: false,
            clients: 0,
            ..source
        }),
        "locked" => Ok(SemiSync {
            clients: 0,
            waiting_sessions: 2,
            ..source
        }),
        "both" => Ok(SemiSync {
            clients: 0,
            replica_enabled: true,
            replica_active: true,
            ..source
        }),
        "replica" => Ok(SemiSync {
            replica_enabled: true,
            replica_active: true,
            ..SemiSync::default()
        }),
        _ => Err(format!("{value:?} is no state of semi-sync")),
    }
}
