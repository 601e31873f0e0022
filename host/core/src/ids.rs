//! Identities: newtypes so that one kind of name cannot be used for another.

use std::fmt;
use std::str::FromStr;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Wraps a text as an identity; the text is opaque.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// Stable, opaque identity of a server. It survives a change of address. It is the text of the
    /// address under which the server was first known, which makes it readable; never parse it.
    ServerId
);
text_id!(
    /// Stable, opaque identity of a cluster; survives failovers and renames.
    ClusterId
);
text_id!(
    /// Identity of one recovery (failover, switchover, rejoin ...).
    RecoveryId
);
text_id!(
    /// Name of a Baton node.
    NodeName
);

/// The strictly growing number of a lease: the fencing token that each command carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseEpoch(pub u64);

impl fmt::Display for LeaseEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Where a server listens: host name or IP literal, and port. Text form `host:port`, `[v6]:port`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// Host name (lower case) or IP literal without brackets.
    pub host: String,
    /// TCP port, never 0.
    pub port: u16,
}

/// A text that is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an address (expected host:port, for example db1.example:3306)")]
pub struct AddressError {
    /// The offending text.
    pub text: String,
}

impl Address {
    /// An address from its parts; the host is lower-cased.
    ///
    /// # Errors
    /// Refuses an empty host, a host with white space or `/`, and port 0.
    pub fn new(host: &str, port: u16) -> Result<Self, AddressError> {
        let host = host
            .trim()
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_ascii_lowercase();
        let bad = host.is_empty()
            || host.len() > 255
            || port == 0
            || host.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/');
        if bad {
            return Err(AddressError {
                text: format!("{host}:{port}"),
            });
        }
        Ok(Self { host, port })
    }

    /// Parses `host:port`, `[v6]:port`, or a bare host with `default_port`.
    ///
    /// # Errors
    /// Says which text was refused.
    pub fn parse(text: &str, default_port: Option<u16>) -> Result<Self, AddressError> {
        let refused = || AddressError {
            text: text.to_owned(),
        };
        let trimmed = text.trim();
        let (host, port) = if let Some(rest) = trimmed.strip_prefix('[') {
            let (host, tail) = rest.split_once(']').ok_or_else(refused)?;
            (host, tail.strip_prefix(':'))
        } else if trimmed.matches(':').count() > 1 {
            (trimmed, None)
        } else {
            match trimmed.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (trimmed, None),
            }
        };
        let port = match (port, default_port) {
            (Some(port), _) => port.parse().map_err(|_| refused())?,
            (None, Some(port)) => port,
            (None, None) => return Err(refused()),
        };
        Self::new(host, port).map_err(|_| refused())
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text, None)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_all_forms() {
        let text = |t: &str| Address::parse(t, Some(3306)).map(|a| a.to_string());
        assert_eq!(text("DB1.example"), Ok("db1.example:3306".into()));
        assert_eq!(text("10.0.0.1:3307"), Ok("10.0.0.1:3307".into()));
        assert_eq!(text("[::1]:3307"), Ok("[::1]:3307".into()));
        assert_eq!(text("fe80::1"), Ok("[fe80::1]:3306".into()));
        for bad in [
            "",
            ":3306",
            "a b:1",
            "db:0",
            "db:99999",
            "[::1",
            "//db:3306",
            "db:x",
        ] {
            assert!(text(bad).is_err(), "{bad:?} was accepted");
        }
        assert!(Address::parse("db1", None).is_err());
    }
}
