//! The database file, looked at before SQLite touches it: SQLite would turn an empty file into a
//! database, open what it may not write for reading only, and write into a file of any other
//! program.

use std::fs::{self, File, Metadata};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::open_error::OpenError;

/// "Batn": the mark of Baton's databases at byte 68 of the file, see
/// <https://www.sqlite.org/fileformat.html>.
pub(super) const APPLICATION_ID: u32 = 0x4261_746e;

const MAGIC: &[u8; 16] = b"SQLite format 3\0";
const HEADER: usize = 100;

/// What is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing, or an empty file.
    Nothing,
    /// A database of Baton.
    Ours,
    /// A creation that was interrupted; SQLite undoes it.
    Interrupted,
}

/// Looks at `path`, which must be absolute.
pub(super) fn inspect(path: &Path) -> Result<Found, OpenError> {
    let owned = || path.to_owned();
    if path.to_str().is_none() {
        return Err(OpenError::NotAFile { path: owned() });
    }
    if !path.parent().is_some_and(Path::is_dir) {
        return Err(OpenError::NoDirectory { path: owned() });
    }
    let metadata = match fs::metadata(path) {
        Ok(metadata) => Some(metadata),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => {
            return Err(OpenError::Unreadable {
                path: owned(),
                source: error.into(),
            });
        }
    };
    if metadata
        .as_ref()
        .is_some_and(|metadata| !metadata.is_file())
    {
        return Err(OpenError::NotAFile { path: owned() });
    }
    if metadata.is_none_or(|metadata| metadata.len() == 0) {
        let log = beside(path, "-wal");
        if size(&log) > 0 {
            return Err(OpenError::OrphanedLog { path: owned(), log });
        }
        return Ok(Found::Nothing);
    }
    let header = read_header(path)?;
    if !header.starts_with(MAGIC) || header.len() < HEADER {
        if size(&beside(path, "-journal")) > 0 {
            return Ok(Found::Interrupted);
        }
        return Err(OpenError::NotADatabase { path: owned() });
    }
    let mark: [u8; 4] = header
        .get(68..72)
        .and_then(|bytes| bytes.try_into().ok())
        .unwrap_or_default();
    match u32::from_be_bytes(mark) {
        APPLICATION_ID => Ok(Found::Ours),
        application_id => Err(OpenError::Foreign {
            path: owned(),
            application_id,
        }),
    }
}

fn read_header(path: &Path) -> Result<Vec<u8>, OpenError> {
    let mut header = Vec::with_capacity(HEADER);
    let read = File::open(path).and_then(|file| file.take(HEADER as u64).read_to_end(&mut header));
    match read {
        Ok(_) => Ok(header),
        Err(error) => Err(OpenError::Unreadable {
            path: path.to_owned(),
            source: error.into(),
        }),
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// The very file that was opened. A file that was removed or replaced under a running process still
/// takes writes, which nobody would ever see again.
#[derive(Clone, Debug)]
pub(super) struct Place {
    path: PathBuf,
    device: u64,
    inode: u64,
}

/// The file is not there any more.
#[derive(Debug, thiserror::Error)]
#[error(
    "{path:?} was removed or replaced while baton was using it: stop baton, put the file back, and start it again"
)]
pub(super) struct Moved {
    path: PathBuf,
}

impl Place {
    /// The place of the file at `path`.
    pub(super) fn of(path: &Path) -> std::io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self {
            path: path.to_owned(),
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }

    /// Refuses if another file, or none, is there now. One `stat`, served from memory.
    pub(super) fn require_unmoved(&self) -> Result<(), Moved> {
        let same =
            |metadata: &Metadata| metadata.dev() == self.device && metadata.ino() == self.inode;
        match fs::metadata(&self.path) {
            Ok(metadata) if same(&metadata) => Ok(()),
            _ => Err(Moved {
                path: self.path.clone(),
            }),
        }
    }
}
