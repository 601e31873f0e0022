//! The designed API, through the router.

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
use baton_core::ids::{NodeName, RecoveryId};
use baton_http::HttpSettings;
use fixture::{Fixture, Got, delete, get, post, routes, send, world};
use serde_json::{Value, json};

fn usual() -> (Arc<Fixture>, Router) {
    let fixture = Fixture::usual();
    let router = routes(&fixture, HttpSettings::default());
    (fixture, router)
}

fn problem(got: &Got, status: u16, kind: &str) -> Value {
    assert_eq!(got.status.as_u16(), status, "{}", got.text);
    assert_eq!(got.kind(), "application/problem+json");
    let body = got.json();
    assert_eq!(
        body["type"],
        format!("urn:baton:problem:{kind}"),
        "{}",
        got.text
    );
    assert_eq!(body["status"], status);
    assert!(body["title"].is_string() && body["detail"].is_string());
    body
}

#[tokio::test]
async fn a_cluster_in_full() {
    let (_, router) = usual();
    let got = get(&router, "/api/v1/clusters/blog").await;
    assert_eq!(got.status, StatusCode::OK);
    let mut body = got.json();
    assert_eq!(body["status"], "critical");
    assert_eq!(body["servers"].as_array().unwrap().len(), 3);
    body["servers"].as_array_mut().unwrap().truncate(2);
    insta::assert_snapshot!("cluster", serde_json::to_string_pretty(&body).unwrap());
    for hint in ["c-blog", "blog-2:3306"] {
        let got = get(&router, &format!("/api/v1/clusters/{hint}")).await;
        assert_eq!(got.json()["name"], "blog", "{hint}");
    }
}

#[tokio::test]
async fn an_explanation_says_why_not() {
    let (_, router) = usual();
    let body = get(&router, "/api/v1/clusters/blog/explanation")
        .await
        .json();
    assert_eq!(body["intention"]["action"], "hold");
    assert_eq!(body["intention"]["failed"]["address"], "blog-1:3306");
    assert_eq!(body["obstacles"][0]["code"], "not-automatic");
    assert_eq!(body["candidates"][0]["rank"], 1);
    assert_eq!(body["candidates"][1]["excluded"], true);
    assert_eq!(
        body["expected_loss"],
        json!({"kind": "at-most", "transactions": 2, "reason": null})
    );
}

#[tokio::test]
async fn lists_come_in_parts() {
    let (_, router) = usual();
    let first = get(&router, "/api/v1/servers?limit=4").await.json();
    assert_eq!(
        (
            first["items"].as_array().unwrap().len(),
            &first["next_skip"]
        ),
        (4, &json!(4))
    );
    let last = get(&router, "/api/v1/servers?limit=4&skip=8").await.json();
    assert_eq!(
        (last["items"].as_array().unwrap().len(), &last["next_skip"]),
        (2, &Value::Null)
    );
    let mine = get(&router, "/api/v1/servers?cluster=pair").await.json();
    assert_eq!(mine["items"].as_array().unwrap().len(), 3);
    let rows = get(&router, "/api/v1/recoveries?limit=10&skip=40&cluster=shop")
        .await
        .json();
    assert_eq!(
        (rows["items"].as_array().unwrap().len(), &rows["next_skip"]),
        (5, &Value::Null)
    );
    for query in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "skip=-1",
        "skip=4294967296",
        "page=1",
    ] {
        problem(
            &get(&router, &format!("/api/v1/servers?{query}")).await,
            422,
            "invalid",
        );
    }
}

