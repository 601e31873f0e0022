//! Children that do not outlive us.

use std::ffi::OsStr;
use std::io;
use std::process::{self, Child, Command};
use std::sync::LazyLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;

use crate::Host;

struct Request {
    command: Command,
    answer: Sender<io::Result<Child>>,
}

/// The kernel sends the parent-death signal when the *thread* that forked ends, not the
/// process. Test threads and pool threads end early, so one thread that never ends forks.
static SPAWNER: LazyLock<Sender<Request>> = LazyLock::new(|| {
    let (sender, requests) = channel::<Request>();
    thread::spawn(move || {
        for mut request in requests {
            let child = request.command.spawn();
            // The receiver waits below; if it is gone, dropping the child is all that is left.
            request.answer.send(child).ok();
        }
    });
    sender
});

/// Goes on only if the owner, whose process id is `$0`, still lives once its death would be
/// noticed: before that, it would be noticed by nobody.
const UNLESS_ORPHAN: &str = r#"[ "$PPID" = "$0" ] && exec "$@""#;

/// A command that runs `program`, on a host if given, and is killed when this process dies.
/// It keeps one process id throughout: each wrapper replaces itself.
pub(crate) fn bound_command(host: Option<&Host>, program: &OsStr) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", "sh", "-c", UNLESS_ORPHAN]);
    command.arg(process::id().to_string());
    if let Some(host) = host {
        let name = host.namespace_name();
        command
            .arg("nsenter")
            .arg(format!("--net=/run/netns/{name}"))
            .arg("--");
    }
    command.arg(program);
    command
}

/// Starts a command from the thread that lives as long as this process.
pub(crate) fn spawn(command: Command) -> io::Result<Child> {
    let (answer, child) = channel();
    let lost = || io::Error::other("the thread that starts processes has ended");
    SPAWNER
        .send(Request { command, answer })
        .map_err(|_| lost())?;
    child.recv().map_err(|_| lost())?
}
