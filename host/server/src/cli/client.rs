//! HTTP to Baton nodes: reads from the first that answers, changes to the one that leads.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use ureq::Agent;
use ureq::http::{Request, Response, StatusCode};

use super::failure::Failure;
use super::json;

/// Where a node listens unless told otherwise.
pub(crate) const DEFAULT_API: &str = "http://127.0.0.1:3000";

/// Limit for connecting: nodes are near, and the next one is asked after it.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// Limit for reads, which nodes answer from memory.
const READ_LIMIT: Duration = Duration::from_secs(10);

/// The nodes a command may speak to.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    nodes: Vec<String>,
    authorization: Option<String>,
    agent: Agent,
}

/// What came of one request to one node.
enum Reply {
    Done(Value),
    /// The node says that it does not lead.
    NotLeader(String),
    /// An answer that is not the one asked for.
    Refused(Failure),
    /// Nothing was sent.
    NotSent(String),
    /// It was sent, and no answer came.
    Lost(String),
}

impl Client {
    /// A client of the nodes in `list`, separated by spaces or commas, each a URL or `host:port`.
    pub(crate) fn new(list: &str, user: Option<(&str, &str)>) -> Result<Self, Failure> {
        let mut nodes = Vec::new();
        for text in list.split([' ', ',']).filter(|text| !text.is_empty()) {
            nodes.push(base_url(text)?);
        }
        if nodes.is_empty() {
            return Err(Failure::Usage(
                "no node is given; use --api URL or set BATON_API".to_owned(),
            ));
        }
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_LIMIT))
            .user_agent(concat!("baton/", env!("CARGO_PKG_VERSION")))
            // Proxies of the environment are for the outside; nodes are inside.
            .proxy(None)
            .build();
        let authorization = user.map(|(name, password)| {
            format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
        });
        Ok(Self {
            nodes,
            authorization,
            agent: Agent::new_with_config(config),
        })
    }

    /// Reads `path` (`/api/v1/…`) from the first node that answers.
    pub(crate) fn read(&self, path: &str) -> Result<Value, Failure> {
        let mut silent = Vec::new();
        for node in &self.nodes {
            match self.send("GET", node, path, None, READ_LIMIT) {
                Reply::Done(value) => return Ok(value),
                Reply::Refused(failure) => return Err(failure),
                Reply::NotLeader(text) => return Err(Failure::Refused(text)),
                Reply::NotSent(why) | Reply::Lost(why) => silent.push(format!("{node}: {why}")),
            }
        }
        Err(unreachable(&silent))
    }

    /// Asks for a change, of the node that leads.
    pub(crate) fn change(
        &self,
        verb: Verb,
        path: &str,
        body: &Value,
        limit: Duration,
    ) -> Result<Value, Failure> {
        let (mut silent, mut followers) = (Vec::new(), Vec::new());
        for node in &self.nodes {
            match self.send(verb.word(), node, path, Some(body), limit) {
                Reply::Done(value) => return Ok(value),
                Reply::Refused(failure) => return Err(failure),
                Reply::NotLeader(text) => followers.push(format!("{node}: {text}")),
                Reply::NotSent(why) => silent.push(format!("{node}: {why}")),
                Reply::Lost(why) => {
                    return Err(Failure::Refused(format!(
                        "{node} was asked and gave no answer ({why}); what came of it is unknown: see `baton recoveries` and `baton topology` before asking again"
                    )));
                }
            }
        }
        if followers.is_empty() {
            return Err(unreachable(&silent));
        }
        followers.append(&mut silent);
        let advice = "name the leader with --api, or all nodes, separated by commas";
        Err(Failure::Refused(format!(
            "no node that was asked leads; {advice}\n  {}",
            followers.join("\n  ")
        )))
    }

    fn send(
        &self,
        verb: &str,
        node: &str,
        path: &str,
        body: Option<&Value>,
        limit: Duration,
    ) -> Reply {
        let body = body.filter(|body| !body.is_null());
        let text = body.map(Value::to_string).unwrap_or_default();
        let mut request = Request::builder().method(verb).uri(format!("{node}{path}"));
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let request = match request.header("accept", "application/json").body(text) {
            Ok(request) => request,
            Err(error) => {
                return Reply::Refused(Failure::Usage(format!("{node}{path} is no URL ({error})")));
            }
        };
        let request = self
            .agent
            .configure_request(request)
            .timeout_global(Some(limit))
            .build();
        match self.agent.run(request) {
            Ok(response) => read_answer(node, response),
            Err(error) if is_unsent(&error) => Reply::NotSent(why(&error)),
            Err(error) => Reply::Lost(why(&error)),
        }
    }
}

