//! The predecessor's API, through the router.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod fixture;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use baton_control::RequestError;
use baton_core::model::RecoveryOutcome;
use baton_http_core::HttpSettings;
use fixture::{Fixture, details, get, refused, routes, send, usual, world};
use serde_json::{Value, json};

fn keys(list: &Value) -> Vec<String> {
    let text = |key: &Value| format!("{}:{}", key["Hostname"].as_str().unwrap(), key["Port"]);
    list.as_array()
        .unwrap()
        .iter()
        .map(|item| text(&item["Key"]))
        .collect()
}

#[tokio::test]
async fn an_instance_has_the_predecessors_fields_in_order() {
    let (_, router) = usual();
    let got = get(&router, "/api/instance/shop-3/3306").await;
    assert_eq!(got.kind(), "application/json; charset=UTF-8");
    insta::assert_snapshot!("instance", pretty(&got.text));
    let dead = get(&router, "/api/instance/blog-2/3306").await.json();
    assert_eq!(
        dead["LastIOError"],
        "\"error connecting to master 'repl@blog-1:3306'\\nretry <1>\""
    );
    assert_eq!(dead["MasterUUID"], "No");
    assert_eq!(dead["ReplicationIOThreadState"], 2);
    assert_eq!(
        dead["SecondsBehindMaster"],
        json!({"Int64": 0, "Valid": false})
    );
    let primary = get(&router, "/api/instance/shop-1/3306").await.json();
    assert_eq!(primary["MasterKey"], json!({"Hostname": "", "Port": 0}));
    assert_eq!(primary["ReplicationSQLThreadState"], -1);
}

/// Pretty-printed without sorting: a snapshot of the order, too.
fn pretty(text: &str) -> String {
    let mut out = String::new();
    let (mut depth, mut is_quoted, mut is_escaped) = (0_usize, false, false);
    for c in text.chars() {
        if is_quoted {
            out.push(c);
            (is_quoted, is_escaped) = match c {
                _ if is_escaped => (true, false),
                '\\' => (true, true),
                '"' => (false, false),
                _ => (true, false),
            };
            continue;
        }
        match c {
            '"' => is_quoted = true,
            '{' if depth < 1 => depth += 1,
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            _ => {}
        }
        out.push(c);
        if (c == ',' && depth == 1) || (c == '{' && depth == 1 && out.len() == 1) {
            out.push('\n');
        }
    }
    out
}

#[tokio::test]
async fn clusters_are_named_after_their_primary_and_aliased_after_baton() {
    let (_, router) = usual();
    let names = get(&router, "/api/clusters").await.json();
    assert_eq!(names, json!(["blog-1:3306", "pair-1:3306", "shop-1:3306"]));
    let infos = get(&router, "/api/clusters-info/").await.json();
    assert_eq!(
        infos[2],
        json!({
            "ClusterName": "shop-1:3306", "ClusterAlias": "shop", "ClusterDomain": "", "CountInstances": 4,
            "HeuristicLag": 0, "HasAutomatedMasterRecovery": true, "HasAutomatedIntermediateMasterRecovery": true
        })
    );
    for hint in [
        "shop",
        "c-shop",
        "shop-1:3306",
        "shop-4:3306",
        "shop-4",
        "alias/shop",
    ] {
        let got = get(&router, &format!("/api/cluster-info/{hint}")).await;
        assert_eq!(got.json()["ClusterAlias"], "shop", "{hint}: {}", got.text);
    }
    let members = get(&router, "/api/cluster/instance/shop-4/3306")
        .await
        .json();
    // Depth, then number of replicas, then name.
    assert_eq!(
        keys(&members),
        ["shop-1:3306", "shop-2:3306", "shop-3:3306", "shop-4:3306"]
    );
    assert!(
        refused(&router, "/api/cluster/nothing-like-it")
            .await
            .contains("cluster")
    );
}

#[tokio::test]
async fn empty_lists_are_null_where_the_predecessors_are() {
    let router = routes(&Fixture::new(Vec::new()), HttpSettings::default());
    for path in ["clusters", "masters", "problems", "bulk-instances"] {
        assert_eq!(
            get(&router, &format!("/api/{path}")).await.text,
            "null",
            "{path}"
        );
    }
    for path in [
        "clusters-info",
        "all-instances",
        "downtimed",
        "search?s=x",
        "maintenance",
        "blocked-recoveries",
    ] {
        assert_eq!(
            get(&router, &format!("/api/{path}")).await.text,
            "[]",
            "{path}"
        );
    }
    assert_eq!(
        details(&router, "/api/replication-analysis").await,
        json!([])
    );
}

