//! What people see, from documents as `/api/v1` gives them.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::view::ClusterView;
use super::{clusters, explain, nodes, recoveries, status, tree};

fn now() -> SystemTime {
    humantime::parse_rfc3339("2026-11-24T05:41:10Z").expect("a time")
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

/// A healthy server; `source` is the number of the one it reads from.
fn server(number: u32, source: Option<u32>) -> Value {
    let id = |number: u32| format!("db{number}:3306");
    let channel = |source: u32| {
        json!({
            "name": "", "source": { "id": id(source), "address": id(source) },
            "receiver": "running", "applier": "running", "lag_ms": 0,
        })
    };
    json!({
        "id": id(number), "address": id(number), "role": if source.is_some() { "replica" } else { "primary" },
        "probe": { "state": "answering" },
        "facts": {
            "flavor": "mariadb", "version": "10.11.6", "read_only": source.is_some(), "gtid_executed": "0-1-100",
        },
        "channels": source.map(channel).into_iter().collect::<Vec<_>>(),
        "promotion": "neutral",
    })
}

/// Sets a value by JSON pointer.
fn set(mut document: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    let parent = document.pointer_mut(parent).expect("the parent is there");
    match parent {
        Value::Array(items) => items[name.parse::<usize>().expect("an index")] = value,
        parent => parent[name] = value,
    }
    document
}

fn cluster(servers: &[Value], findings: &[Value]) -> Value {
    json!({
        "id": "c1", "name": "shop", "status": "ok", "primary": { "id": "db1:3306", "address": "db1:3306" },
        "automatic": true, "servers": servers, "findings": findings,
    })
}

fn draw(document: &Value, width: Option<usize>) -> String {
    plain(&tree::render(&ClusterView::read(document, now()), width))
}

fn finding(code: &str, number: u32, severity: &str, text: &str) -> Value {
    json!({
        "code": code, "server": { "id": format!("db{number}:3306") }, "severity": severity,
        "evidence": [{ "code": "x", "text": text }],
    })
}

#[test]
fn a_healthy_tree() {
    let semi_sync = json!({ "source_enabled": true, "source_active": true });
    let servers = [
        set(server(1, None), "/facts/semi_sync", semi_sync),
        set(server(2, Some(1)), "/role", json!("intermediate")),
        set(server(3, Some(1)), "/promotion", json!("must_not")),
        set(server(4, Some(2)), "/channels/0/lag_ms", json!(75_000)),
        set(
            server(5, Some(2)),
            "/downtime",
            json!({ "ends_at": "2026-11-24T06:41:10Z" }),
        ),
    ];
    insta::assert_snapshot!(draw(&cluster(&servers, &[]), None), @r"
    shop  5 servers · recovers by itself
    ● db1:3306        primary       rw              semi-sync            MariaDB 10.11.6  0-1-100
    ├─ ● db2:3306     intermediate  ro  lag 0s                           MariaDB 10.11.6  0-1-100
    │  ├─ ● db4:3306  replica       ro  lag 1m 15s                       MariaDB 10.11.6  0-1-100
    │  └─ ● db5:3306  replica       ro  lag 0s      downtime ends in 1h  MariaDB 10.11.6  0-1-100
    └─ ● db3:3306     replica       ro  lag 0s      must-not             MariaDB 10.11.6  0-1-100
    ");
}

#[test]
fn troubles_stand_below_their_server() {
    let broken = json!({ "number": 1062, "message": "Duplicate entry\u{1b}[2J" });
    let servers = [
        set(
            server(1, None),
            "/probe",
            json!({ "state": "silent", "failure": "refused", "failing_for_ms": 1250 }),
        ),
        set(
            server(2, Some(1)),
            "/channels/0/receiver",
            json!("connecting"),
        ),
        set(
            set(server(3, Some(1)), "/channels/0/applier", json!("stopped")),
            "/channels/0/applier_error",
            broken,
        ),
        set(server(4, Some(2)), "/errant", json!("0-4-7")),
    ];
    let text = "all 3 replicas that answer lost their connection to it within 2 ms of each other, and none has come back";
    let findings = [
        finding("primary-dead", 1, "critical", text),
        finding("mixed-versions", 9, "notice", "two major versions"),
    ];
    let document = cluster(&servers, &findings);
    insta::assert_snapshot!(draw(&document, Some(60)), @r"
    shop  4 servers · recovers by itself
    ○ db1:3306        primary  rw?          MariaDB 10.11.6  0-…
    │ ✖ primary-dead: all 3 replicas that answer lost their
    │   connection to it within 2 ms of each other, and none has
    │   come back
    ├─ ● db2:3306     replica  ro   lag 0s  MariaDB 10.11.6  0-…
    │  │ ▲ connecting to db1:3306
    │  └─ ● db4:3306  replica  ro   lag 0s  MariaDB 10.11.6  0-…
    │       ▲ errant transactions: 0-4-7
    └─ ● db3:3306     replica  ro   lag 0s  MariaDB 10.11.6  0-…
         ▲ applier stopped
         ▲ error 1062: Duplicate entry [2J
    · mixed-versions: two major versions
    ");
    let wide = tree::render(&ClusterView::read(&document, now()), Some(60));
    assert!(
        wide.contains("\u{1b}[31m"),
        "a dead primary is red: {wide:?}"
    );
    assert!(
        !wide.contains("\u{1b}[2J"),
        "a server's text reaches the terminal: {wide:?}"
    );
}

#[test]
fn loops_co_primaries_and_strangers_are_drawn_once() {
    let mutual = [
        server(1, Some(2)),
        set(server(2, Some(1)), "/facts/read_only", json!(false)),
        server(3, Some(2)),
    ];
    insta::assert_snapshot!(draw(&cluster(&mutual, &[]), None), @r"
    shop  3 servers · recovers by itself
    ● db1:3306        primary     ro  lag 0s  MariaDB 10.11.6  0-1-100
    └─ ⇄ ● db2:3306   co-primary  rw  lag 0s  MariaDB 10.11.6  0-1-100
       └─ ● db3:3306  replica     ro  lag 0s  MariaDB 10.11.6  0-1-100
    ");
    let ring = [
        server(4, Some(6)),
        server(5, Some(4)),
        server(6, Some(5)),
        server(7, Some(99)),
    ];
    insta::assert_snapshot!(draw(&set(cluster(&ring, &[]), "/primary", Value::Null), None), @r"
    shop  4 servers · recovers by itself
    ● db7:3306        replica  ro  lag 0s  MariaDB 10.11.6  0-1-100
    ● db4:3306        replica  ro  lag 0s  MariaDB 10.11.6  0-1-100
    └─ ● db5:3306     replica  ro  lag 0s  MariaDB 10.11.6  0-1-100
       └─ ● db6:3306  replica  ro  lag 0s  MariaDB 10.11.6  0-1-100
    ");
}

#[test]
fn documents_of_another_version_are_drawn_as_far_as_they_go() {
    insta::assert_snapshot!(draw(&json!({ "name": "shop", "servers": [{ "id": "a", "address": "a:1" }, {}] }), None), @r"
    shop  2 servers
    ◌      ?
    ◌ a:1  ?
    ");
}

#[test]
fn the_list_of_clusters() {
    let summary = |name: &str, status: &str, answering: u32| {
        json!({
            "name": name, "status": status, "servers": 3, "servers_answering": answering, "findings": 1,
            "automatic": status == "ok", "primary": { "id": "x", "address": "db1:3306" },
        })
    };
    let mut recovering = summary("b", "recovering", 2);
    recovering["recovering"] = json!({ "kind": "failover" });
    recovering["primary"] = Value::Null;
    let list = [
        summary("a-long-name", "ok", 3),
        recovering,
        summary("c", "critical", 0),
    ];
    insta::assert_snapshot!(plain(&clusters::listing(&list, None)), @r"
    CLUSTER      STATUS      PRIMARY   SERVERS  FINDINGS  RECOVERY
    a-long-name  ok          db1:3306  3        1         by itself
    b            recovering  unknown   2 of 3   1         failover under way
    c            critical    db1:3306  0 of 3   1         on request
    ");
    insta::assert_snapshot!(plain(&clusters::listing(&[], None)), @"no clusters yet; begin with `baton discover HOST:PORT`");
}

#[test]
fn an_explanation() {
    let reason = |code: &str, text: &str| json!({ "code": code, "text": text });
    let document = json!({
        "name": "shop", "policy": "failover-default@0.1.0",
        "intention": { "action": "hold", "kind": "failover", "failed": { "id": "db1", "address": "db1:3306" } },
        "findings": [{
            "code": "primary-dead", "severity": "critical", "recovery": "failover",
            "server": { "id": "db1", "address": "db1:3306" },
            "evidence": [reason("refused", "it refuses connections since 1.2 s")],
        }],
        "reasons": [reason("confirmed", "two probes of Baton's own failed")],
        "obstacles": [reason("cooldown", "a recovery of this cluster ended 12 minutes ago and nobody acknowledged it")],
        "candidates": [
            { "server": { "id": "db3", "address": "db3:3306" }, "reasons": [reason("must-not", "it must not be promoted")] },
            { "server": { "id": "db2", "address": "db2:3306" }, "rank": 1, "missing": 0, "unapplied": 0, "reasons": [] },
            { "server": { "id": "db4" }, "rank": 2, "missing": 3, "unapplied": 14, "reasons": [reason("other-region", "another region")] },
        ],
        "expected_loss": { "kind": "at-most", "transactions": 1 },
    });
    insta::assert_snapshot!(plain(&explain::render(&document, Some(72))), @r"
    shop
      It does nothing about db1:3306, for the reasons below.
      asked: failover-default@0.1.0

    Findings
      primary-dead db1:3306 → failover
        it refuses connections since 1.2 s

    Why
      two probes of Baton's own failed (confirmed)

    What stops it
      a recovery of this cluster ended 12 minutes ago and nobody
      acknowledged it (cooldown)

    Who would take over
      1.  db2:3306  complete
      2.  db4       3 missing, 14 unapplied  another region
      –   db3:3306                           it must not be promoted

    Expected loss
      at most 1 transaction
    ");
}

fn recovery(outcome: &str) -> Value {
    let step = |number: u32, us: u64, phase: &str, stage: &str, text: &str| json!({ "number": number, "step": number.div_ceil(2), "since_trigger_us": us, "phase": phase, "stage": stage, "server": "db2:3306", "text": text });
    json!({
        "id": "r-1", "cluster_name": "shop", "kind": "failover", "outcome": outcome, "finding": "primary-dead",
        "failed": { "id": "db1", "address": "db1:3306" }, "successor": { "id": "db2", "address": "db2:3306" },
        "automatic": true, "node": "baton-1", "started_at": "2026-11-24T05:40:10.000Z", "duration_ms": 84,
        "lost": [{ "id": "db9:3306", "address": null }], "errors": ["one thing went wrong"],
        "steps": [
            step(1, 400, "lock", "begun", "locks"), step(2, 2900, "lock", "done", "locked"),
            step(3, 12_345, "promote", "begun", "opens writes"), step(4, 38_000, "promote", "failed", "opens writes"),
        ],
    })
}

#[test]
fn recoveries_with_and_without_steps() {
    insta::assert_snapshot!(plain(&recoveries::listing(&[recovery("succeeded"), recovery("running")], now(), None)), @r"
    ID   CLUSTER  KIND      OUTCOME    FROM      TO        TOOK  WHEN
    r-1  shop     failover  succeeded  db1:3306  db2:3306  84ms  1m ago  by itself, not acknowledged
    r-1  shop     failover  running    db1:3306  db2:3306  84ms  1m ago  by itself, not acknowledged
    ");
    insta::assert_snapshot!(plain(&recoveries::render(&recovery("failed"), now(), None)), @r"
    failover of shop failed: db1:3306 → db2:3306 in 84.0 ms  primary-dead · 1m ago · by baton-1 · r-1
      one thing went wrong
      left behind: db9:3306

       0.40 ms    +2.50 ms  ✔  lock     db2:3306  locked
       12.3 ms    +25.6 ms  ✖  promote  db2:3306  opens writes

    lock 2.50 ms · promote 25.6 ms
    ");
    insta::assert_snapshot!(plain(&recoveries::listing(&[], now(), None)), @"no recoveries");
}

#[test]
fn the_status_of_a_node() {
    let node = json!({
        "name": "baton-1", "version": "0.1.0", "is_leader": false, "leader": "baton-2", "store": "sqlite baton.db",
        "store_problem": "disk full", "policy": "failover-default@0.1.0", "recoveries_enabled": null, "warm": false,
        "started_at": "2026-11-24T05:40:10Z",
    });
    insta::assert_snapshot!(plain(&status::render(&node, now(), None)), @r"
    baton-1 0.1.0
      lease       follows baton-2
      recoveries  the switch cannot be read, which means disabled
      policy      failover-default@0.1.0
      store       sqlite baton.db: disk full
      picture     not every known server has been read yet
      started     1m ago
    ");
}

#[test]
fn the_nodes() {
    let node = |name: &str, life: &str, leads: bool| {
        json!({
            "name": name, "url": "http://10.0.0.1:3000", "version": "0.1.0", "life": life, "is_leader": leads,
            "epoch": 7, "store_answers": true, "hears": ["baton-1"], "answered_age_ms": 40,
        })
    };
    let alone = set(
        node("baton-4", "answers", true),
        "/store_answers",
        json!(false),
    );
    let never = json!({ "name": null, "url": "http://10.0.0.9:3000", "life": "silent", "is_leader": false, "hears": [] });
    let nodes = [
        node("baton-1", "this", false),
        node("baton-2", "answers", true),
        node("baton-3", "gone", false),
        alone,
        never,
    ];
    insta::assert_snapshot!(plain(&nodes::listing(&nodes, None)), @r"
    NODE     STATE                   EPOCH  STORE    HEARS    SEEN      VERSION  URL
    baton-1  follows                 7      answers  baton-1  here      0.1.0    http://10.0.0.1:3000
    baton-2  leads                   7      answers  baton-1  40ms ago  0.1.0    http://10.0.0.1:3000
    baton-3  its process is gone     7      answers  baton-1  40ms ago  0.1.0    http://10.0.0.1:3000
    baton-4  acts without the store  7      away     baton-1  40ms ago  0.1.0    http://10.0.0.1:3000
    ?        silent                                           never              http://10.0.0.9:3000
    ");
}
