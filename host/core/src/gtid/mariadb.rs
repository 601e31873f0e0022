//! MariaDB's GTID positions and binary log states.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::difference::MariadbDifference;
use super::mariadb_text::{self, ParseMariadbGtidError};

/// One MariaDB transaction: `domain-server-sequence`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MariadbGtid {
    /// The replication domain: an independent stream with one sequence of numbers.
    pub domain: u32,
    /// The `server_id` of the server that the transaction originates from.
    pub server: u32,
    /// The number within the domain.
    pub seq: u64,
}

/// How far one MariaDB server's history reaches, for each domain and originating server.
///
/// A server tells it in two forms. Its *state* (`gtid_binlog_state`) has the last number of every
/// server that ever wrote into the binary log. Its *positions* (`gtid_binlog_pos`,
/// `gtid_slave_pos`, `gtid_current_pos`) have one entry for each domain: everything up to there is
/// included, but which server wrote what is not known. Each entry remembers which of the two it
/// comes from, so that comparing never takes unknown for absent. That memory is part of equality:
/// a state and a position that print alike differ.
///
/// It prints as a server prints it, ordered by domain and server, except that the server that
/// wrote last in a domain comes last (the server itself leaves the order of the others open).
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MariadbGtidSet {
    /// No domain is without a server.
    domains: BTreeMap<u32, Domain>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Domain {
    /// How far the transactions of each originating server reach.
    reaches: BTreeMap<u32, LogEnd>,
    /// The server whose number is the position in this domain, as far as the server at hand is
    /// concerned. With `gtid_strict_mode=OFF` it need not be the highest number: an old primary
    /// with errant transactions that follows its successor is at a lower one.
    last: u32,
}

/// The greater of two reaches says more, so joining takes the maximum.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct LogEnd {
    seq: u64,
    form: Form,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Form {
    /// A position: what other servers wrote up to this number is not known.
    Position,
    /// In the binary log, with everything before it.
    State,
}

impl Domain {
    pub(super) fn seq(&self, server: u32) -> Option<u64> {
        self.reaches.get(&server).map(|reach| reach.seq)
    }

    pub(super) fn seqs(&self) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.reaches
            .iter()
            .map(|(server, reach)| (*server, reach.seq))
    }

    pub(super) fn highest(&self) -> u64 {
        self.seqs().map(|(_, seq)| seq).max().unwrap_or(0)
    }

    /// Up to this number, which servers wrote is not known.
    pub(super) fn opaque_through(&self) -> u64 {
        let positions = self
            .reaches
            .values()
            .filter(|reach| reach.form == Form::Position);
        positions.map(|reach| reach.seq).max().unwrap_or(0)
    }

    fn last_seq(&self) -> u64 {
        self.seq(self.last).unwrap_or(0)
    }

    fn raise(&mut self, server: u32, reach: LogEnd) {
        let known = self.reaches.entry(server).or_insert(reach);
        *known = reach.max(*known);
    }

    /// The same joined in any order, unless the numbers of either history went backwards.
    fn join(&mut self, other: &Self) {
        for (server, reach) in &other.reaches {
            self.raise(*server, *reach);
        }
        let rank = |server: u32| (self.seq(server), server);
        self.last = if rank(other.last) > rank(self.last) {
            other.last
        } else {
            self.last
        };
    }

    fn set_form(&mut self, form: Form) {
        for reach in self.reaches.values_mut() {
            reach.form = form;
        }
    }
}

impl MariadbGtidSet {
    /// The set without any transaction.
    pub const fn new() -> Self {
        Self {
            domains: BTreeMap::new(),
        }
    }

    /// Reads a position, or a state if it shows itself to be one: a domain with a single entry is
    /// taken as a position, because what other servers wrote is then unknown; a domain with
    /// several entries is a complete state.
    ///
    /// # Errors
    /// If the text is not a list of GTIDs, or names a server twice in a domain.
    pub fn parse(text: &str) -> Result<Self, ParseMariadbGtidError> {
        let mut set = Self::parse_state(text)?;
        for domain in set.domains.values_mut() {
            if domain.reaches.len() == 1 {
                domain.set_form(Form::Position);
            }
        }
        Ok(set)
    }

