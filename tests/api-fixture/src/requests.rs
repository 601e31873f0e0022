//! Requests to a router without a socket.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;

/// An answer, read in full.
pub struct Got {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Got {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {:?}", self.text))
    }

    pub fn kind(&self) -> &str {
        self.headers
            .get("content-type")
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// Sends any request.
pub async fn send(router: &Router, request: Request<Body>) -> Got {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    Got {
        status: parts.status,
        headers: parts.headers,
        text,
    }
}

/// `GET`.
pub async fn get(router: &Router, path: &str) -> Got {
    send(router, Request::get(path).body(Body::empty()).unwrap()).await
}

/// `POST` of JSON.
pub async fn post(router: &Router, path: &str, body: &str) -> Got {
    let request = Request::post(path).header("content-type", "application/json");
    send(router, request.body(Body::from(body.to_owned())).unwrap()).await
}

/// `DELETE`.
pub async fn delete(router: &Router, path: &str) -> Got {
    send(router, Request::delete(path).body(Body::empty()).unwrap()).await
}
