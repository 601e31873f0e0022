//! Reading MySQL's GTID sets: the grammar that a MySQL 9.7 server accepts.
//!
//! ```text
//! set      = [ source ] *( "," [ source ] )
//! source   = uuid *( ":" ( tag | interval ) )
//! interval = number [ "-" number ]
//! ```
//!
//! White space may stand between any two of these. A tag holds for the intervals after it, up to
//! the next tag or comma. A UUID or tag without intervals adds nothing.

use super::interval::{GNO_MAX, Interval};
use super::mysql::MysqlGtidSet;
use super::uuid::{Tag, Uuid};

/// A text is not a MySQL GTID set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseMysqlGtidError {
    /// Something else was to stand there.
    #[error("cannot read MySQL GTID set: expected {expected} at byte {at}, found {found:?}")]
    Unexpected {
        /// What the grammar wants there.
        expected: &'static str,
        /// Bytes before the place.
        at: usize,
        /// The start of what stands there; empty at the end of the text.
        found: String,
    },
    /// A transaction number is zero where it must not be, or above [`GNO_MAX`].
    #[error(
        "cannot read MySQL GTID set: transaction number at byte {at} is out of range: {found:?}"
    )]
    NumberOutOfRange {
        /// Bytes before the number.
        at: usize,
        /// The start of the number.
        found: String,
    },
}

pub(super) fn parse(text: &str) -> Result<MysqlGtidSet, ParseMysqlGtidError> {
    let mut reader = Reader {
        text,
        rest: text.as_bytes(),
    };
    let mut parts = Vec::new();
    reader.skip_space();
    loop {
        while reader.take(b',') {}
        if reader.rest.is_empty() {
            return Ok(parts.into_iter().collect());
        }
        reader.read_source(&mut parts)?;
        if !reader.rest.is_empty() && !reader.is_at(b',') {
            return Err(reader.unexpected("a comma, colon or the end"));
        }
    }
}

/// How much of the offending text an error shows, in characters.
const EXCERPT_CHARS_MAX: usize = 16;

/// The text and what of it is still to be read. Space after each part is skipped with it.
struct Reader<'a> {
    text: &'a str,
    rest: &'a [u8],
}

impl Reader<'_> {
    fn read_source(
        &mut self,
        parts: &mut Vec<(Uuid, Option<Tag>, Interval)>,
    ) -> Result<(), ParseMysqlGtidError> {
        let Some((uuid, rest)) = Uuid::parse_prefix(self.rest) else {
            return Err(self.unexpected("a UUID"));
        };
        self.rest = rest;
        self.skip_space();
        let mut tag = None;
        while self.take(b':') {
            if let Some((next_tag, rest)) = Tag::parse_prefix(self.rest) {
                tag = Some(next_tag);
                self.rest = rest;
                self.skip_space();
            } else if let Some(interval) = self.read_interval()? {
                parts.push((uuid, tag.clone(), interval));
            }
        }
        Ok(())
    }

    /// Nothing if the interval ends before it starts, as the server has it.
    fn read_interval(&mut self) -> Result<Option<Interval>, ParseMysqlGtidError> {
        let at_start = self.rest;
        let start = self.read_number("a number or a tag")?;
        if start == 0 {
            return Err(Self {
                text: self.text,
                rest: at_start,
            }
            .out_of_range());
        }
        let end = if self.take(b'-') {
            self.read_number("a number")?
        } else {
            start
        };
        Ok(Interval::from_first_to_last(start, end))
    }

    fn read_number(&mut self, expected: &'static str) -> Result<u64, ParseMysqlGtidError> {
        let mut rest = self.rest;
        let mut number = 0_u64;
        while let Some((digit @ b'0'..=b'9', tail)) = rest.split_first() {
            // Saturated numbers are out of range anyway.
            number = number
                .saturating_mul(10)
                .saturating_add(u64::from(digit - b'0'));
            rest = tail;
        }
        if rest.len() == self.rest.len() {
            return Err(self.unexpected(expected));
        }
        if number > GNO_MAX {
            return Err(self.out_of_range());
        }
        self.rest = rest;
        self.skip_space();
        Ok(number)
    }

    fn is_at(&self, byte: u8) -> bool {
        self.rest.first() == Some(&byte)
    }

    fn take(&mut self, byte: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                self.skip_space();
                true
            }
            Some(_) | None => false,
        }
    }

    fn skip_space(&mut self) {
        // C's isspace, which the server uses; Rust's own set lacks the vertical tab.
        while let Some((b' ' | b'\t'..=b'\r', rest)) = self.rest.split_first() {
            self.rest = rest;
        }
    }

    fn at(&self) -> usize {
        self.text.len() - self.rest.len()
    }

    fn excerpt(&self) -> String {
        let rest = self.text.get(self.at()..).unwrap_or_default();
        rest.chars().take(EXCERPT_CHARS_MAX).collect()
    }

    fn unexpected(&self, expected: &'static str) -> ParseMysqlGtidError {
        ParseMysqlGtidError::Unexpected {
            expected,
            at: self.at(),
            found: self.excerpt(),
        }
    }

    fn out_of_range(&self) -> ParseMysqlGtidError {
        ParseMysqlGtidError::NumberOutOfRange {
            at: self.at(),
            found: self.excerpt(),
        }
    }
}
