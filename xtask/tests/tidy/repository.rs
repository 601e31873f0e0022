//! The repository's files, and how an offence is told.

use std::fs;
use std::path::{Path, PathBuf};

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap().to_owned()
}

/// Files below the root whose name ends so, with their text, by path relative to the root.
pub(crate) fn files(endings: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect(&root(), endings, &mut found);
    assert!(!found.is_empty(), "no files end with {endings:?}");
    found.sort();
    found
}

fn collect(folder: &Path, endings: &[&str], found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        if path.is_dir() {
            // What was built, and what git keeps.
            if name != "target" && name != ".git" && !path.is_symlink() {
                collect(&path, endings, found);
            }
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            let relative = path.strip_prefix(root()).unwrap().display().to_string();
            found.push((relative, fs::read_to_string(&path).unwrap()));
        }
    }
}

/// The text of a file, by its path relative to the root.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// Fails and prints the offences, if there are any.
pub(crate) fn demand_none(what: &str, offences: &[String]) {
    assert!(offences.is_empty(), "{what}:\n  {}", offences.join("\n  "));
}

/// The folders of the workspace's packages.
pub(crate) fn packages() -> Vec<String> {
    let manifests = files(&["Cargo.toml"]).into_iter();
    let folders = manifests.filter_map(|(path, _)| {
        let folder = path.strip_suffix("/Cargo.toml")?;
        (!folder.starts_with("plugins")).then(|| folder.to_owned())
    });
    folders.collect()
}
