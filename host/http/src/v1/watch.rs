//! Following changes as server-sent events: one event per change, with the whole present state, so that a client that
//! misses some misses nothing.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

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
    let follow = Follow {
        app,
        cluster: Some(id),
        shown: Vec::new(),
    };
    let events = unfold(Some(follow), |follow| async move {
        let mut follow = follow?;
        follow.wait().await;
        match follow.shown.first() {
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
    let follow = Follow {
        app,
        cluster: None,
        shown: Vec::new(),
    };
    let events = unfold((follow, false), |(mut follow, is_later)| async move {
        if is_later {
            follow.wait().await;
        } else {
            follow.shown = follow.views();
        }
        let summaries: Vec<_> = follow
            .shown
            .iter()
            .map(|view| documents::summary(view))
            .collect();
        Some((Ok(event("clusters", &summaries)), (follow, true)))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

/// What was shown last.
struct Follow {
    app: Arc<App>,
    cluster: Option<ClusterId>,
    shown: Vec<Arc<ClusterView>>,
}

impl Follow {
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

    /// Until there is something else to show; at once the first time. What changed during the pause is seen by
    /// comparing, because a change that nobody waited for wakes nobody.
    async fn wait(&mut self) {
        let is_first = self.shown.is_empty();
        if !is_first {
            tokio::time::sleep(PAUSE).await;
        }
        let mut views = self.views();
        let is_same = views.len() == self.shown.len()
            && views
                .iter()
                .zip(&self.shown)
                .all(|(now, then)| Arc::ptr_eq(now, then));
        if is_same && !is_first {
            self.app.control.changed(self.cluster.as_ref(), LIMIT).await;
            views = self.views();
        }
        self.shown = views;
    }
}

fn event<T: Serialize>(name: &str, document: &T) -> Event {
    let event = Event::default().event(name);
    // Our documents always have a JSON form.
    event
        .json_data(document)
        .unwrap_or_else(|_| Event::default().event("error").data("{}"))
}
