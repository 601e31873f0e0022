//! The one table of all configuration keys: the reader, the checks, the defaults and
//! `docs/configuration.md` come from it.

use super::key::{Default, Form, Key, Kind, Rule, Section, duration, word};
use Default::{Derived, Is, Nothing, Required};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// All sections, in the order of the documentation.
pub(crate) static SECTIONS: &[Section] = &[
    Section {
        path: "node",
        form: Form::Always,
        about: "This Baton process.",
        keys: &[
            Key::new("name", Kind::Text(Rule::Name), Required,
                "Name of this node, in the lease, the audit log and status pages. Two nodes of one installation must never share it."),
            Key::new("zone", Kind::Text(Rule::Name), Nothing,
                "Where this node stands: `builtin:backend-nearest` prefers database nodes with the same `zone`."),
            Key::new("peers", Kind::Texts(Rule::Url), Is("[]"),
                "The HTTP addresses of the other nodes of this installation, each its own and not that of a load balancer: they tell each other what they see, notice each other's end, and pass on requests to the one that leads."),
            Key::new("url", Kind::Text(Rule::Url), Derived("`http://` and `http.listen`"),
                "This node's HTTP address as the other nodes and people reach it; needed where `http.listen` names no address that they could use, such as `0.0.0.0`."),
            Key::new("lease_ttl", duration(1000, 10 * MINUTE), Derived("30s with the state on Galera, NDB or Group Replication, else 10s"),
                "How long the lease of the node that leads lasts without being renewed; it renews five times as often. The same on all nodes. For the first half of it the lease is half a vote for a change of a cluster, so that two servers whose primary ends together with the leader wait for up to five eighths of it; others do not wait.")
                .bounds("a leader gives up while its database merely stalls, as a cluster does that loses a node", "a leader that is cut off is replaced late where the locks on the managed servers do not decide"),
            Key::new("data_dir", Kind::Text(Rule::Path), Is("\".\""),
                "Directory for everything this node writes. Relative paths elsewhere in this file are taken from here; this one from the working directory. It must exist."),
        ],
    },
    Section {
        path: "http",
        form: Form::Always,
        about: "The HTTP API: `/api/v1`, the compatible `/api`, `/livez`, `/readyz`, `/metrics`.",
        keys: &[
            Key::new("listen", Kind::Text(Rule::Listen), Is("\"127.0.0.1:3000\""),
                "Address and port to listen on. Beyond the loopback address, set `[[http.users]]` too."),
            Key::new("url_prefix", Kind::Text(Rule::Prefix), Is("\"\""),
                "Path under which everything is served, for a proxy that does not strip it; for example `/baton`."),
            Key::new("read_only", Kind::Flag, Is("false"),
                "Refuse every request that would change something."),
        ],
    },
    Section {
        path: "http.users",
        form: Form::Repeated,
        about: "Who may change things through the API (HTTP basic authentication); looking needs no user. Without any, everybody who reaches the port may change everything.",
        keys: &[
            Key::new("name", Kind::Text(Rule::Name), Required, "User name; also stands in the audit log."),
            Key::new("password", Kind::Secret, Required, "Password. It must not be empty."),
        ],
    },
    Section {
        path: "topology",
        form: Form::Always,
        about: "How to find the managed servers and how to speak to them.",
        keys: &[
            Key::new("user", Kind::Text(Rule::Any), Required,
                "Account on every managed server. `docs/operating.md` lists the privileges it needs."),
            Key::new("password", Kind::Secret, Required, "Its password."),
            Key::new("seeds", Kind::Texts(Rule::Server), Is("[]"),
                "Servers to begin with; one member of each cluster is enough. More can be added at any time with `baton discover`."),
            Key::new("poll_interval", duration(50, 10 * MINUTE), Is("\"1s\""),
                "How often each server is read. A lost connection wakes Baton at once, whatever this says.")
                .bounds("load on the servers, and noise in what policies see", "slow changes (lag, read-only, errant transactions) are seen late, a hung server is noticed late"),
            Key::new("connect_timeout", duration(10, MINUTE), Derived("500ms, or `poll_interval` if that is shorter"),
                "How long a TCP connection and the greeting may take. Not longer than `poll_interval`.")
                .bounds("a slow network looks like dead servers", "a server whose packets vanish is noticed late"),
            Key::new("read_timeout", duration(10, MINUTE), Derived("500ms, or `poll_interval` if that is shorter"),
                "How long a server may take to answer a reading. Not longer than `poll_interval`.")
                .bounds("a busy server looks hung", "a hung server is noticed late"),
            Key::new("concurrency", Kind::Whole { least: 1, most: 100_000 }, Is("64"),
                "Readings in flight at a time, of servers that answer.")
                .bounds("with many servers a round takes longer than `poll_interval`", "bursts of work for a small machine"),
            Key::new("silent_concurrency", Kind::Whole { least: 1, most: 10_000 }, Is("16"),
                "Attempts in flight at a time, of servers that do not answer: a budget of their own, so that dead servers never delay healthy ones.")
                .bounds("with many dead servers, one that returns is noticed late", "many half-open connections during a network fault"),
            Key::new("forget_after", duration(MINUTE, 3650 * DAY), Is("\"240h\""),
                "A server that did not answer for so long is forgotten.")
                .bounds("a server under repair is forgotten and comes back without its promotion rule", "servers that are gone stay on every page"),
            Key::new("lag_limit", duration(100, 30 * DAY), Is("\"30s\""),
                "A replica that lags more, beyond its configured delay, is reported as lagging.")
                .bounds("findings that come and go", "a replica that would lose its usefulness is not reported"),
            Key::new("cluster_name_query", Kind::Text(Rule::Statement), Nothing,
                "Statement whose first column names the cluster, asked on a server of a cluster without a configured name."),
            Key::new("data_center_query", Kind::Text(Rule::Statement), Nothing,
                "Statement whose first column names the server's data centre. `[[server]]` goes before it."),
            Key::new("region_query", Kind::Text(Rule::Statement), Nothing,
                "The same for the region."),
            Key::new("environment_query", Kind::Text(Rule::Statement), Nothing,
                "The same for the environment."),
            Key::new("lag_query", Kind::Text(Rule::Statement), Nothing,
                "Statement whose first column is the lag in seconds, for example from a heartbeat table. Without it, what the server itself says is taken."),
        ],
    },
    Section {
        path: "topology.tls",
        form: Form::Optional,
        about: "TLS to the managed servers.",
        keys: &[
            Key::new("mode", word(&["off", "preferred", "required", "verify-identity"]), Is("\"off\""),
                "`off`: plain; `preferred`: encrypted where the server can; `required`: encrypted, the certificate is not checked; `verify-identity`: signed by an authority of `ca`, for the host name that is connected to."),
            Key::new("ca", Kind::Text(Rule::Path), Nothing,
                "File with the authorities' certificates (PEM). Needed for `verify-identity`, and only there."),
        ],
    },
    Section {
        path: "topology.commit_probe",
        form: Form::Optional,
        about: "A tiny write that must really commit, on writable primaries: finds full disks, read-only file systems and stalled commits.",
        keys: &[
            Key::new("statement", Kind::Text(Rule::Statement), Required,
                "A statement that writes one row and is harmless when repeated. It goes to the binary log and replicates."),
            Key::new("interval", duration(100, HOUR), Is("\"5s\""), "How often.")
                .bounds("many tiny transactions in the binary log", "a primary that cannot commit is noticed late"),
            Key::new("limit", duration(10, 10 * MINUTE), Is("\"2s\""),
                "A commit that takes longer counts as stalled. Not longer than `interval`.")
                .bounds("a slow disk or semi-sync looks like a stall", "stalls are noticed late"),
        ],
    },
    Section {
        path: "server",
        form: Form::Repeated,
        about: "What this file says about one server. It holds in addition to what the API sets; for the promotion rule, the API goes before the file.",
        keys: &[
            Key::new("address", Kind::Text(Rule::Server), Required, "Its address."),
            Key::new("promotion", word(&["must", "prefer", "neutral", "prefer-not", "must-not"]), Is("\"neutral\""),
                "Whether it should take over when a primary is replaced."),
            Key::new("data_center", Kind::Text(Rule::Any), Nothing, "Its data centre."),
            Key::new("region", Kind::Text(Rule::Any), Nothing, "Its region."),
            Key::new("environment", Kind::Text(Rule::Any), Nothing, "Its environment."),
            Key::new("tags", Kind::Texts(Rule::Any), Is("[]"), "Free words, or `key=value`, shown to people and to policies."),
        ],
    },
    Section {
        path: "cluster",
        form: Form::Repeated,
        about: "Names for clusters. A name stays with its cluster through every failover.",
        keys: &[
            Key::new("name", Kind::Text(Rule::Name), Required, "The cluster's name."),
            Key::new("members", Kind::Texts(Rule::Server), Required,
                "Addresses of members; one is enough, several are safer if servers come and go."),
            Key::new("risk", word(&["usual", "nothing", "acknowledged"]), Derived("`recovery.risk`"),
                "What a failover of this cluster may risk without a person."),
        ],
    },
    Section {
        path: "replication",
        form: Form::Optional,
        about: "The account a replica is given when it is pointed at another source. Without this section a replica keeps the account its channel has, and a former primary, which has none, cannot rejoin by itself.",
        keys: &[
            Key::new("user", Kind::Text(Rule::Any), Required, "Account with the privilege to replicate, on every server."),
            Key::new("password", Kind::Secret, Required, "Its password."),
        ],
    },
    Section {
        path: "replication.tls",
        form: Form::Optional,
        about: "The encryption a new channel is given, which a former primary needs that rejoins. Without this section it is that of the channel which led the other way before, or of another replica of the same source; where nothing is known, MariaDB encrypts if the source can, and MySQL does what it does by itself. Channels that are there keep what they have.",
        keys: &[
            Key::new("mode", word(&["off", "required", "verify-ca", "verify-identity"]), Required,
                "`off`: plain; `required`: encrypted, the certificate is not checked (MariaDB: plain if the source cannot encrypt); `verify-ca`: signed by an authority of `ca` or `ca_path`; `verify-identity`: the same, and for the host that is connected to."),
            Key::new("ca", Kind::Text(Rule::Any), Nothing,
                "File with the authorities' certificates (PEM). This path and the others are those of the replica's machine."),
            Key::new("ca_path", Kind::Text(Rule::Any), Nothing, "Directory with the authorities' certificates."),
            Key::new("cert", Kind::Text(Rule::Any), Nothing, "File with the replica's own certificate, for accounts that must show one."),
            Key::new("key", Kind::Text(Rule::Any), Nothing, "File with its key."),
            Key::new("cipher", Kind::Text(Rule::Any), Nothing, "Ciphers that are allowed, as the server writes them."),
            Key::new("crl", Kind::Text(Rule::Any), Nothing, "File with certificates that were revoked."),
            Key::new("versions", Kind::Text(Rule::Any), Nothing, "Versions of TLS that are allowed, as `SOURCE_TLS_VERSION` has them. MySQL only."),
        ],
    },
    Section {
        path: "recovery",
        form: Form::Always,
        about: "What Baton does when something fails.",
        keys: &[
            Key::new("automatic", Kind::Texts(Rule::Glob), Is("[]"),
                "Names of the clusters that are recovered without a person; `*` and `?` stand for any text and any character. By default none: Baton watches, explains, and acts on request."),
            Key::new("risk", word(&["usual", "nothing", "acknowledged"]), Is("\"usual\""),
                "What a failover without a person may risk. `usual`: nothing that was acknowledged where the primary waits for acknowledgements without falling back within a minute; elsewhere what asynchronous replication risks anyway. `nothing`: no transaction that any server is known to have had. `acknowledged`: acknowledged transactions too, because a primary is worth more than the last rows. What stops a failover, a person can accept: `baton failover --to SERVER --accept-loss`. `docs/faults.md` has a table."),
            Key::new("intermediate", Kind::Flag, Is("true"),
                "In these clusters, also find a new source for the replicas of a dead intermediate source."),
            Key::new("rejoin", word(&["fence-and-attach", "fence", "off"]), Is("\"fence-and-attach\""),
                "What happens to a former primary that returns: `fence-and-attach` makes it read-only and, if it has no transactions of its own, a replica; `fence` only makes it read-only; `off` only reports it."),
            Key::new("drain_limit", duration(100, DAY), Is("\"60s\""),
                "How long a failover waits for the successor to apply what it has received.")
                .bounds("a failover with a lagging successor gives up", "the cluster stays without a primary while a lagging successor catches up"),
            Key::new("step_limit", duration(100, 10 * MINUTE), Derived("5s, or half of `drain_limit` or `switchover_deadline` if that is less"),
                "How long one statement of a recovery may take before its server counts as lost. Shorter than `drain_limit` and `switchover_deadline`.")
                .bounds("busy servers are left behind", "one server that hangs delays the recovery"),
            Key::new("revoke_limit", duration(50, 10 * MINUTE), Derived("3s, or `step_limit` if that is less"),
                "How long fencing and stopping receivers may take in a failover; a server that does not answer in time is left out. Not longer than `step_limit`.")
                .bounds("busy servers are left out, and with them what they received", "a server that hangs delays the failover by as much"),
            Key::new("switchover_lag_limit", duration(10, DAY), Is("\"10s\""),
                "A switchover to a replica that lags more is refused.")
                .bounds("switchovers of busy clusters are refused", "writers wait while the successor catches up, until the deadline"),
            Key::new("switchover_deadline", duration(500, HOUR), Is("\"10s\""),
                "A switchover that is not done after this is undone: the old primary is writable again. A request can say otherwise.")
                .bounds("switchovers of busy clusters are undone", "writers wait long for one that cannot succeed"),
            Key::new("peer_confirmations", Kind::Whole { least: 0, most: 100 }, Is("0"),
                "How many other nodes (`node.peers`) must see that a primary is lost before it is called dead; more than there are means all that answer. With 0 they are asked too, and one that still reaches the primary is a veto.")
                .bounds("a fault that only one node sees is left to the replicas' evidence and the peers' veto", "nodes that are down delay or prevent a failover"),
            Key::new("without_backend", Kind::Flag, Is("true"),
                "While a shared state store is away, go on acting by the clusters' own votes: a majority of a cluster's servers grants the right. Without, nothing is recovered until the store is back. An embedded store has no such case."),
            Key::new("kv_prefix", Kind::Text(Rule::StoreKey), Is("\"mysql/master\""),
                "Where in the key-value table the primaries' addresses are kept: `<prefix>/<cluster name>`."),
        ],
    },
    Section {
        path: "analysis",
        form: Form::Always,
        about: "When facts become findings. The defaults suit most installations.",
        keys: &[
            Key::new("receiver_silence", duration(100, HOUR), Is("\"15s\""),
                "For how long at most a heartbeat, an event or a fresh connection of a replica proves that its source lives; less at first (3 s, then as long as it has lived since it was lost), and where heartbeats come often (two of them and 2 s).")
                .bounds("replicas of a source that only Baton cannot reach are made to reconnect often", "a source that hangs long after it was lost, just after a sign of life, is believed for so long"),
            Key::new("reconnect_patience", duration(10, MINUTE), Is("\"500ms\""),
                "How long a receiver that was made to reconnect may take before \"still connecting\" counts as \"cannot connect\".")
                .bounds("a slow but living source is called hung", "it is added to every failover from a hung source"),
            Key::new("commit_stall_limit", duration(100, HOUR), Is("\"10s\""),
                "A primary on which a commit waits longer does no useful work.")
                .bounds("a burst of writes is taken for a failed disk", "writers wait for so long before anything happens"),
            Key::new("semi_sync_stall_limit", duration(100, HOUR), Is("\"5s\""),
                "Without any commit for so long while sessions wait for acknowledgements, semi-sync has locked the primary. If none of its replicas can reach it, it is replaced then.")
                .bounds("a slow network is taken for a lock", "writers wait for so long before anything happens"),
            Key::new("return_patience", duration(100, HOUR), Is("\"20s\""),
                "A primary whose replicas were cut off from it until a moment ago, and that accepts connections without letting anybody in, is not called hung for so long. MariaDB does that when semi-synchronous replicas return.")
                .bounds("a primary whose replicas return is replaced", "one that hangs just after a network fault is replaced late"),
        ],
    },
    Section {
        path: "policy.failover",
        form: Form::Always,
        about: "The component that decides whether to act, and who takes over.",
        keys: &[
            Key::new("plugin", Kind::Text(Rule::Any), Is("\"builtin:failover-default\""),
                "`builtin:NAME`, or the path of a WebAssembly component."),
            Key::new("deadline", duration(10, 10_000), Derived("100ms; 1s for components above 1 MiB, which carry an interpreter"),
                "How long one answer may take. After that the built-in default answers in its place, and the event is recorded. The built-in default itself is not bound by it: nothing stands behind it.")
                .bounds("on a loaded machine a healthy policy is passed over", "a policy that hangs delays a failover by as much"),
            Key::new("settings", Kind::Free, Is("{}"),
                "The policy's own settings; the policy validates them when it is loaded."),
        ],
    },
    Section {
        path: "policy.backend",
        form: Form::Always,
        about: "The component that chooses among the nodes of the state store. With `sqlite` there is nothing to choose.",
        keys: &[
            Key::new("plugin", Kind::Text(Rule::Any), Is("\"builtin:backend-first\""),
                "`builtin:backend-first`, `builtin:backend-prefer-synchronous`, `builtin:backend-nearest`, or the path of a WebAssembly component."),
            Key::new("settings", Kind::Free, Is("{}"),
                "The selector's own settings; the selector validates them when it is loaded."),
        ],
    },
    Section {
        path: "backend",
        form: Form::Always,
        about: "Where Baton keeps its state.",
        keys: &[
            Key::new("kind", Kind::Word { words: &["sqlite"], elsewhere: (&["galera", "ndb", "master-master", "group-replication"], "[[backend.cluster]]") }, Is("\"sqlite\""),
                "`sqlite`: one file, embedded, for a single Baton node. The other kinds are written in `[[backend.cluster]]`."),
            Key::new("path", Kind::Text(Rule::Path), Is("\"baton.db\""),
                "The file, or `:memory:` to forget everything at the end of the process."),
        ],
    },
    Section {
        path: "backend.cluster",
        form: Form::Repeated,
        about: "A database on several hosts that keeps Baton's state, in place of `[backend]`; several of them in order of preference. Baton watches every node itself and needs no proxy. `config/` has a sample for each kind.",
        keys: &[
            Key::new("name", Kind::Text(Rule::Name), Required, "Its name, in status pages and commands."),
            Key::new("kind", word(&["galera", "ndb", "master-master", "group-replication"]), Required,
                "What it is. `galera` (also XtraDB Cluster), `ndb` (MySQL Cluster: its SQL nodes) and `group-replication` keep every acknowledged write when a node fails. `master-master` is a pair of asynchronous replicas of each other, of which one takes writes: a failure may lose the last writes, and two nodes have no majority."),
            Key::new("nodes", Kind::Nodes, Required,
                "Its nodes in order of preference, each `\"mysql://user:password@host:port/database\"` (special characters percent-encoded), `{ env = \"NAME\" }` or `{ file = \"PATH\" }` with such a URL, or `{ url = ..., zone = \"a\", tags = { rack = \"r1\" } }`. Zones and tags are for the selector. The account needs all rights on the database and sight of the status, and neither `SUPER` nor `READ ONLY ADMIN`."),
            Key::new("probe_interval", duration(50, MINUTE), Is("\"500ms\""),
                "How often each node is probed. A lost connection is noticed at once, whatever this says.")
                .bounds("statements on every node", "a node that hangs or changes its role is noticed late"),
            Key::new("connect_timeout", duration(10, MINUTE), Is("\"500ms\""),
                "Longest wait for a connection to a node, and as long again for the login.")
                .bounds("a busy node is taken for a dead one", "a dead host is noticed late"),
            Key::new("read_timeout", duration(10, MINUTE), Is("\"500ms\""),
                "Longest wait for the answer to a probe. A node that misses it twice in a row is not used.")
                .bounds("a busy node is taken for a dead one", "a node that hangs is noticed late"),
            Key::new("promote_passive", Kind::Flag, Is("true"),
                "Kind `master-master`: when the active node is gone, Baton makes the passive one writable: after it has fenced the active one if that answers, seen it silent from here and from the passive node, and waited until everything received is applied. Without, a person does."),
            Key::new("promote_after", duration(0, HOUR), Is("\"10s\""),
                "Kind `master-master`: how long the active node must have been silent. One that refuses connections, because its process is gone, is replaced at once.")
                .bounds("a pause of the network or the host costs the last writes", "the state cannot be written for so long"),
            Key::new("promote_drain", duration(100, HOUR), Is("\"30s\""),
                "Kind `master-master`: how long the passive node may take to apply what it has received."),
            Key::new("admin_user", Kind::Text(Rule::Any), Nothing,
                "Kind `master-master`: account that may set `read_only`, on both nodes; by default the one of the URL. On MariaDB such an account may also write on a closed node, so it should not be the one of the URL."),
            Key::new("admin_password", Kind::Secret, Nothing, "Its password."),
        ],
    },
    Section {
        path: "log",
        form: Form::Always,
        about: "Log lines, on standard error.",
        keys: &[
            Key::new("format", word(&["text", "json"]), Is("\"text\""), "Lines for people, or one JSON object a line."),
            Key::new("filter", Kind::Text(Rule::LogFilter), Is("\"info\""),
                "`error`, `warn`, `info`, `debug`, `trace`, also by module: `info,baton_mysql=debug`. The environment variable `BATON_LOG` goes before it."),
        ],
    },
];