#[tokio::test]
async fn keys_are_completed_but_an_exact_one_wins() {
    let mut views = vec![world::shop()];
    views.push(world::view(
        "more",
        vec![world::server(
            "shop-10:3306",
            Some(world::facts("shop-10", 31)),
        )],
        Vec::new(),
    ));
    let router = routes(&Fixture::new(views), HttpSettings::default());
    let exact = get(&router, "/api/instance/shop-1/3306").await.json();
    assert_eq!(exact["Key"]["Hostname"], "shop-1");
    let part = get(&router, "/api/instance/op-2/3306").await.json();
    assert_eq!(part["Key"]["Hostname"], "shop-2");
    assert!(
        refused(&router, "/api/instance/shop/3306")
            .await
            .contains("shop:3306")
    );
    assert!(
        refused(&router, "/api/instance/shop-2/3307")
            .await
            .contains("shop-2:3307")
    );
}

#[tokio::test]
async fn lists_hold_what_their_names_say() {
    let (_, router) = usual();
    let list = |path: &str| {
        let router = router.clone();
        let path = format!("/api/{path}");
        async move { keys(&get(&router, &path).await.json()) }
    };
    assert_eq!(
        list("masters").await,
        ["blog-1:3306", "pair-1:3306", "shop-1:3306"]
    );
    assert_eq!(
        list("instance-replicas/shop-1/3306").await,
        ["shop-2:3306", "shop-3:3306"]
    );
    assert_eq!(list("instance-slaves/shop-2/3306").await, ["shop-4:3306"]);
    assert_eq!(list("downtimed").await, ["shop-3:3306"]);
    assert_eq!(list("downtimed/blog").await, Vec::<String>::new());
    // shop-3 is downtimed, so it is no problem.
    assert_eq!(
        list("problems").await,
        ["blog-1:3306", "blog-2:3306", "blog-3:3306"]
    );
    assert_eq!(get(&router, "/api/problems/shop").await.text, "null");
    assert_eq!(list("search?s=shop-").await.len(), 4);
    assert_eq!(list("search/12").await, ["blog-2:3306"]);
    assert_eq!(list("all-instances").await.len(), 10);
    assert_eq!(
        get(&router, "/api/master/shop-4:3306").await.json()["Key"]["Hostname"],
        "shop-1"
    );
}

#[tokio::test]
async fn topologies_look_like_the_predecessors() {
    let (_, router) = usual();
    let mut all = Vec::new();
    for form in ["topology", "topology-tabulated", "topology-tags"] {
        for cluster in ["shop", "blog", "pair"] {
            let details = details(&router, &format!("/api/{form}/{cluster}")).await;
            all.push(format!("{form}/{cluster}\n{}\n", details.as_str().unwrap()));
        }
    }
    insta::assert_snapshot!("topologies", all.join("\n"));
    let by_member = details(&router, "/api/topology/shop-4/3306").await;
    assert_eq!(by_member, details(&router, "/api/topology/shop").await);
}

#[tokio::test]
async fn a_returned_primary_is_drawn_beside_the_tree() {
    let old = world::server("shop-0:3306", Some(world::facts("shop-0", 9)));
    let primary = world::server("shop-1:3306", Some(world::facts("shop-1", 1)));
    let replica = world::replica("shop-2:3306", 2, "shop-1:3306");
    let fixture = Fixture::new(vec![world::view(
        "shop",
        vec![primary, old, replica],
        Vec::new(),
    )]);
    let router = routes(&fixture, HttpSettings::default());
    let text = details(&router, "/api/topology/shop").await;
    let lines: Vec<&str> = text
        .as_str()
        .unwrap()
        .lines()
        .map(|l| l.split(" [").next().unwrap().trim_end())
        .collect();
    assert_eq!(lines, ["shop-1:3306", "+ shop-2:3306", "shop-0:3306"]);
}

