//! The two families of servers Baton manages.

use std::fmt;
use std::str::FromStr;

use anyhow::bail;

/// A family of servers: what differs is options, SQL and accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Flavor {
    /// MariaDB, 10.11 on Debian 12.
    MariaDb,
    /// MySQL, 9.7 as `cargo xtask setup` fetches it.
    MySql,
}

impl Flavor {
    /// Both, for tests that run on each.
    pub const ALL: [Self; 2] = [Self::MariaDb, Self::MySql];

    /// The name used on command lines and in directory names.
    pub fn name(self) -> &'static str {
        match self {
            Self::MariaDb => "mariadb",
            Self::MySql => "mysql",
        }
    }
}

impl fmt::Display for Flavor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Flavor {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "mariadb" => Ok(Self::MariaDb),
            "mysql" => Ok(Self::MySql),
            other => bail!("unknown flavor {other:?}: mariadb or mysql"),
        }
    }
}
