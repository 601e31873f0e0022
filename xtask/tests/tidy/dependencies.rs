//! Dependencies: each is used, and its licence is one that `deny.toml` allows.
//!
//! `cargo deny` checks more, where it is installed. These tests need cargo only.

use std::env;
use std::process::Command;

use super::repository::{demand_none, files, packages, read, root};

/// Known to be unused. May only shrink.
const UNUSED: [&str; 0] = [];

#[test]
fn each_dependency_is_used() {
    let sources = files(&[".rs"]);
    let mut unused = Vec::new();
    for folder in packages() {
        let own = format!("{folder}/");
        let own: Vec<&str> = sources
            .iter()
            .filter(|(path, _)| path.starts_with(&own))
            .map(|(_, text)| text.as_str())
            .collect();
        for name in dependencies(&read(&format!("{folder}/Cargo.toml"))) {
            let module = name.replace('-', "_");
            if !own.iter().any(|text| has_word(text, &module)) {
                unused.push(format!("{folder}: {name}"));
            }
        }
    }
    assert_eq!(unused, UNUSED, "dependencies that no source file names");
}

/// The names under `[dependencies]` and its kin.
fn dependencies(manifest: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut is_inside = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            is_inside = line.ends_with("dependencies]");
        } else if let Some((name, _)) = line.split_once(['.', ' ', '='])
            && is_inside
            && !line.starts_with('#')
        {
            names.push(name);
        }
    }
    names
}

fn has_word(text: &str, word: &str) -> bool {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

#[test]
fn licences_are_allowed() {
    let deny = read("deny.toml");
    let allowed = allowed(&deny);
    let tree = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["tree", "--workspace", "--locked", "--offline"])
        .args(["--prefix", "none", "--format", "{l}|{p}"])
        .current_dir(root())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&tree.stderr);
    assert!(tree.status.success(), "cargo tree failed: {errors}");
    let told = String::from_utf8(tree.stdout).unwrap();
    let lines = told.lines().filter_map(|line| line.split_once('|'));
    let mut offences: Vec<String> = lines
        .filter(|(licence, _)| !is_allowed(licence, &allowed))
        .map(|(licence, package)| format!("{package}: {licence:?}"))
        .collect();
    offences.sort();
    offences.dedup();
    demand_none("licences that deny.toml does not allow", &offences);
}

/// The list `allow` of `deny.toml`.
fn allowed(deny: &str) -> Vec<&str> {
    let (_, rest) = deny.split_once("\nallow = [").unwrap();
    let list = rest.split(']').next().unwrap();
    list.split('"').skip(1).step_by(2).collect()
}

/// Whether an SPDX expression is satisfied by allowed licences. An old form writes `/` for `OR`.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression.replace('/', " OR ");
    let spaced = spaced.replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    any_of(&mut words, allowed) && words.next().is_none()
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any_of(words: &mut Words<'_>, allowed: &[&str]) -> bool {
    let mut is_satisfied = all_of(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        is_satisfied |= all_of(words, allowed);
    }
    is_satisfied
}

fn all_of(words: &mut Words<'_>, allowed: &[&str]) -> bool {
    let mut is_satisfied = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        is_satisfied &= one(words, allowed);
    }
    is_satisfied
}

fn one(words: &mut Words<'_>, allowed: &[&str]) -> bool {
    if words.next_if_eq(&"(").is_some() {
        return any_of(words, allowed) && words.next() == Some(")");
    }
    let mut name = Vec::new();
    while let Some(word) = words.next_if(|word| !matches!(*word, "AND" | "OR" | ")")) {
        name.push(word);
    }
    allowed.contains(&name.join(" ").as_str())
}

#[test]
fn expressions_of_licences_are_understood() {
    let allowed = ["MIT", "Zlib", "A WITH x"];
    for good in ["MIT", "GPL/MIT", "(GPL OR MIT) AND Zlib", "A WITH x OR B"] {
        assert!(is_allowed(good, &allowed), "{good}");
    }
    for bad in ["", "GPL", "MIT AND GPL", "A", "(MIT", "MIT)"] {
        assert!(!is_allowed(bad, &allowed), "{bad}");
    }
}