#[tokio::test]
async fn findings_become_analyses() {
    let (_, router) = usual();
    let all = details(&router, "/api/replication-analysis").await;
    let entry = |n: usize| {
        (
            &all[n]["AnalyzedInstanceKey"]["Hostname"],
            &all[n]["Analysis"],
            &all[n]["StructureAnalysis"],
        )
    };
    assert_eq!(
        entry(0),
        (
            &json!("blog-1"),
            &json!("DeadMaster"),
            &json!(["NoLoggingReplicasStructureWarning"])
        )
    );
    // Lag has no word there; errant transactions have a warning.
    assert_eq!(
        entry(1),
        (
            &json!("shop-3"),
            &json!("NoProblem"),
            &json!(["ErrantGTIDStructureWarning"])
        )
    );
    assert_eq!(all.as_array().unwrap().len(), 2);
    let dead = &all[0];
    assert_eq!(dead["CountReplicas"], 2);
    assert_eq!(dead["CountValidReplicas"], 2);
    assert_eq!(dead["CountValidReplicatingReplicas"], 0);
    assert_eq!(dead["CountReplicasFailingToConnectToMaster"], 2);
    assert_eq!(dead["LastCheckValid"], false);
    assert_eq!(dead["ClusterDetails"]["ClusterName"], "blog-1:3306");
    assert_eq!(all[1]["SkippableDueToDowntime"], true);
    assert_eq!(all[1]["DowntimeRemainingSeconds"], -3600);
    let text = get(&router, "/api/replication-analysis/blog").await.text;
    insta::assert_snapshot!("analysis", text.replace(",\"", ",\n\""));
    assert_eq!(
        details(&router, "/api/replication-analysis/unknown").await,
        json!([])
    );
    let one = details(&router, "/api/replication-analysis/instance/shop-3/3306").await;
    assert_eq!(one.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn changes_reach_the_control_loop() {
    let (fixture, router) = usual();
    let told = [
        ("discover/new-1/3306", "discover new-1:3306 by baton-1"),
        ("refresh/op-2/3306", "refresh shop-2:3306"),
        ("forget/shop-4/3306", "forget shop-4:3306 by baton-1"),
        ("forget/lost-1/3306", "forget lost-1:3306 by baton-1"),
        (
            "begin-downtime/shop-2/3306/ann/new%20disk%2Fcable/2h",
            r#"downtime shop-2:3306 Some("ann new disk/cable 7200s") by baton-1"#,
        ),
        (
            "begin-downtime/shop-2/3306/ann/x",
            r#"downtime shop-2:3306 Some("ann x 600s") by baton-1"#,
        ),
        (
            "end-downtime/shop-2/3306",
            "downtime shop-2:3306 None by baton-1",
        ),
        (
            "register-candidate/shop-2/3306/prefer_not",
            "promotion shop-2:3306 prefer_not ends true by baton-1",
        ),
        (
            "recover/blog-1/3306",
            "recover blog-1:3306 to None by baton-1",
        ),
        (
            "recover-lite/blog-1/3306/blog-2/3306",
            r#"recover blog-1:3306 to Some(ServerId("blog-2:3306")) by baton-1"#,
        ),
        (
            "force-master-failover/blog",
            "failover c-blog to None by baton-1 within 60s",
        ),
        (
            "force-master-failover/blog-2/3306",
            "failover c-blog to None by baton-1 within 60s",
        ),
        (
            "force-master-takeover/blog/blog-2/3306",
            r#"failover c-blog to Some(ServerId("blog-2:3306")) by baton-1 within 60s"#,
        ),
        (
            "force-master-takeover/blog-1/3306/blog-2/3306",
            r#"failover c-blog to Some(ServerId("blog-2:3306")) by baton-1 within 60s"#,
        ),
        (
            "graceful-master-takeover/shop/shop-2/3306",
            r#"switchover c-shop to Some(ServerId("shop-2:3306")) by baton-1 within the configured time"#,
        ),
        (
            "graceful-master-takeover/shop-1/3306/shop-2/3306",
            r#"switchover c-shop to Some(ServerId("shop-2:3306")) by baton-1 within the configured time"#,
        ),
        (
            "graceful-master-takeover-auto/shop",
            "switchover c-shop to None by baton-1 within the configured time",
        ),
        (
            "graceful-master-takeover-auto/shop-1/3306",
            "switchover c-shop to None by baton-1 within the configured time",
        ),
        (
            "graceful-master-takeover-auto/shop/shop-2/3306",
            r#"switchover c-shop to Some(ServerId("shop-2:3306")) by baton-1 within the configured time"#,
        ),
        ("disable-global-recoveries", "recoveries false by baton-1"),
        ("enable-global-recoveries", "recoveries true by baton-1"),
        (
            "ack-all-recoveries?comment=seen",
            "acknowledge None None by baton-1: seen",
        ),
        (
            "ack-recovery/cluster/shop?comment=a%20b",
            r#"acknowledge None Some(ClusterId("c-shop")) by baton-1: a b"#,
        ),
        (
            "ack-recovery/cluster/alias/shop?comment=x",
            r#"acknowledge None Some(ClusterId("c-shop")) by baton-1: x"#,
        ),
        (
            "ack-recovery/uid/r-3?comment=x",
            r#"acknowledge Some(RecoveryId("r-3")) None by baton-1: x"#,
        ),
        (
            "ack-recovery/3?comment=x",
            r#"acknowledge Some(RecoveryId("r-3")) None by baton-1: x"#,
        ),
    ];
    for (path, call) in told {
        details(&router, &format!("/api/{path}")).await;
        assert_eq!(fixture.calls(), [call], "{path}");
    }
    details(&router, "/api/forget-cluster/pair").await;
    assert_eq!(fixture.calls().len(), 3);
    details(&router, "/api/async-discover/new-2/3306").await;
    while fixture.calls().is_empty() {
        tokio::task::yield_now().await;
    }
    let request = Request::post("/api/refresh/shop-2/3306")
        .body(Body::empty())
        .unwrap();
    assert_eq!(send(&router, request).await.status, StatusCode::OK);
    assert_eq!(fixture.calls(), ["refresh shop-2:3306"]);
}

#[tokio::test]
async fn changes_answer_with_what_the_predecessor_answers() {
    let (_, router) = usual();
    let key = json!({"Hostname": "shop-2", "Port": 3306});
    assert_eq!(
        details(&router, "/api/begin-downtime/op-2/3306/a/b/1h").await,
        key
    );
    assert_eq!(details(&router, "/api/recover/blog-1/3306").await, key);
    assert_eq!(
        details(&router, "/api/discover/new-1/3306").await["Key"]["Hostname"],
        "new-1"
    );
    assert_eq!(
        details(&router, "/api/discover/shop-2/3306").await["ServerID"],
        2
    );
    assert_eq!(
        details(&router, "/api/async-discover/shop-2/3306").await,
        Value::Null
    );
    assert_eq!(
        details(&router, "/api/disable-global-recoveries").await,
        "disabled"
    );
    assert_eq!(
        details(&router, "/api/check-global-recoveries").await,
        "enabled"
    );
    assert_eq!(details(&router, "/api/ack-recovery/3?comment=x").await, "3");
    let takeover = details(&router, "/api/graceful-master-takeover-auto/shop").await;
    assert_eq!(takeover["SuccessorKey"], key);
    assert_eq!(takeover["IsSuccessful"], true);
    assert_eq!(takeover["Type"], "MasterRecovery");
    assert_eq!(
        takeover["AnalysisEntry"]["ClusterDetails"]["ClusterName"],
        "shop-1:3306"
    );
}

#[tokio::test]
async fn changes_that_make_no_sense_are_refused_and_not_tried() {
    let (fixture, router) = usual();
    let said = [
        ("discover/new-1/70000", "port"),
        ("discover/new-1/x", "port"),
        ("discover/new-1/0", "key"),
        ("discover/a%20b/3306", "key"),
        ("discover/%ff/3306", "UTF-8"),
        ("refresh/unknown/3306", "unknown"),
        ("forget/unknown/3306", "no server"),
        ("forget/op-2/3306", "no server"),
        ("begin-downtime/shop-2/3306/ann/x/10", "duration"),
        (
            "begin-downtime/shop-2/3306/ann/x/99999999999999999999w",
            "duration",
        ),
        ("register-candidate/shop-2/3306/best", "best"),
        ("ack-all-recoveries", "comment"),
        ("ack-all-recoveries?comment=%20", "comment"),
        ("ack-recovery/999?comment=x", "999"),
        ("ack-recovery/cluster/none?comment=x", "none"),
        ("force-master-failover/none", "none"),
        ("force-master-takeover/shop/none/3306", "none"),
        // Two direct replicas: the caller must choose, or say -auto.
        ("graceful-master-takeover/shop", "auto"),
    ];
    for (path, word) in said {
        let message = refused(&router, &format!("/api/{path}")).await;
        assert!(message.contains(word), "{path}: {message}");
        assert_eq!(fixture.calls(), Vec::<String>::new(), "{path}");
    }
}

#[tokio::test]
async fn refusals_and_failures_come_in_the_envelope() {
    let (fixture, router) = usual();
    fixture.set(|state| {
        state.refusal = Some(RequestError::Refused {
            message: "no failover".into(),
            reasons: vec!["a".into(), "b".into()],
        });
    });
    assert_eq!(
        refused(&router, "/api/force-master-failover/blog").await,
        "no failover: a; b"
    );
    fixture.set(|state| {
        state.refusal = None;
        state.outcome = RecoveryOutcome::Unwound;
    });
    let got = get(&router, "/api/graceful-master-takeover-auto/shop").await;
    assert_eq!(got.status, StatusCode::INTERNAL_SERVER_ERROR);
    let body = got.json();
    assert!(
        body["Message"]
            .as_str()
            .unwrap()
            .contains("did not catch up")
    );
    assert_eq!(body["Details"]["IsSuccessful"], false);
    assert!(
        refused(&router, "/api/recover/blog-1/3306")
            .await
            .contains("unwound")
    );
}
