//! Files that must not be opened, and must not be touched either.
#![expect(clippy::unwrap_used, reason = "a test may end where it fails")]

mod support;

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use baton_ports::prelude::*;
use baton_store::{OpenError, SCHEMA_VERSION, SqliteOptions, SqliteStore};
use support::{audit, child, is_root, node, open, run_raw, told};

const FOLDER: &str = "BATON_STORE_TEST_FOLDER";

fn place() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("baton.db");
    (directory, path)
}

async fn refusal(path: &Path) -> OpenError {
    SqliteStore::open(path, &SqliteOptions::default())
        .await
        .map(|_| ())
        .unwrap_err()
}

/// The refusal, after which the file must be as it was.
async fn refusal_of(path: &Path) -> OpenError {
    let before = fs::read(path).unwrap();
    let error = refusal(path).await;
    assert!(
        fs::read(path).unwrap() == before,
        "a refused file was changed"
    );
    let text = error.to_string();
    assert!(
        text.contains(path.to_str().unwrap()),
        "does not name the file: {text}"
    );
    error
}

/// A database with some content, closed.
async fn filled(path: &Path) {
    let store = open(path).await.store;
    for number in 0..200 {
        store.audit(&audit(number, 2000)).await.unwrap();
    }
    store.close().await;
}

#[tokio::test]
async fn missing_file_is_made_only_if_allowed() {
    let (_directory, path) = place();
    let strict = SqliteOptions {
        create: false,
        ..SqliteOptions::default()
    };
    let error = SqliteStore::open(&path, &strict).await.unwrap_err();
    assert!(matches!(error, OpenError::Missing { .. }), "{error:?}");
    assert!(!path.exists());
    fs::write(&path, "").unwrap();
    let error = SqliteStore::open(&path, &strict).await.unwrap_err();
    assert!(matches!(error, OpenError::Missing { .. }), "{error:?}");

    let opened = open(&path).await;
    assert!((opened.created, opened.schema_found) == (true, 0));
    drop(opened);
    let again = SqliteStore::open(&path, &strict).await.unwrap();
    assert_eq!((again.created, again.schema_found), (false, SCHEMA_VERSION));
}

#[tokio::test]
async fn missing_directory_and_things_that_are_no_files() {
    let (directory, path) = place();
    let lost = directory.path().join("no/such/baton.db");
    assert!(matches!(
        refusal(&lost).await,
        OpenError::NoDirectory { .. }
    ));
    assert!(!directory.path().join("no").exists());
    fs::create_dir(&path).unwrap();
    assert!(matches!(refusal(&path).await, OpenError::NotAFile { .. }));
    assert!(matches!(
        refusal(Path::new("/dev/null")).await,
        OpenError::NotAFile { .. }
    ));
    let name = directory
        .path()
        .join(std::ffi::OsStr::from_bytes(b"\xff.db"));
    assert!(matches!(refusal(&name).await, OpenError::NotAFile { .. }));
    assert!(!name.exists());
}

#[tokio::test]
async fn names_are_taken_literally() {
    let directory = tempfile::tempdir().unwrap();
    for name in [
        "a b.db",
        "50%3f.db",
        "q?mode=memory.db",
        "h#1.db",
        "file:x.db",
    ] {
        let path = directory.path().join(name);
        let store = open(&path).await.store;
        store.ping(&node("n1")).await.unwrap();
        assert!(
            fs::metadata(&path).unwrap().len() > 0,
            "{name:?} was not used as it is"
        );
    }
}

