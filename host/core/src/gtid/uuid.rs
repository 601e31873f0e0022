//! The two parts that name a stream of MySQL transactions: the originating server and the tag.

use std::fmt;
use std::str::FromStr;

/// A server's UUID. It prints in lower case with hyphens, as MySQL does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid([u8; 16]);

/// A text is not a UUID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read {text:?} as a UUID")]
pub struct ParseUuidError {
    text: String,
}

/// Bytes of a UUID before each of which the hyphenated form has a hyphen.
const HYPHEN_BEFORE_BYTE: [usize; 4] = [4, 6, 8, 10];

impl Uuid {
    /// The UUID with these bytes, most significant first.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes, most significant first.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Reads a UUID from the start of `text`: hyphenated, hyphenated in braces, or 32 digits, which
    /// is what a MySQL 9.7 server accepts. Answers with what follows it.
    pub(super) fn parse_prefix(text: &[u8]) -> Option<(Self, &[u8])> {
        let (in_braces, mut rest) = match text.split_first()? {
            (b'{', rest) => (true, rest),
            _ => (false, text),
        };
        let hyphenated = in_braces || rest.get(8) == Some(&b'-');
        let mut bytes = [0; 16];
        for (index, byte) in bytes.iter_mut().enumerate() {
            if hyphenated && HYPHEN_BEFORE_BYTE.contains(&index) {
                rest = rest.strip_prefix(b"-")?;
            }
            let [high, low, tail @ ..] = rest else {
                return None;
            };
            *byte = (hex_digit(*high)? << 4) | hex_digit(*low)?;
            rest = tail;
        }
        if in_braces {
            rest = rest.strip_prefix(b"}")?;
        }
        Some((Self(bytes), rest))
    }
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

impl FromStr for Uuid {
    type Err = ParseUuidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match Self::parse_prefix(text.as_bytes()) {
            Some((uuid, [])) => Ok(uuid),
            Some(_) | None => Err(ParseUuidError {
                text: text.to_owned(),
            }),
        }
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if HYPHEN_BEFORE_BYTE.contains(&index) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The tag of a tagged GTID (MySQL 8.3 and later): up to 32 of `a-z`, `0-9` and `_`, not starting
/// with a digit. Capitals are folded, as the server does.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(String);

/// A text is not a tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read {text:?} as a GTID tag")]
pub struct ParseTagError {
    text: String,
}

/// The longest tag a server accepts, in bytes (manual, "GTID Format and Storage").
const TAG_BYTES_MAX: usize = 32;

impl Tag {
    /// The tag's text, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads the longest tag at the start of `text`; none if there is none or it is too long.
    pub(super) fn parse_prefix(text: &[u8]) -> Option<(Self, &[u8])> {
        let first = text.first()?;
        if !first.is_ascii_alphabetic() && *first != b'_' {
            return None;
        }
        let is_in_tag = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
        let length = text.iter().take_while(is_in_tag).count();
        if length > TAG_BYTES_MAX {
            return None;
        }
        let (tag, rest) = text.split_at_checked(length)?;
        Some((
            Self(
                tag.iter()
                    .map(|byte| char::from(byte.to_ascii_lowercase()))
                    .collect(),
            ),
            rest,
        ))
    }
}

impl FromStr for Tag {
    type Err = ParseTagError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match Self::parse_prefix(text.as_bytes()) {
            Some((tag, [])) => Ok(tag),
            Some(_) | None => Err(ParseTagError {
                text: text.to_owned(),
            }),
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
