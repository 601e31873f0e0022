//! Sets of global transaction identifiers, of both flavours, as values.
//!
//! A failover is decided by comparing histories: who has everything that was acknowledged, what a
//! returning server has that nobody else knows, how far a candidate is behind. This module is the
//! only place that answers such questions; everything else treats a set as an opaque value, never
//! as text.
//!
//! MySQL's sets are exact, so the algebra is plain set algebra. MariaDB's servers publish only the
//! last number of each originating server, so [`MariadbGtidSet`] also says how much of a history
//! is known, and its difference has three outcomes: missing, present and unknown.

mod difference;
mod flavoured;
mod interval;
mod mariadb;
mod mariadb_text;
mod mysql;
mod mysql_text;
mod origin;
mod restored;
mod uuid;

pub use difference::{GtidRange, MariadbDifference};
pub use flavoured::{Advance, Errant, GtidSet};
pub use interval::{GNO_MAX, Interval, Intervals};
pub use mariadb::{MariadbGtid, MariadbGtidSet};
pub use mariadb_text::ParseMariadbGtidError;
pub use mysql::{MysqlEntry, MysqlGtidSet};
pub use mysql_text::ParseMysqlGtidError;
pub use origin::Origin;
pub use restored::cluster_history;
pub use uuid::{ParseTagError, ParseUuidError, Tag, Uuid};

#[cfg(test)]
mod tests;