#[tokio::test]
async fn files_of_others_are_refused() {
    let (_directory, path) = place();
    for content in [
        "x",
        "SQLite format 3\0",
        "[backend]\nkind = \"sqlite\"\n",
        &"text ".repeat(9000),
    ] {
        fs::write(&path, content).unwrap();
        let error = refusal_of(&path).await;
        assert!(matches!(error, OpenError::NotADatabase { .. }), "{error:?}");
    }
    fs::remove_file(&path).unwrap();
    run_raw(&path, "CREATE TABLE t (x)").await;
    let error = refusal_of(&path).await;
    assert!(
        matches!(
            error,
            OpenError::Foreign {
                application_id: 0,
                ..
            }
        ),
        "{error:?}"
    );
    run_raw(&path, "PRAGMA application_id = 77").await;
    let error = refusal_of(&path).await;
    assert!(
        matches!(
            error,
            OpenError::Foreign {
                application_id: 77,
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn damaged_files_are_refused() {
    let (_directory, path) = place();
    filled(&path).await;
    let whole = fs::read(&path).unwrap();
    assert!(
        whole.len() > 100_000,
        "too small to be damaged in the middle"
    );

    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let error = refusal_of(&path).await;
    assert!(
        matches!(error, OpenError::Corrupt { .. }),
        "cut in half: {error:?}"
    );

    let mut damaged = whole.clone();
    let middle = damaged.len() / 8192 * 4096;
    damaged[middle..middle + 4096].fill(0xa5);
    fs::write(&path, &damaged).unwrap();
    let error = refusal_of(&path).await;
    assert!(
        matches!(error, OpenError::Corrupt { .. }),
        "a page overwritten: {error:?}"
    );

    // Only the mark is left of it.
    fs::write(&path, &whole[..100]).unwrap();
    let error = refusal_of(&path).await;
    let told = matches!(
        error,
        OpenError::Corrupt { .. } | OpenError::NotADatabase { .. }
    );
    assert!(told, "cut to its header: {error:?}");

    fs::write(&path, &whole).unwrap();
    assert_eq!(
        open(&path).await.store.audits(0, 1000).await.unwrap().len(),
        200
    );
}

#[tokio::test]
async fn log_without_its_database_is_refused() {
    let (_directory, path) = place();
    let store = open(&path).await.store;
    store.ping(&node("n1")).await.unwrap();
    let log = path.with_extension("db-wal");
    let writes = fs::read(&log).unwrap();
    assert!(!writes.is_empty());
    store.close().await;
    for empty in [false, true] {
        fs::remove_file(&path).unwrap();
        if empty {
            fs::write(&path, "").unwrap();
        }
        fs::write(&log, &writes).unwrap();
        let error = refusal(&path).await;
        assert!(matches!(error, OpenError::OrphanedLog { .. }), "{error:?}");
        assert!(fs::read(&log).unwrap() == writes, "the log was touched");
        fs::write(&path, "").unwrap();
    }
}

#[tokio::test]
async fn newer_schema_is_refused() {
    let (_directory, path) = place();
    filled(&path).await;
    let sql = "INSERT INTO baton_schema (version, program) VALUES (9, 'baton 9')";
    run_raw(&path, sql).await;
    let error = refusal_of(&path).await;
    assert!(
        matches!(
            error,
            OpenError::Newer {
                found: 9,
                known: SCHEMA_VERSION,
                ..
            }
        ),
        "{error:?}"
    );
    let text = error.to_string();
    assert!(text.contains("newer baton") && text.contains('9'), "{text}");
    run_raw(&path, "DELETE FROM baton_schema WHERE version = 9").await;
    open(&path).await;
}

/// The part of an unprivileged process: opens what it is given, and says what came of it.
#[tokio::test]
async fn child_opens() {
    let Some(folder) = told(FOLDER) else { return };
    let outcome = SqliteStore::open(
        Path::new(&folder).join("baton.db"),
        &SqliteOptions::default(),
    )
    .await;
    match outcome {
        Ok(opened) => {
            opened.store.close().await;
            println!("outcome: opened");
        }
        Err(error) => println!("outcome: {error:?}"),
    }
}

/// Opens in a process that file rights stop.
fn outcome_for_others(folder: &Path) -> String {
    let mut command = child("child_opens", FOLDER, folder.to_str().unwrap());
    if is_root() {
        // A copy, because the build's folder may be closed to others.
        let program = folder.parent().unwrap().join("program");
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let arguments: Vec<_> = command.get_args().map(std::ffi::OsStr::to_owned).collect();
        command = Command::new(program);
        command
            .args(arguments)
            .env(FOLDER, folder)
            .uid(65534)
            .gid(65534);
    }
    let output = command.output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn read_only_files_and_directories_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("state");
    fs::create_dir(&folder).unwrap();
    let rights =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    rights(directory.path(), 0o755);
    let path = folder.join("baton.db");
    filled(&path).await;

    rights(&folder, 0o777);
    rights(&path, 0o666);
    let outcome = outcome_for_others(&folder);
    assert!(
        outcome.contains("outcome: opened"),
        "the control failed: {outcome}"
    );
    for left in ["baton.db-wal", "baton.db-shm"] {
        assert!(
            !folder.join(left).exists(),
            "{left} was left behind by a store that was closed"
        );
    }

    let before = fs::read(&path).unwrap();
    rights(&path, 0o444);
    let outcome = outcome_for_others(&folder);
    assert!(
        outcome.contains("outcome: ReadOnly"),
        "read-only file: {outcome}"
    );
    rights(&path, 0o000);
    let outcome = outcome_for_others(&folder);
    assert!(
        outcome.contains("outcome: Unreadable"),
        "unreadable file: {outcome}"
    );
    rights(&path, 0o666);
    rights(&folder, 0o555);
    let outcome = outcome_for_others(&folder);
    assert!(
        outcome.contains("outcome: ReadOnly"),
        "read-only directory: {outcome}"
    );
    assert!(
        fs::read(&path).unwrap() == before,
        "a refused file was changed"
    );
    rights(&folder, 0o755);
    fs::remove_file(&path).unwrap();
    rights(&folder, 0o555);
    let outcome = outcome_for_others(&folder);
    assert!(
        outcome.contains("outcome: ReadOnly"),
        "new file in a read-only directory: {outcome}"
    );
    rights(&folder, 0o755);
}
