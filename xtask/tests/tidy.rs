//! What holds for the repository as a whole: documents that are true, files that can be read in one
//! sitting.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests end the test"
)]

#[path = "tidy/dependencies.rs"]
mod dependencies;
#[path = "tidy/glossary.rs"]
mod glossary;
#[path = "tidy/ratchets.rs"]
mod ratchets;
#[path = "tidy/repository.rs"]
mod repository;
#[path = "tidy/walls.rs"]
mod walls;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use repository::{demand_none, files, packages, read, root};

/// Where an invariant's test is unless the invariant says otherwise, as `ARCHITECTURE.md` has it.
const CHECK_TESTS: &str = "host/core/src/check/tests.rs";

/// Crates behind an edge, and the only packages of `host` that may build upon them.
const EDGES: [(&str, &[&str]); 4] = [
    ("axum", &["host/http", "host/http-core", "host/compat"]),
    ("mysql_async", &["host/mysql"]),
    ("sqlx", &["host/store"]),
    ("wasmtime", &["host/wasm"]),
];

/// Left-overs, in pieces, so that this file does not contain them.
const LEFT_OVERS: [[&str; 2]; 7] = [
    ["TO", "DO"],
    ["FIX", "ME"],
    ["to", "do!("],
    ["unimple", "mented!"],
    ["db", "g!("],
    ["#[ig", "nore"],
    ["<<<", "<<<<"],
];

/// Traces of the machine on which something was written, in pieces as well.
const MACHINE_TRACES: [[&str; 2]; 6] = [
    ["/ro", "ot/"],
    ["/ho", "me/"],
    ["/Us", "ers/"],
    ["/wo", "rk/"],
    ["/tmp/", "wt"],
    ["index.cra", "tes.io"],
];

/// Looks for the same traces in the prebuilt components, and so has to name them.
const NAMES_TRACES: &str = "host/wasm/src/tests/contract.rs";

fn is_test(path: &str) -> bool {
    path.ends_with("tests.rs") || path.split('/').any(|part| part == "tests")
}

#[test]
fn nothing_is_left_over() {
    let endings = [
        ".rs", ".toml", ".md", ".wit", ".js", ".css", ".html", ".sql",
    ];
    let mut offences = Vec::new();
    for (path, text) in files(&endings) {
        let mut needles: Vec<String> = LEFT_OVERS.iter().map(|parts| parts.concat()).collect();
        if path != NAMES_TRACES {
            needles.extend(MACHINE_TRACES.iter().map(|parts| parts.concat()));
        }
        for (number, line) in (1..).zip(text.lines()) {
            for needle in needles.iter().filter(|needle| line.contains(*needle)) {
                offences.push(format!("{path}:{number}: {needle}"));
            }
        }
    }
    demand_none("left over", &offences);
}

#[test]
fn locked_packages_come_from_the_public_registry() {
    let public = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    let mut offences = Vec::new();
    for (path, text) in files(&["Cargo.lock"]) {
        let sources = text.lines().filter(|line| line.starts_with("source = "));
        let foreign = sources.filter(|line| *line != public);
        offences.extend(foreign.map(|line| format!("{path}: {line}")));
    }
    demand_none("packages from elsewhere", &offences);
}

#[test]
fn each_edge_has_one_package() {
    let mut offences = Vec::new();
    let mut in_use = BTreeSet::new();
    for folder in packages() {
        let manifest = read(&format!("{folder}/Cargo.toml"));
        let mut section = "";
        for line in manifest.lines() {
            if line.starts_with('[') {
                section = line;
            }
            let name = line.split(['.', ' ', '=']).next().unwrap();
            let edge = EDGES.iter().find(|(dependency, _)| *dependency == name);
            let Some((dependency, owners)) = edge.filter(|_| section == "[dependencies]") else {
                continue;
            };
            if owners.contains(&folder.as_str()) {
                in_use.insert(name.to_owned());
            } else if folder.starts_with("host/") {
                offences.push(format!(
                    "{folder}: {dependency} belongs to {}",
                    owners.join(", ")
                ));
            }
        }
    }
    assert_eq!(in_use.len(), EDGES.len(), "edges in use: {in_use:?}");
    demand_none("packages with a foreign edge", &offences);
}

#[test]
fn the_code_map_names_every_package() {
    let architecture = read("ARCHITECTURE.md");
    let rows = architecture.lines().filter(|line| line.starts_with("| `"));
    let first_cells: String = rows.filter_map(|row| row.split('|').nth(1)).collect();
    let mut missing = packages();
    missing.retain(|folder| !first_cells.contains(&format!("`{folder}`")));
    demand_none("packages that the code map leaves out", &missing);
}

#[test]
fn links_lead_somewhere() {
    let mut offences = Vec::new();
    for (path, text) in files(&[".md"]) {
        let document = root().join(&path);
        for target in link_targets(&text) {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let there = match file {
                "" => document.clone(),
                file => document.parent().unwrap().join(file),
            };
            if !there.exists() {
                offences.push(format!("{path}: {target}"));
            } else if !heading.is_empty() && !has_heading(&there, heading) {
                offences.push(format!("{path}: {target} (no such heading)"));
            }
        }
    }
    demand_none("links that lead nowhere", &offences);
}

