//! A configuration file against the table of keys: syntax, unknown keys, values. All problems are
//! found, not the first.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::key::{Default, Form, Kind};
use super::keys::{SECTIONS, find_key, is_parent, names_in};
use super::problem::Problem;
use super::value::{self, NodeSource, SecretSource, Value};

/// The values of a file that are right by themselves, and what is wrong with the others.
#[derive(Debug, std::default::Default)]
pub(crate) struct Document {
    /// Values by their path, indexes included: `server[0].address`.
    given: BTreeMap<String, (Value, usize)>,
    /// Paths of refused values: relations to them are not judged.
    refused: BTreeSet<String>,
    /// Line of each section that stands in the file, by path with index.
    sections: BTreeMap<String, usize>,
    /// How often each repeated section stands in the file.
    repeated: BTreeMap<&'static str, usize>,
    /// Lines with errors of syntax: the values recovered from them are guesses.
    garbled: BTreeSet<usize>,
    /// What is wrong.
    pub(crate) problems: Vec<Problem>,
}

impl Document {
    /// Reads a file's text.
    pub(crate) fn read(text: &str) -> Self {
        let mut document = Self::default();
        let lines = Lines::of(text);
        let (root, errors) = DeTable::parse_recoverable(text);
        for error in errors {
            let line = error.span().map(|span| lines.at(span.start));
            document.garbled.extend(line);
            document.problems.push(Problem {
                line,
                key: String::new(),
                value: None,
                why: format!("syntax: {}", error.message().replace('\n', ", ")),
            });
        }
        document.walk(root.get_ref(), "", "", &lines);
        document.find_missing();
        document
    }

    /// Walks one table. `pattern` is its path without indexes, `path` with them.
    fn walk(&mut self, table: &DeTable<'_>, pattern: &str, path: &str, lines: &Lines) {
        for (name, value) in table {
            let line = lines.at(name.span().start);
            let (pattern, path) = (join(pattern, name.get_ref()), join(path, name.get_ref()));
            if let Some(key) = find_key(&pattern) {
                self.take(path, key.kind, value, line);
            } else if let Some(section) = SECTIONS.iter().find(|section| section.path == pattern) {
                self.enter(section.form, section.path, &path, value, lines);
            } else if is_parent(&pattern) {
                match value.get_ref() {
                    DeValue::Table(inner) => self.walk(inner, &pattern, &path, lines),
                    other => self.refuse(
                        line,
                        path,
                        Some(value::shown(other)),
                        "expected a table".to_owned(),
                    ),
                }
            } else {
                let why = unknown(&pattern);
                self.problems.push(Problem {
                    line: Some(line),
                    key: path,
                    value: None,
                    why,
                });
            }
        }
    }

    fn take(&mut self, path: String, kind: Kind, value: &Spanned<DeValue<'_>>, line: usize) {
        match value::read(kind, value.get_ref()) {
            Ok(value) => {
                self.given.insert(path, (value, line));
            }
            Err(_) if self.garbled.contains(&line) => {
                self.refused.insert(path);
            }
            Err(why) => {
                let shown = match kind {
                    Kind::Secret | Kind::Nodes => "<redacted>".to_owned(),
                    _ => value::shown(value.get_ref()),
                };
                self.refuse(line, path, Some(shown), why);
            }
        }
    }

