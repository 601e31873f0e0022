//! What a server has that its binary log does not tell, because it was restored and not replicated.
//!
//! A MariaDB server that was set up from a dump or a copy has the history of its source up to
//! `gtid_slave_pos`; its `gtid_binlog_state` begins there, and lacks servers that wrote before
//! only. What it replicated since shows what it has: numbers of a domain are replicated in order,
//! so with a transaction it has all that came before that one on its source. MySQL's
//! `gtid_executed` has what was restored, and is left as it is.

use std::collections::BTreeSet;

use super::flavoured::GtidSet;
use super::mariadb::MariadbGtidSet;
use super::origin::Origin;

impl GtidSet {
    /// This history with what `source` has before the last transaction that both have, where it is
    /// of a server that this history does not name at all and that is not in `but`.
    #[must_use]
    pub fn with_history_of(&self, source: &Self, but: &BTreeSet<Origin>) -> Self {
        match (self, source) {
            (Self::Mariadb(own), Self::Mariadb(source)) => {
                let is_left_out = |server| but.contains(&Origin::ServerId(server));
                Self::Mariadb(own.with_history_of(source, is_left_out))
            }
            (Self::Mysql(_) | Self::Mariadb(_), _) => self.clone(),
        }
    }
}

/// The whole history of a primary's cluster: what the primary has, and what its replicas, each with
/// its own origin and history, show to have been before it was restored.
///
/// What a replica wrote and nobody else has is errant, and is left out.
pub fn cluster_history(primary: &GtidSet, replicas: &[(Option<Origin>, &GtidSet)]) -> GtidSet {
    let GtidSet::Mariadb(known) = primary else {
        return primary.clone();
    };
    let errant: BTreeSet<Origin> = replicas
        .iter()
        .enumerate()
        .filter_map(|(index, (origin, history))| {
            let own = (*origin)?;
            let mut others = replicas.iter().enumerate();
            let is_shared = others.any(|(other, (_, set))| other != index && set.has_origin(own));
            let is_alone = history.has_origin(own) && !primary.has_origin(own) && !is_shared;
            is_alone.then_some(own)
        })
        .collect();
    let is_errant = |server| errant.contains(&Origin::ServerId(server));
    let mut whole = known.clone();
    for (_, history) in replicas {
        if let GtidSet::Mariadb(history) = history {
            whole = whole.with_history_of(history, is_errant);
        }
    }
    GtidSet::Mariadb(whole)
}

impl MariadbGtidSet {
    fn with_history_of(&self, source: &Self, is_left_out: impl Fn(u32) -> bool) -> Self {
        let mut whole = self.clone();
        for (id, theirs) in source.domains() {
            let Some(ours) = self.domain(id) else {
                continue;
            };
            let shared = theirs
                .seqs()
                .filter_map(|(server, seq)| Some(seq.min(ours.seq(server)?)));
            let agreed = shared.max().unwrap_or(0);
            let before = theirs.seqs().filter(|(server, seq)| {
                *seq < agreed && ours.seq(*server).is_none() && !is_left_out(*server)
            });
            for (server, seq) in before {
                whole.add_before(id, server, seq);
            }
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{GtidSet, Origin, cluster_history};

    fn state(text: &str) -> GtidSet {
        GtidSet::parse_mariadb_history(text, "").unwrap()
    }

    /// Server 2 was the primary before server 1, and server 3 was restored from a dump since. It
    /// was taken for one that lacks what server 2 wrote: a switchover to it was refused, and the
    /// old primary set aside.
    #[test]
    fn who_was_restored_has_what_was_before() {
        let primary = state("0-2-700,0-1-1200");
        let restored = state("0-1-1200");
        assert_eq!(restored.missing_count(&primary), Some(1));
        let whole = restored.with_history_of(&primary, &BTreeSet::new());
        assert_eq!(whole.missing_count(&primary), Some(0));
        assert_eq!(GtidSet::errant(&primary, &whole), None);
    }

    #[test]
    fn what_lies_beyond_is_missing_still() {
        let restored = state("0-1-1200");
        for ahead in ["0-2-1201,0-1-1300", "0-1-1300", "1-2-7,0-1-1200"] {
            let source = state(ahead);
            let whole = restored.with_history_of(&source, &BTreeSet::new());
            assert_eq!(whole, restored, "{ahead}");
        }
        // Server 1 forked at 650.
        let fork = state("0-1-700");
        let successor = state("0-1-650,0-2-1200");
        let whole = successor.with_history_of(&fork, &BTreeSet::new());
        assert!(GtidSet::errant(&fork, &whole).is_some());
    }

    #[test]
    fn the_replicas_of_a_restored_primary_are_not_errant() {
        let primary = state("0-2-1500,0-3-1600");
        let (two, four) = (
            state("0-1-1000,0-2-1500,0-3-1600"),
            state("0-2-1500,0-3-1590"),
        );
        let replicas = [
            (Some(Origin::ServerId(2)), &two),
            (Some(Origin::ServerId(4)), &four),
        ];
        let whole = cluster_history(&primary, &replicas);
        assert_eq!(GtidSet::errant(&two, &whole), None);
        let returned = state("0-1-1001");
        assert_eq!(GtidSet::errant(&returned, &whole).unwrap().count, 1);
    }

    #[test]
    fn what_a_replica_wrote_alone_is_errant_wherever_it_is_in_the_order() {
        let primary = state("0-1-1200");
        let (clean, errant) = (state("0-1-1190"), state("0-3-701,0-1-1200"));
        let replicas = [
            (Some(Origin::ServerId(2)), &clean),
            (Some(Origin::ServerId(3)), &errant),
        ];
        let whole = cluster_history(&primary, &replicas);
        assert_eq!(whole, primary);
        assert!(GtidSet::errant(&errant, &whole).is_some());
    }
}
