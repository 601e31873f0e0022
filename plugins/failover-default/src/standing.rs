//! Where one candidate stands: vetoed, or with a key that sorts it.

use baton_policy_sdk::{
    Candidate, Channel, ClusterFacts, PromotionRule, RankQuestion, Reach, Reason, Server,
    reason_about,
};

use crate::compatibility::{Followers, height};
use crate::settings::{DefaultSettings, Stance};

/// Criteria in order of weight. Smaller is better in each; the first that differs decides.
#[derive(Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a criterion of its own and all combinations are meaningful"
)]
pub(crate) struct Key {
    /// Being worked on, in downtime, or unable to feed the others.
    pub(crate) unfit: bool,
    /// 0 = must ... 3 = prefer not.
    pub(crate) promotion: u8,
    pub(crate) other_region: bool,
    pub(crate) other_data_center: bool,
    pub(crate) incompatible: bool,
    /// Errant transactions: 0 = none, 1 = not known, 2 = some and they are to be avoided.
    pub(crate) errant: u8,
    /// Unknown counts as most.
    pub(crate) missing: u32,
    /// Settings of its binary log, 0 = all good.
    pub(crate) log: u8,
    /// Servers that could not follow it.
    pub(crate) followers_short: u32,
}

impl Key {
    /// The criteria as one number that sorts as they do. Never 0, which is left for what must come first of all.
    pub(crate) fn packed(&self) -> u128 {
        let digits = [
            (u32::from(self.unfit), 1),
            (u32::from(self.promotion), 2),
            (u32::from(self.other_region), 1),
            (u32::from(self.other_data_center), 1),
            (u32::from(self.incompatible), 1),
            (u32::from(self.errant), 2),
            (self.missing, 32),
            (u32::from(self.log), 3),
            (self.followers_short, 32),
        ];
        let append = |packed: u128, (digit, bits): (u32, u32)| packed << bits | u128::from(digit);
        digits.into_iter().fold(1, append)
    }
}

/// Candidate with its place in the order, or the reason why it has none.
pub(crate) enum Standing<'a> {
    Fit(Key, &'a Server),
    Vetoed(Reason),
}

/// What is the same for all candidates of a question.
pub(crate) struct Field<'a> {
    settings: &'a DefaultSettings,
    question: &'a RankQuestion,
    followers: Followers,
    most_followers: u32,
}

/// Outcome of comparing a candidate's kind with what the operator allows.
enum Judged {
    Fine,
    Avoided,
    Forbidden,
}

fn judge(applies: bool, stance: Stance) -> Judged {
    match (applies, stance) {
        (false, _) | (true, Stance::Allow) => Judged::Fine,
        (true, Stance::Avoid) => Judged::Avoided,
        (true, Stance::Forbid) => Judged::Forbidden,
    }
}

impl<'a> Field<'a> {
    pub(crate) fn new(settings: &'a DefaultSettings, question: &'a RankQuestion) -> Self {
        Self {
            settings,
            question,
            followers: Followers::of(&question.cluster, question.replaced),
            most_followers: question
                .candidates
                .iter()
                .map(|c| c.followers)
                .max()
                .unwrap_or(0),
        }
    }

