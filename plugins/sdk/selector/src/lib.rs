//! Write a selector in Rust: the component that says which backend node Baton keeps its state on.
//!
//! Implement [`BackendSelector`] for a type that holds your settings, and export it with [`export_selector!`]. [`Keeping`] does what most
//! selectors do alike:
//!
//! ```ignore
//! use baton_selector_sdk::*;
//!
//! struct Quickest { keeping: Keeping }
//!
//! impl BackendSelector for Quickest {
//!     const NAME: &str = "quickest";
//!     const VERSION: &str = env!("CARGO_PKG_VERSION");
//!     const DESCRIPTION: &str = "The node that answers fastest, and stays there";
//!
//!     fn configure(settings: &mut Settings) -> Self {
//!         Quickest { keeping: Keeping::configure(settings, None) }
//!     }
//!     fn select(&self, question: &SelectQuestion) -> Result<Selection, String> {
//!         let standing = |node: &Node| Standing { order: node.probe.round_trip_us, why: "the quickest".to_owned() };
//!         Ok(self.keeping.select(question, standing, |_, _| Move::Stay))
//!     }
//! }
//!
//! export_selector!(Quickest);
//! ```
//!
//! A selector is a pure function: it gets everything in the question, keeps nothing between questions, and has no clock, files or
//! network. It is a crate of its own beside `baton-policy-sdk` because a component can have one world only.

mod export;
mod keeping;

#[doc(hidden)]
#[expect(
    clippy::pedantic,
    reason = "generated from wit/, which is where the documentation is"
)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        world: "backend-selector",
        with: {
            "baton:policy/types@0.1.0": baton_policy_sdk::bindings::baton::policy::types,
            "baton:policy/log@0.1.0": baton_policy_sdk::bindings::baton::policy::log,
        },
        pub_export_macro: true,
        export_macro_name: "export_component",
        default_bindings_module: "baton_selector_sdk::bindings",
    });
}

pub use baton_policy_sdk::{
    Choice, Context, Level, PeerView, Probe, Reach, Reason, Settings, SettingsProblem, Whole, log,
    reason, reason_about,
};
pub use bindings::exports::baton::policy::selector::{Node, SelectQuestion, Selection};
pub use keeping::{Keeping, Move, Standing, objection};

#[doc(hidden)]
pub use baton_policy_sdk::{export_plugin, install_panic_hook, schema_of};

/// One backend selector. See the crate's documentation.
pub trait BackendSelector: Sized + 'static {
    /// Kebab-case, unique among a site's policies.
    const NAME: &str;
    /// Semantic version, usually `env!("CARGO_PKG_VERSION")`.
    const VERSION: &str;
    /// One line.
    const DESCRIPTION: &str;
    /// Costly facts this selector reads (`tags`); those not named here may be absent.
    const WANTS: &[&str] = &[];

    /// Reads the settings. The same declarations make the JSON Schema, so read each setting exactly once, unconditionally.
    fn configure(settings: &mut Settings) -> Self;

    /// Which node to use now?
    fn select(&self, question: &SelectQuestion) -> Result<Selection, String>;
}