/// Verbs of changes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Verb {
    Post,
    Delete,
}

impl Verb {
    fn word(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

fn read_answer(node: &str, response: Response<ureq::Body>) -> Reply {
    let status = response.status();
    let text = match response.into_body().read_to_string() {
        Ok(text) => text,
        Err(error) => return Reply::Lost(why(&error)),
    };
    let parsed = if text.trim().is_empty() {
        Ok(Value::Null)
    } else {
        serde_json::from_str::<Value>(&text)
    };
    match parsed {
        Ok(value) if status.is_success() => Reply::Done(value),
        Ok(problem) if json::is_problem(&problem) => refusal(status, &problem),
        _ if status == StatusCode::UNAUTHORIZED => Reply::Refused(Failure::Refused(
            "user and password are needed (--user, BATON_PASSWORD), or wrong".to_owned(),
        )),
        _ => {
            let head: String = text.chars().take(120).collect();
            Reply::Refused(Failure::Refused(format!(
                "{node} answered {status} with something that is no answer of Baton's API: {head}"
            )))
        }
    }
}

fn refusal(status: StatusCode, problem: &Value) -> Reply {
    let text = json::problem_text(problem);
    if json::is_not_leader(problem) {
        return Reply::NotLeader(text);
    }
    if status == StatusCode::UNAUTHORIZED {
        return Reply::Refused(Failure::Refused(format!(
            "{text} (use --user and BATON_PASSWORD)"
        )));
    }
    Reply::Refused(Failure::Refused(text))
}

fn unreachable(silent: &[String]) -> Failure {
    let advice = "is Baton running there? Name its nodes with --api URL or in BATON_API";
    Failure::Unreachable(format!(
        "no node answers; {advice}\n  {}",
        silent.join("\n  ")
    ))
}

/// True if the request cannot have reached a node.
fn is_unsent(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed | ureq::Error::BadUri(_) => true,
        ureq::Error::Timeout(phase) => {
            matches!(phase, ureq::Timeout::Connect | ureq::Timeout::Resolve)
        }
        ureq::Error::Io(error) => {
            use std::io::ErrorKind::{
                AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkUnreachable,
            };
            matches!(
                error.kind(),
                ConnectionRefused | HostUnreachable | NetworkUnreachable | AddrNotAvailable
            )
        }
        _ => false,
    }
}

fn why(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::HostNotFound => "the host name does not resolve".to_owned(),
        ureq::Error::ConnectionFailed => "no connection".to_owned(),
        error => error.to_string(),
    }
}

/// A text as one segment of a URL's path.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// What may not stand in a segment as it is. Names, identities and `host:port` stay readable.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b':');

fn base_url(text: &str) -> Result<String, Failure> {
    let url = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let is_http = url.starts_with("http://") || url.starts_with("https://");
    if !is_http || url.contains('@') || url.contains('?') {
        return Err(Failure::Usage(format!(
            "{text:?} is no address of a node (expected for example {DEFAULT_API}; user and password go into --user and BATON_PASSWORD)"
        )));
    }
    Ok(url
        .trim_end_matches('/')
        .trim_end_matches("/api/v1")
        .trim_end_matches("/api")
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_in_all_forms() {
        let nodes = |list: &str| Client::new(list, None).map(|client| client.nodes);
        assert_eq!(
            nodes("a:1, https://b/ c:3/baton/api"),
            Ok(vec![
                "http://a:1".into(),
                "https://b".into(),
                "http://c:3/baton".into()
            ])
        );
        for bad in ["", " , ", "ftp://x", "http://u:p@x"] {
            assert!(
                matches!(nodes(bad), Err(Failure::Usage(_))),
                "{bad:?} was accepted"
            );
        }
    }
}
