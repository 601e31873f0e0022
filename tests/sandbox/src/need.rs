//! What a test needs from the machine, and how it says that it was skipped.

use std::env;
use std::fmt;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use crate::{BackendKind, Flavor, Installation, find_baton, haproxy};

/// Something a test cannot run without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// An installed server.
    Server(Flavor),
    /// The `baton` program, see [`find_baton`].
    Baton,
    /// The right and the tools to make network namespaces.
    Namespaces,
    /// The programs of a cluster for Baton's state.
    Backend(BackendKind),
    /// HAProxy.
    Haproxy,
}

/// Why a test did not run, and how to get what it lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    what: String,
    remedy: String,
}

impl fmt::Display for Skipped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "skipped: {} ({})", self.what, self.remedy)
    }
}

impl From<BackendKind> for Need {
    fn from(kind: BackendKind) -> Self {
        Self::Backend(kind)
    }
}

impl From<Flavor> for Need {
    fn from(flavor: Flavor) -> Self {
        Self::Server(flavor)
    }
}

/// Checks that the machine has what a test needs. A test prints the answer and returns; see
/// [`require!`](crate::require!) for the one-line form.
///
/// Tests with real servers run only when `BATON_E2E=1`, as `cargo xtask test` sets it. The
/// skip is also appended to the file `BATON_SKIPPED_FILE`, if that is set, since test
/// runners hide the output of tests that pass.
///
/// # Panics
///
/// When `BATON_REQUIRE_SERVERS=1` (CI): there a skip is a failure, except for MySQL Cluster, whose
/// programs no package has.
pub fn require(needs: &[Need]) -> Result<(), Skipped> {
    let Some(skipped) = find_missing(needs) else {
        return Ok(());
    };
    let is_packaged = !needs.contains(&Need::Backend(BackendKind::Ndb));
    assert!(
        !is_packaged || !is_on("BATON_REQUIRE_SERVERS"),
        "BATON_REQUIRE_SERVERS is set, but {skipped}"
    );
    record(&skipped);
    Err(skipped)
}

/// Prints why a test is skipped and returns from it, unless everything it needs is there.
///
/// ```no_run
/// use baton_sandbox::Flavor;
/// fn some_test() {
///     baton_sandbox::require!(Flavor::MySql);
/// }
/// ```
#[macro_export]
macro_rules! require {
    ($($need:expr),+ $(,)?) => {
        if let Err(skipped) = $crate::require(&[$($crate::Need::from($need)),+]) {
            println!("{skipped}");
            return;
        }
    };
}

fn find_missing(needs: &[Need]) -> Option<Skipped> {
    if !is_on("BATON_E2E") && !is_on("BATON_REQUIRE_SERVERS") {
        return Some(Skipped {
            what: "tests with real servers".into(),
            remedy: "BATON_E2E=1, or cargo xtask test".into(),
        });
    }
    needs.iter().find_map(|need| match need {
        Need::Server(flavor) => Installation::find(*flavor).err().map(|error| Skipped {
            what: format!("{flavor} server: {error:#}"),
            remedy: "cargo xtask setup".into(),
        }),
        Need::Baton => find_baton().err().map(|error| Skipped {
            what: format!("the program under test: {error:#}"),
            remedy: "cargo build -p baton-server, or cargo xtask test".into(),
        }),
        Need::Namespaces => find_namespace_obstacle(),
        Need::Backend(kind) => kind.find_obstacle().map(|(what, remedy)| Skipped {
            what,
            remedy: remedy.into(),
        }),
        Need::Haproxy => haproxy::find().err().map(|error| Skipped {
            what: format!("HAProxy: {error:#}"),
            remedy: "cargo xtask setup".into(),
        }),
    })
}

fn find_namespace_obstacle() -> Option<Skipped> {
    let what = "network namespaces".to_owned();
    if !rustix::process::geteuid().is_root() {
        return Some(Skipped {
            what,
            remedy: "run as root".into(),
        });
    }
    let tools = ["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip"];
    if !tools.iter().any(|tool| Path::new(tool).exists()) {
        return Some(Skipped {
            what,
            remedy: "install iproute2, or cargo xtask setup".into(),
        });
    }
    None
}

fn record(skipped: &Skipped) {
    let Some(path) = env::var_os("BATON_SKIPPED_FILE") else {
        return;
    };
    let written = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .and_then(|mut file| file.write_all(format!("{skipped}\n").as_bytes()));
    if let Err(error) = written {
        eprintln!("could not record {skipped}: {error}");
    }
}

fn is_on(variable: &str) -> bool {
    env::var(variable).is_ok_and(|value| value == "1")
}
