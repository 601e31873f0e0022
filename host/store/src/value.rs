//! Values that travel to and from the database: integers and texts only, which all engines store
//! alike.

use std::time::Duration;

use baton_core::ids::{Address, ClusterId, LeaseEpoch, NodeName, RecoveryId, ServerId};
use baton_core::time::WallTime;

use crate::failure::{Failure, Malformed};

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing.
    Null,
    /// A whole number.
    Integer(i64),
    /// A text.
    Text(String),
}

/// Values for the placeholders of a statement, in order.
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$($crate::value::Value::from($value)),*] };
}
pub(crate) use values;

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<u64> for Value {
    /// Numbers beyond the database's range become its largest: they are times without end, never
    /// counters.
    fn from(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Integer(i64::from(number))
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Integer(i64::from(number))
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Integer(i64::from(flag))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

macro_rules! from_id {
    ($($id:ty),*) => {
        $(impl From<&$id> for Value {
            fn from(id: &$id) -> Self {
                Self::Text(id.as_str().to_owned())
            }
        })*
    };
}
from_id!(ServerId, ClusterId, RecoveryId, NodeName);

impl From<LeaseEpoch> for Value {
    fn from(epoch: LeaseEpoch) -> Self {
        Self::from(epoch.0)
    }
}

impl From<WallTime> for Value {
    fn from(time: WallTime) -> Self {
        Self::from(time.millis())
    }
}

impl From<Duration> for Value {
    fn from(duration: Duration) -> Self {
        Self::from(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }
}

/// One row of a result, read column by column in the order of the `SELECT`.
#[derive(Debug)]
pub struct Row(std::vec::IntoIter<Value>);

impl Row {
    /// A row of these values.
    pub(crate) fn new(values: Vec<Value>) -> Self {
        Self(values.into_iter())
    }

    /// All its values.
    pub(crate) fn into_values(self) -> Vec<Value> {
        self.0.collect()
    }

    fn refuse<T>(
        column: &'static str,
        found: &Value,
        expected: &'static str,
    ) -> Result<T, Failure> {
        Err(Malformed {
            column,
            found: format!("{found:?}"),
            expected,
        }
        .into())
    }

    fn next(&mut self) -> Value {
        self.0.next().unwrap_or(Value::Null)
    }

    /// A text or nothing.
    pub(crate) fn text_or_null(&mut self, column: &'static str) -> Result<Option<String>, Failure> {
        match self.next() {
            Value::Text(text) => Ok(Some(text)),
            Value::Null => Ok(None),
            found @ Value::Integer(_) => Self::refuse(column, &found, "a text or nothing"),
        }
    }

    /// A text.
    pub(crate) fn text(&mut self, column: &'static str) -> Result<String, Failure> {
        match self.text_or_null(column)? {
            Some(text) => Ok(text),
            None => Self::refuse(column, &Value::Null, "a text"),
        }
    }

    /// A number or nothing.
    pub(crate) fn integer_or_null(&mut self, column: &'static str) -> Result<Option<i64>, Failure> {
        match self.next() {
            Value::Integer(number) => Ok(Some(number)),
            Value::Null => Ok(None),
            found @ Value::Text(_) => Self::refuse(column, &found, "a number or nothing"),
        }
    }

    /// A number.
    pub(crate) fn integer(&mut self, column: &'static str) -> Result<i64, Failure> {
        match self.integer_or_null(column)? {
            Some(number) => Ok(number),
            None => Self::refuse(column, &Value::Null, "a number"),
        }
    }

    /// A number that fits the wanted type.
    pub(crate) fn number<T: TryFrom<i64>>(&mut self, column: &'static str) -> Result<T, Failure> {
        let number = self.integer(column)?;
        match T::try_from(number) {
            Ok(fitting) => Ok(fitting),
            Err(_) => Self::refuse(column, &Value::Integer(number), "a number of that range"),
        }
    }

    /// A flag.
    pub(crate) fn flag(&mut self, column: &'static str) -> Result<bool, Failure> {
        Ok(self.integer(column)? != 0)
    }

    /// A lease epoch.
    pub(crate) fn epoch(&mut self, column: &'static str) -> Result<LeaseEpoch, Failure> {
        self.number(column).map(LeaseEpoch)
    }

    /// A wall-clock time.
    pub(crate) fn time(&mut self, column: &'static str) -> Result<WallTime, Failure> {
        self.number(column).map(WallTime::from_millis)
    }

    /// A wall-clock time or nothing.
    pub(crate) fn time_or_null(
        &mut self,
        column: &'static str,
    ) -> Result<Option<WallTime>, Failure> {
        match self.integer_or_null(column)? {
            None => Ok(None),
            Some(number) => match u64::try_from(number) {
                Ok(millis) => Ok(Some(WallTime::from_millis(millis))),
                Err(_) => Self::refuse(column, &Value::Integer(number), "a time"),
            },
        }
    }

    /// A server's identity or nothing.
    pub(crate) fn server_or_null(
        &mut self,
        column: &'static str,
    ) -> Result<Option<ServerId>, Failure> {
        Ok(self.text_or_null(column)?.map(ServerId::new))
    }

    /// An address.
    pub(crate) fn address(&mut self, column: &'static str) -> Result<Address, Failure> {
        match self.address_or_null(column)? {
            Some(address) => Ok(address),
            None => Self::refuse(column, &Value::Null, "an address"),
        }
    }

    /// An address or nothing.
    pub(crate) fn address_or_null(
        &mut self,
        column: &'static str,
    ) -> Result<Option<Address>, Failure> {
        self.text_or_null(column)?
            .map(|text| parse_address(column, &text))
            .transpose()
    }

    /// A word that `read` knows.
    pub(crate) fn word<T>(
        &mut self,
        column: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Failure> {
        let word = self.text(column)?;
        match read(&word) {
            Some(known) => Ok(known),
            None => Self::refuse(column, &Value::Text(word), "a word this program knows"),
        }
    }

    /// A list of texts, stored as JSON.
    pub(crate) fn list(&mut self, column: &'static str) -> Result<Vec<String>, Failure> {
        let text = self.text(column)?;
        Self::parse_list(column, text)
    }

    /// A list of texts, or nothing.
    pub(crate) fn list_or_null(
        &mut self,
        column: &'static str,
    ) -> Result<Option<Vec<String>>, Failure> {
        let text = self.text_or_null(column)?;
        text.map(|text| Self::parse_list(column, text)).transpose()
    }

    fn parse_list(column: &'static str, text: String) -> Result<Vec<String>, Failure> {
        match serde_json::from_str(&text) {
            Ok(list) => Ok(list),
            Err(_) => Self::refuse(column, &Value::Text(text), "a list of texts"),
        }
    }
}

/// Reads an address out of the text of `column`.
pub(crate) fn parse_address(column: &'static str, text: &str) -> Result<Address, Failure> {
    match Address::parse(text, None) {
        Ok(address) => Ok(address),
        Err(_) => Row::refuse(column, &Value::Text(text.to_owned()), "an address"),
    }
}

/// A list of texts as one stored text.
pub(crate) fn list_text<T: AsRef<str>>(list: impl IntoIterator<Item = T>) -> String {
    let texts = list
        .into_iter()
        .map(|item| serde_json::Value::from(item.as_ref()))
        .collect();
    serde_json::Value::Array(texts).to_string()
}
