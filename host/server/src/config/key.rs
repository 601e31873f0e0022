//! What the table of configuration keys is made of.

use std::time::Duration;

/// One table of the file: `[topology]`, `[[server]]`.
#[derive(Debug)]
pub(crate) struct Section {
    /// Dotted path: `topology.tls`.
    pub(crate) path: &'static str,
    /// How often it may stand in the file.
    pub(crate) form: Form,
    /// What it is for: one or two sentences.
    pub(crate) about: &'static str,
    /// Its keys, in the order of the documentation.
    pub(crate) keys: &'static [Key],
}

/// How often a section may stand in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Its defaults hold without it; its required keys are required.
    Always,
    /// May be left out, and then its required keys are not missed.
    Optional,
    /// `[[name]]`, any number of times.
    Repeated,
}

/// One key.
#[derive(Debug)]
pub(crate) struct Key {
    /// Name within its section.
    pub(crate) name: &'static str,
    /// What values it takes.
    pub(crate) kind: Kind,
    /// What holds without it.
    pub(crate) default: Default,
    /// Meaning.
    pub(crate) about: &'static str,
    /// What too small a value does; empty where that makes no sense.
    pub(crate) small: &'static str,
    /// What too large a value does; empty where that makes no sense.
    pub(crate) large: &'static str,
}

/// What holds if a key is left out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Default {
    /// The key must be there.
    Required,
    /// Nothing: the feature is off, or the server's own value holds.
    Nothing,
    /// This value, as TOML.
    Is(&'static str),
    /// Derived from other keys, as this text says.
    Derived(&'static str),
}

/// What values a key takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// `true` or `false`.
    Flag,
    /// One of these words. The others are written in another section, which the text names.
    Word {
        words: &'static [&'static str],
        elsewhere: (&'static [&'static str], &'static str),
    },
    /// A text.
    Text(Rule),
    /// A list of texts.
    Texts(Rule),
    /// A duration with its unit, within bounds.
    Duration { least: Duration, most: Duration },
    /// A whole number, within bounds.
    Whole { least: u32, most: u32 },
    /// A password: literal, `{ env = "NAME" }` or `{ file = "PATH" }`.
    Secret,
    /// Nodes of a database cluster: each a URL, or a table with a URL and tags.
    Nodes,
    /// A table that somebody else validates.
    Free,
}

/// What a text must look like.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    /// Not empty.
    Any,
    /// Letters, digits, `-`, `_`, `.`; at most 64 characters.
    Name,
    /// `host:port` of a MySQL or MariaDB server.
    Server,
    /// `ip:port` to listen on.
    Listen,
    /// `http://host:port` or `https://…`, without a path.
    Url,
    /// A pattern with `*` and `?`.
    Glob,
    /// Empty, or `/path` without a slash at its end.
    Prefix,
    /// A path of the file system.
    Path,
    /// One SQL statement, without a semicolon.
    Statement,
    /// A filter of log lines.
    LogFilter,
    /// A key of a key-value store, without a slash at its ends.
    StoreKey,
}

impl Key {
    pub(crate) const fn new(
        name: &'static str,
        kind: Kind,
        default: Default,
        about: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            default,
            about,
            small: "",
            large: "",
        }
    }

    /// Adds what too small and too large values do.
    pub(crate) const fn bounds(mut self, small: &'static str, large: &'static str) -> Self {
        self.small = small;
        self.large = large;
        self
    }
}

/// One of these words.
pub(crate) const fn word(words: &'static [&'static str]) -> Kind {
    Kind::Word {
        words,
        elsewhere: (&[], ""),
    }
}

/// A duration between two numbers of milliseconds.
pub(crate) const fn duration(least_ms: u64, most_ms: u64) -> Kind {
    Kind::Duration {
        least: Duration::from_millis(least_ms),
        most: Duration::from_millis(most_ms),
    }
}
