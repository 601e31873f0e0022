//! `docs/glossary.md`: terms that the code uses, each explained in a sentence or two.

use super::repository::{demand_none, files, read};

/// An entry: `- **term**: Explanation.`, which may go on in the next lines.
struct Entry {
    term: String,
    explanation: String,
}

fn entries(text: &str) -> Vec<Entry> {
    let items = text.split("\n- **").skip(1);
    let entries = items.map(|item| {
        let item = item.split("\n\n").next().unwrap();
        let item = item.split_whitespace().collect::<Vec<_>>().join(" ");
        let (term, explanation) = item.split_once("**: ").unwrap();
        Entry {
            term: term.to_owned(),
            explanation: explanation.to_owned(),
        }
    });
    entries.collect()
}

/// Lower case, with a blank between words however they were joined: `ReplicaLag`, `replica_lag`.
fn words(text: &str) -> String {
    let mut words = String::with_capacity(text.len());
    let mut after_lower = false;
    for letter in text.chars() {
        if letter.is_uppercase() && after_lower {
            words.push(' ');
        }
        after_lower = letter.is_lowercase();
        if letter.is_alphanumeric() {
            words.extend(letter.to_lowercase());
        } else if !words.ends_with(' ') {
            words.push(' ');
        }
    }
    words
}

/// Whether the term, or its plural, is among those words.
fn has_term(text: &str, term: &str) -> bool {
    let term = words(term);
    text.contains(&format!(" {term} ")) || text.contains(&format!(" {term}s "))
}

#[test]
fn each_term_is_used() {
    let sources = files(&[".rs", ".wit"]);
    let code: Vec<(&str, String)> = sources
        .iter()
        .filter(|(path, _)| path.starts_with("host/") || path.starts_with("wit/"))
        .map(|(_, text)| (text.as_str(), words(text)))
        .collect();
    let mut offences = Vec::new();
    for entry in entries(&read("docs/glossary.md")) {
        if !code.iter().any(|(_, words)| has_term(words, &entry.term)) {
            offences.push(entry.term.clone());
        }
        for name in entry.explanation.split('`').skip(1).step_by(2) {
            if !code.iter().any(|(text, _)| text.contains(name)) {
                offences.push(format!("{}: `{name}`", entry.term));
            }
        }
    }
    demand_none("terms and names that the code does not use", &offences);
}

#[test]
fn each_entry_is_short() {
    let entries = entries(&read("docs/glossary.md"));
    let mut offences = Vec::new();
    for entry in &entries {
        let sentences = entry.explanation.matches(". ").count() + 1;
        if sentences > 2 || !entry.explanation.ends_with('.') {
            offences.push(format!("{}: one or two sentences", entry.term));
        }
    }
    for pair in entries.windows(2) {
        if pair[0].term.to_lowercase() >= pair[1].term.to_lowercase() {
            offences.push(format!("{}: not in order", pair[1].term));
        }
    }
    demand_none("entries of the glossary", &offences);
}

#[test]
fn words_are_found_however_they_are_joined() {
    assert_eq!(words("ReplicaLag, replica_lag"), "replica lag replica lag");
    assert!(has_term(&words("a GtidSets b"), "GTID set") && !has_term(" lagging ", "lag"));
}