#[tokio::test]
async fn changes_reach_the_control_loop() {
    let (fixture, router) = usual();
    let told = [
        (
            "clusters/blog/failover",
            "{}",
            "failover c-blog to None by baton-1 within 60s",
        ),
        (
            "clusters/blog/failover",
            r#"{"to":"blog-2:3306","deadline":"5s"}"#,
            r#"failover c-blog to Some(ServerId("blog-2:3306")) by baton-1 within 5s"#,
        ),
        (
            "clusters/blog/failover",
            r#"{"to":"blog-2:3306","accept_loss":5}"#,
            r#"failover c-blog to Some(ServerId("blog-2:3306")) by baton-1 within 60s accepting AtMost(5)"#,
        ),
        (
            "clusters/shop/switchover",
            "",
            "switchover c-shop to None by baton-1 within the configured time",
        ),
        (
            "clusters/shop/rename",
            r#"{"name":" store "}"#,
            "rename c-shop to store by baton-1",
        ),
        (
            "clusters/shop/acknowledge",
            r#"{"comment":"seen"}"#,
            r#"acknowledge None Some(ClusterId("c-shop")) by baton-1: seen"#,
        ),
        (
            "servers/shop-2:3306/downtime",
            r#"{"reason":"new disk","duration":"1h 30m","owner":"ann"}"#,
            r#"downtime shop-2:3306 Some("ann new disk 5400s") by baton-1"#,
        ),
        (
            "servers/shop-2/promotion",
            r#"{"rule":"prefer-not"}"#,
            "promotion shop-2:3306 prefer_not ends false by baton-1",
        ),
        (
            "servers/shop-2/promotion",
            r#"{"rule":"must","expires_in":"1h"}"#,
            "promotion shop-2:3306 must ends true by baton-1",
        ),
        (
            "servers/blog-1:3306/recover",
            "{}",
            "recover blog-1:3306 to None by baton-1",
        ),
        (
            "servers/blog-1:3306/rejoin",
            "{}",
            "rejoin blog-1:3306 by baton-1",
        ),
        ("servers/shop-2%3A3306/refresh", "", "refresh shop-2:3306"),
        (
            "discover",
            r#"{"address":"[::1]:3307"}"#,
            "discover [::1]:3307 by baton-1",
        ),
        (
            "recoveries/r-3/acknowledge",
            r#"{"comment":"x"}"#,
            r#"acknowledge Some(RecoveryId("r-3")) None by baton-1: x"#,
        ),
        (
            "recoveries/acknowledge",
            r#"{"comment":"x"}"#,
            "acknowledge None None by baton-1: x",
        ),
        (
            "recoveries-enabled",
            r#"{"enabled":false}"#,
            "recoveries false by baton-1",
        ),
    ];
    for (path, body, call) in told {
        let got = post(&router, &format!("/api/v1/{path}"), body).await;
        assert_eq!(got.status, StatusCode::OK, "{path}: {}", got.text);
        assert_eq!(fixture.calls(), [call], "{path}");
    }
    assert_eq!(
        delete(&router, "/api/v1/servers/shop-4:3306/downtime")
            .await
            .status,
        StatusCode::OK
    );
    let living = "/api/v1/servers/shop-1:3306";
    assert_eq!(delete(&router, living).await.status, StatusCode::CONFLICT);
    let forced = format!("{living}?force=true");
    assert_eq!(
        delete(&router, &forced).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        delete(&router, "/api/v1/servers/shop-4:3306").await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        delete(&router, "/api/v1/servers/lost-1:3306").await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        fixture.calls(),
        [
            "downtime shop-4:3306 None by baton-1",
            "forget shop-1:3306 by baton-1",
            "forget shop-4:3306 by baton-1",
            "forget lost-1:3306 by baton-1"
        ]
    );
}

