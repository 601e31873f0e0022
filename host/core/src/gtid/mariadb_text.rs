//! Reading MariaDB's GTID lists.

use std::collections::BTreeSet;
use std::str::FromStr;

use super::mariadb::MariadbGtid;

/// A text is not a list of MariaDB GTIDs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseMariadbGtidError {
    /// A part of the list is not `domain-server-sequence` with numbers of 32, 32 and 64 bits.
    #[error("cannot read MariaDB GTIDs: no domain-server-sequence at byte {at}: {found:?}")]
    Malformed {
        /// Bytes before the part.
        at: usize,
        /// The start of the part.
        found: String,
    },
    /// A server stands twice in one domain, so its last transaction is not clear.
    #[error(
        "cannot read MariaDB GTIDs: server {server} is twice in domain {domain}, again at byte {at}"
    )]
    Repeated {
        /// The domain.
        domain: u32,
        /// The server named twice.
        server: u32,
        /// Bytes before the second entry.
        at: usize,
    },
}

/// How much of the offending text an error shows, in characters: enough for a whole GTID.
const EXCERPT_CHARS_MAX: usize = 48;

/// Reads the list in its own order. Empty text is the empty list.
pub(super) fn parse(text: &str) -> Result<Vec<MariadbGtid>, ParseMariadbGtidError> {
    let mut gtids = Vec::new();
    if text.trim().is_empty() {
        return Ok(gtids);
    }
    let mut servers = BTreeSet::new();
    let mut next_at = 0;
    for part in text.split(',') {
        let at = next_at + (part.len() - part.trim_start().len());
        next_at += part.len() + 1;
        let gtid = parse_gtid(part.trim()).ok_or_else(|| malformed(part.trim(), at))?;
        let MariadbGtid {
            domain,
            server,
            seq: _,
        } = gtid;
        if !servers.insert((domain, server)) {
            return Err(ParseMariadbGtidError::Repeated { domain, server, at });
        }
        gtids.push(gtid);
    }
    Ok(gtids)
}

fn parse_gtid(text: &str) -> Option<MariadbGtid> {
    let mut numbers = text.split('-');
    let gtid = MariadbGtid {
        domain: parse_number(numbers.next()?)?,
        server: parse_number(numbers.next()?)?,
        seq: parse_number(numbers.next()?)?,
    };
    numbers.next().is_none().then_some(gtid)
}

/// Digits only: the standard library would take a plus sign.
fn parse_number<N: FromStr>(text: &str) -> Option<N> {
    if text.starts_with('+') {
        None
    } else {
        text.parse().ok()
    }
}

fn malformed(part: &str, at: usize) -> ParseMariadbGtidError {
    let found = part.chars().take(EXCERPT_CHARS_MAX).collect();
    ParseMariadbGtidError::Malformed { at, found }
}

impl FromStr for MariadbGtid {
    type Err = ParseMariadbGtidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_gtid(text).ok_or_else(|| malformed(text, 0))
    }
}
