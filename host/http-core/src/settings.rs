//! What the operator may choose about the HTTP edge.

use std::fmt;
use std::str::FromStr;

/// Settings of the HTTP edge.
#[derive(Clone, Default)]
pub struct HttpSettings {
    /// Refuse everything that changes anything.
    pub read_only: bool,
    /// Users (name, password) of HTTP basic authentication. If there is one, changes need it. Empty
    /// = open to all.
    pub users: Vec<(String, String)>,
    /// Path under which everything is served.
    pub url_prefix: UrlPrefix,
}

impl fmt::Debug for HttpSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.users.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("HttpSettings")
            .field("read_only", &self.read_only)
            .field("users", &names)
            .field("url_prefix", &self.url_prefix.as_str())
            .finish()
    }
}

/// A path such as `/baton`, or nothing: no slash at the end, only unreserved characters of URLs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UrlPrefix(String);

impl UrlPrefix {
    /// The path; empty if there is none.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no URL prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no URL prefix (expected for example /baton; letters, digits, - . _ ~ and /)")]
pub struct UrlPrefixError {
    /// The offending text.
    pub text: String,
}

impl FromStr for UrlPrefix {
    type Err = UrlPrefixError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || UrlPrefixError {
            text: text.to_owned(),
        };
        let trimmed = text.trim_matches('/');
        if trimmed.is_empty() {
            return Ok(Self::default());
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
        let is_good = |part: &str| {
            !part.is_empty() && part != "." && part != ".." && part.chars().all(is_plain)
        };
        if trimmed.split('/').all(is_good) {
            Ok(Self(format!("/{trimmed}")))
        } else {
            Err(refused())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_normalised_or_refused() {
        let parse = |text: &str| text.parse::<UrlPrefix>().map(|p| p.as_str().to_owned());
        assert_eq!(parse(""), Ok(String::new()));
        assert_eq!(parse("/"), Ok(String::new()));
        assert_eq!(parse("a/b/"), Ok("/a/b".into()));
        for bad in ["/{x}", "/a//b", "/*all", "/a b", "/..", "/<script>"] {
            assert!(parse(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn passwords_are_not_printed() {
        let settings = HttpSettings {
            users: vec![("ann".into(), "hush".into())],
            ..HttpSettings::default()
        };
        assert!(!format!("{settings:?}").contains("hush"));
    }
}
