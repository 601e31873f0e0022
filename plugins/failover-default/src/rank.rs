//! Who takes over: vetoes, then one sort, then for each candidate the criterion by which it comes after the first.

use baton_policy_sdk::{
    Candidate, PromotionRule, RankQuestion, Ranked, Ranking, Reason, Server, Veto, reason,
    reason_about,
};

use crate::settings::DefaultSettings;
use crate::standing::{Field, Key, Standing};

/// A candidate that may take over.
struct Runner<'a> {
    candidate: &'a Candidate,
    server: &'a Server,
    key: Key,
    requested: bool,
    /// Everything the order depends on but the name, in one number: sorting is most of the work in a large cluster.
    order: u128,
}

/// Candidates whose reasons give numbers; nobody reads on, and each text costs.
const EXPLAINED: usize = 50;

pub(crate) fn rank(settings: &DefaultSettings, question: &RankQuestion) -> Ranking {
    let field = Field::new(settings, question);
    let mut runners = Vec::with_capacity(question.candidates.len());
    let mut vetoes = Vec::new();
    for candidate in &question.candidates {
        match field.standing(candidate) {
            Standing::Fit(key, server) => {
                let requested = question.requested == Some(candidate.server);
                let order = if requested { 0 } else { key.packed() };
                runners.push(Runner {
                    candidate,
                    server,
                    key,
                    requested,
                    order,
                });
            }
            Standing::Vetoed(why) => {
                vetoes.push(Veto {
                    server: candidate.server,
                    reasons: vec![why],
                });
            }
        }
    }
    runners.sort_unstable_by(|a, b| {
        a.order
            .cmp(&b.order)
            .then_with(|| a.server.id.cmp(&b.server.id))
    });
    let reasons = vec![summary(&runners, &vetoes)];
    let order = match runners.first() {
        Some(first) => {
            let ranked = |(place, runner)| ranked(place, runner, first);
            runners.iter().enumerate().map(ranked).collect()
        }
        None => Vec::new(),
    };
    Ranking {
        order,
        vetoes,
        reasons,
        extra: None,
    }
}

fn summary(runners: &[Runner<'_>], vetoes: &[Veto]) -> Reason {
    match (runners.first(), vetoes.len()) {
        (None, 0) => reason("no-candidates", "Baton offered no candidates."),
        (None, count) => reason(
            "all-vetoed",
            format!("None of {count} candidates may take over."),
        ),
        (Some(first), refused) => reason_about(
            "ranked",
            format!(
                "{} is the best of {} candidates; {refused} more are vetoed.",
                first.server.address,
                runners.len()
            ),
            vec![first.candidate.server],
        ),
    }
}

fn ranked(place: usize, runner: &Runner<'_>, first: &Runner<'_>) -> Ranked {
    let server = runner.candidate.server;
    let reasons = if server == first.candidate.server {
        strengths(runner)
    } else {
        vec![weakness(runner, first, place < EXPLAINED)]
    };
    Ranked {
        server,
        score: score(&runner.key),
        reasons,
    }
}

/// For people: the criteria as decimal places, so that the order can be read off the numbers but for the last two criteria.
fn score(key: &Key) -> i32 {
    let good = |bad: bool, weight: i32| if bad { 0 } else { weight };
    let missing = i32::try_from(key.missing.min(999)).unwrap_or(999);
    good(key.unfit, 1_000_000)
        + i32::from(3 - key.promotion) * 200_000
        + good(key.other_region, 100_000)
        + good(key.other_data_center, 50_000)
        + good(key.incompatible, 20_000)
        + i32::from(2 - key.errant) * 5_000
        + (999 - missing)
}

fn strengths(runner: &Runner<'_>) -> Vec<Reason> {
    let Runner {
        candidate,
        server,
        key,
        requested,
        order: _,
    } = runner;
    let about = |code: &str, text: &str| reason_about(code, text, vec![candidate.server]);
    let mut reasons = Vec::with_capacity(4);
    if *requested {
        reasons.push(about("requested", "A person asked for it."));
    }
    match server.promotion {
        PromotionRule::Must => {
            reasons.push(about("promotion-rule-must", "Its promotion rule is must."));
        }
        PromotionRule::Prefer => {
            reasons.push(about(
                "promotion-rule-prefer",
                "Its promotion rule is prefer.",
            ));
        }
        PromotionRule::Neutral | PromotionRule::PreferNot | PromotionRule::MustNot => {}
    }
    if !key.other_region && !key.other_data_center {
        reasons.push(about(
            "near",
            "It is not known to be in another data centre.",
        ));
    }
    reasons.push(match key.missing {
        0 => about("most-advanced", "No candidate has received more."),
        u32::MAX => about("position-unknown", "How much it has received is not known."),
        missing => about(
            "catches-up",
            &format!("It must first fetch {missing} transactions from the most advanced one."),
        ),
    });
    reasons
}

/// The first criterion by which the runner comes after the first one.
fn weakness(runner: &Runner<'_>, first: &Runner<'_>, in_full: bool) -> Reason {
    let (own, best) = (&runner.key, &first.key);
    let (code, text) = if first.requested {
        ("not-requested", "A person asked for another one.")
    } else if own.unfit != best.unfit {
        (
            "unfit",
            "It is being worked on, in downtime, or could not feed the others.",
        )
    } else if own.promotion != best.promotion {
        (
            "promotion-rule-lower",
            "Another one has a better promotion rule.",
        )
    } else if own.other_region != best.other_region {
        ("other-region", "It is in another region.")
    } else if own.other_data_center != best.other_data_center {
        ("other-data-center", "It is in another data centre.")
    } else if own.incompatible != best.incompatible {
        ("incompatible", "Most others could not follow it.")
    } else if own.errant != best.errant {
        match own.errant {
            1 => (
                "errant-transactions-unknown",
                "Whether it has errant transactions is not known.",
            ),
            _ => (
                "errant-transactions",
                "It has transactions that the primary never had.",
            ),
        }
    } else if own.missing != best.missing {
        return less_advanced(runner, in_full);
    } else if own.log != best.log {
        ("log-settings-weaker", "Its binary log is set up less well.")
    } else if own.followers_short != best.followers_short {
        ("fewer-followers", "Fewer servers could follow it.")
    } else {
        ("equal", "As good as the first; the name decides.")
    };
    reason_about(code, text, vec![runner.candidate.server])
}

fn less_advanced(runner: &Runner<'_>, in_full: bool) -> Reason {
    let text = match (in_full, runner.key.missing) {
        (_, u32::MAX) => "How much it has received is not known.".to_owned(),
        (true, missing) => format!("{missing} transactions are missing here."),
        (false, _) => "Transactions are missing here.".to_owned(),
    };
    reason_about("less-advanced", text, vec![runner.candidate.server])
}
