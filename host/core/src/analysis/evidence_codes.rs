//! All words of evidence with their meaning. `docs/findings.md` shows them.

/// Word of evidence, and what it says.
pub const EVIDENCE_CODES: &[(&str, &str)] = &[
    ("does-not-answer", "the server does not answer our probes"),
    (
        "replica-hears-it",
        "a heartbeat or event reached a replica after the loss: it lives",
    ),
    (
        "replica-reconnected",
        "it accepted a replica's new connection after the loss: it lives",
    ),
    (
        "replica-was-denied",
        "it refused a replica's new connection itself: it lives",
    ),
    (
        "receiver-still-connected",
        "a receiver runs, and nothing came since the loss",
    ),
    (
        "reconnecting",
        "a receiver was made to reconnect and has not had the time to",
    ),
    (
        "reconnect-one-replica",
        "one connected replica is to reconnect, to tell a hung source from a living one",
    ),
    (
        "reconnect-to-living",
        "a receiver that cannot connect to a source that answers us is to try again",
    ),
    ("not-read-since", "a replica was not read since the loss"),
    (
        "receiver-lost-it",
        "a replica read after the loss is not connected",
    ),
    (
        "receiver-halted",
        "a receiver, and nothing but it, stopped when its source was lost: a node that ended halted it",
    ),
    (
        "receiver-not-running",
        "a receiver was stopped or failed by itself: it would not notice the loss",
    ),
    ("replica-refuses-us", "a replica lives and cannot be read"),
    ("replica-silent", "a replica does not answer either"),
    (
        "primary-unknown",
        "no primary is known below which replicas could go",
    ),
    (
        "primary-not-answering",
        "the primary does not answer; its failover comes first",
    ),
    ("connections-exhausted", "no connection is left"),
    (
        "storage-refuses-commits",
        "commits fail with an error of the storage",
    ),
    (
        "storage-fails",
        "a statement of our probe fails with an error of the storage",
    ),
    (
        "still-commits",
        "something was executed after the storage began to fail: the primary commits",
    ),
    (
        "commits-refused",
        "commits fail with an error that does not prove a failure",
    ),
    ("commits-stall", "a commit waits for too long"),
    (
        "waits-for-space",
        "the server itself says that statements wait for disk space",
    ),
    (
        "disk-full",
        "the server's own error log says that its engine finds no room on the disk",
    ),
    ("healthy-replica", "a replica answers and replicates"),
    ("no-healthy-replica", "no replica answers and replicates"),
    (
        "acknowledgements-missing",
        "sessions wait for acknowledgements and nothing is committed",
    ),
    (
        "goes-on-alone",
        "the primary commits, or soon will, without its replicas",
    ),
    (
        "replicas-return",
        "replicas that were cut off connect again: a primary may let nobody in for a while",
    ),
    (
        "read-only",
        "the primary is read-only and nobody else is writable",
    ),
    (
        "restarted-read-only",
        "the recorded primary was restarted and came back read-only, and nobody who answers has more",
    ),
    (
        "closed-by-hand",
        "the primary was closed while it ran: somebody wanted that",
    ),
    (
        "closing-not-seen",
        "nobody saw how the primary came to be read-only",
    ),
    (
        "others-have-more",
        "a member that answers has transactions that the primary lacks",
    ),
    (
        "lacks-what-was-seen",
        "transactions of the cluster were seen before that the primary lacks now",
    ),
    (
        "member-not-seen",
        "a member does not answer, and may have been promoted since it was last seen",
    ),
    (
        "another-writer",
        "a server takes writes already and was detached: it may have been promoted",
    ),
    (
        "reads-from-elsewhere",
        "the primary takes in another cluster's transactions, and a successor could not go on with that",
    ),
    ("also-writable", "another server takes writes"),
    ("co-primary-writable", "both co-primaries take writes"),
    (
        "no-primary-recorded",
        "no primary is recorded and none can be derived",
    ),
    (
        "promoted-by-others",
        "a server other than the recorded primary leads the cluster",
    ),
    (
        "outside-the-topology",
        "a server answers and replicates from no member",
    ),
    (
        "replaced-on-record",
        "a recovery replaced the server, and none took it back since",
    ),
    (
        "older-history",
        "the server wrote transactions of this cluster, and its history ends before the present primary wrote any",
    ),
    (
        "not-proven",
        "neither the record nor its history proves that the server is a replaced primary of this cluster",
    ),
    (
        "waits-for-successor",
        "the server that took over does not answer: it is waited for, and the one it replaced is not opened instead",
    ),
    (
        "primary-read-only",
        "the primary is read-only, so nobody else is fenced",
    ),
    (
        "one-of-several-sources",
        "somebody reads from a server outside the topology beside another source",
    ),
    (
        "has-followers",
        "as many replicas follow a server outside the topology as the primary",
    ),
    ("quarantined", "the server is set aside already"),
    ("writable", "a replica takes writes of its own"),
    (
        "writes-when-read-only",
        "accounts that read_only does not bind: a fence holds for as long as Baton keeps the global read lock",
    ),
    (
        "cannot-connect",
        "a receiver cannot connect to a source that answers us, or that is unknown",
    ),
    (
        "not-replicating",
        "a replica answers and does not replicate",
    ),
    (
        "state-not-understood",
        "the server's answer about a thread is not understood",
    ),
    (
        "thread-broken",
        "a replication thread stopped with an error",
    ),
    (
        "thread-stopped",
        "a replication thread was stopped without an error",
    ),
    (
        "receives-nothing",
        "a receiver runs, and nothing arrives although its source has more",
    ),
    ("lag", "lag beyond the limit"),
    ("errant", "transactions that the source lacks"),
    ("no-log-updates", "no replica logs what it applies"),
    ("no-auto-position", "replicas are positioned by file"),
    (
        "statement-and-mixed",
        "replicas log in STATEMENT and MIXED format",
    ),
    (
        "statement-and-row",
        "replicas log in STATEMENT and ROW format",
    ),
    ("mixed-and-row", "replicas log in MIXED and ROW format"),
    (
        "several-versions",
        "logging replicas run several release series",
    ),
    (
        "semi-sync-fell-back",
        "semi-sync is enabled, lacks replicas, and does not wait",
    ),
    (
        "more-acknowledgements-than-replicas",
        "semi-sync waits for more acknowledgements than replicas give: the next commit hangs",
    ),
    (
        "binary-log-not-synced",
        "sync_binlog is not 1: a crash takes commits out of the binary log",
    ),
    (
        "engine-log-not-flushed",
        "innodb_flush_log_at_trx_commit is not 1: a crash undoes commits",
    ),
    (
        "relay-log-recovery",
        "a restart throws away what was acknowledged and not applied",
    ),
    (
        "relay-log-not-synced",
        "sync_relay_log is not 1: a crash takes back what was acknowledged last",
    ),
    (
        "relay-log-dropped",
        "MariaDB throws away relay logs at a restart where it replicates by GTID",
    ),
    (
        "waits-after-commit",
        "the wait point is AFTER_COMMIT: others read what no replica has",
    ),
    (
        "acknowledged-by-few",
        "fewer acknowledgements are waited for than half of the replicas give",
    ),
    (
        "acknowledger-not-promotable",
        "what a replica alone acknowledges, nobody who may be promoted has",
    ),
    (
        "source-side-on",
        "a replica waits for acknowledgements that nobody gives",
    ),
    (
        "source-side-off",
        "the primary's predecessor waited for acknowledgements, it does not",
    ),
    (
        "gtid-mode-differs",
        "source and replica run in different GTID modes",
    ),
    (
        "events-left-disabled",
        "events are disabled as on a replica, and nobody decided that",
    ),
    ("event-scheduler-off", "the event scheduler is off"),
    (
        "prepared-for-long",
        "XA transactions have been prepared for more than a minute, and nobody ends them",
    ),
    (
        "prepared-only-here",
        "a replica has prepared XA transactions that its primary does not have",
    ),
    (
        "points-outside",
        "a channel points to a server that is not known",
    ),
    ("own-source", "a server replicates from itself"),
    ("circle", "servers replicate in a circle of more than two"),
    (
        "few-connections-left",
        "nine tenths of the allowed connections are in use",
    ),
    ("refused-by-server", "the server answers with a refusal"),
    ("downtimed", "operators set a downtime"),
    ("maintenance", "a person or another plan works on it"),
    (
        "replicas-downtimed",
        "all replicas concerned are in downtime",
    ),
];
