//! Which server wrote a transaction first: the UUID of a MySQL GTID, the server id of a MariaDB GTID.

use super::flavoured::GtidSet;
use super::uuid::Uuid;

/// A server as the author of transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Author<'a> {
    /// `server_uuid`, where the flavour has it.
    pub uid: &'a str,
    /// `server_id`.
    pub server_id: u32,
}

impl Author<'_> {
    fn is(&self, uuid: Uuid) -> bool {
        self.uid.parse().is_ok_and(|own: Uuid| own == uuid)
    }
}

impl GtidSet {
    /// Whether the set has transactions that `author` wrote.
    pub fn has_author(&self, author: Author<'_>) -> bool {
        match self {
            Self::Mysql(set) => set.iter().any(|entry| author.is(entry.uuid)),
            Self::Mariadb(set) => set.iter().any(|gtid| gtid.server == author.server_id),
        }
    }

    /// The transactions whose authors `known` has, too, and those that one of `authors` wrote. On MariaDB an author counts for each
    /// domain of its own, because server ids repeat where clusters do not know each other.
    ///
    /// Nothing is left if the flavours differ.
    #[must_use]
    pub fn by_authors_of(&self, known: &Self, authors: &[Author<'_>]) -> Self {
        match (self, known) {
            (Self::Mysql(set), Self::Mysql(known)) => Self::Mysql(set.filter_uuids(|uuid| {
                known.iter().any(|entry| entry.uuid == uuid)
                    || authors.iter().any(|author| author.is(uuid))
            })),
            (Self::Mariadb(set), Self::Mariadb(known)) => {
                Self::Mariadb(set.filter_authors(|domain, server| {
                    let is_shared = known.domain(domain).is_some() || known.is_empty();
                    known.seq(domain, server).is_some()
                        || is_shared && authors.iter().any(|author| author.server_id == server)
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
    use super::{Author, GtidSet};

    const A: &str = "00000000-0000-0000-0000-00000000000a";
    const B: &str = "00000000-0000-0000-0000-00000000000b";

    fn author(uid: &str, server_id: u32) -> Author<'_> {
        Author { uid, server_id }
    }

    #[test]
    fn authors_of_mysql_are_uuids() {
        let both = GtidSet::parse_mysql(&format!("{A}:1-5,{B}:1-3")).unwrap();
        let known = GtidSet::parse_mysql(&format!("{A}:1-2")).unwrap();
        let own = GtidSet::parse_mysql(&format!("{A}:1-5")).unwrap();
        assert!(both.has_author(author(B, 1)) && !known.has_author(author(B, 1)));
        assert_eq!(both.by_authors_of(&known, &[]), own);
        assert_eq!(both.by_authors_of(&known, &[author(B, 1)]), both);
    }

    #[test]
    fn authors_of_mariadb_are_server_ids_within_a_domain() {
        let both = GtidSet::parse_mariadb_history("0-1-5,0-2-7,9-1-3", "").unwrap();
        let known = GtidSet::parse_mariadb_history("0-1-4", "").unwrap();
        let own = GtidSet::parse_mariadb_history("0-1-5", "").unwrap();
        assert!(both.has_author(author("", 2)) && !known.has_author(author("", 2)));
        assert_eq!(both.by_authors_of(&known, &[author("", 1)]), own);
        let with_two = GtidSet::parse_mariadb_history("0-1-5,0-2-7", "").unwrap();
        assert_eq!(both.by_authors_of(&known, &[author("", 2)]), with_two);
    }
}
