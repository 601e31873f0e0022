//! The predecessor's API, through the router: records, the service's health, and what is no route.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod fixture;

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use baton_core::model::RecoveryOutcome;
use fixture::{details, get, refused, send, usual};
use serde_json::{Value, json};

#[tokio::test]
async fn recoveries_are_paged_and_found() {
    let (fixture, router) = usual();
    let numbers = |value: &Value| -> Vec<i64> {
        value
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r["Id"].as_i64().unwrap())
            .collect()
    };
    let first = numbers(&get(&router, "/api/audit-recovery").await.json());
    assert_eq!((first.len(), first[0]), (20, 44), "rejoins are left out");
    assert_eq!(
        numbers(&get(&router, "/api/audit-recovery/1").await.json()).len(),
        16
    );
    assert_eq!(
        numbers(&get(&router, "/api/audit-recovery/9").await.json()),
        Vec::<i64>::new()
    );
    assert_eq!(
        numbers(
            &get(&router, "/api/audit-recovery/cluster/shop/1")
                .await
                .json()
        )
        .len(),
        16
    );
    assert_eq!(
        numbers(&get(&router, "/api/audit-recovery/alias/shop").await.json()).len(),
        20
    );
    assert_eq!(
        get(&router, "/api/audit-recovery/cluster/none").await.text,
        "[]"
    );
    assert_eq!(
        numbers(&get(&router, "/api/audit-recovery/id/3").await.json()),
        [3]
    );
    assert_eq!(
        numbers(&get(&router, "/api/audit-recovery/uid/r-4").await.json()),
        [4]
    );
    let open = numbers(
        &get(&router, "/api/audit-recovery/1?unacknowledged=true")
            .await
            .json(),
    );
    assert_eq!(open.len(), 15, "number 1 is acknowledged");
    assert_eq!(
        get(&router, "/api/active-cluster-recovery/shop").await.text,
        "[]"
    );
    fixture.set(|state| {
        state.recoveries[1].outcome = RecoveryOutcome::Running;
        state.recoveries[1].ended = None;
    });
    assert_eq!(
        numbers(
            &get(&router, "/api/active-cluster-recovery/shop")
                .await
                .json()
        ),
        [44]
    );
    let steps = get(&router, "/api/audit-recovery-steps/r-3").await.json();
    assert_eq!(
        steps[1]["Message"],
        "promote done: shop-2:3306 becomes writable"
    );
    assert_eq!(steps[1]["RecoveryUID"], "r-3");
    assert_eq!(
        get(&router, "/api/audit-recovery-steps/none").await.text,
        "[]"
    );
    let text = get(&router, "/api/audit-recovery/id/2").await.text;
    insta::assert_snapshot!("recovery", text.replace(",\"", ",\n\""));
}

#[tokio::test]
async fn the_audit_log_is_paged_and_filtered() {
    let (_, router) = usual();
    let all = get(&router, "/api/audit/2").await.json();
    assert_eq!(all.as_array().unwrap().len(), 10);
    let mine = get(&router, "/api/audit/instance/shop-2/3306").await.json();
    assert_eq!(mine.as_array().unwrap().len(), 13);
    assert_eq!(
        mine[0]["AuditInstanceKey"],
        json!({"Hostname": "shop-2", "Port": 3306})
    );
    assert_eq!(mine[0]["AuditTimestamp"], "2026-11-24 05:41:09");
    // An absurd page is an empty one.
    assert_eq!(
        get(&router, "/api/audit/99999999999999999999")
            .await
            .json()
            .as_array()
            .unwrap()
            .len(),
        20
    );
}

