//! The program as a person or a script runs it: against nodes that are only sockets, and on
//! configuration files.

#![expect(clippy::expect_used, reason = "helpers of tests end the test")]

mod node;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use node::{Answer, Node};

fn baton(api: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_baton"))
        .args(arguments)
        .env_clear()
        .env("BATON_API", api)
        .stdin(Stdio::null())
        .output()
        .expect("baton runs")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const CLUSTER: &str = r#"{"id":"c1","name":"shop","status":"ok","automatic":true,
  "primary":{"id":"db1:3306","address":"db1:3306"},"servers":[
  {"id":"db1:3306","address":"db1:3306","role":"primary","probe":{"state":"answering"},"facts":{"read_only":false},"channels":[]}],
  "findings":[]}"#;

const NOT_LEADER: &str = r#"{"type":"urn:baton:problem:not-leader","title":"This node does not lead","status":503,
  "detail":"this node does not hold the lease; baton-2 does"}"#;

const NOT_FOUND: &str = r#"{"type":"urn:baton:problem:not-found","title":"Not found","status":404,"detail":"no cluster is known as \"x\""}"#;

/// A port on which nobody listens any more.
fn closed() -> String {
    Node::start(|_, _| Answer::new(200, "{}")).address()
}

#[test]
fn the_first_node_that_answers_is_read() {
    let node = Node::start(|_, _| Answer::new(200, CLUSTER));
    let api = format!("{}, {}", closed(), node.address());
    let output = baton(&api, &["topology", "shop"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(
        out(&output),
        "shop  1 server · recovers by itself\n● db1:3306  primary  rw\n"
    );
    assert_eq!(node.requests(), ["GET /api/v1/clusters/shop"]);
}

#[test]
fn json_is_what_the_api_says_and_nothing_else() {
    let node = Node::start(|_, _| Answer::new(200, CLUSTER));
    let output = baton(&node.address(), &["topology", "shop", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&out(&output)).expect("JSON");
    assert_eq!(
        shown,
        serde_json::from_str::<serde_json::Value>(CLUSTER).expect("JSON")
    );
}

#[test]
fn exit_codes_tell_the_cases_apart() {
    let node = Node::start(|_, _| Answer::new(404, NOT_FOUND));
    let refused = baton(&node.address(), &["explain", "x"]);
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(err(&refused), "error: no cluster is known as \"x\"\n");

    let silent = baton(&closed(), &["clusters"]);
    assert_eq!(silent.status.code(), Some(3));
    assert!(
        err(&silent).contains("no node answers; is Baton running there?"),
        "{}",
        err(&silent)
    );

    for wrong in [
        &["topolgy"][..],
        &["failover"],
        &["downtime", "a:1"],
        &["ack"],
        &["status", "--api", "ftp://x"],
    ] {
        let output = baton(&node.address(), wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {}", err(&output));
    }
    let help = baton("", &["--help"]);
    assert_eq!(help.status.code(), Some(0));
    assert!(out(&help).contains("switchover"), "{}", out(&help));
}

#[test]
fn something_else_on_the_port_is_said_to_be_so() {
    let node = Node::start(|_, _| Answer::new(200, "<html>hello</html>"));
    let output = baton(&node.address(), &["clusters"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        err(&output).contains("no answer of Baton's API: <html>hello</html>"),
        "{}",
        err(&output)
    );
}

#[test]
fn changes_go_to_the_node_that_leads() {
    let follower = Node::start(|_, _| Answer::new(503, NOT_LEADER));
    let leader = Node::start(|_, _| Answer::new(200, r#"{"enabled":false}"#));
    let api = format!("{} {}", follower.address(), leader.address());
    let output = baton(&api, &["recoveries-enabled", "off"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(
        out(&output),
        "recoveries are disabled: Baton changes no server\n"
    );
    assert_eq!(
        leader.requests(),
        [r#"POST /api/v1/recoveries-enabled {"enabled":false}"#]
    );

    let alone = baton(&follower.address(), &["forget", "db1:3306"]);
    assert_eq!(alone.status.code(), Some(1));
    assert!(
        err(&alone).contains("no node that was asked leads"),
        "{}",
        err(&alone)
    );
}

#[test]
fn a_change_without_an_answer_is_not_repeated() {
    let dying = Node::start(|_, _| Answer::hang_up());
    let other = Node::start(|_, _| Answer::new(200, "{}"));
    let api = format!("{} {}", dying.address(), other.address());
    let output = baton(&api, &["forget", "db1:3306"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        err(&output).contains("what came of it is unknown"),
        "{}",
        err(&output)
    );
    assert_eq!(other.requests(), Vec::<String>::new());
}

#[test]
fn failover_asks_first_and_shows_the_steps() {
    const DONE: &str = r#"{"id":"r-2","kind":"failover","cluster_name":"shop","outcome":"succeeded","node":"baton-1",
      "failed":{"id":"db1:3306"},"successor":{"id":"db2:3306"},"duration_ms":80,"started_at":"2026-11-24T05:40:10Z","steps":[
      {"number":1,"since_trigger_us":900,"phase":"lock","stage":"done","server":"db2:3306","text":"locked"},
      {"number":2,"since_trigger_us":80000,"phase":"promote","stage":"done","server":"db2:3306","text":"writable"}]}"#;
    let node = Node::start(|request, seen| match request {
        "GET /api/v1/clusters/shop" => Answer::new(200, CLUSTER),
        // The recovery is in the list once the change was asked for.
        "GET /api/v1/recoveries?limit=5" if seen.iter().any(|seen| seen.starts_with("POST")) => {
            Answer::new(200, r#"{"items":[{"id":"r-2"},{"id":"r-1"}]}"#)
        }
        "GET /api/v1/recoveries?limit=5" => Answer::new(200, r#"{"items":[{"id":"r-1"}]}"#),
        "GET /api/v1/recoveries/r-2" => Answer::new(200, DONE),
        request if request.starts_with("POST /api/v1/clusters/shop/failover") => {
            Answer::new(200, DONE).after_another_request()
        }
        _ => Answer::new(404, NOT_FOUND),
    });
    let unasked = baton(&node.address(), &["failover", "shop"]);
    assert_eq!(unasked.status.code(), Some(2));
    assert!(err(&unasked).contains("add --yes"), "{}", err(&unasked));

    let output = baton(
        &node.address(),
        &["failover", "shop", "--to", "db2:3306", "--yes"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let shown = out(&output);
    assert!(shown.contains("promote  db2:3306  writable"), "{shown}");
    assert_eq!(shown.matches("locked").count(), 1, "{shown}");
    assert!(
        shown.contains("failover of shop succeeded: db1:3306 → db2:3306 in 80.0 ms"),
        "{shown}"
    );
    let asked = node.requests();
    assert!(
        asked.contains(&r#"POST /api/v1/clusters/shop/failover {"to":"db2:3306"}"#.to_owned()),
        "{asked:?}"
    );
}

#[test]
fn a_recovery_that_does_not_succeed_fails_the_command() {
    let node = Node::start(|request, _| {
        if request.starts_with("POST") {
            Answer::new(
                200,
                r#"{"id":"r-2","kind":"switchover","outcome":"unwound","errors":["db2:3306 lags by 3 minutes"]}"#,
            )
        } else {
            Answer::new(200, r#"{"items":[]}"#)
        }
    });
    let output = baton(&node.address(), &["switchover", "shop", "--deadline", "5s"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains(
        "it unwound\n  db2:3306 lags by 3 minutes\n  all steps: baton recoveries --steps r-2"
    ));
    let asked = node.requests();
    assert!(
        asked.contains(&r#"POST /api/v1/clusters/shop/switchover {"deadline":"5s"}"#.to_owned()),
        "{asked:?}"
    );
}

#[test]
fn every_change_is_sent_as_the_api_wants_it() {
    let node =
        Node::start(|_, _| Answer::new(200, r#"{"count":2,"id":"db1:3306","enabled":true}"#));
    let runs: &[(&[&str], &str, &str)] = &[
        (
            &["ack", "r-1", "--comment", "seen"],
            r#"POST /api/v1/recoveries/r-1/acknowledge {"comment":"seen"}"#,
            "2 recoveries acknowledged\n",
        ),
        (
            &["ack", "--cluster", "a b"],
            r#"POST /api/v1/clusters/a%20b/acknowledge {"comment":"acknowledged with baton ack"}"#,
            "2 recoveries acknowledged\n",
        ),
        (
            &["ack", "--all"],
            r#"POST /api/v1/recoveries/acknowledge {"comment":"acknowledged with baton ack"}"#,
            "2 recoveries acknowledged\n",
        ),
        (
            &["downtime", "db1:3306", "--for", "90m", "--reason", "disk"],
            r#"POST /api/v1/servers/db1:3306/downtime {"duration":"1h 30m","reason":"disk"}"#,
            "db1:3306 is ignored for 1h 30m\n",
        ),
        (
            &["downtime", "db1:3306", "--end"],
            "DELETE /api/v1/servers/db1:3306/downtime",
            "the downtime of db1:3306 ended\n",
        ),
        (
            &["discover", "db1"],
            r#"POST /api/v1/discover {"address":"db1"}"#,
            "db1:3306 is watched; see `baton topology`\n",
        ),
        (
            &["forget", "[::1]:3306"],
            "DELETE /api/v1/servers/%5B::1%5D:3306",
            "[::1]:3306 is forgotten\n",
        ),
        (
            &["promotion", "db1:3306", "must-not", "--for", "1h"],
            r#"POST /api/v1/servers/db1:3306/promotion {"expires_in":"1h","rule":"must_not"}"#,
            "promotion of db1:3306: must_not for 1h\n",
        ),
        (
            &["recoveries-enabled"],
            "GET /api/v1/recoveries-enabled",
            "recoveries are enabled\n",
        ),
    ];
    for (arguments, request, text) in runs {
        let output = baton(&node.address(), arguments);
        assert_eq!(
            output.status.code(),
            Some(0),
            "{arguments:?}: {}",
            err(&output)
        );
        assert_eq!(out(&output), *text, "{arguments:?}");
        assert_eq!(
            node.requests().last().map(String::as_str),
            Some(*request),
            "{arguments:?}"
        );
    }
}

#[test]
fn credentials_are_sent_and_not_shown() {
    let node = Node::start(|_, _| {
        Answer::new(
            401,
            r#"{"type":"urn:baton:problem:unauthorized","title":"Not allowed","detail":"user and password are needed, or wrong"}"#,
        )
    });
    let output = Command::new(env!("CARGO_BIN_EXE_baton"))
        .args([
            "recoveries-enabled",
            "on",
            "--user",
            "ann",
            "--api",
            &node.address(),
        ])
        .env("BATON_PASSWORD", "hush")
        .output()
        .expect("baton runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(
        err(&output).contains("use --user and BATON_PASSWORD"),
        "{}",
        err(&output)
    );
    assert!(!err(&output).contains("hush"));
    // ann:hush
    assert_eq!(node.authorizations(), ["Basic YW5uOmh1c2g="]);
    let help = Command::new(env!("CARGO_BIN_EXE_baton"))
        .arg("--help")
        .env("BATON_PASSWORD", "hush")
        .output()
        .expect("baton runs");
    assert!(!out(&help).contains("hush"));
}

fn file(directory: &Path, text: &str) -> String {
    let path = directory.join("baton.toml");
    std::fs::write(&path, text).expect("a file can be written");
    path.to_str().expect("UTF-8").to_owned()
}

#[test]
fn a_wrong_configuration_starts_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().to_str().expect("UTF-8");
    let path = file(
        directory.path(),
        &format!(
            "[node]\nname = \"n\"\ndata_dir = \"{data}\"\n[topology]\nuser = \"u\"\n[backend]\nkind = \"galera\"\n[policy.failover.settings]\ncooldown-ms = \"long\"\nno-such = 1\n"
        ),
    );
    for command in [
        &["serve", "--config", &path][..],
        &["config", "check", &path],
    ] {
        let output = baton("", command);
        assert_eq!(output.status.code(), Some(2), "{}", err(&output));
        let text = err(&output);
        assert!(text.contains("problems in the configuration"), "{text}");
        for part in [
            "topology.password: is missing",
            "backend.kind = \"galera\": is written in [[backend.cluster]]",
            "no-such",
            "cooldown-ms",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }
    let left: Vec<_> = std::fs::read_dir(directory.path())
        .expect("readable")
        .filter_map(Result::ok)
        .map(|e| e.file_name())
        .collect();
    assert_eq!(left, ["baton.toml"], "something was created");
}

#[test]
fn a_configuration_in_order_is_said_to_be_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = file(
        directory.path(),
        "[node]\nname = \"n\"\n[topology]\nuser = \"u\"\npassword = \"p\"\n[backend]\npath = \":memory:\"\n",
    );
    let output = baton("", &["config", "check", &path]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(
        out(&output).contains("warning: recovery.automatic: names no cluster"),
        "{}",
        out(&output)
    );
    assert!(
        out(&output).contains("ok: node n listens on 127.0.0.1:3000"),
        "{}",
        out(&output)
    );
    let json = baton("", &["config", "check", &path, "--json"]);
    let document: serde_json::Value = serde_json::from_str(&out(&json)).expect("JSON");
    assert_eq!(document["ok"], true);
    assert_eq!(document["warnings"][0]["key"], "recovery.automatic");
    let missing = baton("", &["config", "check", "/nowhere/baton.toml"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(
        err(&missing).contains("cannot read the configuration /nowhere/baton.toml: No such file"),
        "{}",
        err(&missing)
    );
}
