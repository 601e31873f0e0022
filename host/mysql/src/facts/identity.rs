//! Who a server is.

use baton_core::model::{Flavor, Version};

use crate::rows::{Record, Table};

/// Lineage, by what the server has rather than what it calls itself.
pub(crate) fn flavor(fixed: &Table) -> Flavor {
    let comment = fixed
        .first()
        .map(|record| record.owned(&["version_comment"]))
        .unwrap_or_default();
    if fixed.has_column("gtid_domain_id") {
        Flavor::Mariadb
    } else if fixed.has_column("server_uuid") {
        if comment.contains("Percona") {
            Flavor::Percona
        } else {
            Flavor::Mysql
        }
    } else {
        Flavor::Other
    }
}

/// The leading numbers of a version text; what is missing is 0.
pub(crate) fn version(text: &str) -> Version {
    let mut numbers = text
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .next()
        .unwrap_or_default()
        .split('.')
        .map(|part| part.parse::<u16>().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    Version {
        major: next(),
        minor: next(),
        patch: next(),
    }
}

/// The identity a server has of itself.
///
/// MariaDB's `server_uid` is a hash of a hardware address and the port. Containers on different
/// machines often share such addresses, so `server_id`, which differs within a topology, is joined
/// to it.
pub(super) fn uid(fixed: &Record<'_>, now: &Record<'_>) -> String {
    let server_id = now.owned(&["server_id"]);
    if let Some(uuid) = fixed.filled(&["server_uuid"]) {
        return uuid.to_ascii_lowercase();
    }
    if let Some(uid) = fixed.filled(&["server_uid"]) {
        return format!("{uid}/{server_id}");
    }
    format!(
        "{}:{}/{server_id}",
        fixed.owned(&["hostname"]),
        fixed.owned(&["port"])
    )
}
