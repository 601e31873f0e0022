//! What the loop is told by the configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use baton_core::analysis::AnalysisSettings;
use baton_core::ids::{Address, NodeName};
use baton_core::model::{Place, PromotionRule, Risk};
use baton_core::planning::PlanSettings;

/// What Baton does with a server that was replaced and came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejoinMode {
    /// Fence it, and attach it to the present primary if its history allows.
    FenceAndAttach,
    /// Fence it only.
    Fence,
    /// Leave it alone (dangerous: two servers may take writes).
    Off,
}

/// What is configured about one server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerHint {
    /// Promotion rule, unless an operator set another one at run time.
    pub promotion: Option<PromotionRule>,
    /// Where it stands, unless the server's own query tells.
    pub place: Option<Place>,
    /// Free words, as pairs: `key=value`, or a word and an empty value.
    pub tags: Vec<(String, String)>,
}

/// Settings of the loop.
#[derive(Clone, Debug)]
pub struct ControlSettings {
    /// Name of this node.
    pub node: NodeName,
    /// Version of the program.
    pub version: String,
    /// Kind and place of the store, without secrets, for status pages.
    pub store: String,
    /// First servers to probe.
    pub seeds: Vec<Address>,
    /// Pause between two readings of a server.
    pub poll_interval: Duration,
    /// Limit of opening a session.
    pub connect_limit: Duration,
    /// Limit of a reading.
    pub read_limit: Duration,
    /// Most sessions being opened at once to servers that answered before.
    pub concurrency: usize,
    /// Most sessions being opened at once to servers that do not answer: they never delay the
    /// others.
    pub silent_concurrency: usize,
    /// Servers unseen for so long are forgotten.
    pub forget_after: Duration,
    /// Names (with `*`) of clusters recovered without a person.
    pub automatic: Vec<String>,
    /// What a failover without a person may risk, where its cluster has no setting of its own.
    pub risk: Risk,
    /// The same for clusters by name.
    pub risks: BTreeMap<String, Risk>,
    /// Recover replicas of dead intermediate sources, too.
    pub intermediate: bool,
    /// What to do with servers that come back.
    pub rejoin: RejoinMode,
    /// Largest lag with which a switchover begins.
    pub switchover_lag_limit: Duration,
    /// A switchover that is not done after this is undone, unless the request says otherwise.
    pub switchover_deadline: Duration,
    /// Prefix of route keys.
    pub route_prefix: String,
    /// Names of clusters by member address.
    pub cluster_names: BTreeMap<Address, String>,
    /// What is configured about servers.
    pub hints: BTreeMap<Address, ServerHint>,
    /// Time to live of the lease.
    pub lease_ttl: Duration,
    /// Where this node's API listens, as other nodes reach it; empty if it has none.
    pub url: String,
    /// Where the other Baton nodes listen, as configured.
    pub peers: Vec<String>,
    /// The store is shared with other nodes: who acts on a cluster needs the vote of its members.
    /// False for an embedded store, which has one node only.
    pub shared_store: bool,
    /// Act by the clusters' votes alone while a shared store is away.
    pub without_backend: bool,
    /// How many other nodes must agree that a primary is lost before it is called dead; more than
    /// there are means all that answer.
    pub confirmations: u32,
    /// Analysis.
    pub analysis: AnalysisSettings,
    /// Plans.
    pub plan: PlanSettings,
}

impl ControlSettings {
    /// Defaults, for the node `node`.
    pub fn new(node: NodeName) -> Self {
        Self {
            node,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            store: String::new(),
            seeds: Vec::new(),
            poll_interval: Duration::from_secs(1),
            connect_limit: Duration::from_secs(1),
            read_limit: Duration::from_millis(500),
            concurrency: 64,
            silent_concurrency: 16,
            forget_after: Duration::from_secs(240 * 3600),
            automatic: Vec::new(),
            risk: Risk::default(),
            risks: BTreeMap::new(),
            intermediate: true,
            rejoin: RejoinMode::FenceAndAttach,
            switchover_lag_limit: Duration::from_secs(10),
            switchover_deadline: Duration::from_secs(10),
            route_prefix: "mysql/master".to_owned(),
            cluster_names: BTreeMap::new(),
            hints: BTreeMap::new(),
            lease_ttl: Duration::from_secs(10),
            url: String::new(),
            peers: Vec::new(),
            shared_store: false,
            without_backend: true,
            confirmations: 0,
            analysis: AnalysisSettings::default(),
            plan: PlanSettings::default(),
        }
    }

    /// What a failover of the cluster of that name may risk without a person.
    pub fn risk_of(&self, name: &str) -> Risk {
        self.risks.get(name).copied().unwrap_or(self.risk)
    }

    /// True if the cluster of that name is recovered without a person.
    pub fn is_automatic(&self, name: &str) -> bool {
        self.automatic
            .iter()
            .any(|pattern| matches_glob(pattern, name))
    }
}

/// `*` stands for any run of characters, `?` for one.
pub(crate) fn matches_glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    // One row of the usual table: can the pattern so far end at each position of the text?
    let mut reach = vec![false; text.len() + 1];
    if let Some(first) = reach.first_mut() {
        *first = true;
    }
    for sign in pattern {
        let mut next = vec![false; text.len() + 1];
        let mut any = false;
        for (i, slot) in next.iter_mut().enumerate() {
            let here = reach.get(i).copied().unwrap_or(false);
            let before = i
                .checked_sub(1)
                .and_then(|j| reach.get(j))
                .copied()
                .unwrap_or(false);
            any |= here;
            *slot = match sign {
                '*' => any,
                '?' => before,
                sign => before && i.checked_sub(1).and_then(|j| text.get(j)) == Some(&sign),
            };
        }
        reach = next;
    }
    reach.last().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::matches_glob;

    #[test]
    fn globs() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("*", "shop", true),
            ("shop", "shop", true),
            ("shop", "shop2", false),
            ("shop*", "shop2", true),
            ("*-prod", "eu-shop-prod", true),
            ("*-prod", "eu-shop-prod2", false),
            ("sh?p", "ship", true),
            ("", "x", false),
        ] {
            assert_eq!(matches_glob(pattern, text), expected, "{pattern} on {text}");
        }
    }
}
