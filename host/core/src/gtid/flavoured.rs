//! A GTID set of either flavour, and the questions a failover asks.

use std::collections::BTreeSet;
use std::fmt;

use super::mariadb::MariadbGtidSet;
use super::mariadb_text::ParseMariadbGtidError;
use super::mysql::MysqlGtidSet;
use super::mysql_text::ParseMysqlGtidError;
use super::origin::Origin;

/// A GTID set of the flavour that its server speaks.
///
/// Sets of different flavours have no transaction in common; questions that would make no sense
/// then answer `None`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GtidSet {
    /// MySQL's, exact.
    Mysql(MysqlGtidSet),
    /// MariaDB's, as far as its servers tell.
    Mariadb(MariadbGtidSet),
}

/// How one history stands to another, in transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Advance {
    /// Neither is known to have anything that the other lacks.
    Equal,
    /// It has this many more, and lacks nothing.
    Ahead(u64),
    /// It lacks this many, and has nothing more.
    Behind(u64),
    /// Each has transactions that the other lacks: neither can follow the other as it is.
    Diverged {
        /// How many only the first has.
        ahead: u64,
        /// How many only the second has.
        behind: u64,
    },
}

/// Transactions of a replica that its source does not have, or perhaps not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Errant {
    /// How many transactions the source certainly lacks. For MariaDB, if numbers went backwards,
    /// the most it can be.
    pub count: u64,
    /// Those transactions: a GTID set of MySQL, or ranges like `0-1-104..105` of MariaDB. Empty
    /// if `count` is 0.
    pub text: String,
    /// Last transactions of servers about which the source's history does not tell (MariaDB
    /// sources known by a position only). They are not counted. Usually empty.
    pub unknown: String,
    /// Who wrote what is unknown.
    pub unknown_of: BTreeSet<Origin>,
}

impl GtidSet {
    /// The set without transactions, of this set's flavour.
    pub fn empty_like(&self) -> Self {
        match self {
            Self::Mysql(_) => Self::Mysql(MysqlGtidSet::new()),
            Self::Mariadb(_) => Self::Mariadb(MariadbGtidSet::new()),
        }
    }

    /// Reads MySQL's form: see [`MysqlGtidSet::parse`].
    ///
    /// # Errors
    /// If a MySQL server would refuse the text.
    pub fn parse_mysql(text: &str) -> Result<Self, ParseMysqlGtidError> {
        MysqlGtidSet::parse(text).map(Self::Mysql)
    }

    /// Reads a MariaDB position, or a state that shows itself to be one: see
    /// [`MariadbGtidSet::parse`].
    ///
    /// # Errors
    /// If the text is not a list of GTIDs.
    pub fn parse_mariadb(text: &str) -> Result<Self, ParseMariadbGtidError> {
        MariadbGtidSet::parse(text).map(Self::Mariadb)
    }

    /// What a MariaDB server knows: its `gtid_binlog_state` and its `gtid_slave_pos` (or
    /// `gtid_current_pos`). This is what
    /// [`errant`](Self::errant) needs of both servers, for with a position alone most of its
    /// answer is unknown. See [`MariadbGtidSet::parse_state`].
    ///
    /// # Errors
    /// If either text is not a list of GTIDs.
    pub fn parse_mariadb_history(
        binlog_state: &str,
        slave_pos: &str,
    ) -> Result<Self, ParseMariadbGtidError> {
        let state = MariadbGtidSet::parse_state(binlog_state)?;
        let position = MariadbGtidSet::parse(slave_pos)?;
        Ok(Self::Mariadb(state.union(&position)))
    }

