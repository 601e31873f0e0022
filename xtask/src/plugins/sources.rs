//! Digest of everything a prebuilt policy is made from. Also compiled into the test that fails when
//! a prebuilt policy is stale, so that there is one definition of it.

use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// SHA-256, in hexadecimal, over path, length and content of every source of the policy `name`: its
/// crate, the SDK, the contract, and the workspace's manifest and lock file. Line ends are
/// normalised, so a checkout's settings do not matter.
pub(crate) fn digest(root: &Path, name: &str) -> io::Result<String> {
    let plugins = root.join("plugins");
    let mut files = vec![plugins.join("Cargo.toml"), plugins.join("Cargo.lock")];
    for folder in [root.join("wit"), plugins.join("sdk"), plugins.join(name)] {
        collect(&folder, &mut files)?;
    }
    let mut named = Vec::with_capacity(files.len());
    for file in files {
        let path = file
            .strip_prefix(root)
            .unwrap_or(&file)
            .to_string_lossy()
            .replace('\\', "/");
        named.push((path, file));
    }
    named.sort();
    let mut hasher = Sha256::new();
    for (path, file) in named {
        let content = unix_lines(std::fs::read(file)?);
        hasher.update(format!("{path}\0{}\0", content.len()));
        hasher.update(content);
    }
    Ok(format!("{:x}", hasher.finalize()))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if !path.is_dir() {
            files.push(path);
        } else if path.file_name().is_none_or(|name| name != "target") {
            collect(&path, files)?;
        }
    }
    Ok(())
}

fn unix_lines(mut content: Vec<u8>) -> Vec<u8> {
    let mut previous = 0;
    let mut lines = Vec::with_capacity(content.len());
    for byte in content.drain(..) {
        if byte == b'\n' && previous == b'\r' {
            lines.pop();
        }
        lines.push(byte);
        previous = byte;
    }
    lines
}
