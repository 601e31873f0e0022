//! Changes that reach a node which does not lead.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod fixture;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use baton_control::RequestError;
use baton_http::HttpSettings;
use fixture::process::{Process, on_own_runtime};
use fixture::{Fixture, Got, routes, send};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

/// `ann:hush`.
const ANN: &str = "Basic YW5uOmh1c2g=";

fn guarded() -> HttpSettings {
    HttpSettings {
        users: vec![("ann".into(), "hush".into())],
        ..HttpSettings::default()
    }
}

/// The routes of a node that follows the one at `url`.
fn follower(url: String, settings: HttpSettings) -> (Arc<Fixture>, Router) {
    let fixture = Fixture::usual();
    fixture.set(|state| {
        state.leads = false;
        state.leader_url = Some(url);
    });
    let router = routes(&fixture, settings);
    (fixture, router)
}

fn asked(method: &str, path: &str, body: &'static str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .header("authorization", ANN)
        .body(Body::from(body))
        .unwrap()
}

#[test]
fn a_change_is_made_by_the_node_that_leads_and_its_answer_passed_back() {
    let leader = Fixture::usual();
    let node = Process::start(&leader, guarded());
    let (other, router) = follower(node.url(), guarded());
    on_own_runtime(async {
        let path = "/api/v1/clusters/shop/switchover";
        let body = r#"{"to": "shop-2:3306", "deadline": "9s"}"#;
        let passed = send(&router, asked("POST", path, body)).await;
        let direct = send(&routes(&leader, guarded()), asked("POST", path, body)).await;
        assert_eq!(passed.status, StatusCode::OK, "{}", passed.text);
        assert_eq!(passed.text, direct.text);
        let call = "switchover c-shop to Some(ServerId(\"shop-2:3306\")) by ann within 9s";
        assert_eq!(leader.calls(), [call, call]);

        for (method, path, call) in [
            (
                "DELETE",
                "/api/v1/servers/shop-2:3306",
                "forget shop-2:3306 by ann",
            ),
            (
                "GET",
                "/api/forget/shop-2/3306",
                "forget shop-2:3306 by ann",
            ),
            ("GET", "/api/reelect", "reelect by ann"),
            ("POST", "/api/v1/node/reelect", "reelect by ann"),
            (
                "DELETE",
                "/api/v1/nodes/baton-3",
                "forget node baton-3 by ann",
            ),
            (
                "POST",
                "/api/disable-global-recoveries",
                "recoveries false by ann",
            ),
        ] {
            let got = send(&router, asked(method, path, "")).await;
            assert!(got.status.is_success(), "{path}: {}", got.text);
            assert_eq!(leader.calls(), [call]);
        }
        assert_eq!(other.calls(), Vec::<String>::new());
    });
}

