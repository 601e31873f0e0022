//! Names of prepared XA transactions.

/// Names shown of a long list.
const SHOWN: usize = 5;

/// The first names of prepared transactions as a text.
pub fn named<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> String {
    let more = names.len() > SHOWN;
    let mut shown: Vec<&str> = names.take(SHOWN).map(String::as_str).collect();
    if more {
        shown.push("...");
    }
    shown.join("; ")
}
