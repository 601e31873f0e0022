//! One value of a configuration file: from TOML to what a key takes.

use std::time::Duration;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::key::{Kind, Rule};
use super::rule;

/// A value that its key accepts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Flag(bool),
    Text(String),
    Texts(Vec<String>),
    Duration(Duration),
    Whole(u32),
    Secret(SecretSource),
    Nodes(Vec<NodeSource>),
    Free(serde_json::Value),
}

/// One node of a database cluster. The URL holds a password.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NodeSource {
    pub(crate) url: SecretSource,
    pub(crate) tags: Vec<(String, String)>,
}

/// Where a password comes from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SecretSource {
    Literal(String),
    Env(String),
    File(String),
}

/// Reads a value, or says why its key does not take it.
pub(crate) fn read(kind: Kind, value: &DeValue<'_>) -> Result<Value, String> {
    match kind {
        Kind::Flag => match value {
            DeValue::Boolean(flag) => Ok(Value::Flag(*flag)),
            other => Err(expected("true or false", other)),
        },
        Kind::Word { words, elsewhere } => read_word(words, elsewhere, value),
        Kind::Nodes => read_nodes(value).map(Value::Nodes),
        Kind::Text(rule) => read_text(rule, value).map(Value::Text),
        Kind::Texts(rule) => match value {
            DeValue::Array(items) => read_texts(rule, items).map(Value::Texts),
            other => Err(expected("a list of texts", other)),
        },
        Kind::Duration { least, most } => read_duration(least, most, value).map(Value::Duration),
        Kind::Whole { least, most } => read_whole(least, most, value).map(Value::Whole),
        Kind::Secret => read_secret(value).map(Value::Secret),
        Kind::Free => match value {
            DeValue::Table(_) => Ok(Value::Free(to_json(value))),
            other => Err(expected("a table", other)),
        },
    }
}

fn expected(what: &str, found: &DeValue<'_>) -> String {
    format!("expected {what}, found {}", article(found.type_str()))
}

fn article(word: &str) -> String {
    let vowel = word.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {word}", if vowel { "an" } else { "a" })
}

fn read_text(rule: Rule, value: &DeValue<'_>) -> Result<String, String> {
    let DeValue::String(text) = value else {
        return Err(expected("a text in quotes", value));
    };
    rule::check(rule, text)?;
    Ok(text.clone().into_owned())
}

fn read_texts(rule: Rule, items: &DeArray<'_>) -> Result<Vec<String>, String> {
    let mut texts: Vec<String> = Vec::new();
    let mut wrong: Vec<String> = Vec::new();
    for item in items {
        match read_text(rule, item.get_ref()) {
            Ok(text) if texts.contains(&text) => wrong.push(format!("{text:?} stands in it twice")),
            Ok(text) => texts.push(text),
            Err(why) => wrong.push(format!("{} {why}", shown(item.get_ref()))),
        }
    }
    if wrong.is_empty() {
        Ok(texts)
    } else {
        Err(wrong.join("; "))
    }
}

fn read_word(
    words: &[&str],
    elsewhere: (&[&str], &str),
    value: &DeValue<'_>,
) -> Result<Value, String> {
    let DeValue::String(text) = value else {
        return Err(expected(&format!("one of {}", quoted(words)), value));
    };
    if words.contains(&text.as_ref()) {
        return Ok(Value::Text(text.clone().into_owned()));
    }
    if elsewhere.0.contains(&text.as_ref()) {
        return Err(format!(
            "is written in {}; here stands {}",
            elsewhere.1,
            quoted(words)
        ));
    }
    let nearest = nearest(text, words.iter().copied());
    Err(match nearest {
        Some(word) => format!("is not one of {}; did you mean \"{word}\"?", quoted(words)),
        None => format!("is not one of {}", quoted(words)),
    })
}

fn quoted(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("\"{word}\""))
        .collect::<Vec<_>>()
        .join(", ")
}

fn read_duration(least: Duration, most: Duration, value: &DeValue<'_>) -> Result<Duration, String> {
    let DeValue::String(text) = value else {
        return Err(expected(
            "a duration with its unit in quotes, for example \"500ms\"",
            value,
        ));
    };
    let Ok(duration) = humantime::parse_duration(text) else {
        return Err(
            "is not a duration (expected for example \"500ms\", \"10s\", \"1h 30m\")".to_owned(),
        );
    };
    if duration < least || duration > most {
        return Err(format!(
            "must lie between {} and {}",
            humantime::format_duration(least),
            humantime::format_duration(most)
        ));
    }
    Ok(duration)
}

fn read_whole(least: u32, most: u32, value: &DeValue<'_>) -> Result<u32, String> {
    let DeValue::Integer(number) = value else {
        return Err(expected("a whole number", value));
    };
    i64::from_str_radix(number.as_str(), number.radix())
        .ok()
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("must lie between {least} and {most}"))
}

