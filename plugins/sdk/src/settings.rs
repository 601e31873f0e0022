//! Settings: one declaration reads a value, checks it and describes it.

use serde_json::{Map, Value, json};

/// One thing wrong with the settings.
#[derive(Clone, Debug)]
pub struct SettingsProblem {
    /// JSON pointer to the place, empty for the whole.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

/// Reads a policy's settings and collects every problem, or, when the host asks for metadata, collects the schema.
pub struct Settings {
    mode: Mode,
    read: Vec<&'static str>,
    problems: Vec<SettingsProblem>,
}

enum Mode {
    Reading(Map<String, Value>),
    Describing(Map<String, Value>),
}

/// A whole number with bounds.
#[derive(Clone, Copy)]
pub struct Whole {
    /// Key in the settings.
    pub name: &'static str,
    /// Value if the key is absent.
    pub default: u32,
    /// Smallest value accepted.
    pub min: u32,
    /// Largest value accepted.
    pub max: u32,
    /// What it does, for people.
    pub about: &'static str,
}

/// One word of a few.
#[derive(Clone, Copy)]
pub struct Choice<'a, T> {
    /// Key in the settings.
    pub name: &'static str,
    /// Word used if the key is absent.
    pub default: &'static str,
    /// The words and what they mean to the policy.
    pub words: &'a [(&'static str, T)],
    /// What it does, for people.
    pub about: &'static str,
}

impl Settings {
    #[doc(hidden)]
    pub fn parse(text: &str) -> Result<Self, Vec<SettingsProblem>> {
        let whole = |message: String| {
            vec![SettingsProblem {
                path: String::new(),
                message,
            }]
        };
        match serde_json::from_str(text) {
            Ok(Value::Object(given)) => Ok(Self::new(Mode::Reading(given))),
            Ok(_) => Err(whole("the settings must be a JSON object".to_owned())),
            Err(error) => Err(whole(format!("the settings are not JSON: {error}"))),
        }
    }

    #[doc(hidden)]
    pub fn describing() -> Self {
        Self::new(Mode::Describing(Map::new()))
    }

    fn new(mode: Mode) -> Self {
        Self {
            mode,
            read: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// A whole number.
    pub fn whole(&mut self, setting: Whole) -> u32 {
        let Whole {
            name,
            default,
            min,
            max,
            about,
        } = setting;
        let schema = || json!({ "type": "integer", "minimum": min, "maximum": max, "default": default, "description": about });
        match self.take(name, schema) {
            None => default,
            Some(value) => self.bounded(name, &value, min, max).unwrap_or(default),
        }
    }

    /// A whole number that may be switched off with `null`; `default: None` means off unless given.
    pub fn whole_or_off(&mut self, setting: Whole, default: Option<u32>) -> Option<u32> {
        let Whole {
            name,
            default: _,
            min,
            max,
            about,
        } = setting;
        let schema = || {
            json!({
                "type": ["integer", "null"], "minimum": min, "maximum": max, "default": default, "description": about
            })
        };
        match self.take(name, schema) {
            None => default,
            Some(Value::Null) => None,
            Some(value) => self.bounded(name, &value, min, max).or(default),
        }
    }

    /// Yes or no.
    pub fn flag(&mut self, name: &'static str, default: bool, about: &'static str) -> bool {
        let schema = || json!({ "type": "boolean", "default": default, "description": about });
        match self.take(name, schema) {
            None => default,
            Some(Value::Bool(given)) => given,
            Some(other) => {
                self.problem(name, format!("must be true or false, not {other}"));
                default
            }
        }
    }

    /// One word of a few. The default must be among the words; if it is not, the first word is taken.
    ///
    /// # Panics
    ///
    /// If there are no words.
    pub fn choice<T: Copy>(&mut self, setting: Choice<'_, T>) -> T {
        let Choice {
            name,
            default,
            words,
            about,
        } = setting;
        let names = || words.iter().map(|(word, _)| *word).collect::<Vec<_>>();
        let schema = || json!({ "enum": names(), "default": default, "description": about });
        let meaning = |word: &str| {
            words
                .iter()
                .find(|(name, _)| *name == word)
                .map(|(_, t)| *t)
        };
        let fallback = || meaning(default).or(words.first().map(|(_, meaning)| *meaning));
        let given = self.take(name, schema);
        let found = given.as_ref().and_then(Value::as_str).and_then(meaning);
        if let (Some(given), None) = (&given, found) {
            self.problem(
                name,
                format!("must be one of {}, not {given}", names().join(", ")),
            );
        }
        match found.or_else(fallback) {
            Some(meaning) => meaning,
            None => panic!("setting {name} declares no words"),
        }
    }

    /// A text that may be left out; an empty one counts as left out.
    pub fn text(&mut self, name: &'static str, about: &'static str) -> Option<String> {
        let schema =
            || json!({ "type": ["string", "null"], "default": null, "description": about });
        match self.take(name, schema) {
            None | Some(Value::Null) => None,
            Some(Value::String(given)) => Some(given).filter(|given| !given.is_empty()),
            Some(other) => {
                self.problem(name, format!("must be a text, not {other}"));
                None
            }
        }
    }

    /// Reports something wrong that only several settings together show.
    pub fn problem(&mut self, name: &str, message: impl Into<String>) {
        self.problems.push(SettingsProblem {
            path: format!("/{name}"),
            message: message.into(),
        });
    }

    fn take(&mut self, name: &'static str, schema: impl FnOnce() -> Value) -> Option<Value> {
        match &mut self.mode {
            Mode::Describing(properties) => {
                properties.insert(name.to_owned(), schema());
                None
            }
            Mode::Reading(given) => {
                self.read.push(name);
                given.remove(name)
            }
        }
    }

    fn bounded(&mut self, name: &str, value: &Value, min: u32, max: u32) -> Option<u32> {
        let fits = |number: &u64| (u64::from(min)..=u64::from(max)).contains(number);
        let number = value
            .as_u64()
            .filter(fits)
            .and_then(|number| u32::try_from(number).ok());
        if number.is_none() {
            self.problem(
                name,
                format!("must be a whole number from {min} to {max}, not {value}"),
            );
        }
        number
    }

    #[doc(hidden)]
    pub fn finish(mut self) -> Result<(), Vec<SettingsProblem>> {
        if let Mode::Reading(left) = &mut self.mode {
            for name in std::mem::take(left).keys() {
                // JSON pointer, RFC 6901: these two characters are escaped in a name.
                let path = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
                let message = format!("unknown setting; known are {}", self.read.join(", "));
                self.problems.push(SettingsProblem { path, message });
            }
        }
        if self.problems.is_empty() {
            Ok(())
        } else {
            Err(self.problems)
        }
    }

    #[doc(hidden)]
    pub fn into_schema(self) -> String {
        let properties = match self.mode {
            Mode::Describing(properties) | Mode::Reading(properties) => properties,
        };
        if properties.is_empty() {
            return "{}".to_owned();
        }
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "additionalProperties": false,
            "properties": properties,
        })
        .to_string()
    }
}
