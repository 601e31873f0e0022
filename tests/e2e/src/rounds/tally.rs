//! The table that many rounds give.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::{Draw, Fault, Round, Trigger, Violation};

/// What came of many rounds.
#[derive(Debug, Default)]
pub struct Tally {
    lines: BTreeMap<(Fault, Trigger), Line>,
    found: Vec<(Draw, Vec<Violation>)>,
    unusable: Vec<(Draw, String)>,
}

#[derive(Clone, Debug, Default)]
struct Line {
    rounds: usize,
    violated: usize,
    gaps: Vec<Duration>,
}

impl Tally {
    /// Counts a round.
    pub fn add(&mut self, round: &Round) {
        let line = self.lines.entry((round.draw.fault, round.draw.trigger));
        let line = line.or_default();
        line.rounds += 1;
        line.gaps.extend(round.gap);
        if !round.violations.is_empty() {
            line.violated += 1;
            self.found.push((round.draw, round.violations.clone()));
        }
    }

    /// Counts a round after which the ground could not be used any more.
    pub fn add_unusable(&mut self, draw: &Draw, why: String) {
        self.unusable.push((*draw, why));
    }

    /// Whether every round was as it must be.
    pub fn is_clean(&self) -> bool {
        self.found.is_empty() && self.unusable.is_empty()
    }

    fn sum(&self, is_meant: impl Fn(Fault, Trigger) -> bool) -> Line {
        let mut sum = Line::default();
        for ((fault, trigger), line) in &self.lines {
            if is_meant(*fault, *trigger) {
                sum.rounds += line.rounds;
                sum.violated += line.violated;
                sum.gaps.extend(&line.gaps);
            }
        }
        sum
    }
}

impl Line {
    fn write(&self, formatter: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        let mut gaps = self.gaps.clone();
        gaps.sort();
        let millis =
            |gap: Option<&Duration>| gap.map_or(f64::NAN, |gap| gap.as_secs_f64() * 1000.0);
        writeln!(
            formatter,
            "{name:<34} {:>6} {:>10} {:>9.0} {:>9.0}",
            self.rounds,
            self.violated,
            millis(gaps.get(gaps.len() / 2)),
            millis(gaps.last())
        )
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = |formatter: &mut fmt::Formatter<'_>, name: &str| {
            writeln!(
                formatter,
                "{name:<34} rounds violations   gap ms   worst ms"
            )
        };
        title(formatter, "fault, primary killed")?;
        for fault in Fault::ALL {
            let line = self.sum(|of, trigger| of == fault && trigger == Trigger::Kill);
            line.write(formatter, &fault.to_string())?;
        }
        title(formatter, "fault, any trigger")?;
        for fault in Fault::ALL {
            let line = self.sum(|of, _| of == fault);
            line.write(formatter, &fault.to_string())?;
        }
        title(formatter, "trigger, any fault")?;
        for trigger in Trigger::ALL {
            let line = self.sum(|_, of| of == trigger);
            line.write(formatter, &trigger.to_string())?;
        }
        self.sum(|_, _| true).write(formatter, "all")?;
        for (draw, violations) in &self.found {
            writeln!(formatter, "{draw}")?;
            for violation in violations {
                writeln!(formatter, "    {violation}")?;
            }
        }
        for (draw, why) in &self.unusable {
            writeln!(formatter, "{draw}\n    the ground was given up: {why}")?;
        }
        Ok(())
    }
}
