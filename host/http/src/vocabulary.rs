//! The stable words of the API for values of the core: each closed set once, so that what is
//! answered and what the OpenAPI document enumerates cannot differ.

use std::borrow::Cow;

use baton_control::NodeLife;
use baton_core::analysis::{Code, Severity};
use baton_core::model::{
    Flavor, LogFormat, PromotionRule, Reach, RecoveryKind, RecoveryOutcome, Risk, Switch,
    ThreadState,
};
use baton_core::planning::Phase;
use baton_core::policy::{self, Suggestion};
use baton_ports::JournalStage;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

/// A closed set of values, each of which has a word.
pub(crate) trait Vocabulary: Copy + 'static {
    /// All of them.
    const ALL: &'static [Self];

    /// The word.
    fn word(self) -> &'static str;
}

/// All words of a set.
pub(crate) fn words<V: Vocabulary>() -> Vec<&'static str> {
    V::ALL.iter().map(|value| value.word()).collect()
}

/// A value that is shown as its word.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word<V>(pub(crate) V);

impl<V: Vocabulary> Serialize for Word<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.word())
    }
}

impl<V: Vocabulary> JsonSchema for Word<V> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Word".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "enum": words::<V>()})
    }
}

/// A type's values with the words of this API. A value that is left out does not compile.
macro_rules! vocabulary {
    ($of:ty { $($value:ident => $word:literal),+ $(,)? }) => {
        impl Vocabulary for $of {
            const ALL: &'static [Self] = &[$(<$of>::$value),+];

            fn word(self) -> &'static str {
                match self { $(<$of>::$value => $word),+ }
            }
        }
    };
}

/// Types that have words of their own, see [`baton_core::words`].
macro_rules! own_words {
    ($($of:ty),+ $(,)?) => {
        $(impl Vocabulary for $of {
            const ALL: &'static [Self] = <$of>::ALL;

            fn word(self) -> &'static str {
                <$of>::word(self)
            }
        })+
    };
}

vocabulary!(Reach {
    NotProbed => "not-probed",
    Answering => "answering",
    Partial => "partial",
    Silent => "silent",
});
vocabulary!(policy::Reach {
    NotProbed => "not-probed",
    Answering => "answering",
    Partial => "partial",
    Silent => "silent",
});
vocabulary!(Severity {
    Notice => "notice",
    Warning => "warning",
    Critical => "critical",
});
vocabulary!(ThreadState {
    Running => "running",
    Connecting => "connecting",
    Stopped => "stopped",
    Unknown => "unknown",
});
vocabulary!(Flavor {
    Mysql => "mysql",
    Percona => "percona",
    Mariadb => "mariadb",
    Other => "other",
});
vocabulary!(LogFormat {
    Statement => "statement",
    Mixed => "mixed",
    Row => "row",
});
vocabulary!(Switch {
    On => "on",
    Off => "off",
    Unreadable => "unreadable",
});
vocabulary!(NodeLife {
    This => "this",
    Answers => "answers",
    Gone => "gone",
    Silent => "silent",
    Strange => "strange",
    Registered => "registered",
});
own_words!(
    Code,
    JournalStage,
    Phase,
    PromotionRule,
    RecoveryKind,
    RecoveryOutcome,
    Risk,
    Suggestion,
);