#[test]
fn refusals_are_passed_back_too() {
    let leader = Fixture::usual();
    leader.set(|state| {
        state.refusal = Some(RequestError::Refused {
            message: "shop-2 lags".into(),
            reasons: vec!["shop-2 lags by 40s".into()],
        });
    });
    let node = Process::start(&leader, HttpSettings::default());
    let (_, router) = follower(node.url(), HttpSettings::default());
    on_own_runtime(async {
        let path = "/api/v1/clusters/shop/switchover";
        let got = send(&router, asked("POST", path, "")).await;
        assert_eq!(got.status, StatusCode::CONFLICT);
        assert_eq!(got.kind(), "application/problem+json");
        assert_eq!(got.json()["reasons"][0], "shop-2 lags by 40s");

        let path = "/api/graceful-master-takeover-auto/shop";
        let got = send(&router, asked("GET", path, "")).await;
        assert_eq!(got.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(got.json()["Code"], "ERROR");
        assert_eq!(got.json()["Message"], "shop-2 lags: shop-2 lags by 40s");
    });
}

#[test]
fn reads_and_what_is_asked_of_this_node_stay_here() {
    let (other, router) = follower("http://127.0.0.1:1".into(), HttpSettings::default());
    on_own_runtime(async {
        for (method, path) in [
            ("GET", "/api/v1/clusters/shop"),
            ("GET", "/api/v1/clusters/blog/explanation"),
            ("GET", "/api/clusters"),
            ("POST", "/api/v1/servers/shop-2/refresh"),
            ("GET", "/api/refresh/shop-2/3306"),
            ("GET", "/api/grab-election"),
            ("POST", "/api/v1/node/grab-election"),
            ("GET", "/api/v1/nodes"),
        ] {
            let got = send(&router, asked(method, path, "")).await;
            assert_eq!(got.status, StatusCode::OK, "{path}: {}", got.text);
        }
        assert_eq!(other.calls().len(), 4);
    });
}

#[test]
fn who_may_not_change_anything_is_refused_here() {
    let leader = Fixture::usual();
    let node = Process::start(&leader, HttpSettings::default());
    let (_, router) = follower(node.url(), guarded());
    on_own_runtime(async {
        let request = Request::post("/api/v1/recoveries-enabled").body(Body::empty());
        let got = send(&router, request.unwrap()).await;
        assert_eq!(got.status, StatusCode::UNAUTHORIZED);
        assert_eq!(leader.calls(), Vec::<String>::new());
    });
}

#[test]
fn two_nodes_that_take_each_other_for_the_leader_do_not_go_in_circles() {
    let one = Fixture::usual();
    let two = Fixture::usual();
    let (first, second) = (
        Process::start(&one, HttpSettings::default()),
        Process::start(&two, HttpSettings::default()),
    );
    for (fixture, url) in [(&one, second.url()), (&two, first.url())] {
        fixture.set(|state| {
            state.leads = false;
            state.leader_url = Some(url);
        });
    }
    let router = routes(&one, HttpSettings::default());
    on_own_runtime(async {
        let got = send(&router, asked("POST", "/api/v1/clusters/shop/failover", "")).await;
        assert_eq!(got.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(got.json()["type"], "urn:baton:problem:not-leader");
        assert_eq!(got.json()["leader"], "baton-2");
        let got = send(&router, asked("GET", "/api/forget/shop-2/3306", "")).await;
        assert_eq!(got.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(got.text.contains("baton-2 does"), "{}", got.text);
        assert_eq!((one.calls(), two.calls()), (Vec::new(), Vec::new()));
    });
}

#[test]
fn a_leader_that_is_not_there_is_named_with_what_to_do() {
    on_own_runtime(async {
        // Taken and given back, so that nobody listens there.
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", free.local_addr().unwrap());
        drop(free);
        let (_, router) = follower(url.clone(), HttpSettings::default());
        let path = "/api/v1/clusters/shop/failover";
        let got = send(&router, asked("POST", path, "")).await;
        assert_eq!(got.status, StatusCode::SERVICE_UNAVAILABLE);
        let detail = detail(&got);
        for part in [
            "POST /api/v1/clusters/shop/failover",
            &url,
            "nothing was done",
        ] {
            assert!(detail.contains(part), "{detail}");
        }
    });
}

#[test]
fn a_leader_that_ends_midway_leaves_the_outcome_unknown() {
    on_own_runtime(async {
        let dying = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", dying.local_addr().unwrap());
        let ending = tokio::spawn(async move {
            let (mut client, _) = dying.accept().await.unwrap();
            let _ = client.read(&mut [0; 1024]).await.unwrap();
        });
        let (_, router) = follower(url, HttpSettings::default());
        let path = "/api/v1/clusters/shop/failover";
        let got = send(&router, asked("POST", path, "")).await;
        assert_eq!(got.status, StatusCode::BAD_GATEWAY);
        assert_eq!(got.json()["type"], "urn:baton:problem:outcome-unknown");
        assert!(detail(&got).contains("what came of it is unknown"));
        ending.await.unwrap();
    });
}

#[test]
fn a_frozen_leader_is_not_waited_for_when_another_has_taken_over() {
    on_own_runtime(async {
        let frozen = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", frozen.local_addr().unwrap());
        let (other, router) = follower(url, HttpSettings::default());
        let path = "/api/v1/clusters/shop/failover";
        let waiting = tokio::spawn(async move { send(&router, asked("POST", path, "")).await });
        let (_client, _) = frozen.accept().await.unwrap();
        other.set(|state| state.leader_url = Some("http://127.0.0.1:1".into()));
        let got = waiting.await.unwrap();
        assert_eq!(got.status, StatusCode::BAD_GATEWAY);
        assert!(detail(&got).contains("another node has taken over"));
    });
}

fn detail(got: &Got) -> String {
    got.json()["detail"].as_str().unwrap().to_owned()
}

/// Each endpoint that changes something is for the leader and needs credentials, but for these.
#[tokio::test]
async fn changes_of_every_endpoint_are_guarded_and_forwarded() {
    const HERE: [&str; 2] = ["/node/grab-election", "/servers/{server}/refresh"];
    const READS: [&str; 2] = ["/clusters/{cluster}/forecast", "/peer/sightings"];
    let (_, router) = follower("http://127.0.0.1:1".into(), guarded());
    for (method, path) in baton_http::paths() {
        let is_change = method != "get" && !READS.contains(&path);
        let is_for_leader = is_change && !HERE.contains(&path);
        let real = format!("/api/v1{}", path.replace("{server}", "shop-2:3306"));
        let method = method.to_uppercase();
        if path.ends_with("/watch") {
            continue;
        }
        let mut anonymous = asked(&method, &real, "{}");
        anonymous.headers_mut().remove("authorization");
        let got = send(&router, anonymous).await;
        assert_eq!(
            got.status == 401,
            is_change,
            "{method} {path}: {}",
            got.text
        );
        let got = send(&router, asked(&method, &real, "{}")).await;
        let is_forwarded = got.status == 503 && got.text.contains("was to be passed on");
        assert_eq!(is_forwarded, is_for_leader, "{method} {path}: {}", got.text);
    }
}

#[tokio::test]
async fn a_wrong_method_is_answered_with_those_that_are_served() {
    let router = routes(&Fixture::usual(), guarded());
    for (path, allowed) in [
        ("/api/v1/servers/shop-2", "GET,HEAD,DELETE"),
        ("/api/v1/clusters/shop/failover", "POST"),
    ] {
        let got = send(&router, asked("PUT", path, "{}")).await;
        assert_eq!(got.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        assert_eq!(got.headers["allow"], allowed, "{path}");
    }
}
