use serde_json::{Value, json};

use super::render;

fn plain(backend: &Value) -> String {
    anstream::adapter::strip_str(&render(backend, None)).to_string()
}

#[test]
fn databases_and_what_stands_against_them() {
    let node = |address: &str, rest: Value| {
        let mut node = json!({
            "address": address, "in_use": false, "ready": true, "members": 3, "members_seen": 3, "lease_epoch": 7, "schema": 2,
            "probe": {"state": "answering", "answered_age_ms": 210}, "against": [], "notes": [],
        });
        for (key, value) in rest.as_object().unwrap() {
            node[key] = value.clone();
        }
        node
    };
    let shown = plain(&json!({
        "mode": "databases", "holder": "state", "highest_epoch": 7,
        "selection": {
            "node": "state/db2:3306", "generation": 4, "since_ms": 61_000, "selector": "backend-first@0.1.0", "changes_last_hour": 1,
            "reasons": [{"code": "first-ready", "text": "db2:3306 is the first node that is ready"}],
        },
        "clusters": [{
            "name": "state", "kind": "galera", "nodes": [
                node("db1:3306", json!({
                    "ready": false, "probe": {"state": "silent", "failure": "refused", "answered_age_ms": 61_200},
                    "against": [{"code": "unreachable", "text": "db1:3306 refuses connections: its server does not run"}],
                })),
                node("db2:3306", json!({"in_use": true})),
                node("db3:3306", json!({"ready": false, "against": [{"code": "joining", "text": "db3:3306 is joining its cluster"}]})),
            ],
        }],
    }));
    let lines: Vec<&str> = shown.lines().map(str::trim).collect();
    assert!(
        lines[0].starts_with("uses state/db2:3306 for 1m"),
        "{shown}"
    );
    assert!(
        lines[0].ends_with(
            "choice 4 · backend-first@0.1.0 · 1 changes in an hour · highest lease epoch 7"
        ),
        "{shown}"
    );
    assert!(lines.contains(&"state galera, holds the state"), "{shown}");
    let row = |address: &str| {
        *lines
            .iter()
            .find(|line| line.contains(&format!("{address}  ")))
            .unwrap()
    };
    assert!(row("db2:3306").starts_with("→"), "{shown}");
    assert!(shown.contains("joining  "), "{shown}");
    assert!(
        lines.contains(&"db1:3306 refuses connections: its server does not run"),
        "{shown}"
    );
}

#[test]
fn an_embedded_store_says_so() {
    let shown = plain(&json!({"mode": "embedded", "store": "sqlite baton.db", "clusters": []}));
    assert_eq!(shown, "the state is embedded: sqlite baton.db");
}
