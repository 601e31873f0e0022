//! What a handler of either API needs.

use std::sync::Arc;

use baton_control::Control;

use crate::client::PeerClient;
use crate::settings::HttpSettings;

/// What a handler of either API needs.
pub struct ApiContext {
    /// The control loop.
    pub control: Arc<dyn Control>,
    /// The operator's choices.
    pub settings: HttpSettings,
    /// Connections to the other nodes.
    pub client: Arc<PeerClient>,
}

impl ApiContext {
    /// In whose name a change is recorded: the user's, or this node's if no user is named.
    pub fn caller(&self, user: Option<String>) -> String {
        user.unwrap_or_else(|| self.control.node().name.as_str().to_owned())
    }
}