/// The section with that path.
pub(crate) fn find_section(path: &str) -> Option<&'static Section> {
    SECTIONS.iter().find(|section| section.path == path)
}

/// The key with that path, without indexes: `topology.poll_interval`.
pub(crate) fn find_key(path: &str) -> Option<&'static Key> {
    let (section, name) = path.rsplit_once('.')?;
    find_section(section)?
        .keys
        .iter()
        .find(|key| key.name == name)
}

/// True if sections lie below that path.
pub(crate) fn is_parent(path: &str) -> bool {
    SECTIONS.iter().any(|section| {
        section
            .path
            .strip_prefix(path)
            .is_some_and(|rest| rest.starts_with('.'))
    })
}

/// Names that may stand directly in the table with that path (empty = top level).
pub(crate) fn names_in(path: &str) -> Vec<&'static str> {
    let mut names: Vec<&'static str> = find_section(path)
        .into_iter()
        .flat_map(|section| section.keys)
        .map(|key| key.name)
        .collect();
    for section in SECTIONS {
        let below = if path.is_empty() {
            Some(section.path)
        } else {
            section
                .path
                .strip_prefix(path)
                .and_then(|rest| rest.strip_prefix('.'))
        };
        let name = below.and_then(|rest| rest.split('.').next());
        names.extend(name.filter(|name| !names.contains(name)));
    }
    names
}