    pub(crate) fn standing(&self, candidate: &Candidate) -> Standing<'a> {
        let Some(server) = self.question.cluster.server(candidate.server) else {
            return Standing::Vetoed(veto(
                candidate,
                "not-in-question",
                "It is not in the question.".into(),
            ));
        };
        match self.key(candidate, server) {
            Ok(key) => Standing::Fit(key, server),
            Err(reason) => Standing::Vetoed(reason),
        }
    }

    fn key(&self, candidate: &Candidate, server: &Server) -> Result<Key, Reason> {
        let promotion = match server.promotion {
            PromotionRule::Must => 0,
            PromotionRule::Prefer => 1,
            PromotionRule::Neutral => 2,
            PromotionRule::PreferNot => 3,
            PromotionRule::MustNot => {
                return Err(veto(
                    candidate,
                    "promotion-rule-must-not",
                    "Its promotion rule is must-not.".into(),
                ));
            }
        };
        if server.probe.state == Reach::Silent {
            return Err(veto(
                candidate,
                "not-answering",
                "It does not answer.".into(),
            ));
        }
        let channels = self.question.cluster.channels_of(candidate.server);
        refuse_partial_copies(candidate, channels)?;
        self.refuse_lag(candidate, channels)?;
        let (other_region, other_data_center) = self.distance(candidate)?;
        Ok(Key {
            unfit: server.maintenance
                || server.downtime.is_some()
                || cannot_feed(candidate, server),
            promotion,
            other_region,
            other_data_center,
            incompatible: self.incompatible(candidate, server)?,
            errant: self.errant(candidate)?,
            missing: candidate.missing.unwrap_or(u32::MAX),
            log: log_settings(server),
            followers_short: self.most_followers - candidate.followers.min(self.most_followers),
        })
    }

    fn refuse_lag(&self, candidate: &Candidate, channels: &[Channel]) -> Result<(), Reason> {
        let Some(most) = self.settings.lag_max_ms else {
            return Ok(());
        };
        let delay = channels
            .iter()
            .map(|channel| channel.delay)
            .max()
            .unwrap_or(0);
        if delay > most {
            let text =
                format!("It is configured to stay {delay} ms behind; {most} ms are allowed.");
            return Err(veto(candidate, "delayed", text));
        }
        match channels.iter().filter_map(|channel| channel.lag).max() {
            Some(lag) if lag > most => {
                let text = format!("It lags {lag} ms behind; {most} ms are allowed.");
                Err(veto(candidate, "lagging", text))
            }
            _ => Ok(()),
        }
    }

    /// Whether the candidate is in another region and in another data centre, as far as that is to be avoided.
    fn distance(&self, candidate: &Candidate) -> Result<(bool, bool), Reason> {
        let cluster = &self.question.cluster;
        let (Some(old), Some(new)) = (
            cluster.place_of(self.question.replaced),
            cluster.place_of(candidate.server),
        ) else {
            return Ok((false, false));
        };
        // An empty name is an unknown place, and unknown is not "elsewhere".
        let differ = |a: &str, b: &str| !a.is_empty() && !b.is_empty() && a != b;
        let region = differ(&old.region, &new.region);
        let other_region = match judge(region, self.settings.cross_region) {
            Judged::Fine => false,
            Judged::Avoided => true,
            Judged::Forbidden => {
                let text = format!("It is in region {}, not in {}.", new.region, old.region);
                return Err(veto(candidate, "other-region", text));
            }
        };
        // Data centres of two regions may share a name.
        let center = region || differ(&old.data_center, &new.data_center);
        let other_data_center = match judge(center, self.settings.cross_data_center) {
            Judged::Fine => false,
            Judged::Avoided => true,
            Judged::Forbidden => {
                let text = format!(
                    "It is in data centre {}, not in {}.",
                    new.data_center, old.data_center
                );
                return Err(veto(candidate, "other-data-center", text));
            }
        };
        Ok((other_region, other_data_center))
    }

    fn incompatible(&self, candidate: &Candidate, server: &Server) -> Result<bool, Reason> {
        let (behind, others) = self.followers.left_behind(server);
        let version = match judge(behind * 2 > others, self.settings.newer_version) {
            Judged::Fine => false,
            Judged::Avoided => true,
            Judged::Forbidden => {
                let text = format!(
                    "{behind} of {others} others are older than its {}.{} or of another family and could not follow it.",
                    server.version.0, server.version.1
                );
                return Err(veto(candidate, "newer-than-followers", text));
            }
        };
        let above = match (height(server.log_format), self.followers.common_height()) {
            (Some(own), Some(common)) => own > common,
            _ => false,
        };
        match judge(above, self.settings.stricter_log_format) {
            Judged::Fine => Ok(version),
            Judged::Avoided => Ok(true),
            Judged::Forbidden => {
                let text =
                    "Its binary log format is above that of most others, which could not apply it."
                        .into();
                Err(veto(candidate, "log-format-above-majority", text))
            }
        }
    }

    fn errant(&self, candidate: &Candidate) -> Result<u8, Reason> {
        let Some(errant) = candidate.errant else {
            return Ok(u8::from(self.settings.errant_transactions != Stance::Allow));
        };
        match judge(errant > 0, self.settings.errant_transactions) {
            Judged::Fine => Ok(0),
            Judged::Avoided => Ok(2),
            Judged::Forbidden => {
                let text = format!("It has {errant} transactions that the primary never had.");
                Err(veto(candidate, "errant-transactions", text))
            }
        }
    }
}

fn refuse_partial_copies(candidate: &Candidate, channels: &[Channel]) -> Result<(), Reason> {
    if channels.iter().any(|channel| channel.filtered) {
        let text = "Replication filters are in force: it is not a full copy.".into();
        return Err(veto(candidate, "filtered", text));
    }
    Ok(())
}

fn veto(candidate: &Candidate, code: &str, text: String) -> Reason {
    reason_about(code, text, vec![candidate.server])
}

/// A server without a binary log of what it replicated is a dead end for those that should follow it.
fn cannot_feed(candidate: &Candidate, server: &Server) -> bool {
    candidate.followers > 0 && (server.log_bin == Some(false) || server.log_updates == Some(false))
}

fn log_settings(server: &Server) -> u8 {
    let weak = |setting: Option<bool>| match setting {
        Some(true) => 0,
        None => 1,
        Some(false) => 2,
    };
    weak(server.log_bin) + weak(server.log_updates)
}
