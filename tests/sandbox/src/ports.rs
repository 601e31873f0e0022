//! Ports that no other test process uses.

use std::fs::{self, File, OpenOptions};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Mutex;

use anyhow::{Context, Result, bail};

use crate::places;

/// Below Linux's ephemeral range (32768 and up), so that outgoing connections never take one.
const FIRST: u16 = 20_000;
const LAST: u16 = 32_000;
/// More than one test usually needs; a process that needs more takes another block.
const BLOCK: u16 = 50;

/// A block of ports, ours for as long as its lock file is open.
struct Block {
    next: u16,
    end: u16,
    _lock: File,
}

static BLOCKS: Mutex<Vec<Block>> = Mutex::new(Vec::new());

/// A port on 127.0.0.1 that is free now and that no other process using this function gets
/// while this one lives.
///
/// The kernel's own choice (port 0) would not do: between two processes asking, and while a
/// server is down and about to restart on its port, somebody else could get it.
pub fn free_port() -> Result<u16> {
    let mut blocks = BLOCKS
        .lock()
        .map_err(|_| anyhow::anyhow!("another thread failed taking a port"))?;
    loop {
        while let Some(block) = blocks.last_mut().filter(|block| block.next < block.end) {
            let port = block.next;
            block.next += 1;
            if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(port);
            }
        }
        blocks.push(take_block()?);
    }
}

fn take_block() -> Result<Block> {
    let folder = places::cache()?.join("ports");
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    for next in (FIRST..LAST).step_by(usize::from(BLOCK)) {
        let path = folder.join(format!("{next}.lock"));
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("open {}", path.display()))?;
        if lock.try_lock().is_ok() {
            return Ok(Block {
                next,
                end: next + BLOCK,
                _lock: lock,
            });
        }
    }
    bail!("all ports from {FIRST} to {LAST} are taken by other test processes")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{BLOCK, free_port};

    #[test]
    fn ports_are_distinct_across_blocks() {
        let count = usize::from(BLOCK) + 10;
        let ports: BTreeSet<u16> = (0..count).map(|_| free_port().unwrap()).collect();
        assert_eq!(ports.len(), count);
    }
}