#[tokio::test]
async fn health_and_leadership() {
    let (fixture, router) = usual();
    assert_eq!(get(&router, "/api/lb-check").await.text, "\"OK\"");
    assert_eq!(get(&router, "/api/_ping").await.text, "\"OK\"");
    let health = details(&router, "/api/health").await;
    assert_eq!(health["Healthy"], true);
    assert_eq!(health["IsActiveNode"], true);
    assert_eq!(health["Error"], Value::Null);
    for path in ["leader-check", "leader-check/503", "routed-leader-check"] {
        let got = get(&router, &format!("/api/{path}")).await;
        assert_eq!(
            (got.status, got.text.as_str()),
            (StatusCode::OK, "\"OK\""),
            "{path}"
        );
    }
    fixture.set(|state| {
        state.leads = false;
        state.store_problem = Some("disk full".into());
    });
    for (path, status) in [
        ("leader-check", 404),
        ("leader-check/503", 503),
        ("leader-check/101", 404),
        ("leader-check/x", 404),
    ] {
        let got = get(&router, &format!("/api/{path}")).await;
        assert_eq!(
            (got.status.as_u16(), got.text.as_str()),
            (status, "\"Not leader\""),
            "{path}"
        );
    }
    let got = get(&router, "/api/status").await;
    assert_eq!(got.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(got.json()["Details"]["ActiveNode"]["Hostname"], "baton-2");
    assert_eq!(got.json()["Details"]["Error"], json!({}));
}

#[tokio::test]
async fn headers_are_echoed_without_secrets() {
    let (_, router) = usual();
    let request = Request::get("/api/headers")
        .header("x-real-ip", "10.0.0.1")
        .header("authorization", "Basic c2VjcmV0");
    let got = send(&router, request.body(Body::empty()).unwrap()).await;
    assert_eq!(got.json()["X-Real-Ip"], json!(["10.0.0.1"]));
    assert_eq!(got.json()["Authorization"], json!(["<redacted>"]));
}

#[tokio::test]
async fn routes_are_the_predecessors_key_value_pairs() {
    let (_, router) = usual();
    let pair = json!({"Key": "mysql/master/shop", "Value": "shop-1:3306"});
    assert_eq!(
        details(&router, "/api/submit-masters-to-kv-stores/shop").await,
        json!([pair])
    );
    assert_eq!(
        details(&router, "/api/submit-masters-to-kv-stores")
            .await
            .as_array()
            .unwrap()
            .len(),
        2
    );
    let filters = details(&router, "/api/automated-recovery-filters").await;
    assert_eq!(
        filters["RecoverMasterClusterFilters"],
        json!(["alias=shop"])
    );
}

#[tokio::test]
async fn what_is_no_route_is_the_predecessors_404() {
    let (_, router) = usual();
    for path in [
        "/api",
        "/api/",
        "/api/nothing",
        "/api/instance/shop-1",
        "/api/clusters/x",
        "/api//clusters",
        "/api/force-master-takeover/shop",
        "/other",
    ] {
        let got = get(&router, path).await;
        assert_eq!(
            (got.status, got.text.as_str()),
            (StatusCode::NOT_FOUND, "404 page not found"),
            "{path}"
        );
        assert!(got.kind().starts_with("text/plain"), "{path}");
    }
    for method in ["PUT", "DELETE", "OPTIONS", "PATCH"] {
        let request = Request::builder()
            .method(method)
            .uri("/api/clusters")
            .body(Body::empty())
            .unwrap();
        assert_eq!(
            send(&router, request).await.status,
            StatusCode::NOT_FOUND,
            "{method}"
        );
    }
    // Known there, not served here: said so, so that nobody tries again.
    for path in [
        "relocate/a/1/b/2",
        "relocate-slaves/a/1/b/2",
        "raft-leader",
        "agents",
    ] {
        assert!(
            refused(&router, &format!("/api/{path}"))
                .await
                .contains("not served"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_head_changes_nothing() {
    let (fixture, router) = usual();
    let head = |path: &str| Request::head(path).body(Body::empty()).unwrap();
    assert_eq!(
        send(&router, head("/api/clusters")).await.status,
        StatusCode::OK
    );
    let got = send(&router, head("/api/disable-global-recoveries")).await;
    assert_eq!(got.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(fixture.calls(), Vec::<String>::new());
}

#[tokio::test]
async fn a_client_that_hangs_up_does_not_stop_a_failover() {
    use tower::ServiceExt;
    let (fixture, router) = usual();
    let request = Request::get("/api/force-master-failover/blog")
        .body(Body::empty())
        .unwrap();
    let mut call = Box::pin(router.oneshot(request));
    // Polled once, so that the work is begun, and dropped.
    assert!(futures::poll!(&mut call).is_pending());
    drop(call);
    let begun = async {
        while fixture.calls().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), begun)
        .await
        .expect("the failover was not carried out");
}
