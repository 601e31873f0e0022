//! `docs/configuration.md`, from the table of keys.

use std::fmt::Write as _;
use std::time::Duration;

use super::key::{Default, Form, Key, Kind, Rule, Section};
use super::keys::SECTIONS;

const HEAD: &str = "\
# Configuration

One TOML file, given with `baton serve --config FILE`. `baton config check FILE` reads it as `serve` does and lists every
problem with its line, key, value and reason; `serve` refuses such a file in the same way (exit status 2) and starts nothing.
Unknown keys are refused, so that a slip of the pen never goes unnoticed.

Durations carry their unit: `\"500ms\"`, `\"10s\"`, `\"1h 30m\"`. A password is a text, `{ env = \"NAME\" }` (an environment
variable) or `{ file = \"PATH\" }`; passwords are never printed. Addresses of servers are `host:port`, port 3306 if left out.

[`config/minimal.toml`](../config/minimal.toml) is enough to begin with; [`config/sqlite.toml`](../config/sqlite.toml) shows
every key. This page is generated from the table that the program checks files against.
";

/// The text of `docs/configuration.md`.
pub fn reference() -> String {
    let mut out = HEAD.to_owned();
    for section in SECTIONS {
        write_section(&mut out, section);
    }
    out
}

fn write_section(out: &mut String, section: &Section) {
    let title = match section.form {
        Form::Always | Form::Optional => format!("[{}]", section.path),
        Form::Repeated => format!("[[{}]]", section.path),
    };
    let optional = match section.form {
        Form::Always => "",
        Form::Optional => " Optional.",
        Form::Repeated => " Any number of times.",
    };
    push(
        out,
        format_args!("\n## `{title}`\n\n{}{optional}\n\n", section.about),
    );
    out.push_str("| Key | Value | Default | Meaning |\n| --- | --- | --- | --- |\n");
    for key in section.keys {
        write_key(out, key);
    }
}

fn write_key(out: &mut String, key: &Key) {
    let default = match key.default {
        Default::Required => "required".to_owned(),
        Default::Nothing => "none".to_owned(),
        Default::Is(toml) => format!("`{toml}`"),
        Default::Derived(text) => text.to_owned(),
    };
    let mut meaning = key.about.to_owned();
    if !key.small.is_empty() {
        push(&mut meaning, format_args!(" *Too small:* {}.", key.small));
    }
    if !key.large.is_empty() {
        push(&mut meaning, format_args!(" *Too large:* {}.", key.large));
    }
    push(
        out,
        format_args!(
            "| `{}` | {} | {default} | {} |\n",
            key.name,
            values(key.kind),
            meaning.replace('|', "\\|")
        ),
    );
}

fn values(kind: Kind) -> String {
    match kind {
        Kind::Flag => "`true`, `false`".to_owned(),
        Kind::Word { words, .. } => words
            .iter()
            .map(|word| format!("`\"{word}\"`"))
            .collect::<Vec<_>>()
            .join(", "),
        Kind::Text(rule) => rule_text(rule).to_owned(),
        Kind::Texts(rule) => format!("list: {}", rule_text(rule)),
        Kind::Duration { least, most } => {
            format!("duration, {} to {}", in_words(least), in_words(most))
        }
        Kind::Whole { least, most } => format!("whole number, {least} to {most}"),
        Kind::Secret => "password".to_owned(),
        Kind::Nodes => "list of nodes".to_owned(),
        Kind::Free => "table".to_owned(),
    }
}

/// Without years, whose length is a matter of opinion.
fn in_words(duration: Duration) -> String {
    const DAY: u64 = 24 * 3600;
    match duration.as_secs() {
        long if long > 30 * DAY && long.is_multiple_of(DAY) => format!("{}days", long / DAY),
        _ => humantime::format_duration(duration).to_string(),
    }
}

fn rule_text(rule: Rule) -> &'static str {
    match rule {
        Rule::Any => "text",
        Rule::Name => "name",
        Rule::Server => "`host:port`",
        Rule::Listen => "`ip:port`",
        Rule::Url => "URL",
        Rule::Glob => "pattern",
        Rule::Prefix => "URL path",
        Rule::Path => "path",
        Rule::Statement => "SQL statement",
        Rule::LogFilter => "filter",
        Rule::StoreKey => "key",
    }
}

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let written = out.write_fmt(text);
    debug_assert!(written.is_ok());
}
