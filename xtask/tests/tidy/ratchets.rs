//! Limits of size. Code that was beyond a limit when the limit was set is in a list, which may only
//! shrink.
//!
//! `cargo xtask fix` lowers the numbers in a list and removes lines; it adds none. A list that was
//! deleted is written anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::{env, fs};

use super::repository::{demand_none, files, root};

/// Lines of a file, tests included.
const FILE_LINES: usize = 500;
/// Lines of a function's body without blank lines and comments, as clippy counts them.
const FUNCTION_LINES: usize = 70;
/// Columns of a line that is only a comment. `rustfmt` keeps code below the same limit.
const COMMENT_COLUMNS: usize = 100;

/// A list of today's offenders.
struct Ratchet {
    file: &'static str,
    /// What the numbers in the list count.
    unit: &'static str,
    /// The number from which on something is an offender.
    limit: usize,
}

#[test]
fn files_are_short() {
    let lines = files(&[".rs"])
        .into_iter()
        .map(|(path, text)| (path, text.lines().count()));
    let ratchet = Ratchet {
        file: "long_files.txt",
        unit: "lines of a file",
        limit: FILE_LINES,
    };
    ratchet.hold(lines);
}

#[test]
fn functions_are_short() {
    let sources = files(&[".rs"]);
    let lines = sources.iter().flat_map(|(path, text)| {
        let functions = functions(text).into_iter();
        functions.map(move |(name, lines)| (format!("{path} {name}"), lines))
    });
    let ratchet = Ratchet {
        file: "long_functions.txt",
        unit: "lines of a function",
        limit: FUNCTION_LINES,
    };
    ratchet.hold(lines);
}

#[test]
fn comments_are_narrow() {
    let wide = files(&[".rs"]).into_iter().map(|(path, text)| {
        let comments = text.lines().filter(|line| line.trim().starts_with("//"));
        let wide = comments.filter(|line| line.chars().count() > COMMENT_COLUMNS);
        (path, wide.count())
    });
    let ratchet = Ratchet {
        file: "wide_comments.txt",
        unit: "comment lines of more than 100 columns",
        limit: 0,
    };
    ratchet.hold(wide);
}

impl Ratchet {
    /// Fails if something is beyond the limit and not in the list, beyond its number in the list,
    /// or in the list without need.
    fn hold(&self, measured: impl Iterator<Item = (String, usize)>) {
        let mut found = BTreeMap::new();
        for (what, count) in measured.filter(|(_, count)| *count > self.limit) {
            // Of functions of one name in one file, the longest counts.
            let longest = found.entry(what).or_insert(count);
            *longest = count.max(*longest);
        }
        if env::var_os("BATON_UPDATE_DOCS").is_some() {
            self.lower(&found);
        }
        let offences = self.offences(&self.read().unwrap_or_default(), &found);
        demand_none(&format!("{} ({})", self.unit, self.file), &offences);
    }

    fn offences(
        &self,
        listed: &BTreeMap<String, usize>,
        found: &BTreeMap<String, usize>,
    ) -> Vec<String> {
        let mut offences = Vec::new();
        for (what, count) in found {
            let allowed = listed.get(what).copied().unwrap_or(self.limit);
            if *count > allowed {
                offences.push(format!("{count} {what}: at most {allowed}"));
            }
        }
        for (what, count) in listed {
            if !found.contains_key(what) {
                offences.push(format!(
                    "{count} {what}: within the limit or gone, remove it from the list"
                ));
            }
        }
        offences
    }

    fn path(&self) -> std::path::PathBuf {
        root().join("xtask/tests/tidy").join(self.file)
    }

    /// The list: a line is a number, a blank, and what it belongs to.
    fn read(&self) -> Option<BTreeMap<String, usize>> {
        let text = fs::read_to_string(self.path()).ok()?;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let entries = lines.map(|line| {
            let (count, what) = line.split_once(' ').unwrap();
            (what.to_owned(), count.parse().unwrap())
        });
        Some(entries.collect())
    }

    /// Lowers the numbers of the list to what was found.
    fn lower(&self, found: &BTreeMap<String, usize>) {
        let listed = self.read();
        let mut text = format!("# {}: may only shrink, see ratchets.rs\n", self.unit);
        for (what, count) in found {
            let kept = match &listed {
                Some(listed) => listed.get(what).map(|allowed| count.min(allowed)),
                None => Some(count),
            };
            if let Some(kept) = kept {
                writeln!(text, "{kept} {what}").unwrap();
            }
        }
        fs::write(self.path(), text).unwrap();
    }
}

/// The functions of a file that `rustfmt` has formatted, each with the number of lines of its body.
fn functions(text: &str) -> Vec<(&str, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut functions = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else {
            continue;
        };
        let indent = &line[..line.len() - line.trim_start().len()];
        let rest = &lines[at..];
        let Some(head) = rest.iter().position(|line| line.ends_with(['{', '}', ';'])) else {
            continue;
        };
        // A declaration without a body, or a body of one line.
        if !rest[head].ends_with('{') {
            continue;
        }
        let body = rest.iter().skip(head + 1);
        let body = body.take_while(|line| line.strip_prefix(indent) != Some("}"));
        let code = body.filter(|line| !line.trim().is_empty() && !line.trim().starts_with("//"));
        functions.push((name, code.count()));
    }
    functions
}

/// The name, if a function begins in that line. A macro's `$name` is none.
fn function_name(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    let is_qualifier = |word: &str| {
        matches!(word, "const" | "async" | "unsafe" | "extern" | "\"C\"") || word.starts_with("pub")
    };
    let name = after.split(['(', '<']).next()?;
    (before.split_whitespace().all(is_qualifier) && !name.starts_with('$')).then_some(name)
}

#[test]
fn functions_are_measured_without_comments() {
    let text = "impl A {\n    pub(crate) async fn one(\n        &self,\n    ) -> u8 {\n        // Why.\n\
                \n        match 1 {\n            _ => 2,\n        }\n    }\n    fn two() {}\n}\n\
                trait B {\n    fn three();\n}\nfn four<T>() {\n    ();\n}\n";
    assert_eq!(functions(text), [("one", 3), ("four", 1)]);
}

#[test]
fn ratchet_lets_nothing_grow_and_nothing_stay() {
    let ratchet = Ratchet {
        file: "none.txt",
        unit: "lines",
        limit: 10,
    };
    let listed = [("grown", 20), ("shrunk", 20), ("mended", 20)];
    let found = [("grown", 21), ("shrunk", 15), ("new", 11)];
    let map = |entries: [(&str, usize); 3]| entries.map(|(key, count)| (key.to_owned(), count));
    let offences = ratchet.offences(&map(listed).into(), &map(found).into());
    assert_eq!(
        offences,
        [
            "21 grown: at most 20",
            "11 new: at most 10",
            "20 mended: within the limit or gone, remove it from the list",
        ]
    );
}
