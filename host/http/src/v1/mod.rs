//! The designed API under `/api/v1`: resources, POST for changes, problem details.

mod bodies;
mod changes;
mod documents;
mod nodes;
mod openapi;
mod peering;
mod problem;
mod reading;
mod request;
mod schema;
mod watch;
pub(crate) mod words;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, delete, get, post};
use baton_control::ClusterView;
use baton_core::ids::ServerId;

use crate::server::App;
use baton_http_core::{Forwarded, authenticate, forward_to_leader, permit_change};
pub(crate) use problem::Problem;

/// Where a node is told to lead.
const GRAB: &str = "/node/grab-election";

/// In whose name a change is made.
#[derive(Clone)]
struct By(String);

/// One path and what it answers to. Kept as a table, so that a test can compare it with the OpenAPI document.
struct Resource {
    path: &'static str,
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "for the comparison with the OpenAPI document")
    )]
    methods: &'static [&'static str],
    handlers: MethodRouter<Arc<App>>,
}

fn resource(
    path: &'static str,
    methods: &'static [&'static str],
    handlers: MethodRouter<Arc<App>>,
) -> Resource {
    Resource {
        path,
        methods,
        handlers,
    }
}

fn resources() -> Vec<Resource> {
    const READ: &[&str] = &["get"];
    const CHANGE: &[&str] = &["post"];
    vec![
        resource("/openapi.json", READ, get(openapi::document)),
        resource("/node", READ, get(reading::node)),
        resource("/node/reelect", CHANGE, post(nodes::reelect)),
        resource(GRAB, CHANGE, post(nodes::grab_election)),
        resource("/nodes", READ, get(nodes::list)),
        resource("/nodes/{node}", &["delete"], delete(nodes::forget)),
        resource("/peer/report", READ, get(peering::report)),
        resource(peering::SIGHTINGS, CHANGE, post(peering::sightings)),
        resource("/policies", READ, get(reading::policies)),
        resource("/backend", READ, get(reading::backend)),
        resource("/backend/move", CHANGE, post(changes::move_backend)),
        resource("/clusters", READ, get(reading::clusters)),
        resource("/clusters/{cluster}", READ, get(reading::cluster)),
        resource(
            "/clusters/{cluster}/findings",
            READ,
            get(reading::cluster_findings),
        ),
        resource(
            "/clusters/{cluster}/explanation",
            READ,
            get(reading::explanation),
        ),
        resource(
            "/clusters/{cluster}/recoveries",
            READ,
            get(reading::cluster_recoveries),
        ),
        resource("/clusters/{cluster}/watch", READ, get(watch::cluster)),
        resource(
            "/clusters/{cluster}/failover",
            CHANGE,
            post(changes::failover),
        ),
        resource(
            "/clusters/{cluster}/switchover",
            CHANGE,
            post(changes::switchover),
        ),
        resource("/clusters/{cluster}/rename", CHANGE, post(changes::rename)),
        resource(
            "/clusters/{cluster}/acknowledge",
            CHANGE,
            post(changes::acknowledge_cluster),
        ),
        resource("/servers", READ, get(reading::servers)),
        resource(
            "/servers/{server}",
            &["get", "delete"],
            get(reading::server).delete(changes::forget),
        ),
        resource(
            "/servers/{server}/downtime",
            &["post", "delete"],
            post(changes::begin_downtime).delete(changes::end_downtime),
        ),
        resource(
            "/servers/{server}/promotion",
            CHANGE,
            post(changes::promotion),
        ),
        resource("/servers/{server}/recover", CHANGE, post(changes::recover)),
        resource("/servers/{server}/refresh", CHANGE, post(changes::refresh)),
        resource("/servers/{server}/rejoin", CHANGE, post(changes::rejoin)),
        resource("/strays", READ, get(reading::strays)),
        resource("/discover", CHANGE, post(changes::discover)),
        resource("/findings", READ, get(reading::findings)),
        resource("/downtimes", READ, get(reading::downtimes)),
        resource("/recoveries", READ, get(reading::recoveries)),
        resource(
            "/recoveries/acknowledge",
            CHANGE,
            post(changes::acknowledge_all),
        ),
        resource("/recoveries/{recovery}", READ, get(reading::recovery)),
        resource("/recoveries/{recovery}/steps", READ, get(reading::steps)),
        resource(
            "/recoveries/{recovery}/acknowledge",
            CHANGE,
            post(changes::acknowledge),
        ),
        resource(
            "/recoveries-enabled",
            &["get", "post"],
            get(reading::recoveries_enabled).post(changes::set_recoveries_enabled),
        ),
        resource("/routes", READ, get(reading::routes)),
        resource("/audit", READ, get(reading::audit)),
        resource("/watch", READ, get(watch::all)),
    ]
}

