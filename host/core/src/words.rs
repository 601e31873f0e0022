//! Words that cross a boundary: stored, sent to policies, shown by the API, typed by people.
//!
//! Each is a variant of an enum, and the enum's table of words is written with `words!` or
//! `words_of_variants!`: there is no second list. What a word means stands at the variant. A word that was released keeps its
//! meaning.
//!
//! | Enum | Words of |
//! | --- | --- |
//! | [`Code`](crate::analysis::Code) | findings |
//! | [`Ineligible`](crate::planning::Ineligible) | why a server may not become the primary |
//! | [`RecoveryKind`](crate::model::RecoveryKind) | recoveries |
//! | [`RecoveryOutcome`](crate::model::RecoveryOutcome) | how they end |
//! | [`ServerCommand`](crate::command::ServerCommand) | changes of a server |
//! | [`Phase`](crate::planning::Phase) | steps of a recovery |
//! | [`Suggestion`](crate::policy::Suggestion) | what the analysis suggests about a finding |
//! | [`PromotionRule`](crate::model::PromotionRule) | who is wanted as a primary |
//! | [`Risk`](crate::model::Risk) | what a failover may risk |
//! | [`ProbeFailure`](crate::model::ProbeFailure) | why a probe was not answered |
//! | [`BackendKind`](crate::policy::backend::BackendKind) | Baton's own database |

/// Gives an enum without data its words: `ALL`, `word` and `from_word`.
///
/// A variant that is missing from the table does not compile.
#[macro_export]
macro_rules! words {
    ($name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $name {
            /// All, in the order of their table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable word.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }

            /// Reads a word.
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.word() == word)
            }
        }
    };
}

/// Gives an enum whose variants have data its words: `WORDS` and `word`.
///
/// A variant that is missing from the table does not compile.
macro_rules! words_of_variants {
    ($name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $name {
            /// All words, in the order of their table.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The stable word.
            pub const fn word(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $word),+
                }
            }
        }
    };
}

pub(crate) use words_of_variants;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::analysis::Code;
    use crate::command::ServerCommand;
    use crate::model::{
        ProbeFailure, PromotionRule, RecoveryKind, RecoveryOutcome, Risk, TimeoutPhase,
    };
    use crate::planning::{Ineligible, Phase};
    use crate::policy::Suggestion;
    use crate::policy::backend::BackendKind;

    /// Words are told apart, and need no quoting anywhere.
    fn are_sound(words: &[&str]) {
        let unique: BTreeSet<&&str> = words.iter().collect();
        assert_eq!(unique.len(), words.len(), "{words:?}");
        for word in words {
            let plain = |c: char| c.is_ascii_lowercase() || c == '-' || c == '_';
            assert!(!word.is_empty() && word.chars().all(plain), "{word:?}");
        }
    }

    macro_rules! sound {
        ($($name:ident),+) => {
            $(
                let words: Vec<&str> = $name::ALL.iter().map(|one| one.word()).collect();
                are_sound(&words);
                for one in $name::ALL {
                    assert_eq!($name::from_word(one.word()), Some(*one));
                }
                assert_eq!($name::from_word("no-such-word"), None);
            )+
        };
    }

    #[test]
    fn words_are_unique_and_are_read_back() {
        sound!(
            Code,
            RecoveryKind,
            RecoveryOutcome,
            Phase,
            Suggestion,
            PromotionRule,
            Risk,
            BackendKind
        );
        are_sound(Ineligible::WORDS);
        are_sound(ServerCommand::WORDS);
    }

    #[test]
    fn words_of_failures_are_complete() {
        let failures = [
            ProbeFailure::Refused,
            ProbeFailure::Reset,
            ProbeFailure::Timeout(TimeoutPhase::Connect),
            ProbeFailure::Timeout(TimeoutPhase::Handshake),
            ProbeFailure::Timeout(TimeoutPhase::Statement),
            ProbeFailure::NoRoute,
            ProbeFailure::Dns,
            ProbeFailure::Tls,
            ProbeFailure::Authentication { number: 1045 },
            ProbeFailure::TooManyConnections,
            ProbeFailure::HostBlocked,
            ProbeFailure::ShuttingDown,
            ProbeFailure::NotMysql,
            ProbeFailure::Statement { number: 1 },
            ProbeFailure::ReceiverWaitsForSpace,
            ProbeFailure::Other(String::new()),
        ];
        assert_eq!(failures.map(|failure| failure.word()), ProbeFailure::WORDS);
        are_sound(&ProbeFailure::WORDS);
    }
}