#[tokio::test]
async fn wrong_requests_are_problems_and_are_not_tried() {
    let (fixture, router) = usual();
    let wrong = [
        ("clusters/none/failover", "{}", 404, "not-found"),
        ("servers/none:1/refresh", "{}", 404, "not-found"),
        (
            "recoveries/none/acknowledge",
            r#"{"comment":"x"}"#,
            404,
            "not-found",
        ),
        (
            "clusters/shop/failover",
            r#"{"too":"shop-2"}"#,
            422,
            "invalid",
        ),
        ("clusters/shop/failover", r#"{"to":7}"#, 422, "invalid"),
        (
            "clusters/shop/failover",
            r#"{"to":"nobody:1"}"#,
            422,
            "invalid",
        ),
        (
            "clusters/shop/failover",
            r#"{"deadline":"soon"}"#,
            422,
            "invalid",
        ),
        (
            "clusters/shop/failover",
            r#"{"deadline":"1ms"}"#,
            422,
            "invalid",
        ),
        (
            "clusters/shop/failover",
            r#"{"deadline":"1h"}"#,
            422,
            "invalid",
        ),
        // Consent is one server's, and says how much.
        (
            "clusters/shop/failover",
            r#"{"accept_loss":5}"#,
            422,
            "invalid",
        ),
        (
            "clusters/blog/failover",
            r#"{"to":"blog-2:3306","accept_loss":"all"}"#,
            422,
            "invalid",
        ),
        ("clusters/shop/failover", "[]", 422, "invalid"),
        ("clusters/shop/failover", "{", 400, "malformed"),
        ("clusters/shop/failover", "\u{0}", 400, "malformed"),
        ("clusters/shop/rename", r#"{"name":" "}"#, 422, "invalid"),
        ("clusters/shop/rename", r#"{"name":"a\nb"}"#, 422, "invalid"),
        ("clusters/shop/rename", "{}", 422, "invalid"),
        (
            "servers/shop-2/downtime",
            r#"{"reason":"x","duration":"0s"}"#,
            422,
            "invalid",
        ),
        (
            "servers/shop-2/downtime",
            r#"{"reason":"x","duration":"500years"}"#,
            422,
            "invalid",
        ),
        (
            "servers/shop-2/downtime",
            r#"{"reason":"","duration":"1h"}"#,
            422,
            "invalid",
        ),
        (
            "servers/shop-2/promotion",
            r#"{"rule":"best"}"#,
            422,
            "invalid",
        ),
        ("discover", r#"{"address":"db:99999"}"#, 422, "invalid"),
        ("discover", r#"{"address":"//db:1"}"#, 422, "invalid"),
        ("recoveries-enabled", r#"{"enabled":"yes"}"#, 422, "invalid"),
        (
            "recoveries/acknowledge",
            r#"{"comment":""}"#,
            422,
            "invalid",
        ),
        ("servers/%ff/refresh", "{}", 400, "malformed"),
        ("nothing", "{}", 404, "no-route"),
        ("clusters", "{}", 405, "method"),
    ];
    for (path, body, status, kind) in wrong {
        problem(
            &post(&router, &format!("/api/v1/{path}"), body).await,
            status,
            kind,
        );
        assert_eq!(fixture.calls(), Vec::<String>::new(), "{path} {body}");
    }
    let huge = format!(r#"{{"comment":"{}"}}"#, "x".repeat(1 << 20));
    problem(
        &post(&router, "/api/v1/recoveries/acknowledge", &huge).await,
        413,
        "too-large",
    );
    let form = Request::post("/api/v1/clusters/shop/failover").header("content-type", "text/plain");
    problem(
        &send(&router, form.body(Body::from("{}")).unwrap()).await,
        415,
        "not-json",
    );
    problem(
        &delete(&router, "/api/v1/servers/none:1").await,
        404,
        "not-found",
    );
    problem(
        &get(&router, "/api/v1/recoveries/none").await,
        404,
        "not-found",
    );
    problem(&get(&router, "/api/v1").await, 404, "no-route");
}

#[tokio::test]
async fn refusals_of_the_control_loop_are_problems() {
    let (fixture, router) = usual();
    let refusals = [
        (
            RequestError::Refused {
                message: "no".into(),
                reasons: vec!["a".into()],
            },
            409,
            "refused",
        ),
        (RequestError::Invalid("no".into()), 422, "invalid"),
        (
            RequestError::NotLeader {
                leader: Some(NodeName::new("baton-2")),
            },
            503,
            "not-leader",
        ),
        (RequestError::Store("disk full".into()), 503, "store"),
        (
            RequestError::Failed {
                message: "no".into(),
                recovery: RecoveryId::new("r-9"),
            },
            500,
            "recovery-failed",
        ),
    ];
    for (refusal, status, kind) in refusals {
        fixture.set(|state| state.refusal = Some(refusal));
        let body = problem(
            &post(&router, "/api/v1/clusters/blog/failover", "{}").await,
            status,
            kind,
        );
        match kind {
            "refused" => assert_eq!(body["reasons"], json!(["a"])),
            "not-leader" => assert_eq!(body["leader"], "baton-2"),
            "recovery-failed" => assert_eq!(body["recovery"], "r-9"),
            _ => {}
        }
    }
}

/// Each documented path is served with the documented methods and no others, and what it answers
/// fits its schema.
#[tokio::test]
async fn answers_fit_the_openapi_document() {
    let (_, router) = usual();
    let document = get(&router, "/api/v1/openapi.json").await.json();
    for (path, item) in document["paths"].as_object().unwrap() {
        let real = path
            .replace("{cluster}", "shop")
            .replace("{server}", "shop-2:3306")
            .replace("{recovery}", "r-3");
        let real = format!("/api/v1{real}");
        for method in ["get", "post", "delete", "put"] {
            let is_stream =
                item[method]["responses"]["200"]["content"]["text/event-stream"].is_object();
            if is_stream {
                continue;
            }
            if item[method].is_null() {
                let request = Request::builder()
                    .method(method.to_uppercase().as_str())
                    .uri(&real);
                problem(
                    &send(&router, request.body(Body::empty()).unwrap()).await,
                    405,
                    "method",
                );
            } else if method == "get" {
                let got = get(&router, &real).await;
                assert_eq!(got.status, StatusCode::OK, "{path}: {}", got.text);
                let schema =
                    &item["get"]["responses"]["200"]["content"]["application/json"]["schema"];
                fits(&document, schema, &got.json(), path);
            }
        }
    }
}

/// The part of JSON Schema that the document uses: required and known properties, types,
/// enumerations.
fn fits(document: &Value, schema: &Value, value: &Value, path: &str) {
    if let Some(target) = schema["$ref"].as_str() {
        return fits(
            document,
            document.pointer(&target[1..]).unwrap(),
            value,
            path,
        );
    }
    if let Some(all) = schema["allOf"].as_array() {
        // Parts of one object: each part's properties, looked at one by one.
        return all
            .iter()
            .for_each(|part| fits_part(document, part, value, path));
    }
    if let Some(one) = schema["oneOf"].as_array() {
        if !value.is_null() {
            fits(document, &one[0], value, path);
        }
        return;
    }
    if let Some(values) = schema["enum"].as_array() {
        assert!(
            values.contains(value),
            "{path}: {value} is not one of {values:?}"
        );
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => return,
    };
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| {
                fits(document, &schema["items"], item, &format!("{path}[{n}]"));
            });
            "array"
        }
        Value::Object(object) => {
            fits_part(document, schema, value, path);
            if let Some(known) = schema["properties"].as_object() {
                let strange: Vec<&String> = object
                    .keys()
                    .filter(|key| !known.contains_key(*key))
                    .collect();
                assert!(
                    strange.is_empty(),
                    "{path}: {strange:?} are not in the schema"
                );
            }
            "object"
        }
    };
    assert!(
        types.contains(&is),
        "{path}: {value} is {is}, not {types:?}"
    );
}

fn fits_part(document: &Value, schema: &Value, value: &Value, path: &str) {
    if let Some(target) = schema["$ref"].as_str() {
        return fits_part(
            document,
            document.pointer(&target[1..]).unwrap(),
            value,
            path,
        );
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(
            value.get(name.as_str().unwrap()).is_some(),
            "{path}: {name} is missing"
        );
    }
    for (name, part) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(inner) = value.get(name) {
            fits(document, part, inner, &format!("{path}.{name}"));
        }
    }
}

#[tokio::test]
async fn a_watcher_gets_the_state_at_once_and_after_a_change() {
    use http_body_util::BodyExt;
    use tower::ServiceExt;
    let (fixture, router) = usual();
    let request = Request::get("/api/v1/clusters/shop/watch")
        .body(Body::empty())
        .unwrap();
    let response = router.oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    let mut next = async || {
        let frame = body.frame().await.unwrap().unwrap();
        String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
    };
    let first = next().await;
    assert!(first.starts_with("event: cluster\ndata: {"), "{first}");
    fixture.set(|state| state.views = vec![Arc::new(world::blog())]);
    assert!(next().await.starts_with("event: gone"));
}

#[tokio::test]
async fn an_embedded_state_has_no_databases() {
    let (_, router) = usual();
    let body = get(&router, "/api/v1/backend").await.json();
    assert_eq!(body["mode"], "embedded");
    assert_eq!(body["store"], "sqlite baton.db");
    assert_eq!(body["selection"], Value::Null);
    assert_eq!(body["clusters"], json!([]));
    let got = post(&router, "/api/v1/backend/move", r#"{"to": "other"}"#).await;
    let refused = problem(&got, 409, "refused");
    assert!(refused["detail"].as_str().unwrap().contains("embedded"));
    let got = post(&router, "/api/v1/backend/move", r#"{"too": "other"}"#).await;
    problem(&got, 422, "invalid");
}
