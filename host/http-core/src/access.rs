//! Who may change things.

use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::settings::HttpSettings;

/// What a request needs to be admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// It reads: open to everybody, but wrong credentials are refused.
    Read,
    /// It changes something: see [`permit_change`].
    Change,
}

/// What a node does with a request while another node leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    /// It carries the request out itself.
    Never,
    /// It forwards the request to the leader.
    ToLeader,
}

/// The columns about permission that the endpoint tables of both APIs have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// What the request needs.
    pub scope: Scope,
    /// Where it is carried out.
    pub forward: Forward,
}

impl Access {
    /// Reading, on the node that is asked.
    pub const READ: Self = Self {
        scope: Scope::Read,
        forward: Forward::Never,
    };
    /// A change, on the leader.
    pub const CHANGE: Self = Self {
        scope: Scope::Change,
        forward: Forward::ToLeader,
    };
    /// A change, on the node that is asked.
    pub const CHANGE_HERE: Self = Self {
        scope: Scope::Change,
        forward: Forward::Never,
    };

    /// The user in whose name the request acts, if it names one.
    ///
    /// # Errors
    /// If the request may not do what it asks for.
    pub fn admit(
        self,
        settings: &HttpSettings,
        headers: &HeaderMap,
    ) -> Result<Option<String>, Refusal> {
        match self.scope {
            Scope::Read => authenticate(settings, headers),
            Scope::Change => permit_change(settings, headers),
        }
    }
}

/// Why a request may not do what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The node serves reading only.
    ReadOnly,
    /// A page of another site made the browser send it.
    CrossSite,
    /// User or password are missing or wrong.
    Credentials,
}

impl Refusal {
    /// One sentence for people.
    pub fn text(self) -> &'static str {
        match self {
            Self::ReadOnly => "this node's HTTP interface is read-only",
            Self::CrossSite => "changes asked for by pages of other sites are refused",
            Self::Credentials => "user and password are needed, or wrong",
        }
    }
}

/// The user named by the request, if it names one.
///
/// # Errors
/// Wrong credentials are refused even where none are needed, so that a client learns of them early.
pub fn authenticate(
    settings: &HttpSettings,
    headers: &HeaderMap,
) -> Result<Option<String>, Refusal> {
    if settings.users.is_empty() {
        return Ok(None);
    }
    let Some(header) = headers.get(AUTHORIZATION) else {
        return Ok(None);
    };
    let (user, password) = basic(header).ok_or(Refusal::Credentials)?;
    // Every user is compared, in constant time, so that the answer's delay tells nothing.
    let known = settings.users.iter().fold(false, |known, (name, secret)| {
        known | (is_same(name, &user) & is_same(secret, &password))
    });
    if known {
        Ok(Some(user))
    } else {
        Err(Refusal::Credentials)
    }
}

/// Whether the request may change something, and in whose name.
///
/// # Errors
/// See [`Refusal`].
pub fn permit_change(
    settings: &HttpSettings,
    headers: &HeaderMap,
) -> Result<Option<String>, Refusal> {
    let user = authenticate(settings, headers)?;
    let is_cross_site = headers
        .get("sec-fetch-site")
        .is_some_and(|site| site == "cross-site");
    if settings.read_only {
        Err(Refusal::ReadOnly)
    } else if is_cross_site {
        Err(Refusal::CrossSite)
    } else if user.is_none() && !settings.users.is_empty() {
        Err(Refusal::Credentials)
    } else {
        Ok(user)
    }
}

/// The answer to missing or wrong credentials, as browsers, curl and the predecessor's client
/// understand it.
pub fn ask_for_credentials(mut response: Response) -> Response {
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    let challenge = HeaderValue::from_static("Basic realm=\"baton\", charset=\"UTF-8\"");
    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    response
}

/// The plain form of [`ask_for_credentials`].
pub fn not_authorized() -> Response {
    ask_for_credentials("Not Authorized".into_response())
}

fn basic(header: &HeaderValue) -> Option<(String, String)> {
    let (scheme, rest) = header.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

fn is_same(a: &str, b: &str) -> bool {
    // Digests have one length, so that the comparison's time depends on neither text.
    let (a, b) = (Sha256::digest(a.as_bytes()), Sha256::digest(b.as_bytes()));
    a.iter()
        .zip(b.iter())
        .fold(0_u8, |difference, (x, y)| difference | (x ^ y))
        == 0
}