    fn enter(
        &mut self,
        form: Form,
        section: &'static str,
        path: &str,
        value: &Spanned<DeValue<'_>>,
        lines: &Lines,
    ) {
        let line = lines.at(value.span().start);
        match (form, value.get_ref()) {
            (Form::Always | Form::Optional, DeValue::Table(table)) => {
                self.sections.insert(path.to_owned(), line);
                self.walk(table, section, path, lines);
            }
            (Form::Repeated, DeValue::Array(items)) => {
                self.repeated.insert(section, items.len());
                for (index, item) in items.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    let line = lines.at(item.span().start);
                    match item.get_ref() {
                        DeValue::Table(table) => {
                            self.sections.insert(path.clone(), line);
                            self.walk(table, section, &path, lines);
                        }
                        other => self.refuse(
                            line,
                            path,
                            Some(value::shown(other)),
                            "expected a table".to_owned(),
                        ),
                    }
                }
            }
            (Form::Repeated, DeValue::Table(_)) => {
                let why =
                    format!("may stand several times: write [[{section}]] instead of [{section}]");
                self.refuse(line, path.to_owned(), None, why);
            }
            (Form::Always | Form::Optional, DeValue::Array(_)) => {
                let why =
                    format!("may stand once only: write [{section}] instead of [[{section}]]");
                self.refuse(line, path.to_owned(), None, why);
            }
            (_, other) => {
                self.refuse(
                    line,
                    path.to_owned(),
                    Some(value::shown(other)),
                    "expected a table".to_owned(),
                );
            }
        }
    }

    fn find_missing(&mut self) {
        for section in SECTIONS {
            let mut places: Vec<(String, Option<usize>)> = self
                .sections
                .iter()
                .filter(|(path, _)| without_indexes(path) == section.path)
                .map(|(path, line)| (path.clone(), Some(*line)))
                .collect();
            let refused = self.refused.contains(section.path);
            if places.is_empty() && section.form == Form::Always && !refused {
                places.push((section.path.to_owned(), None));
            }
            for (place, line) in places {
                for key in section
                    .keys
                    .iter()
                    .filter(|key| matches!(key.default, Default::Required))
                {
                    let path = join(&place, key.name);
                    if !self.given.contains_key(&path) && !self.refused.contains(&path) {
                        self.refuse(
                            line,
                            path,
                            None,
                            format!("is missing ({})", lower_first(first_sentence(key.about))),
                        );
                    }
                }
            }
        }
    }

    /// Notes a refused value; relations to it are not judged any more.
    fn refuse(
        &mut self,
        line: impl Into<Option<usize>>,
        path: String,
        value: Option<String>,
        why: String,
    ) {
        self.refused.insert(path.clone());
        self.problems.push(Problem {
            line: line.into(),
            key: path,
            value,
            why,
        });
    }

    /// Notes a problem that concerns the value of a key, or its absence.
    pub(crate) fn object(&mut self, path: &str, why: String) {
        let problem = self.problem_at(path, why);
        self.refused.insert(path.to_owned());
        self.problems.push(problem);
    }

    /// A problem or warning about a key, with its line and value if it stands in the file.
    pub(crate) fn problem_at(&self, path: &str, why: String) -> Problem {
        let given = self.given.get(path);
        Problem {
            line: given.map(|(_, line)| *line),
            key: path.to_owned(),
            value: given.map(|(value, _)| printed(value)),
            why,
        }
    }

    /// True if the key stands in the file, right or wrong.
    pub(crate) fn is_given(&self, path: &str) -> bool {
        self.given.contains_key(path) || self.refused.contains(path)
    }

    /// True if nothing is wrong with the key so far.
    pub(crate) fn is_sound(&self, path: &str) -> bool {
        !self.refused.contains(path)
    }

    /// True if the section stands in the file.
    pub(crate) fn has_section(&self, path: &str) -> bool {
        self.sections.contains_key(path)
    }

    /// Paths of the instances of a repeated section.
    pub(crate) fn instances(&self, section: &str) -> Vec<String> {
        let count = self.repeated.get(section).copied().unwrap_or(0);
        (0..count)
            .map(|index| format!("{section}[{index}]"))
            .collect()
    }

    /// The value of a key: from the file, else its default.
    pub(crate) fn find(&self, path: &str) -> Option<Value> {
        if let Some((value, _)) = self.given.get(path) {
            return Some(value.clone());
        }
        let key = find_key(&without_indexes(path))?;
        match key.default {
            Default::Is(toml) => {
                let value = DeValue::parse(toml).ok()?;
                value::read(key.kind, value.get_ref()).ok()
            }
            Default::Required | Default::Nothing | Default::Derived(_) => None,
        }
    }

    pub(crate) fn flag(&self, path: &str) -> bool {
        matches!(self.find(path), Some(Value::Flag(true)))
    }

    pub(crate) fn text(&self, path: &str) -> Option<String> {
        match self.find(path) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn texts(&self, path: &str) -> Vec<String> {
        match self.find(path) {
            Some(Value::Texts(texts)) => texts,
            _ => Vec::new(),
        }
    }

    pub(crate) fn duration(&self, path: &str) -> Option<Duration> {
        match self.find(path) {
            Some(Value::Duration(duration)) => Some(duration),
            _ => None,
        }
    }

    pub(crate) fn whole(&self, path: &str) -> Option<u32> {
        match self.find(path) {
            Some(Value::Whole(number)) => Some(number),
            _ => None,
        }
    }

    pub(crate) fn secret(&self, path: &str) -> Option<SecretSource> {
        match self.find(path) {
            Some(Value::Secret(source)) => Some(source),
            _ => None,
        }
    }

    pub(crate) fn nodes(&self, path: &str) -> Vec<NodeSource> {
        match self.find(path) {
            Some(Value::Nodes(nodes)) => nodes,
            _ => Vec::new(),
        }
    }

    pub(crate) fn free(&self, path: &str) -> serde_json::Value {
        match self.find(path) {
            Some(Value::Free(value)) => value,
            _ => serde_json::Value::Object(serde_json::Map::new()),
        }
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn without_indexes(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut inside = false;
    for c in path.chars() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            c if !inside => out.push(c),
            _ => {}
        }
    }
    out
}

fn unknown(pattern: &str) -> String {
    let (table, name) = pattern.rsplit_once('.').unwrap_or(("", pattern));
    if let Some(near) = value::nearest(name, names_in(table).into_iter()) {
        return format!("unknown key; did you mean {near:?}?");
    }
    let elsewhere = SECTIONS
        .iter()
        .find(|section| section.keys.iter().any(|key| key.name == name));
    if let Some(section) = elsewhere {
        return format!("unknown key here; it belongs in [{}]", section.path);
    }
    format!("unknown key (known here: {})", names_in(table).join(", "))
}

fn printed(value: &Value) -> String {
    match value {
        Value::Flag(flag) => flag.to_string(),
        Value::Text(text) => format!("{text:?}"),
        Value::Texts(texts) => format!("{texts:?}"),
        Value::Duration(duration) => format!("\"{}\"", humantime::format_duration(*duration)),
        Value::Whole(number) => number.to_string(),
        Value::Secret(SecretSource::Literal(_)) | Value::Nodes(_) => "<redacted>".to_owned(),
        Value::Secret(SecretSource::Env(name)) => format!("{{ env = {name:?} }}"),
        Value::Secret(SecretSource::File(path)) => format!("{{ file = {path:?} }}"),
        Value::Free(value) => value.to_string(),
    }
}

fn first_sentence(text: &str) -> &str {
    text.split_once(". ")
        .map_or(text, |(first, _)| first)
        .trim_end_matches('.')
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(chars).collect()
    })
}

/// Byte offsets to line numbers.
struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    fn of(text: &str) -> Self {
        let starts = text.match_indices('\n').map(|(at, _)| at + 1).collect();
        Self { starts }
    }

    fn at(&self, offset: usize) -> usize {
        1 + self.starts.partition_point(|start| *start <= offset)
    }
}