/// Targets of links and pictures within the repository. Code in fences has no links.
fn link_targets(text: &str) -> Vec<&str> {
    let outside_fences = text.split("```").step_by(2);
    let targets = outside_fences
        .flat_map(|part| part.split("](").skip(1))
        .filter_map(|rest| rest.split([')', ' ', '\n']).next());
    targets.filter(|target| !target.contains("://")).collect()
}

/// Whether a document has the heading that the fragment of an address names.
fn has_heading(document: &Path, fragment: &str) -> bool {
    let text = fs::read_to_string(document).unwrap();
    let mut headings = text.lines().filter(|line| line.starts_with('#'));
    headings.any(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter_map(|letter| match letter {
            ' ' => Some('-'),
            letter if letter.is_alphanumeric() || "-_".contains(letter) => Some(letter),
            _ => None,
        });
        kept.eq(fragment.chars())
    })
}

#[test]
fn each_invariant_is_named_by_a_test() {
    let architecture = read("ARCHITECTURE.md");
    let mut offences = Vec::new();
    let mut named = BTreeSet::new();
    for (place, item) in (1..).zip(invariants(&architecture)) {
        assert_eq!(item.number, place, "invariants are numbered in order");
        if item.tests.is_empty() {
            offences.push(format!("invariant {place} names no test"));
        }
        for (name, path) in item.tests {
            let text = fs::read_to_string(root().join(path)).unwrap_or_default();
            if !is_test(path) || !text.contains(&format!("fn {name}(")) {
                offences.push(format!("invariant {place}: no test {name} in {path}"));
            }
            named.insert(name);
        }
    }
    for line in read(CHECK_TESTS).lines() {
        let name = line
            .strip_prefix("fn ")
            .and_then(|rest| rest.split('(').next());
        if let Some(name) = name.filter(|name| name.starts_with("invariant_"))
            && !named.contains(name)
        {
            offences.push(format!("{name} belongs to no invariant"));
        }
    }
    demand_none("invariants without a test", &offences);
}

struct Invariant<'t> {
    number: usize,
    /// Names of tests, each with its file.
    tests: Vec<(&'t str, &'t str)>,
}

/// The only file of the control loop in which a change is sent to a server, and those that may ask
/// it to: a step comes from a plan that was approved, and is journaled before it is sent.
const DOOR: &str = "host/control/src/clusters/recover/perform.rs";
const THROUGH_THE_DOOR: [&str; 2] = [
    "host/control/src/clusters/recover/repair.rs",
    "host/control/src/clusters/recover/run.rs",
];
/// The only file that makes a performer.
const BUILDS_THE_DOOR: &str = "host/control/src/clusters/build.rs";

#[test]
fn there_is_one_door_to_a_server() {
    let sources = files(&[".rs"]);
    let control = sources
        .iter()
        .filter(|(path, _)| path.starts_with("host/control/src/"));
    let uses = |what: &str| -> Vec<&str> {
        let using = control.clone().filter(|(_, text)| text.contains(what));
        using.map(|(path, _)| path.as_str()).collect()
    };
    assert_eq!(uses(".perform("), [DOOR]);
    assert_eq!(uses(".perform_step("), THROUGH_THE_DOOR);
    assert_eq!(uses("::perform_step"), [""; 0]);
    assert_eq!(uses(" = Arc::new(Performer {"), [BUILDS_THE_DOOR]);
}

/// The numbered items under the heading "Invariants".
fn invariants(architecture: &str) -> Vec<Invariant<'_>> {
    let (_, rest) = architecture.split_once("\n## Invariants\n").unwrap();
    let section = rest.split("\n\nDeliberately absent").next().unwrap();
    let mut starts: Vec<usize> = section.match_indices('\n').map(|(at, _)| at + 1).collect();
    starts.retain(|at| section[*at..].starts_with(|letter: char| letter.is_ascii_digit()));
    assert!(!starts.is_empty(), "ARCHITECTURE.md numbers its invariants");
    let ends = starts.iter().skip(1).copied().chain([section.len()]);
    let items = starts
        .iter()
        .zip(ends)
        .map(|(from, to)| &section[*from..to]);
    items
        .map(|item| Invariant {
            number: item.split('.').next().unwrap().parse().unwrap(),
            tests: named_tests(item),
        })
        .collect()
}

/// What an item names in backticks: `name`, or `name` in `file`.
fn named_tests(item: &str) -> Vec<(&str, &str)> {
    let parts: Vec<&str> = item.split('`').collect();
    let mut tests = Vec::new();
    for at in (1..parts.len()).step_by(2) {
        if parts[at].contains('/') {
            continue;
        }
        let follows_in = parts.get(at + 1).is_some_and(|text| text.trim() == "in");
        let path = parts.get(at + 2).filter(|_| follows_in);
        tests.push((parts[at], path.copied().unwrap_or(CHECK_TESTS)));
    }
    tests
}

#[test]
fn a_test_is_read_with_its_file() {
    let read = named_tests("4. Words. `one`; for real `two` in\n   `a/tests/b.rs`, see `c/d`.");
    assert_eq!(read, [("one", CHECK_TESTS), ("two", "a/tests/b.rs")]);
}
