//! Waiting for a condition instead of sleeping.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often a condition is looked at: well below what tests measure in seconds.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Waits until `condition` holds and says how long that took.
///
/// An error from `condition` counts as "not yet" and is reported if time runs out.
pub fn wait_until(
    what: &str,
    limit: Duration,
    mut condition: impl FnMut() -> Result<bool>,
) -> Result<Duration> {
    let begun = Instant::now();
    loop {
        let answer = condition();
        if matches!(answer, Ok(true)) {
            return Ok(begun.elapsed());
        }
        if begun.elapsed() > limit {
            return match answer {
                Ok(_) => bail!("waited {limit:?} in vain until {what}"),
                Err(error) => {
                    Err(error).with_context(|| format!("waited {limit:?} in vain until {what}"))
                }
            };
        }
        thread::sleep(LOOK_EVERY);
    }
}
