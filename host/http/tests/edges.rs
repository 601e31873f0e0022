//! Who may do what, probes, metrics, the page, and garbage.

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
use baton_http::HttpSettings;
use fixture::{Fixture, get, routes, send, world};
use proptest::prelude::*;

fn guarded() -> (Arc<Fixture>, Router) {
    let fixture = Fixture::usual();
    let users = vec![
        ("ann".to_owned(), "hush".to_owned()),
        ("bob".to_owned(), "quiet".to_owned()),
    ];
    let router = routes(
        &fixture,
        HttpSettings {
            users,
            ..HttpSettings::default()
        },
    );
    (fixture, router)
}

/// `ann:hush`, `ann:quiet`.
const ANN: &str = "Basic YW5uOmh1c2g=";
const MIXED: &str = "Basic YW5uOnF1aWV0";

async fn change(router: &Router, path: &str, headers: &[(&str, &str)]) -> fixture::Got {
    let is_v1 = path.starts_with("/api/v1");
    let method = if is_v1 { "POST" } else { "GET" };
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(router, request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn changes_need_credentials_where_users_are_configured() {
    let (fixture, router) = guarded();
    for path in ["/api/refresh/shop-2/3306", "/api/v1/servers/shop-2/refresh"] {
        for headers in [
            &[][..],
            &[("authorization", MIXED)],
            &[("authorization", "Bearer x")],
            &[("authorization", "Basic !")],
        ] {
            let got = change(&router, path, headers).await;
            assert_eq!(got.status, StatusCode::UNAUTHORIZED, "{path} {headers:?}");
            assert!(
                got.headers["www-authenticate"]
                    .to_str()
                    .unwrap()
                    .starts_with("Basic")
            );
            assert_eq!(fixture.calls(), Vec::<String>::new());
        }
        assert_eq!(
            change(&router, path, &[("authorization", ANN)])
                .await
                .status,
            StatusCode::OK,
            "{path}"
        );
        assert_eq!(fixture.calls(), ["refresh shop-2:3306"]);
    }
    // Unknown names are not told apart from known ones before permission is.
    assert_eq!(
        change(&router, "/api/refresh/none/1", &[]).await.status,
        StatusCode::UNAUTHORIZED
    );
    // Reading is open, but wrong credentials are told at once.
    assert_eq!(get(&router, "/api/clusters").await.status, StatusCode::OK);
    let wrong = Request::get("/api/clusters").header("authorization", MIXED);
    assert_eq!(
        send(&router, wrong.body(Body::empty()).unwrap())
            .await
            .status,
        StatusCode::UNAUTHORIZED
    );
    change(
        &router,
        "/api/disable-global-recoveries",
        &[("authorization", ANN)],
    )
    .await;
    assert_eq!(
        fixture.calls(),
        ["recoveries false by ann"],
        "the audit names the user"
    );
}

#[tokio::test]
async fn a_read_only_node_and_other_sites_change_nothing() {
    let fixture = Fixture::usual();
    let closed = routes(
        &fixture,
        HttpSettings {
            read_only: true,
            ..HttpSettings::default()
        },
    );
    let open = routes(&fixture, HttpSettings::default());
    let cross = [("sec-fetch-site", "cross-site")];
    for (router, headers) in [(&closed, &[][..]), (&open, &cross)] {
        let got = change(router, "/api/disable-global-recoveries", headers).await;
        assert_eq!(got.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(
            got.json()["Message"]
                .as_str()
                .unwrap()
                .starts_with("Unauthorized")
        );
        let got = change(router, "/api/v1/servers/shop-2/refresh", headers).await;
        assert_eq!(got.status, StatusCode::FORBIDDEN);
        assert_eq!(fixture.calls(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_prefix_holds_everything() {
    let settings = HttpSettings {
        url_prefix: "/ops/baton".parse().unwrap(),
        ..HttpSettings::default()
    };
    let router = routes(&Fixture::usual(), settings);
    for path in [
        "/ops/baton",
        "/ops/baton/",
        "/ops/baton/livez",
        "/ops/baton/api/clusters",
        "/ops/baton/api/v1/clusters",
    ] {
        assert_eq!(get(&router, path).await.status, StatusCode::OK, "{path}");
    }
    for path in ["/livez", "/api/clusters", "/"] {
        assert_eq!(
            get(&router, path).await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    assert!(
        get(&router, "/ops/baton/")
            .await
            .text
            .contains("/ops/baton/assets/baton.js")
    );
    let document = get(&router, "/ops/baton/api/v1/openapi.json").await.json();
    assert_eq!(document["servers"][0]["url"], "/ops/baton/api/v1");
}

#[tokio::test]
async fn probes_tell_alive_from_ready() {
    let fixture = Fixture::usual();
    let router = routes(&fixture, HttpSettings::default());
    assert_eq!(get(&router, "/livez").await.text, "ok\n");
    assert_eq!(get(&router, "/readyz").await.status, StatusCode::OK);
    fixture.set(|state| state.warm = false);
    assert_eq!(
        get(&router, "/readyz").await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
    fixture.set(|state| {
        state.warm = true;
        state.store_problem = Some("disk full".into());
    });
    let got = get(&router, "/readyz").await;
    assert_eq!(got.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(
        got.json()["missing"][0]
            .as_str()
            .unwrap()
            .contains("disk full")
    );
    assert_eq!(get(&router, "/livez").await.status, StatusCode::OK);
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let odd = world::view(
        "a \"b\"\\\nc",
        vec![world::server("x-1:3306", None)],
        Vec::new(),
    );
    let fixture = Fixture::new(vec![world::blog(), odd, world::shop()]);
    let got = get(&routes(&fixture, HttpSettings::default()), "/metrics").await;
    assert_eq!(got.kind(), "text/plain; version=0.0.4; charset=utf-8");
    for line in [
        "baton_leader 1",
        "baton_lease_epoch 12",
        "baton_servers{cluster=\"blog\",state=\"silent\"} 1",
        "baton_servers{cluster=\"a \\\"b\\\"\\\\\\nc\",state=\"not-probed\"} 1",
        "baton_findings{cluster=\"blog\",code=\"primary-dead\",severity=\"critical\"} 1",
        "baton_replication_lag_max_seconds{cluster=\"shop\"} 25",
        "baton_recent_recoveries{cluster=\"shop\",kind=\"failover\",outcome=\"succeeded\"} 1",
        "# TYPE baton_probes_answered_total counter",
        "baton_policy_seconds_total 0.25",
    ] {
        assert!(
            got.text.lines().any(|l| l == line),
            "{line} is not in\n{}",
            got.text
        );
    }
    check_with_promtool(&got.text);
}

/// The format's own checker, where it is installed.
fn check_with_promtool(text: &str) {
    use std::io::Write;
    use std::process::{Command, Stdio};
    let child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("skipped: promtool check metrics (apt-get install prometheus)");
        return;
    };
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere_and_trusts_no_text() {
    let router = routes(&Fixture::usual(), HttpSettings::default());
    let page = get(&router, "/").await;
    assert!(
        page.headers["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("default-src 'none'")
    );
    let mut all = page.text.clone();
    for reference in ["/assets/baton.css", "/assets/baton.js"] {
        assert!(page.text.contains(reference));
        let got = get(&router, reference).await;
        assert_eq!(got.status, StatusCode::OK);
        all.push_str(&got.text);
    }
    for forbidden in [
        "http://",
        "https://",
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
    ] {
        assert!(!all.contains(forbidden), "{forbidden}");
    }
    assert_eq!(
        get(&router, "/assets/../Cargo.toml").await.status,
        StatusCode::NOT_FOUND
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes in, an answer goes out, and what cannot be understood changes nothing.
    #[test]
    fn garbage_is_answered(
        first in prop::sample::select(vec![
            "instance", "discover", "cluster", "topology", "audit-recovery", "begin-downtime", "search", "ack-recovery",
            "leader-check", "recover", "force-master-takeover", "v1/clusters", "v1/servers", "v1/recoveries", "", "%",
        ]),
        rest in "(/[a-z0-9%:.\\[\\]@+~!-]{0,12}){0,6}",
        query in "[a-z0-9%=&+]{0,20}",
        method in prop::sample::select(vec!["GET", "POST", "HEAD", "DELETE", "PUT"]),
        body in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let uri = format!("/api/{first}{rest}?{query}");
        let Ok(request) = Request::builder().method(method).uri(uri).header("content-type", "application/json").body(Body::from(body)) else {
            return Ok(());
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let fixture = Fixture::new(vec![world::pair()]);
        let router = routes(&fixture, HttpSettings::default());
        let status = runtime.block_on(async {
            use tower::ServiceExt;
            router.oneshot(request).await.unwrap().status()
        });
        prop_assert!(status.as_u16() >= 200);
    }
}