/// All routes below `/api/v1`.
pub(crate) fn routes(app: &Arc<App>) -> Router<Arc<App>> {
    let mut router = Router::new();
    for Resource { path, handlers, .. } in resources() {
        router = router.route(path, handlers.fallback(wrong_method));
    }
    router
        // Routes and not a fallback: the predecessor's `/api/...` would come before one.
        .route("/", any(no_route))
        .route("/{*path}", any(no_route))
        .layer(from_fn_with_state(Arc::clone(app), admit))
}

/// Lets a request in, in somebody's name, or refuses it.
async fn admit(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let is_reading = [Method::GET, Method::HEAD].contains(request.method())
        || request.uri().path() == peering::SIGHTINGS;
    let user = if is_reading {
        authenticate(&app.api.settings, request.headers())
    } else {
        permit_change(&app.api.settings, request.headers())
    };
    let user = match user {
        Ok(user) => user,
        Err(refusal) => return Problem::from(refusal).into_response(),
    };
    if !is_reading && !is_of_this_node(request.uri().path()) {
        request = match forward_to_leader(&app.api, request).await {
            Ok(Forwarded::Here(request)) => request,
            Ok(Forwarded::Answered(answer)) => return answer,
            Err(not_passed) => return Problem::from(not_passed).into_response(),
        };
    }
    let by = user.unwrap_or_else(|| app.control.node().name.as_str().to_owned());
    request.extensions_mut().insert(By(by));
    next.run(request).await
}

/// What is asked of the node that is spoken to, whether it leads or not.
fn is_of_this_node(path: &str) -> bool {
    path == GRAB || (path.starts_with("/servers/") && path.ends_with("/refresh"))
}

async fn no_route(request: Request) -> Problem {
    Problem::no_route(request.uri().path())
}

async fn wrong_method(request: Request) -> Problem {
    Problem::method(request.method().as_str(), request.uri().path())
}

fn require_cluster(app: &App, hint: &str) -> Result<Arc<ClusterView>, Problem> {
    app.control
        .find_cluster(hint)
        .ok_or_else(|| Problem::unknown("cluster", hint))
}

fn require_server(app: &App, hint: &str) -> Result<(Arc<ClusterView>, ServerId), Problem> {
    app.control
        .find_server(hint)
        .ok_or_else(|| Problem::unknown("server", hint))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The document is kept by hand, so this is what keeps it true.
    #[test]
    fn openapi_describes_each_route_and_no_other() {
        let document: serde_json::Value = serde_json::from_str(openapi::TEXT).unwrap();
        let described: BTreeSet<(String, String)> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, item)| {
                let methods = item
                    .as_object()
                    .unwrap()
                    .keys()
                    .filter(|key| *key != "parameters");
                methods
                    .map(|method| (path.clone(), method.clone()))
                    .collect::<Vec<_>>()
            })
            .collect();
        let served: BTreeSet<(String, String)> = resources()
            .iter()
            .flat_map(|r| {
                r.methods
                    .iter()
                    .map(|m| (r.path.to_owned(), (*m).to_owned()))
            })
            .collect();
        assert_eq!(described, served);
    }

    #[test]
    fn openapi_refers_to_nothing_that_is_not_there() {
        let document: serde_json::Value = serde_json::from_str(openapi::TEXT).unwrap();
        let text = openapi::TEXT;
        for reference in text.split("\"$ref\"").skip(1) {
            let target = reference.split('"').nth(1).unwrap();
            let pointer = target.strip_prefix('#').unwrap();
            assert!(
                document.pointer(pointer).is_some(),
                "{target} is not in the document"
            );
        }
    }
}
