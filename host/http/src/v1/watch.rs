//! Following changes as server-sent events: one event per change, with the whole present state, so
//! that a client that misses some misses nothing.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use baton_control::ClusterView;
use baton_core::ids::ClusterId;
use futures::Stream;
use futures::stream::unfold;
use serde::Serialize;

use super::documents;
use super::problem::Problem;
use super::request::Name;
use super::require_cluster;
use crate::server::App;

/// At least this long between two events; a poll of each member changes the picture.
const PAUSE: Duration = Duration::from_millis(200);
/// The present state is sent again after this time although nothing changed.
const LIMIT: Duration = Duration::from_secs(30);

/// `GET /clusters/{cluster}/watch`: events `cluster`, and `gone` at the end.
pub(super) async fn cluster(
    State(app): State<Arc<App>>,
    Name(name): Name,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let id = require_cluster(&app, &name)?.snapshot.cluster.id.clone();
    let follow = Follow::new(app, Some(id));
    let events = unfold(Some(follow), |follow| async move {
        let mut follow = follow?;
        match follow.next().await.first() {
            Some(view) => Some((
                Ok(event("cluster", &documents::cluster(view))),
                Some(follow),
            )),
            None => Some((Ok(Event::default().event("gone").data("{}")), None)),
        }
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

/// `GET /watch`: events `clusters` with a summary of each.
pub(super) async fn all(
    State(app): State<Arc<App>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let follow = Follow::new(app, None);
    let events = unfold(follow, |mut follow| async move {
        let views = follow.next().await;
        let summaries: Vec<_> = views.iter().map(|view| documents::summary(view)).collect();
        Some((Ok(event("clusters", &summaries)), follow))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

/// What was shown last.
struct Follow {
    app: Arc<App>,
    cluster: Option<ClusterId>,
    shown: Option<Vec<Arc<ClusterView>>>,
}

impl Follow {
    fn new(app: Arc<App>, cluster: Option<ClusterId>) -> Self {
        Self {
            app,
            cluster,
            shown: None,
        }
    }

    fn views(&self) -> Vec<Arc<ClusterView>> {
        match &self.cluster {
            Some(id) => self
                .app
                .control
                .find_cluster(id.as_str())
                .into_iter()
                .collect(),
            None => self.app.control.clusters(),
        }
    }

    /// What to show next: at once the first time, then when there is something else. What changed
    /// during the pause is seen by comparing, because a change that nobody waited for wakes nobody.
    async fn next(&mut self) -> Vec<Arc<ClusterView>> {
        let mut views = self.views();
        if let Some(shown) = &self.shown {
            tokio::time::sleep(PAUSE).await;
            let deadline = Instant::now() + LIMIT;
            views = self.views();
            while is_same(&views, shown) && Instant::now() < deadline {
                let left = deadline.saturating_duration_since(Instant::now());
                self.app.control.changed(self.cluster.as_ref(), left).await;
                views = self.views();
            }
        }
        self.shown = Some(views.clone());
        views
    }
}

fn is_same(now: &[Arc<ClusterView>], then: &[Arc<ClusterView>]) -> bool {
    now.len() == then.len()
        && now
            .iter()
            .zip(then)
            .all(|(now, then)| Arc::ptr_eq(now, then))
}

fn event<T: Serialize>(name: &str, document: &T) -> Event {
    let event = Event::default().event(name);
    // Our documents always have a JSON form.
    event
        .json_data(document)
        .unwrap_or_else(|_| Event::default().event("error").data("{}"))
}