fn read_secret(value: &DeValue<'_>) -> Result<SecretSource, String> {
    const FORMS: &str = "a password in quotes, { env = \"NAME\" } or { file = \"PATH\" }";
    match value {
        DeValue::String(text) => Ok(SecretSource::Literal(text.clone().into_owned())),
        DeValue::Table(table) => {
            let mut entries = table
                .iter()
                .map(|(key, value)| (key.get_ref().as_ref(), value.get_ref()));
            match (entries.next(), entries.next()) {
                (Some(("env", DeValue::String(name))), None) if !name.is_empty() => {
                    Ok(SecretSource::Env(name.clone().into_owned()))
                }
                (Some(("file", DeValue::String(path))), None) if !path.is_empty() => {
                    Ok(SecretSource::File(path.clone().into_owned()))
                }
                _ => Err(format!("expected {FORMS}")),
            }
        }
        other => Err(expected(FORMS, other)),
    }
}

fn read_nodes(value: &DeValue<'_>) -> Result<Vec<NodeSource>, String> {
    let DeValue::Array(items) = value else {
        return Err(expected("a list of nodes", value));
    };
    let mut nodes = Vec::new();
    let mut wrong = Vec::new();
    for (number, item) in (1..).zip(items.iter()) {
        match read_node(item.get_ref()) {
            Ok(node) => nodes.push(node),
            Err(why) => wrong.push(format!("node {number}: {why}")),
        }
    }
    if nodes.is_empty() && wrong.is_empty() {
        return Err("must name at least one node".to_owned());
    }
    if wrong.is_empty() {
        Ok(nodes)
    } else {
        Err(wrong.join("; "))
    }
}

/// A URL, or `{ url = URL, zone = "a", tags = { rack = "r1" } }`. Nothing of the value is shown: it
/// may hold a password.
fn read_node(value: &DeValue<'_>) -> Result<NodeSource, String> {
    let table = match value {
        DeValue::Table(table) if table.get("url").is_some() => table,
        other => {
            return read_url(other).map(|url| NodeSource {
                url,
                tags: Vec::new(),
            });
        }
    };
    let mut node = NodeSource {
        url: SecretSource::Literal(String::new()),
        tags: Vec::new(),
    };
    for (key, value) in table {
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("url", url) => node.url = read_url(url)?,
            ("zone", DeValue::String(zone)) if !zone.is_empty() => {
                node.tags
                    .push(("zone".to_owned(), zone.clone().into_owned()));
            }
            ("tags", DeValue::Table(tags)) => {
                for (name, value) in tags {
                    let DeValue::String(text) = value.get_ref() else {
                        return Err(format!("the tag {:?} is not a text", name.get_ref()));
                    };
                    node.tags
                        .push((name.get_ref().to_string(), text.clone().into_owned()));
                }
            }
            ("zone" | "tags", _) => {
                return Err("zone is a text, tags a table of texts".to_owned());
            }
            (key, _) => return Err(format!("{key:?} is none of url, zone, tags")),
        }
    }
    Ok(node)
}

fn read_url(value: &DeValue<'_>) -> Result<SecretSource, String> {
    const FORMS: &str = "expected a URL in quotes, { env = \"NAME\" }, { file = \"PATH\" }, or { url = one of these, \
                         zone = \"...\", tags = { ... } }";
    read_secret(value).map_err(|_| FORMS.to_owned())
}

/// The word most like `text`, if one is like it at all.
pub(crate) fn nearest<'a>(text: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Below two thirds alike, suggestions are more often silly than useful.
    const ALIKE: f64 = 0.66;
    let text = text.to_lowercase().replace('-', "_");
    words
        .map(|word| {
            (
                strsim::normalized_damerau_levenshtein(&text, &word.replace('-', "_")),
                word,
            )
        })
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, word)| word)
}

/// A value as a person would write it, shortened.
pub(crate) fn shown(value: &DeValue<'_>) -> String {
    const LONGEST: usize = 60;
    let text = to_json(value).to_string();
    if text.chars().count() <= LONGEST {
        return text;
    }
    let head: String = text.chars().take(LONGEST).collect();
    format!("{head}…")
}

fn to_json(value: &DeValue<'_>) -> serde_json::Value {
    match value {
        DeValue::String(text) => serde_json::Value::from(text.as_ref()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(
                |_| serde_json::Value::from(number.as_str()),
                serde_json::Value::from,
            ),
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or_else(
            |_| serde_json::Value::from(number.as_str()),
            serde_json::Value::from,
        ),
        DeValue::Boolean(flag) => serde_json::Value::from(*flag),
        DeValue::Datetime(time) => serde_json::Value::from(time.to_string()),
        DeValue::Array(items) => items.iter().map(|item| to_json(item.get_ref())).collect(),
        DeValue::Table(table) => table_to_json(table),
    }
}

fn table_to_json(table: &DeTable<'_>) -> serde_json::Value {
    let entry = |(key, value): (&Spanned<std::borrow::Cow<'_, str>>, &Spanned<DeValue<'_>>)| {
        (key.get_ref().to_string(), to_json(value.get_ref()))
    };
    serde_json::Value::Object(table.iter().map(entry).collect())
}
