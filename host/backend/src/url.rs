//! `mysql://user:secret@host:port/database`.

use std::fmt;

use baton_core::ids::Address;
use baton_mysql::{Account, Secret};
use percent_encoding::percent_decode_str;

/// Port of a node whose URL has none.
const MYSQL_PORT: u16 = 3306;

/// Most characters of a database's name, as the servers allow.
const NAME_MAX: usize = 64;

/// Where a node is and how to log in. Printed without the password.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    /// `host:port`.
    pub address: Address,
    /// Account.
    pub account: Account,
    /// Database that holds the tables.
    pub database: String,
    /// As configured.
    text: String,
}

/// Why a text is no such URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlProblem {
    /// Another scheme.
    #[error("must begin with mysql://")]
    Scheme,
    /// No account.
    #[error("names no user (expected mysql://user:secret@host:port/database)")]
    User,
    /// No or a wrong address.
    #[error("has no valid host:port (expected mysql://user:secret@host:port/database)")]
    Address,
    /// No or a wrong database.
    #[error("names no database (expected mysql://user:secret@host:port/database)")]
    Database,
    /// A query or fragment.
    #[error("must end after the database")]
    Rest,
    /// Percent signs that stand for no text.
    #[error("is not well encoded: user and password are percent-encoded UTF-8")]
    Encoding,
}

impl DatabaseUrl {
    /// Reads a URL. User, password and database may be percent-encoded.
    ///
    /// # Errors
    /// What is wrong with it, without any part of it.
    pub fn parse(text: &str) -> Result<Self, UrlProblem> {
        let rest = text.strip_prefix("mysql://").ok_or(UrlProblem::Scheme)?;
        let (login, place) = rest.rsplit_once('@').ok_or(UrlProblem::User)?;
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let (address, database) = place.split_once('/').ok_or(UrlProblem::Database)?;
        if database.contains(['?', '#']) {
            return Err(UrlProblem::Rest);
        }
        let (user, database) = (decoded(user)?, decoded(database)?);
        if user.is_empty() {
            return Err(UrlProblem::User);
        }
        let is_name = |name: &str| {
            !name.is_empty() && name.len() <= NAME_MAX && !name.contains(['/', '`', '\0'])
        };
        if !is_name(&database) {
            return Err(UrlProblem::Database);
        }
        let address = Address::parse(address, Some(MYSQL_PORT)).map_err(|_| UrlProblem::Address)?;
        Ok(Self {
            address,
            account: Account {
                user,
                password: Secret::new(decoded(password)?),
            },
            database,
            text: text.to_owned(),
        })
    }

    /// As configured, password included: for the one that logs in.
    pub fn reveal(&self) -> &str {
        &self.text
    }
}

fn decoded(text: &str) -> Result<String, UrlProblem> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| UrlProblem::Encoding)
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (user, address, database) = (&self.account.user, &self.address, &self.database);
        write!(f, "mysql://{user}:<redacted>@{address}/{database}")
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_and_the_password_is_not_printed() {
        let url = DatabaseUrl::parse("mysql://ba%40ton:p%3As3cret@db1.example/state").unwrap();
        assert_eq!(url.address.to_string(), "db1.example:3306");
        assert_eq!(url.account.user, "ba@ton");
        assert_eq!(url.account.password, Secret::new("p:s3cret"));
        assert_eq!(url.database, "state");
        let shown = format!("{url} {url:?}");
        assert!(!shown.contains("s3cret"), "{shown}");
        let six = DatabaseUrl::parse("mysql://u@[::1]:3307/d").unwrap();
        assert_eq!(six.address.port, 3307);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let wrong = |text| DatabaseUrl::parse(text).unwrap_err();
        assert_eq!(wrong("postgres://u@h/d"), UrlProblem::Scheme);
        assert_eq!(wrong("mysql://h/d"), UrlProblem::User);
        assert_eq!(wrong("mysql://:p@h/d"), UrlProblem::User);
        assert_eq!(wrong("mysql://u@h"), UrlProblem::Database);
        assert_eq!(wrong("mysql://u@h/"), UrlProblem::Database);
        assert_eq!(wrong("mysql://u@h/a%60b"), UrlProblem::Database);
        assert_eq!(wrong("mysql://u@h:x/d"), UrlProblem::Address);
        assert_eq!(wrong("mysql://u@h/d?ssl-mode=required"), UrlProblem::Rest);
        assert_eq!(wrong("mysql://u:%ff@h/d"), UrlProblem::Encoding);
    }
}
