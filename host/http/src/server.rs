//! Putting the parts together, and serving them.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::get;
use baton_compat::not_found_page;
use baton_control::Control;
use baton_http_core::{ApiContext, BODY_MAX, HttpSettings};
use tokio::net::TcpListener;

use crate::backend::Backends;
use crate::peers::HttpPeers;
use crate::{health, metrics, page, v1};

/// How long open requests may take after the signal to stop; watchers never end by themselves.
const GRACE: Duration = Duration::from_secs(5);

/// What every handler reaches.
pub(crate) struct App {
    pub(crate) control: Arc<dyn Control>,
    pub(crate) backends: Arc<dyn Backends>,
    /// What both APIs need.
    pub(crate) api: Arc<ApiContext>,
}

/// All routes over a control loop and the databases of its state. Changes are forwarded to the
/// leader over the connections of `peers`.
pub fn router(
    control: Arc<dyn Control>,
    backends: Arc<dyn Backends>,
    settings: HttpSettings,
    peers: &HttpPeers,
) -> Router {
    let prefix = settings.url_prefix.as_str().to_owned();
    let api = Arc::new(ApiContext {
        control: Arc::clone(&control),
        settings,
        client: peers.client(),
    });
    let app = Arc::new(App {
        control,
        backends,
        api: Arc::clone(&api),
    });
    let routes = Router::new()
        .route("/", get(page::index))
        .route("/assets/{name}", get(page::asset))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::metrics))
        .merge(baton_compat::routes(api))
        .nest("/api/v1", v1::routes(&app))
        .fallback(not_found_page)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(map_response(harden))
        .with_state(Arc::clone(&app));
    if prefix.is_empty() {
        return routes;
    }
    let with_slash = format!("{prefix}/");
    Router::new()
        .nest(&prefix, routes)
        .route(&with_slash, get(page::index).with_state(app))
        .fallback(not_found_page)
}

/// Serves until `shutdown` is ready, then lets open requests end for a few seconds.
///
/// # Errors
/// If the listener fails.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let signal = async move {
        shutdown.await;
        if stop.send(()).is_err() {
            tracing::debug!("the HTTP server ended before it was told to");
        }
    };
    let late = async move {
        if stopped.await.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        result = axum::serve(listener, router).with_graceful_shutdown(signal).into_future() => result,
        () = late => Ok(()),
    }
}

/// Headers for every answer: browsers must neither guess types, nor frame the page, nor keep old
/// pictures.
async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}
