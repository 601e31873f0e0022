//! What an operator can choose. One declaration per setting: value, bounds, schema.

use baton_policy_sdk::{Choice, Settings, Whole};

/// What to do with a candidate of a certain kind.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stance {
    Allow,
    /// Only if there is nobody else of the same promotion rule.
    Avoid,
    Forbid,
}

const STANCES: &[(&str, Stance)] = &[
    ("allow", Stance::Allow),
    ("avoid", Stance::Avoid),
    ("forbid", Stance::Forbid),
];

pub(crate) struct DefaultSettings {
    pub(crate) confirmations: Option<u32>,
    pub(crate) silence_ms: u32,
    pub(crate) cooldown_ms: u32,
    pub(crate) cooldown_failovers: u32,
    pub(crate) mass_failure_count: u32,
    pub(crate) mass_failure_percent: u32,
    pub(crate) lag_max_ms: Option<u32>,
    pub(crate) cross_data_center: Stance,
    pub(crate) cross_region: Stance,
    pub(crate) newer_version: Stance,
    pub(crate) stricter_log_format: Stance,
    pub(crate) errant_transactions: Stance,
}

impl DefaultSettings {
    pub(crate) fn read(settings: &mut Settings) -> Self {
        Self {
            confirmations: settings.whole_or_off(
                Whole {
                    name: "confirmations",
                    default: 0,
                    min: 1,
                    max: 100,
                    about: "Failed probes of Baton's own before it acts. By default 1 when the server refused or reset the \
                            connection and every replica that answers lost it too, otherwise 2.",
                },
                None,
            ),
            silence_ms: settings.whole(Whole {
                name: "silence-ms",
                default: 800,
                min: 0,
                max: 3_600_000,
                about: "How long a server that gives no proof of being gone must have been silent, and how long a server that \
                        answers must have been useless.",
            }),
            cooldown_ms: settings.whole(Whole {
                name: "cooldown-ms",
                default: 3_600_000,
                min: 0,
                max: u32::MAX,
                about: "After an automatic recovery that replaced a server, do not replace the same server again for this long, \
                        unless a person acknowledges it; nor another one, if cooldown-failovers were replaced.",
            }),
            cooldown_failovers: settings.whole(Whole {
                name: "cooldown-failovers",
                default: 3,
                min: 1,
                max: 1000,
                about: "Hold after so many automatic recoveries of a cluster within cooldown-ms, whichever servers they replaced.",
            }),
            mass_failure_count: settings.whole(Whole {
                name: "mass-failure-count",
                default: 3,
                min: 1,
                max: u32::MAX,
                about: "Hold if at least this many other clusters have the same finding now, and mass-failure-percent holds too.",
            }),
            mass_failure_percent: settings.whole(Whole {
                name: "mass-failure-percent",
                default: 30,
                min: 0,
                max: 100,
                about: "Share of all clusters, this one included, that makes it a mass failure. It is then more likely that the \
                        network of this node failed.",
            }),
            lag_max_ms: settings.whole_or_off(
                Whole {
                    name: "lag-max-ms",
                    default: 60_000,
                    min: 0,
                    max: u32::MAX,
                    about: "Refuse a candidate that is known to lag, or is configured to stay behind, by more. null = never.",
                },
                Some(60_000),
            ),
            cross_data_center: stance(
                settings,
                "cross-data-center",
                "avoid",
                "Candidates in another data centre than the server they replace.",
            ),
            cross_region: stance(
                settings,
                "cross-region",
                "avoid",
                "Candidates in another region than the server they replace.",
            ),
            newer_version: stance(
                settings,
                "newer-version",
                "forbid",
                "Candidates of a newer major.minor version, or another family, than most servers that would follow.",
            ),
            stricter_log_format: stance(
                settings,
                "stricter-log-format",
                "forbid",
                "Candidates whose binary log format is above that of most servers (ROW > MIXED > STATEMENT).",
            ),
            errant_transactions: stance(
                settings,
                "errant-transactions",
                "avoid",
                "Candidates with transactions that the primary never had.",
            ),
        }
    }
}

fn stance(
    settings: &mut Settings,
    name: &'static str,
    default: &'static str,
    about: &'static str,
) -> Stance {
    settings.choice(Choice {
        name,
        default,
        words: STANCES,
        about,
    })
}
