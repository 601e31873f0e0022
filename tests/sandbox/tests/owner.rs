//! What the sandbox leaves behind when its process is killed: nothing.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::env;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use baton_sandbox::{Sandbox, wait_until};

const LIMIT: Duration = Duration::from_secs(20);
const AS_OWNER: &str = "BATON_SANDBOX_TEST_AS_OWNER";

#[test]
fn a_killed_owner_takes_its_programs_along_and_its_folder_is_swept() {
    if env::var_os(AS_OWNER).is_some() {
        own_until_killed();
    }
    let mut owner = Command::new(env::current_exe().unwrap())
        .args(["--nocapture", "--exact"])
        .arg("a_killed_owner_takes_its_programs_along_and_its_folder_is_swept")
        .env(AS_OWNER, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(owner.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let told = told.find_map(|line| line.split_once("owns ").map(|(_, rest)| rest.to_owned()));
    let told = told.unwrap();
    let (program, folder) = told.split_once(' ').unwrap();
    let (program, folder) = (Path::new("/proc").join(program), PathBuf::from(folder));
    assert!(program.exists() && folder.exists());

    owner.kill().unwrap();
    owner.wait().unwrap();
    wait_until("the program has ended", LIMIT, || Ok(!is_running(&program))).unwrap();
    // Another test that runs now may remove the folder as well.
    drop(Sandbox::new("sweeper").unwrap());
    assert!(!folder.exists(), "the next sandbox removes what was left");
}

/// Starts a program from a thread that ends: the program must not end with it.
fn own_until_killed() -> ! {
    let sandbox = Sandbox::new("owner").unwrap();
    let mut command = Command::new("sleep");
    command.arg("600");
    let process = thread::scope(|scope| {
        scope
            .spawn(|| sandbox.run("sleeper", &command, None))
            .join()
    });
    let process = process.unwrap().unwrap();
    assert_eq!(process.exit_status().unwrap(), None);
    println!("owns {} {}", process.pid(), sandbox.folder().display());
    loop {
        thread::park();
    }
}

/// A killed process that nobody has waited for yet is still listed, as a zombie.
fn is_running(process: &Path) -> bool {
    let status = std::fs::read_to_string(process.join("stat")).unwrap_or_default();
    let state = status
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    state.is_some_and(|state| state != 'Z')
}
