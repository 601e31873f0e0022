//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::client::DEFAULT_API;

/// Keeps MySQL and MariaDB replication topologies available.
#[derive(Debug, Parser)]
#[command(
    name = "baton",
    version,
    about,
    propagate_version = true,
    max_term_width = 100
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) shared: Shared,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command that speaks to a node.
#[derive(Debug, Args)]
pub(crate) struct Shared {
    /// Nodes to speak to, separated by commas: reads go to the first that answers, changes to the
    /// one that leads.
    #[arg(long, global = true, env = "BATON_API", default_value = DEFAULT_API, value_name = "URL[,URL…]")]
    pub(crate) api: String,
    /// User for changes, if the nodes ask for one; the password is taken from BATON_PASSWORD.
    #[arg(long, global = true, env = "BATON_USER", value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// Password of --user.
    #[arg(
        long,
        global = true,
        env = "BATON_PASSWORD",
        hide = true,
        hide_env_values = true
    )]
    pub(crate) password: Option<String>,
    /// Print the API's JSON instead of text for people.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a node.
    Serve {
        /// The configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Work on a configuration file.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look at a policy or selector (a WebAssembly component) before using it.
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// List clusters.
    Clusters,
    /// Show clusters as trees: one, or all.
    Topology {
        /// Name, identity, or `host:port` of a member.
        cluster: Option<String>,
    },
    /// Say what is wrong with a cluster, what Baton would do now, and why not.
    Explain {
        /// Name, identity, or `host:port` of a member.
        cluster: String,
    },
    /// Replace a cluster's primary although it may be alive; it is fenced first if it answers.
    Failover(Failover),
    /// Replace a living primary without losing anything.
    Switchover(Switchover),
    /// List recoveries, newest first, or show the steps of one.
    Recoveries {
        /// Only of this cluster.
        cluster: Option<String>,
        /// Show this recovery's steps.
        #[arg(long, value_name = "ID", conflicts_with = "cluster")]
        steps: Option<String>,
        /// How many.
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Acknowledge ended recoveries: one, a cluster's, or all. Ends the cooldown.
    Ack(Ack),
    /// Tell Baton to ignore a server for a time, or to mind it again.
    Downtime(Downtime),
    /// Find the cluster of a server and watch it.
    Discover {
        /// `host:port`.
        server: String,
    },
    /// Read all servers of a cluster now.
    Refresh {
        /// Name, identity, or `host:port` of a member.
        cluster: String,
    },
    /// Forget a server.
    Forget {
        /// Identity or `host:port`.
        server: String,
        /// Also a primary that answers, or a replica that replicates.
        #[arg(long, short)]
        yes: bool,
    },
    /// Attach a server to its cluster's primary.
    Rejoin {
        /// Identity or `host:port`.
        server: String,
        /// Show what it would come to now, step by step, and change nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Say whether a server should take over when a primary is replaced.
    Promotion {
        /// Identity or `host:port`.
        server: String,
        /// The rule.
        #[arg(value_enum)]
        rule: Rule,
        /// Only for this time.
        #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
        time: Option<Duration>,
    },
    /// The switch that allows or forbids all recoveries.
    RecoveriesEnabled {
        /// What to do with it.
        #[arg(value_enum, default_value = "show")]
        switch: SwitchWord,
    },
    /// Look at the databases that hold Baton's own state.
    #[command(subcommand)]
    Backend(BackendCommand),
    /// Show the state of a node.
    Status,
    /// List the Baton nodes, or change who leads.
    Nodes {
        /// What to do; without, they are listed.
        #[command(subcommand)]
        command: Option<NodesCommand>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum NodesCommand {
    /// Forget a node that is gone for good.
    Forget {
        /// Its name.
        node: String,
    },
    /// Make the leader give the lease up, so that another node leads.
    Reelect,
    /// Make the node that is spoken to lead.
    GrabElection,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BackendCommand {
    /// Show each database node, what stands against it, and which one is used and why.
    Status,
    /// Move the state to another configured backend while the nodes run.
    Move(MoveTo),
}

#[derive(Debug, Args)]
pub(crate) struct MoveTo {
    /// Name of the backend that gets it.
    #[arg(long, value_name = "NAME")]
    pub(crate) to: String,
    /// Go on although some other nodes do not say whether they reach it.
    #[arg(long)]
    pub(crate) without_peers: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Show who a component is, what it answers, its settings, and what it imports and exports.
    Inspect {
        /// A file, or `builtin:NAME`.
        plugin: String,
    },
    /// Load a component with its settings and with all checks, as `serve` does.
    Check {
        /// A file, or `builtin:NAME`.
        plugin: String,
        /// Its settings, a JSON object.
        #[arg(long, value_name = "JSON", default_value = "{}")]
        settings: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Read a configuration as `serve` does, and list every problem.
    Check {
        /// The file.
        file: PathBuf,
    },
}

/// What a failover may lose.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Loss {
    /// At most so many transactions.
    AtMost(u64),
    /// Also what cannot be counted.
    Unknown,
}

fn loss(text: &str) -> Result<Loss, String> {
    match (text, text.parse()) {
        ("unknown", _) => Ok(Loss::Unknown),
        (_, Ok(most)) => Ok(Loss::AtMost(most)),
        (_, Err(_)) => Err("a number of transactions, or unknown".to_owned()),
    }
}

#[derive(Debug, Args)]
pub(crate) struct Failover {
    /// Name, identity, or `host:port` of a member.
    pub(crate) cluster: String,
    /// Promote this server; otherwise the policy chooses.
    #[arg(long, value_name = "SERVER")]
    pub(crate) to: Option<String>,
    /// Promote it although that loses transactions: at most so many, or `unknown`. `baton explain`
    /// shows what would be lost.
    #[arg(long, value_name = "N", requires = "to", value_parser = loss)]
    pub(crate) accept_loss: Option<Loss>,
    /// Do not ask.
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// Show what it would come to now, step by step, and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Switchover {
    /// Name, identity, or `host:port` of a member.
    pub(crate) cluster: String,
    /// Promote this server; otherwise the policy chooses.
    #[arg(long, value_name = "SERVER")]
    pub(crate) to: Option<String>,
    /// Give up and undo after this; by default what the node's configuration says.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) deadline: Option<Duration>,
    /// Show what it would come to now, step by step, and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false, id = "which")]
pub(crate) struct Which {
    /// One recovery.
    #[arg(value_name = "ID")]
    pub(crate) id: Option<String>,
    /// All of a cluster.
    #[arg(long)]
    pub(crate) cluster: Option<String>,
    /// All.
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Ack {
    #[command(flatten)]
    pub(crate) which: Which,
    /// Why it is done with.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "acknowledged with baton ack"
    )]
    pub(crate) comment: String,
}

#[derive(Debug, Args)]
pub(crate) struct Downtime {
    /// Identity or `host:port`.
    pub(crate) server: String,
    /// How long.
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration, default_value = "1h")]
    pub(crate) time: Duration,
    /// Why.
    #[arg(long, value_name = "TEXT", required_unless_present = "end")]
    pub(crate) reason: Option<String>,
    /// End it now.
    #[arg(long, conflicts_with_all = ["time", "reason"])]
    pub(crate) end: bool,
}

/// A promotion rule.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Rule {
    Must,
    Prefer,
    Neutral,
    PreferNot,
    MustNot,
}

impl Rule {
    /// The API's word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Must => "must",
            Self::Prefer => "prefer",
            Self::Neutral => "neutral",
            Self::PreferNot => "prefer_not",
            Self::MustNot => "must_not",
        }
    }
}

/// What to do with the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SwitchWord {
    On,
    Off,
    Show,
}
