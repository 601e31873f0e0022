//! Prepared XA transactions.

use std::collections::BTreeSet;

use crate::rows::{Record, Table};

/// The format of a name that says nothing else.
const USUAL_FORMAT: u32 = 1;

/// The names of all prepared transactions, as `XA COMMIT` takes them.
pub(super) fn names(table: &Table) -> BTreeSet<String> {
    let name = |record: Record<'_>| {
        let data = record.text(&["data"])?;
        let shown = data
            .strip_prefix("0x")
            .and_then(|digits| from_digits(&record, digits));
        Some(shown.unwrap_or_else(|| data.to_owned()))
    };
    table.records().filter_map(name).collect()
}

/// MySQL shows one number. MariaDB writes a name like this one by itself.
fn from_digits(record: &Record<'_>, digits: &str) -> Option<String> {
    let length = record.number::<usize>(&["gtrid_length"])?;
    let (global, branch) = digits.split_at_checked(length.checked_mul(2)?)?;
    let format = record.number::<u32>(&["formatID"])?;
    let mut name = literal(global);
    if !branch.is_empty() || format != USUAL_FORMAT {
        name = format!("{name},{}", literal(branch));
    }
    if format != USUAL_FORMAT {
        name = format!("{name},{format}");
    }
    Some(name)
}

/// A text if all of it is plain, else the digits.
fn literal(digits: &str) -> String {
    let text = |pair: &[u8]| {
        let byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        let plain = (byte.is_ascii_graphic() || byte == b' ') && byte != b'\'' && byte != b'\\';
        plain.then(|| char::from(byte))
    };
    let text: Option<String> = digits.as_bytes().chunks(2).map(text).collect();
    text.map_or_else(
        || format!("X'{}'", digits.to_ascii_lowercase()),
        |text| format!("'{text}'"),
    )
}