    /// Reads `gtid_binlog_state` of a server whose binary log has had every transaction since the
    /// beginning of its history: a server that is not named wrote nothing. [Join](Self::union) it
    /// with the server's `gtid_slave_pos` where that is not certain (restored from a backup, or
    /// no `log_slave_updates`): what lies up to an entry that the state lacks is then unknown.
    /// Read the position before or with the state, for the binary log is written first.
    ///
    /// # Errors
    /// As for [`parse`](Self::parse).
    pub fn parse_state(text: &str) -> Result<Self, ParseMariadbGtidError> {
        let mut set = Self::new();
        for gtid in mariadb_text::parse(text)? {
            set.record(gtid);
        }
        Ok(set)
    }

    /// All entries, ordered by domain; in each domain by server, with the last writer at the end.
    pub fn iter(&self) -> impl Iterator<Item = MariadbGtid> + '_ {
        self.domains.iter().flat_map(|(id, domain)| {
            let others = domain.seqs().filter(|(server, _)| *server != domain.last);
            let last = (domain.last, domain.last_seq());
            others.chain([last]).map(|(server, seq)| MariadbGtid {
                domain: *id,
                server,
                seq,
            })
        })
    }

    pub(super) fn domains(&self) -> impl Iterator<Item = (u32, &Domain)> {
        self.domains.iter().map(|(id, domain)| (*id, domain))
    }

    pub(super) fn domain(&self, id: u32) -> Option<&Domain> {
        self.domains.get(&id)
    }

    /// Whether there is no entry in the set.
    pub fn is_empty(&self) -> bool {
        self.domains.is_empty()
    }

    /// The highest number in a domain, whoever wrote it.
    pub fn highest(&self, domain: u32) -> Option<u64> {
        self.domains.get(&domain).map(Domain::highest)
    }

    /// The highest number that one server wrote in a domain.
    pub fn seq(&self, domain: u32, server: u32) -> Option<u64> {
        self.domains
            .get(&domain)
            .and_then(|domain| domain.seq(server))
    }

    /// Adds one transaction as the last of its domain, as writing it to the binary log does.
    pub fn record(&mut self, gtid: MariadbGtid) {
        let MariadbGtid {
            domain,
            server,
            seq,
        } = gtid;
        let empty = Domain {
            reaches: BTreeMap::new(),
            last: server,
        };
        let domain = self.domains.entry(domain).or_insert(empty);
        domain.raise(
            server,
            LogEnd {
                seq,
                form: Form::State,
            },
        );
        domain.last = server;
    }

    /// Adds transactions of a server that came before the last one of the domain.
    pub(super) fn add_before(&mut self, domain: u32, server: u32, seq: u64) {
        if let Some(domain) = self.domains.get_mut(&domain) {
            let form = Form::State;
            domain.raise(server, LogEnd { seq, form });
        }
    }

    /// Only the last writer of each domain: what the server gives as `gtid_binlog_pos`. That is
    /// the highest number of the domain, unless numbers went backwards.
    pub fn position(&self) -> Self {
        let last_of = |domain: &Domain| {
            let reach = LogEnd {
                seq: domain.last_seq(),
                form: Form::Position,
            };
            Domain {
                reaches: BTreeMap::from([(domain.last, reach)]),
                last: domain.last,
            }
        };
        let domains = self
            .domains
            .iter()
            .map(|(id, domain)| (*id, last_of(domain)));
        Self {
            domains: domains.collect(),
        }
    }

    /// The histories of both: the highest number of each server. In each domain the position is
    /// the further of the two.
    pub fn union(&self, other: &Self) -> Self {
        let mut union = self.clone();
        for (id, theirs) in &other.domains {
            union
                .domains
                .entry(*id)
                .or_insert_with(|| theirs.clone())
                .join(theirs);
        }
        union
    }

    /// The entries of the domains and servers that are wanted, each in the form it has.
    pub(super) fn filter_origins(&self, is_wanted: impl Fn(u32, u32) -> bool) -> Self {
        let mut domains = BTreeMap::new();
        for (id, domain) in &self.domains {
            let mut kept = domain.clone();
            kept.reaches.retain(|server, _| is_wanted(*id, *server));
            let highest = kept.seqs().max_by_key(|(_, seq)| *seq);
            let Some((highest, _)) = highest else {
                continue;
            };
            if !kept.reaches.contains_key(&kept.last) {
                kept.last = highest;
            }
            domains.insert(*id, kept);
        }
        Self { domains }
    }

    /// What this set has that `other` lacks, and what cannot be said.
    pub fn difference(&self, other: &Self) -> MariadbDifference {
        MariadbDifference::between(self, other)
    }

    /// This history without what neither `known` has nor a wanted server wrote. Numbers of other
    /// servers end where `known` ends.
    pub(super) fn known_or_from(&self, known: &Self, is_wanted: impl Fn(u32) -> bool) -> Self {
        let mut domains = BTreeMap::new();
        for (id, ours) in &self.domains {
            let theirs = known.domains.get(id);
            let opaque = theirs.map_or(0, Domain::opaque_through);
            let reaches = ours.reaches.iter().filter_map(|(server, reach)| {
                if is_wanted(*server) || reach.seq <= opaque {
                    return Some((*server, *reach));
                }
                let seq = theirs?.seq(*server)?.min(reach.seq);
                Some((*server, LogEnd { seq, ..*reach }))
            });
            let reaches: BTreeMap<u32, LogEnd> = reaches.collect();
            let highest = reaches.iter().max_by_key(|(_, reach)| reach.seq);
            let Some(highest) = highest.map(|(server, _)| *server) else {
                continue;
            };
            let last = if reaches.contains_key(&ours.last) {
                ours.last
            } else {
                highest
            };
            domains.insert(*id, Domain { reaches, last });
        }
        Self { domains }
    }

    /// The entries of this set that `other` certainly lacks. They have no lower end: see
    /// [`difference`](Self::difference) for ranges.
    pub fn subtract(&self, other: &Self) -> Self {
        let mut rest = Self::new();
        // Ordered by number, so the highest of each domain is recorded last.
        for range in self.difference(other).missing() {
            rest.record(range.last_gtid());
        }
        rest
    }

    /// Whether nothing of `other` is known to be missing here. Where servers are not known, this
    /// compares positions.
    pub fn contains(&self, other: &Self) -> bool {
        other.difference(self).missing().is_empty()
    }

    /// Whether this set reaches as far as `other` in each domain, by number alone, whoever wrote
    /// them: what `MASTER_GTID_WAIT` waits for. Diverged histories can contain each other so.
    pub fn contains_position(&self, other: &Self) -> bool {
        let mut domains = other.domains.iter();
        domains.all(|(id, theirs)| self.highest(*id).unwrap_or(0) >= theirs.highest())
    }

    /// How many transactions `other` has beyond this set.
    pub fn missing_count(&self, other: &Self) -> u64 {
        other.difference(self).count()
    }
}

impl FromStr for MariadbGtidSet {
    type Err = ParseMariadbGtidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl fmt::Display for MariadbGtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, gtid) in self.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(f, "{separator}{gtid}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for MariadbGtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MariadbGtidSet({self}")?;
        for (id, domain) in &self.domains {
            if domain.opaque_through() > 0 {
                write!(
                    f,
                    "; domain {id} opaque through {}",
                    domain.opaque_through()
                )?;
            }
        }
        f.write_str(")")
    }
}

impl fmt::Display for MariadbGtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            domain,
            server,
            seq,
        } = self;
        write!(f, "{domain}-{server}-{seq}")
    }
}

impl fmt::Debug for MariadbGtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
