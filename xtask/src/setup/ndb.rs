//! MySQL Cluster (NDB): no distribution packages it, so users bring their own.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::{Missing, unpack_whole};
use crate::run::{root, run};

/// Libraries that its programs need on Debian 12.
pub(crate) fn packages() -> &'static [&'static str] {
    if find_archive().is_some() {
        &["libaio1", "libnuma1"]
    } else {
        &[]
    }
}

/// Unpacks an archive that lies beside the repository, unless `NDB_BASEDIR` is the folder of
/// an installation.
pub(crate) fn unpack(cache: &Path) -> Result<Option<Missing>> {
    let folder = cache.join("ndb");
    let named = env::var_os("NDB_BASEDIR").map(PathBuf::from);
    if named.is_some_and(|base| base.join("bin/ndbd").exists()) || folder.exists() {
        return Ok(None);
    }
    let Some(archive) = find_archive() else {
        return Ok(Some(Missing {
            what: "MySQL Cluster (NDB)".into(),
            remedy: "set NDB_BASEDIR to an installation of it".into(),
        }));
    };
    println!(
        "setup: unpacking MySQL Cluster from {} into the cache",
        archive.display()
    );
    unpack_whole(&folder, |partial| {
        run(Command::new("tar")
            .args(["--extract", "--strip-components=1", "--file"])
            .arg(&archive)
            .arg("--directory")
            .arg(partial))
    })?;
    Ok(None)
}

fn find_archive() -> Option<PathBuf> {
    let folder = root().join("../shared/ndb");
    let entries = fs::read_dir(folder).ok()?.flatten();
    entries.map(|entry| entry.path()).find(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("ndb-") && name.ends_with(".tar.xz")
    })
}
