//! A node's HTTP API, as a client sees it.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use ureq::Agent;

/// Client of one node.
#[derive(Clone, Debug)]
pub struct Api {
    base: String,
    agent: Agent,
}

impl Api {
    /// A client of the node at `base`, for example `http://127.0.0.1:3000`.
    pub fn new(base: &str) -> Self {
        Self::within(base, Duration::from_secs(60))
    }

    /// A client that does not wait longer than this for an answer.
    pub fn within(base: &str, limit: Duration) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(limit))
            .http_status_as_error(false)
            .build();
        Self {
            base: base.to_owned(),
            agent: config.into(),
        }
    }

    /// Where the node is.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// GET, whatever the status: status and body (JSON, or the text as a JSON string).
    ///
    /// # Errors
    /// If the node does not answer.
    pub fn get_any(&self, path: &str) -> Result<(u16, Value)> {
        let url = format!("{}{path}", self.base);
        let mut answer = self
            .agent
            .get(&url)
            .call()
            .with_context(|| format!("GET {url}"))?;
        let text = answer
            .body_mut()
            .read_to_string()
            .with_context(|| format!("GET {url}"))?;
        let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok((answer.status().as_u16(), value))
    }

    /// GET that must succeed.
    ///
    /// # Errors
    /// If it does not.
    pub fn get(&self, path: &str) -> Result<Value> {
        match self.get_any(path)? {
            (200..=299, value) => Ok(value),
            (status, value) => bail!("GET {path}: {status} {value}"),
        }
    }

    /// POST with a JSON body; status and answer.
    ///
    /// # Errors
    /// If the node does not answer.
    pub fn post_any(&self, path: &str, body: &Value) -> Result<(u16, Value)> {
        let url = format!("{}{path}", self.base);
        let mut answer = self
            .agent
            .post(&url)
            .header("content-type", "application/json")
            .send(body.to_string())
            .with_context(|| format!("POST {url}"))?;
        let text = answer
            .body_mut()
            .read_to_string()
            .with_context(|| format!("POST {url}"))?;
        let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok((answer.status().as_u16(), value))
    }

    /// POST that must succeed.
    ///
    /// # Errors
    /// If it does not.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value> {
        match self.post_any(path, body)? {
            (200..=299, value) => Ok(value),
            (status, value) => bail!("POST {path}: {status} {value}"),
        }
    }
}
