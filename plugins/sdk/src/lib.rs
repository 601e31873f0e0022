//! Write a Baton failover policy in Rust. (Selectors of the backend node: the crate `baton-selector-sdk` beside this one.)
//!
//! Implement [`FailoverPolicy`] for a type that holds your settings, and export it:
//!
//! ```ignore
//! use baton_policy_sdk::*;
//!
//! struct Patient { held_ms: u32 }
//!
//! impl FailoverPolicy for Patient {
//!     const NAME: &str = "patient";
//!     const VERSION: &str = env!("CARGO_PKG_VERSION");
//!     const DESCRIPTION: &str = "Waits longer than the default";
//!
//!     fn configure(settings: &mut Settings) -> Self {
//!         Patient { held_ms: settings.whole(Whole { name: "held-ms", default: 5_000, min: 0, max: 60_000, about: "how long" }) }
//!     }
//!     fn assess(&self, question: &AssessQuestion) -> Result<Assessment, String> { ... }
//!     fn rank(&self, question: &RankQuestion) -> Result<Ranking, String> { ... }
//! }
//!
//! export_policy!(Patient);
//! ```
//!
//! A policy is a pure function: it gets everything in the question, keeps nothing between questions, and has no clock, files or
//! network. The contract is `wit/` in Baton's repository; its records and enums are re-exported here under their Rust names.

mod cluster;
mod export;
mod settings;

#[doc(hidden)]
#[expect(
    clippy::pedantic,
    reason = "generated from wit/, which is where the documentation is"
)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "failover-policy",
        pub_export_macro: true,
        export_macro_name: "export_component",
        default_bindings_module: "baton_policy_sdk::bindings",
    });
}

pub use bindings::baton::policy::log::{Level, write as log};
pub use bindings::baton::policy::topology::{
    Channel, Cluster, Downtime, Flavour, LogFormat, Place, PromotionRule, Recovery, Role, SemiSync,
    Server, Sighting, ThreadState, Vitals,
};
pub use bindings::baton::policy::types::{Context, PeerView, Probe, Reach, Reason};
pub use bindings::exports::baton::policy::failover::{
    Approval, Ask, AssessQuestion, Assessment, Candidate, Finding, RankQuestion, Ranked, Ranking,
    Verdict, Veto,
};
pub use cluster::ClusterFacts;
pub use settings::{Choice, Settings, SettingsProblem, Whole};

#[doc(hidden)]
pub use export::{install_panic_hook, schema_of};

/// One failover policy. See the crate's documentation for an example.
pub trait FailoverPolicy: Sized + 'static {
    /// Kebab-case, unique among a site's policies.
    const NAME: &str;
    /// Semantic version, usually `env!("CARGO_PKG_VERSION")`.
    const VERSION: &str;
    /// One line.
    const DESCRIPTION: &str;
    /// Costly facts this policy reads (`tags`, `vitals`, `gtid-text`); those not named here may be absent.
    const WANTS: &[&str] = &[];

    /// Reads the settings. The same declarations make the JSON Schema, so read each setting exactly once, unconditionally.
    fn configure(settings: &mut Settings) -> Self;

    /// Is this worth acting on?
    fn assess(&self, question: &AssessQuestion) -> Result<Assessment, String>;

    /// Who takes over?
    fn rank(&self, question: &RankQuestion) -> Result<Ranking, String>;
}

/// A reason that concerns the whole question.
pub fn reason(code: &str, text: impl Into<String>) -> Reason {
    reason_about(code, text, Vec::new())
}

/// A reason that concerns certain servers, named by their index.
pub fn reason_about(code: &str, text: impl Into<String>, about: Vec<u32>) -> Reason {
    Reason {
        code: code.to_owned(),
        text: text.into(),
        about,
    }
}
