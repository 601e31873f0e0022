//! What an order would come to, through the router.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod fixture;

use axum::http::StatusCode;
use baton_http::HttpSettings;
use fixture::{Fixture, post, routes};
use serde_json::{Value, json};

const PATH: &str = "/api/v1/clusters/blog/forecast";

async fn forecast(order: Value) -> (StatusCode, Value) {
    let fixture = Fixture::usual();
    let router = routes(&fixture, HttpSettings::default());
    let got = post(&router, PATH, &order.to_string()).await;
    (got.status, got.json())
}

#[tokio::test]
async fn each_order_is_foreseen_as_it_was_given() {
    for (order, kind, text) in [
        (json!({ "order": "switchover" }), "switchover", "switchover"),
        (
            json!({ "order": "failover", "to": "blog-2:3306", "accept_loss": 2 }),
            "failover",
            "failover to blog-2:3306, accepting the loss of 2 transactions",
        ),
        (
            json!({ "order": "rejoin", "server": "blog-1:3306" }),
            "rejoin",
            "take blog-1:3306 back",
        ),
        (
            json!({ "order": "recover", "server": "blog-1:3306" }),
            "co-primary-failover",
            "recover what blog-1:3306 has",
        ),
    ] {
        let (status, body) = forecast(order).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        assert_eq!(body["kind"], kind);
        assert_eq!(body["steps"][0]["text"], format!("foreseen: {text}"));
        assert_eq!(body["steps"][0]["phase"], "promote");
        assert_eq!(body["outcome"], "succeeded");
    }
}

#[tokio::test]
async fn what_cannot_be_ordered_cannot_be_foreseen() {
    for (order, expected) in [
        (json!({}), "order"),
        (json!({ "order": "sideways" }), "unknown variant"),
        (json!({ "order": "rejoin" }), "server is missing"),
        (
            json!({ "order": "switchover", "to": "nobody:1" }),
            "no known server",
        ),
        (
            json!({ "order": "failover", "accept_loss": 2 }),
            "give to as well",
        ),
        (json!({ "order": "failover", "tu": "blog-2:3306" }), "tu"),
    ] {
        let (status, body) = forecast(order.clone()).await;
        assert!(status.is_client_error(), "{order}: {body}");
        let detail = body["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(expected), "{order}: {detail}");
    }
}
