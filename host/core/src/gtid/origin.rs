//! Which server committed a transaction first: the UUID of a MySQL GTID, the server id of a MariaDB
//! GTID.

use std::collections::BTreeSet;

use super::flavoured::GtidSet;
use super::uuid::Uuid;

/// The server that first committed a transaction, as its flavour names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// MySQL's `server_uuid`.
    Uuid(Uuid),
    /// MariaDB's `server_id`.
    ServerId(u32),
}

impl GtidSet {
    /// Whether the set has transactions of `origin`.
    pub fn has_origin(&self, origin: Origin) -> bool {
        match (self, origin) {
            (Self::Mysql(set), Origin::Uuid(own)) => set.iter().any(|entry| entry.uuid == own),
            (Self::Mariadb(set), Origin::ServerId(own)) => {
                set.iter().any(|gtid| gtid.server == own)
            }
            (Self::Mysql(_), Origin::ServerId(_)) | (Self::Mariadb(_), Origin::Uuid(_)) => false,
        }
    }

    /// The transactions whose origins `known` has, too, and those of `origins`. On MariaDB an
    /// origin counts for each domain of its own, because server ids repeat where clusters do not
    /// know each other.
    ///
    /// Nothing is left if the flavours differ.
    #[must_use]
    pub fn of_origins(&self, known: &Self, origins: &BTreeSet<Origin>) -> Self {
        match (self, known) {
            (Self::Mysql(set), Self::Mysql(known)) => Self::Mysql(set.filter_uuids(|uuid| {
                known.iter().any(|entry| entry.uuid == uuid)
                    || origins.contains(&Origin::Uuid(uuid))
            })),
            (Self::Mariadb(set), Self::Mariadb(known)) => {
                Self::Mariadb(set.filter_origins(|domain, server| {
                    let is_shared = known.domain(domain).is_some() || known.is_empty();
                    known.seq(domain, server).is_some()
                        || is_shared && origins.contains(&Origin::ServerId(server))
                }))
            }
            (Self::Mysql(_), Self::Mariadb(_)) | (Self::Mariadb(_), Self::Mysql(_)) => {
                self.empty_like()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{GtidSet, Origin};

    const A: &str = "00000000-0000-0000-0000-00000000000a";
    const B: &str = "00000000-0000-0000-0000-00000000000b";

    #[test]
    fn origins_of_mysql_are_uuids() {
        let both = GtidSet::parse_mysql(&format!("{A}:1-5,{B}:1-3")).unwrap();
        let known = GtidSet::parse_mysql(&format!("{A}:1-2")).unwrap();
        let own = GtidSet::parse_mysql(&format!("{A}:1-5")).unwrap();
        let b = Origin::Uuid(B.parse().unwrap());
        assert!(both.has_origin(b) && !known.has_origin(b));
        assert_eq!(both.of_origins(&known, &BTreeSet::new()), own);
        assert_eq!(both.of_origins(&known, &BTreeSet::from([b])), both);
    }

    #[test]
    fn origins_of_mariadb_are_server_ids_within_a_domain() {
        let both = GtidSet::parse_mariadb_history("0-1-5,0-2-7,9-1-3", "").unwrap();
        let known = GtidSet::parse_mariadb_history("0-1-4", "").unwrap();
        let own = GtidSet::parse_mariadb_history("0-1-5", "").unwrap();
        let of = |id| BTreeSet::from([Origin::ServerId(id)]);
        assert!(both.has_origin(Origin::ServerId(2)) && !known.has_origin(Origin::ServerId(2)));
        assert_eq!(both.of_origins(&known, &of(1)), own);
        let with_two = GtidSet::parse_mariadb_history("0-1-5,0-2-7", "").unwrap();
        assert_eq!(both.of_origins(&known, &of(2)), with_two);
    }
}
