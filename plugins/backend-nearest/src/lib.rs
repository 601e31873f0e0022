//! Each Baton node prefers the database node nearest to it: first by zone, then by round trip.
//!
//! A round trip is one number from one probe, so it decides only among nodes of which none is in use, or by a wide margin.

use baton_selector_sdk::{
    BackendSelector, Keeping, Move, Node, SelectQuestion, Selection, Settings, Standing, Whole,
    export_selector,
};

const FIVE_MINUTES_MS: u32 = 300_000;

struct BackendNearest {
    keeping: Keeping,
    zone: Option<String>,
    gain_us: u32,
    gain_percent: u32,
}

impl BackendSelector for BackendNearest {
    const NAME: &str = "backend-nearest";
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &str =
        "The node in this Baton's zone, then the one with the shortest round trip";
    const WANTS: &[&str] = &["tags"];

    fn configure(settings: &mut Settings) -> Self {
        Self {
            keeping: Keeping::configure(settings, Some(FIVE_MINUTES_MS)),
            zone: settings.text(
                "self-zone",
                "Zone of this Baton node, compared with the tag `zone` of database nodes; unset = what Baton says of itself.",
            ),
            gain_us: settings.whole(Whole {
                name: "gain-us",
                default: 2_000,
                min: 0,
                max: u32::MAX,
                about: "A node in use is left for one equally near only if the round trip becomes shorter by at least so many microseconds …",
            }),
            gain_percent: settings.whole(Whole {
                name: "gain-percent",
                default: 50,
                min: 0,
                max: 100,
                about: "… and by at least this share of the present one.",
            }),
        }
    }

    fn select(&self, question: &SelectQuestion) -> Result<Selection, String> {
        let zone = self.zone.as_deref().or_else(|| told_zone(question));
        let far = |node: &Node| zone.is_none_or(|zone| tag(node, "zone") != Some(zone));
        let standing = |node: &Node| Standing {
            order: (far(node), round_trip(node)),
            why: match (zone, far(node)) {
                (Some(zone), false) => format!("the nearest, in zone {zone}"),
                (Some(zone), true) => format!("the nearest; none in zone {zone} can be used"),
                (None, _) => {
                    "the nearest by round trip; the zone of this Baton is not known".into()
                }
            },
        };
        Ok(self.keeping.select(question, standing, |here, other| {
            match (far(here), far(other)) {
                (true, false) => Move::When("it is in this Baton's zone".to_owned()),
                (false, true) => Move::Stay,
                _ => self.shorter(here, other),
            }
        }))
    }
}

impl BackendNearest {
    fn shorter(&self, here: &Node, other: &Node) -> Move {
        let (Some(present), Some(new)) = (here.probe.round_trip_us, other.probe.round_trip_us)
        else {
            return Move::Stay;
        };
        let gain = present.saturating_sub(new);
        let share = u64::from(present) * u64::from(self.gain_percent);
        if gain > 0 && gain >= self.gain_us && u64::from(gain) * 100 >= share {
            Move::When(format!("a round trip takes {new} instead of {present} µs"))
        } else {
            Move::Stay
        }
    }
}

fn told_zone(question: &SelectQuestion) -> Option<&str> {
    let extra = question.extra.as_ref()?;
    value(extra, "self-zone").filter(|zone| !zone.is_empty())
}

fn tag<'a>(node: &'a Node, name: &str) -> Option<&'a str> {
    value(&node.tags, name)
}

fn value<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = pairs.iter().find(|(known, _)| known == name);
    found.map(|(_, value)| value.as_str())
}

/// A node whose round trip is not known counts as the farthest.
fn round_trip(node: &Node) -> u32 {
    node.probe.round_trip_us.unwrap_or(u32::MAX)
}

export_selector!(BackendNearest);
