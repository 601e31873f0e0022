//! The `cluster` line.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{NOW, WALL, need_duration, need_number};
use crate::ids::{ClusterId, LeaseEpoch, RecoveryId, ServerId};
use crate::model::{
    ActiveRecovery, ClusterRecord, Control, Fleet, PastRecovery, RecoveryKind, RecoveryOutcome,
    Risk, Switch,
};
use crate::time::{Timestamp, WallTime};

/// What the `cluster` line says.
#[derive(Clone, Debug)]
pub(super) struct ClusterSketch {
    name: String,
    epoch: u64,
    seen: Option<u64>,
    control: Control,
    clusters: u32,
    elsewhere: BTreeMap<String, u32>,
    poll: Duration,
    watching: Duration,
}

impl Default for ClusterSketch {
    fn default() -> Self {
        Self {
            name: "c1".to_owned(),
            epoch: 1,
            seen: None,
            control: Control {
                automatic: false,
                risk: Risk::Usual,
                enabled: Switch::On,
                lease: None,
                active: None,
                past: Vec::new(),
            },
            clusters: 1,
            elsewhere: BTreeMap::new(),
            poll: Duration::from_secs(1),
            watching: Duration::from_hours(1),
        }
    }
}

impl ClusterSketch {
    /// Takes the words of one `cluster` line.
    pub(super) fn words(&mut self, words: &[&str]) -> Result<(), String> {
        words.iter().try_for_each(|word| self.word(word))
    }

    fn word(&mut self, word: &str) -> Result<(), String> {
        match word.split_once('=') {
            None => match word {
                "auto" => self.control.automatic = true,
                "off" => self.control.enabled = Switch::Off,
                "unreadable" => self.control.enabled = Switch::Unreadable,
                _ => return Err(format!("{word:?} is no cluster word")),
            },
            Some((key, value)) => match key {
                "name" => value.clone_into(&mut self.name),
                "epoch" => self.epoch = need_number(value)?,
                "seen" => self.seen = Some(need_number(value)?),
                "risk" => {
                    let risk = Risk::from_word(value);
                    self.control.risk = risk.ok_or_else(|| format!("{value:?} is no risk"))?;
                }
                "lease" => self.control.lease = Some(LeaseEpoch(need_number(value)?)),
                "clusters" => self.clusters = need_number(value)?,
                "poll" => self.poll = need_duration(value)?,
                "watching" => self.watching = need_duration(value)?,
                "elsewhere" => {
                    let (code, count) = value.split_once(':').unwrap_or((value, "1"));
                    self.elsewhere.insert(code.to_owned(), need_number(count)?);
                }
                "active" => self.control.active = Some(active(value)?),
                "past" => self
                    .control
                    .past
                    .push(past(value, self.control.past.len())?),
                _ => return Err(format!("{key:?} is no cluster word")),
            },
        }
        Ok(())
    }

    pub(super) fn record(&self, primary: Option<ServerId>) -> ClusterRecord {
        ClusterRecord {
            id: ClusterId::new(&self.name),
            name: self.name.clone(),
            primary,
            primary_epoch: LeaseEpoch(self.epoch),
        }
    }

    /// Transactions of the shared history that somebody was seen to have.
    pub(super) fn seen(&self) -> Option<u64> {
        self.seen
    }

    pub(super) fn control(&self) -> Control {
        self.control.clone()
    }

    pub(super) fn fleet(&self) -> Fleet {
        Fleet {
            clusters: self.clusters,
            elsewhere: self.elsewhere.clone(),
            watching_since: ago(self.watching),
            poll_interval: self.poll,
        }
    }
}

/// The instant `age` before the sketch's now.
pub(super) fn ago(age: Duration) -> Timestamp {
    Timestamp::from_micros(NOW.since(Timestamp::default().plus(age)).as_micros() as u64)
}

/// The wall-clock time `age` before the sketch's now.
pub(super) fn wall_ago(age: Duration) -> WallTime {
    WallTime::from_millis(WALL.since(WallTime::default().plus(age)).as_millis() as u64)
}

fn kind(word: &str) -> Result<RecoveryKind, String> {
    RecoveryKind::from_word(word).ok_or_else(|| format!("{word:?} is no kind of recovery"))
}

fn active(value: &str) -> Result<ActiveRecovery, String> {
    let (word, subject) = value.split_once(':').ok_or("active=KIND:SERVER")?;
    Ok(ActiveRecovery {
        id: RecoveryId::new("active"),
        kind: kind(word)?,
        subject: ServerId::new(subject),
    })
}

fn past(value: &str, index: usize) -> Result<PastRecovery, String> {
    let parts: Vec<&str> = value.split(':').collect();
    let [word, outcome, subject, successor, age, rest @ ..] = parts.as_slice() else {
        return Err("past=KIND:OUTCOME:FAILED:SUCCESSOR:AGE".to_owned());
    };
    let started = wall_ago(need_duration(age)?);
    let kind = kind(word)?;
    let outcome =
        RecoveryOutcome::from_word(outcome).ok_or_else(|| format!("{outcome:?} is no outcome"))?;
    let has_promoted = outcome == RecoveryOutcome::Succeeded || rest.contains(&"promoted");
    Ok(PastRecovery {
        id: RecoveryId::new(format!("past-{index}")),
        kind,
        outcome,
        promoted: has_promoted && kind.replaces_primary(),
        left_behind: rest.contains(&"left-behind"),
        automatic: true,
        started,
        ended: Some(started),
        subject: ServerId::new(*subject),
        successor: (!successor.is_empty()).then(|| ServerId::new(*successor)),
        acknowledged: rest.contains(&"ack"),
    })
}
