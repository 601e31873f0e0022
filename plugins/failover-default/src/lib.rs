//! The failover policy Baton uses unless told otherwise.
//!
//! `assess` collects every objection to acting and lets the strongest decide; `rank` vetoes what must not become primary and
//! sorts the rest by one list of criteria. Both say why, for each server.

mod assess;
mod compatibility;
mod rank;
mod settings;
mod standing;

use baton_policy_sdk::{
    AssessQuestion, Assessment, FailoverPolicy, RankQuestion, Ranking, Settings, export_policy,
};

struct FailoverDefault {
    settings: settings::DefaultSettings,
}

impl FailoverPolicy for FailoverDefault {
    const NAME: &str = "failover-default";
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &str = "Acts on confirmed failures, holds during cooldown and mass failures, prefers near and advanced servers";

    fn configure(settings: &mut Settings) -> Self {
        Self {
            settings: settings::DefaultSettings::read(settings),
        }
    }

    fn assess(&self, question: &AssessQuestion) -> Result<Assessment, String> {
        assess::assess(&self.settings, question)
    }

    fn rank(&self, question: &RankQuestion) -> Result<Ranking, String> {
        Ok(rank::rank(&self.settings, question))
    }
}

export_policy!(FailoverDefault);
