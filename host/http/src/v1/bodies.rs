//! From the JSON of requests to the control loop's values: the only file in this direction. Unknown fields are refused,
//! because a misspelt `to` must not become "let the policy choose".

use std::time::Duration;

use baton_core::ids::Address;
use baton_core::model::PromotionRule;
use baton_core::planning::AcceptedLoss;
use serde::Deserialize;

use super::problem::Problem;
use crate::backend::MoveRequest;

/// The port of an address without one.
const DEFAULT_PORT: u16 = 3306;
/// Bounds of the time that a change of the primary may take.
const DEADLINE_MIN: Duration = Duration::from_secs(1);
const DEADLINE_MAX: Duration = Duration::from_mins(10);
/// Longest text that is kept.
const TEXT_MAX: usize = 1024;
/// Longest downtime: about a century.
const LENGTH_MAX: Duration = Duration::from_hours(100 * 366 * 24);

/// `POST .../failover`, `.../switchover`, `.../recover`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ChangeBody {
    /// Identity or address of the server to promote.
    pub(super) to: Option<String>,
    /// What promoting it may lose.
    pub(super) accept_loss: Option<LossBody>,
    deadline: Option<String>,
}

impl ChangeBody {
    pub(super) fn deadline(&self, default: Option<Duration>) -> Result<Option<Duration>, Problem> {
        let Some(text) = &self.deadline else {
            return Ok(default);
        };
        let deadline = duration("deadline", text)?;
        if (DEADLINE_MIN..=DEADLINE_MAX).contains(&deadline) {
            Ok(Some(deadline))
        } else {
            Err(Problem::invalid(format!(
                "deadline is {text:?}, not between 1s and 10m"
            )))
        }
    }
}

/// `POST /servers/{id}/recover`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RecoverBody {
    /// Identity or address of the server to promote.
    pub(super) to: Option<String>,
    /// What promoting it may lose.
    pub(super) accept_loss: Option<LossBody>,
}

/// A number of transactions, or `"unknown"`.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum LossBody {
    AtMost(u64),
    Word(String),
}

impl LossBody {
    pub(super) fn accepted(&self) -> Result<AcceptedLoss, Problem> {
        match self {
            Self::AtMost(most) => Ok(AcceptedLoss::AtMost(*most)),
            Self::Word(word) if word == "unknown" => Ok(AcceptedLoss::Unknown),
            Self::Word(word) => Err(Problem::invalid(format!(
                "accept_loss is {word:?}, neither a number of transactions nor \"unknown\""
            ))),
        }
    }
}

/// `DELETE /servers/{id}?force=true`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ForgetQuery {
    /// Also a server that is in use.
    pub(super) force: bool,
}

/// `POST /backend/move`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MoveBody {
    to: String,
    #[serde(default)]
    without_peers: bool,
}

impl MoveBody {
    pub(super) fn request(&self, by: String) -> Result<MoveRequest, Problem> {
        Ok(MoveRequest {
            to: text("to", &self.to)?.to_owned(),
            without_peers: self.without_peers,
            by,
        })
    }
}

/// `POST /discover`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DiscoverBody {
    address: String,
}

impl DiscoverBody {
    pub(super) fn address(&self) -> Result<Address, Problem> {
        let parsed = Address::parse(&self.address, Some(DEFAULT_PORT));
        parsed.map_err(|error| Problem::invalid(error.to_string()))
    }
}

/// `POST .../rename`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RenameBody {
    name: String,
}

impl RenameBody {
    pub(super) fn name(&self) -> Result<&str, Problem> {
        text("name", &self.name)
    }
}

/// `POST /servers/{id}/downtime`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DowntimeBody {
    reason: String,
    duration: String,
    owner: Option<String>,
}

impl DowntimeBody {
    pub(super) fn reason(&self) -> Result<&str, Problem> {
        text("reason", &self.reason)
    }

    pub(super) fn owner(&self) -> Result<Option<&str>, Problem> {
        self.owner
            .as_deref()
            .map(|owner| text("owner", owner))
            .transpose()
    }

    pub(super) fn length(&self) -> Result<Duration, Problem> {
        let length = duration("duration", &self.duration)?;
        if length.is_zero() || length > LENGTH_MAX {
            return Err(Problem::invalid(format!(
                "duration is {:?}, not between 1s and 100 years",
                self.duration
            )));
        }
        Ok(length)
    }
}

/// `POST /servers/{id}/promotion`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PromotionBody {
    rule: String,
    expires_in: Option<String>,
}

impl PromotionBody {
    pub(super) fn rule(&self) -> Result<PromotionRule, Problem> {
        PromotionRule::parse(&self.rule).ok_or_else(|| {
            let words = "must, prefer, neutral, prefer_not or must_not";
            Problem::invalid(format!("rule is {:?}, not one of {words}", self.rule))
        })
    }

    pub(super) fn expires_in(&self) -> Result<Option<Duration>, Problem> {
        self.expires_in
            .as_deref()
            .map(|text| duration("expires_in", text))
            .transpose()
    }
}

/// `POST .../acknowledge`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AcknowledgeBody {
    comment: String,
}

impl AcknowledgeBody {
    pub(super) fn comment(&self) -> Result<&str, Problem> {
        text("comment", &self.comment)
    }
}

/// `POST /recoveries-enabled`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SwitchBody {
    pub(super) enabled: bool,
}

/// Requests that need no more than their path.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NoBody {}

/// Part of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Paging {
    skip: Option<u32>,
    limit: Option<u32>,
    /// Only those of this cluster, where a list has several.
    pub(super) cluster: Option<String>,
}

impl Paging {
    /// How many to skip, and how many to give.
    pub(super) fn window(&self) -> Result<(u32, u32), Problem> {
        const LIMIT_MAX: u32 = 1000;
        let limit = self.limit.unwrap_or(100);
        if (1..=LIMIT_MAX).contains(&limit) {
            Ok((self.skip.unwrap_or_default(), limit))
        } else {
            Err(Problem::invalid(format!(
                "limit is {limit}, not between 1 and {LIMIT_MAX}"
            )))
        }
    }
}

fn text<'a>(field: &str, value: &'a str) -> Result<&'a str, Problem> {
    let trimmed = value.trim();
    if trimmed.is_empty() {
        Err(Problem::invalid(format!("{field} is empty")))
    } else if trimmed.len() > TEXT_MAX {
        Err(Problem::invalid(format!(
            "{field} is longer than {TEXT_MAX} bytes"
        )))
    } else if trimmed.chars().any(char::is_control) {
        Err(Problem::invalid(format!(
            "{field} contains control characters"
        )))
    } else {
        Ok(trimmed)
    }
}

fn duration(field: &str, text: &str) -> Result<Duration, Problem> {
    humantime::parse_duration(text).map_err(|error| {
        Problem::invalid(format!(
            "{field} is {text:?}, not a duration such as 30s or 1h 30m: {error}"
        ))
    })
}
