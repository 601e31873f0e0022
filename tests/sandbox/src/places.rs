//! Where the sandbox keeps things: a cache that stays, and working directories that go.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Below this, memory is left to those who need it and data goes to the disk.
const MEMORY_FREE_MIN: u64 = 2 << 30;

/// Downloaded servers and initialised data directories; outside the source tree.
///
/// `BATON_SANDBOX_DIR`, else `baton-sandbox` in the user's cache directory.
pub(crate) fn cache() -> Result<PathBuf> {
    let path = if let Some(path) = env::var_os("BATON_SANDBOX_DIR") {
        PathBuf::from(path)
    } else if let Some(path) = env::var_os("XDG_CACHE_HOME") {
        Path::new(&path).join("baton-sandbox")
    } else {
        let home = env::var_os("HOME").context("neither BATON_SANDBOX_DIR nor HOME is set")?;
        Path::new(&home).join(".cache/baton-sandbox")
    };
    created(path)
}

/// The parent of the sandboxes' own directories: in memory when there is enough.
pub(crate) fn working() -> Result<PathBuf> {
    let memory = Path::new("/dev/shm");
    let parent = if free_bytes(memory).is_some_and(|free| free > MEMORY_FREE_MIN) {
        memory.to_path_buf()
    } else {
        env::temp_dir()
    };
    let user = rustix::process::getuid().as_raw();
    created(parent.join(format!("baton-sandbox-{user}")))
}

fn created(path: PathBuf) -> Result<PathBuf> {
    fs::create_dir_all(&path).with_context(|| format!("create {}", path.display()))?;
    Ok(path)
}

fn free_bytes(path: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(stat.f_bavail * stat.f_frsize)
}
