//! What a writer saw.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::Server;

/// A row that a server said it has committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acknowledged {
    /// The row's id.
    pub id: u64,
    /// When the answer arrived.
    pub at: Instant,
    /// Which of the writer's servers answered.
    pub(super) server: usize,
}

/// A time without an acknowledged write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The acknowledgement before it.
    pub begun: Instant,
    /// The acknowledgement that ended it.
    pub ended: Instant,
    /// Who acknowledged before.
    pub from: String,
    /// Who acknowledged after.
    pub to: String,
}

impl Gap {
    /// How long it was.
    pub fn length(&self) -> Duration {
        self.ended - self.begun
    }
}

/// What a writer saw.
#[derive(Clone, Debug)]
pub struct WriterReport {
    names: Vec<String>,
    acknowledged: Vec<Acknowledged>,
}

impl WriterReport {
    pub(super) fn new(names: Vec<String>, acknowledged: Vec<Acknowledged>) -> Self {
        Self {
            names,
            acknowledged,
        }
    }

    /// Every acknowledged row, in the order of the answers.
    pub fn acknowledged(&self) -> &[Acknowledged] {
        &self.acknowledged
    }

    /// Which server acknowledged a row.
    pub fn server_of(&self, row: &Acknowledged) -> &str {
        self.names.get(row.server).map_or("", String::as_str)
    }

    /// The longest time without an acknowledged write.
    pub fn longest_gap(&self) -> Option<Gap> {
        self.gaps().max_by_key(Gap::length)
    }

    /// The longest time without an acknowledged write that ended after `moment`.
    pub fn longest_gap_after(&self, moment: Instant) -> Option<Gap> {
        self.gaps()
            .filter(|gap| gap.ended > moment)
            .max_by_key(Gap::length)
    }

    /// The time without an acknowledged write in which another server came into use, the
    /// first such after `moment`.
    pub fn handover_after(&self, moment: Instant) -> Option<Gap> {
        self.gaps()
            .find(|gap| gap.ended > moment && gap.from != gap.to)
    }

    /// Acknowledged rows that a server does not have.
    pub fn lost_on(&self, server: &Server) -> Result<Vec<u64>> {
        let rows = server
            .query("SELECT id FROM app.writes")
            .context("read the written rows")?;
        let present: BTreeSet<u64> = rows
            .iter()
            .filter_map(|row| row.at(0)?.parse().ok())
            .collect();
        let ids = self.acknowledged.iter().map(|row| row.id);
        Ok(ids.filter(|id| !present.contains(id)).collect())
    }

    fn gaps(&self) -> impl Iterator<Item = Gap> + '_ {
        self.acknowledged
            .iter()
            .zip(self.acknowledged.iter().skip(1))
            .map(|(before, after)| Gap {
                begun: before.at,
                ended: after.at,
                from: self.server_of(before).to_owned(),
                to: self.server_of(after).to_owned(),
            })
    }
}
