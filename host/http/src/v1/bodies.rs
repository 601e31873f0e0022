//! From the JSON of requests to the control loop's values: the only file in this direction. Unknown
//! fields are refused, because a misspelt `to` must not become "let the policy choose".

use std::time::Duration;

use baton_core::ids::Address;
use baton_core::model::PromotionRule;
use baton_core::planning::AcceptedLoss;
use schemars::JsonSchema;
use serde::Deserialize;

use super::problem::Problem;
use crate::backend::MoveRequest;
use crate::vocabulary::words;

/// The port of an address without one.
const DEFAULT_PORT: u16 = 3306;
/// Bounds of the time that a change of the primary may take.
const DEADLINE_MIN: Duration = Duration::from_secs(1);
const DEADLINE_MAX: Duration = Duration::from_mins(10);
/// Longest text that is kept.
const TEXT_MAX: usize = 1024;
/// Longest downtime: about a century.
const LENGTH_MAX: Duration = Duration::from_hours(100 * 366 * 24);

/// How to change the primary.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ChangeBody {
    /// Identity or address of the server to promote; without it the policy chooses.
    pub(super) to: Option<String>,
    /// What promoting it may lose: worth something with `to` only.
    pub(super) accept_loss: Option<LossBody>,
    /// Give up, and undo, after this: 1s to 10m.
    #[schemars(extend("examples" = ["30s"]))]
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

/// Whom to promote.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RecoverBody {
    /// Identity or address of the server to promote; without it the policy chooses.
    pub(super) to: Option<String>,
    /// What promoting it may lose: worth something with `to` only.
    pub(super) accept_loss: Option<LossBody>,
}

/// An order whose course is foreseen.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ForecastBody {
    /// What would be ordered.
    pub(super) order: OrderWord,
    /// Identity or address of the server that `recover` and `rejoin` are about.
    #[serde(default)]
    pub(super) server: Option<String>,
    /// Identity or address of the server to promote; without it the policy chooses.
    #[serde(default)]
    pub(super) to: Option<String>,
    /// What promoting it may lose: worth something with `to` only.
    #[serde(default)]
    pub(super) accept_loss: Option<LossBody>,
}

/// What can be ordered.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OrderWord {
    Failover,
    Switchover,
    Recover,
    Rejoin,
}

/// A number of transactions, or `"unknown"`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum LossBody {
    AtMost(u64),
    Word(#[schemars(extend("enum" = ["unknown"]))] String),
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
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ForgetQuery {
    /// Also a primary that answers, or a replica that replicates.
    pub(super) force: bool,
}

/// Where the state goes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MoveBody {
    /// Name of the backend that gets the state.
    to: String,
    /// Go on although some other nodes do not say whether they reach it.
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

/// What to discover.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DiscoverBody {
    #[schemars(extend("examples" = ["db1.example:3306"]))]
    address: String,
}

impl DiscoverBody {
    pub(super) fn address(&self) -> Result<Address, Problem> {
        let parsed = Address::parse(&self.address, Some(DEFAULT_PORT));
        parsed.map_err(|error| Problem::invalid(error.to_string()))
    }
}

/// The new name.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RenameBody {
    name: String,
}

impl RenameBody {
    pub(super) fn name(&self) -> Result<&str, Problem> {
        text("name", &self.name)
    }
}

/// Why and how long.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DowntimeBody {
    reason: String,
    /// A duration such as 30s, 10m, 1h 30m.
    #[schemars(extend("examples" = ["30s"]))]
    duration: String,
    /// The caller, unless given.
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

/// The rule.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PromotionBody {
    #[schemars(extend("enum" = words::<PromotionRule>()))]
    rule: String,
    /// For ever, unless given.
    #[schemars(extend("examples" = ["30s"]))]
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

/// What was learnt.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AcknowledgeBody {
    comment: String,
}

impl AcknowledgeBody {
    pub(super) fn comment(&self) -> Result<&str, Problem> {
        text("comment", &self.comment)
    }
}

/// On or off.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SwitchBody {
    pub(super) enabled: bool,
}

/// Nothing; the content type must be there all the same.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NoBody {}

/// Part of a list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Paging {
    #[schemars(extend("default" = 0))]
    skip: Option<u32>,
    #[schemars(range(min = 1, max = 1000), extend("default" = 100))]
    limit: Option<u32>,
    /// Taken and not looked at.
    #[schemars(skip)]
    #[serde(rename = "cluster")]
    _cluster: Option<String>,
}

impl Paging {
    /// How many to skip, and how many to give.
    pub(super) fn window(&self) -> Result<Window, Problem> {
        Window::of(self.skip, self.limit)
    }
}

/// Part of a list that has members of several clusters.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ClusterPaging {
    #[schemars(extend("default" = 0))]
    skip: Option<u32>,
    #[schemars(range(min = 1, max = 1000), extend("default" = 100))]
    limit: Option<u32>,
    /// Only those of this cluster.
    pub(super) cluster: Option<String>,
}

impl ClusterPaging {
    /// How many to skip, and how many to give.
    pub(super) fn window(&self) -> Result<Window, Problem> {
        Window::of(self.skip, self.limit)
    }
}

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) skip: u32,
    pub(super) limit: u32,
}

impl Window {
    fn of(skip: Option<u32>, limit: Option<u32>) -> Result<Self, Problem> {
        const LIMIT_MAX: u32 = 1000;
        let limit = limit.unwrap_or(100);
        if (1..=LIMIT_MAX).contains(&limit) {
            let skip = skip.unwrap_or_default();
            Ok(Self { skip, limit })
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
