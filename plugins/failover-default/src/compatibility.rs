//! What most servers of a cluster speak: a new primary must be understood by those that will follow it.

use baton_policy_sdk::{Cluster, Flavour, LogFormat, Reach, Role, Server};

/// MySQL and its descendants with the same replication, or MariaDB. `None`: cannot be told.
fn family(flavour: Flavour) -> Option<bool> {
    match flavour {
        Flavour::Mysql | Flavour::Percona => Some(false),
        Flavour::Mariadb => Some(true),
        Flavour::Other => None,
    }
}

/// Height of a binary log format: a server writing a lower one cannot apply a higher one.
pub(crate) fn height(format: LogFormat) -> Option<u8> {
    match format {
        LogFormat::Row => Some(2),
        LogFormat::Mixed => Some(1),
        LogFormat::Statement => Some(0),
        LogFormat::Unknown => None,
    }
}

/// Counts over the servers that would follow a new primary. Few versions exist in a cluster, so lists beat maps here.
pub(crate) struct Followers {
    total: u32,
    versions: Vec<(Option<bool>, (u32, u32), u32)>,
    formats: [u32; 3],
}

impl Followers {
    pub(crate) fn of(cluster: &Cluster, replaced: u32) -> Self {
        let mut followers = Self {
            total: 0,
            versions: Vec::new(),
            formats: [0; 3],
        };
        let others = cluster
            .servers
            .iter()
            .zip(0u32..)
            .filter(|(_, index)| *index != replaced);
        for (server, _) in others.filter(|(server, _)| follows(server)) {
            followers.count(server);
        }
        followers
    }

    fn count(&mut self, server: &Server) {
        let key = (family(server.flavour), (server.version.0, server.version.1));
        self.total += 1;
        match self
            .versions
            .iter_mut()
            .find(|(family, version, _)| (*family, *version) == key)
        {
            Some((_, _, count)) => *count += 1,
            None => self.versions.push((key.0, key.1, 1)),
        }
        let slot =
            height(server.log_format).and_then(|height| self.formats.get_mut(usize::from(height)));
        if let Some(count) = slot {
            *count += 1;
        }
    }

    /// How many of the others, of how many, cannot follow a server of this version and family.
    pub(crate) fn left_behind(&self, candidate: &Server) -> (u32, u32) {
        let own = family(candidate.flavour);
        let version = (candidate.version.0, candidate.version.1);
        let cannot = |family: Option<bool>, other: (u32, u32)| match (own, family) {
            (Some(own), Some(family)) if own != family => true,
            _ => other < version,
        };
        let behind = self
            .versions
            .iter()
            .filter(|(family, other, _)| cannot(*family, *other));
        // The candidate itself is counted in the total, never among those left behind.
        let others = self.total.saturating_sub(u32::from(follows(candidate)));
        (behind.map(|(_, _, count)| count).sum(), others)
    }

    /// The height most servers have; the higher one if two are equally common.
    pub(crate) fn common_height(&self) -> Option<u8> {
        let most = (0u8..).zip(self.formats).max_by_key(|(_, count)| *count)?;
        (most.1 > 0).then_some(most.0)
    }
}

fn follows(server: &Server) -> bool {
    let replicates = match server.role {
        Role::Replica | Role::Intermediate => true,
        Role::Primary | Role::Standalone | Role::Unknown => false,
    };
    replicates && server.probe.state != Reach::Silent
}