    /// Whether there is no transaction in the set.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Mysql(set) => set.is_empty(),
            Self::Mariadb(set) => set.is_empty(),
        }
    }

    /// The transactions in either set. No set holds both flavours, and no server has both: if
    /// they differ, the answer is this set, or `other` if this one is empty.
    pub fn union(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Mysql(one), Self::Mysql(two)) => Self::Mysql(one.union(two)),
            (Self::Mariadb(one), Self::Mariadb(two)) => Self::Mariadb(one.union(two)),
            (Self::Mysql(_), Self::Mariadb(_)) | (Self::Mariadb(_), Self::Mysql(_)) => {
                if self.is_empty() {
                    other.clone()
                } else {
                    self.clone()
                }
            }
        }
    }

    /// What this set has and `other` lacks; all of it if the flavours differ. For MariaDB the
    /// result has only the last transaction of each server: [`surplus`](Self::surplus) has ranges.
    pub fn subtract(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Mysql(one), Self::Mysql(two)) => Self::Mysql(one.subtract(two)),
            (Self::Mariadb(one), Self::Mariadb(two)) => Self::Mariadb(one.subtract(two)),
            (Self::Mysql(_), Self::Mariadb(_)) | (Self::Mariadb(_), Self::Mysql(_)) => self.clone(),
        }
    }

    /// The transactions of this set that `known` has, too, or that originate from a wanted server.
    /// If the flavours differ, this set.
    pub fn known_or_from(&self, known: &Self, is_wanted: impl Fn(Origin) -> bool) -> Self {
        match (self, known) {
            (Self::Mysql(ours), Self::Mysql(known)) => {
                let beyond = ours.subtract(known);
                let foreign = beyond.filter_uuids(|uuid| !is_wanted(Origin::Uuid(uuid)));
                Self::Mysql(ours.subtract(&foreign))
            }
            (Self::Mariadb(ours), Self::Mariadb(known)) => {
                Self::Mariadb(ours.known_or_from(known, |id| is_wanted(Origin::ServerId(id))))
            }
            (Self::Mysql(_), Self::Mariadb(_)) | (Self::Mariadb(_), Self::Mysql(_)) => self.clone(),
        }
    }

    /// What this set has and `other` lacks, for a reader: on one line, MariaDB's as ranges.
    /// `None` if the flavours differ.
    pub fn surplus(&self, other: &Self) -> Option<String> {
        match (self, other) {
            (Self::Mysql(one), Self::Mysql(two)) => Some(one.subtract(two).one_line().to_string()),
            (Self::Mariadb(one), Self::Mariadb(two)) => Some(one.difference(two).to_string()),
            (Self::Mysql(_), Self::Mariadb(_)) | (Self::Mariadb(_), Self::Mysql(_)) => None,
        }
    }

    /// Whether nothing of `other` is known to be missing here.
    pub fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Mysql(one), Self::Mysql(two)) => one.contains(two),
            (Self::Mariadb(one), Self::Mariadb(two)) => one.contains(two),
            (Self::Mysql(_), Self::Mariadb(_)) | (Self::Mariadb(_), Self::Mysql(_)) => {
                other.is_empty()
            }
        }
    }

    /// How many transactions of `other` this set lacks; `None` if the flavours differ.
    pub fn missing_count(&self, other: &Self) -> Option<u64> {
        match (self, other) {
            (Self::Mysql(one), Self::Mysql(two)) => Some(two.subtract(one).count()),
            (Self::Mariadb(one), Self::Mariadb(two)) => Some(one.missing_count(two)),
            (Self::Mysql(_), Self::Mariadb(_)) | (Self::Mariadb(_), Self::Mysql(_)) => None,
        }
    }

    /// How the first history stands to the second; `None` if the flavours differ.
    pub fn compare(first: &Self, second: &Self) -> Option<Advance> {
        let ahead = second.missing_count(first)?;
        let behind = first.missing_count(second)?;
        Some(match (ahead, behind) {
            (0, 0) => Advance::Equal,
            (ahead, 0) => Advance::Ahead(ahead),
            (0, behind) => Advance::Behind(behind),
            (ahead, behind) => Advance::Diverged { ahead, behind },
        })
    }

    /// The transactions of a replica that its source's history lacks or may lack; `None` if the
    /// source is known to have all of them. Read the replica before the source, or transactions
    /// on their way look errant. If the flavours differ, all of the replica's are unknown.
    pub fn errant(replica: &Self, source: &Self) -> Option<Errant> {
        let errant = match (replica, source) {
            (Self::Mysql(replica), Self::Mysql(source)) => {
                let only_replica = replica.subtract(source);
                let text = only_replica.one_line().to_string();
                Errant {
                    count: only_replica.count(),
                    text,
                    unknown: String::new(),
                    unknown_of: BTreeSet::new(),
                }
            }
            (Self::Mariadb(replica), Self::Mariadb(source)) => {
                let only_replica = replica.difference(source);
                let unknown: Vec<String> = only_replica
                    .unknown()
                    .iter()
                    .map(ToString::to_string)
                    .collect();
                let text = only_replica.to_string();
                let unknown_of = only_replica.unknown().iter();
                let unknown_of = unknown_of.map(|gtid| Origin::ServerId(gtid.server));
                Errant {
                    count: only_replica.count(),
                    text,
                    unknown: unknown.join(","),
                    unknown_of: unknown_of.collect(),
                }
            }
            (Self::Mysql(_), Self::Mariadb(_)) | (Self::Mariadb(_), Self::Mysql(_)) => Errant {
                count: 0,
                text: String::new(),
                unknown: replica.to_string(),
                unknown_of: BTreeSet::new(),
            },
        };
        (errant.count > 0 || !errant.unknown.is_empty()).then_some(errant)
    }
}

/// The form in which the server prints it.
impl fmt::Display for GtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mysql(set) => fmt::Display::fmt(set, f),
            Self::Mariadb(set) => fmt::Display::fmt(set, f),
        }
    }
}

impl fmt::Debug for GtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mysql(set) => fmt::Debug::fmt(set, f),
            Self::Mariadb(set) => fmt::Debug::fmt(set, f),
        }
    }
}

impl From<MysqlGtidSet> for GtidSet {
    fn from(set: MysqlGtidSet) -> Self {
        Self::Mysql(set)
    }
}

impl From<MariadbGtidSet> for GtidSet {
    fn from(set: MariadbGtidSet) -> Self {
        Self::Mariadb(set)
    }
}
