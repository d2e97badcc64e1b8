//! Where commits become durable: nowhere (memory), or a SQLite file.
//!
//! The file holds the current objects only, so it is as large as the live data.
//! Format 1: table `objects` (group, plural, namespace, name, revision, body) and
//! table `meta` with the format version and the last revision. A newer format is
//! refused; an older one is migrated on open, in one transaction.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use object::{Key, Object, Resource};
use rusqlite::{Connection, params};
use world::Commit;

use crate::{CommitError, FieldsOf};

/// Version of the file's format.
pub const FORMAT: i64 = 1;

/// A data directory that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("{path} is in use by process {pid}; stop it or choose another --data-dir")]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The process, or `?` if it did not say.
        pid: String,
    },
    /// A later kogge wrote it.
    #[error(
        "{path} has format {found}, and this kogge reads up to {FORMAT}; use the kogge that wrote it, or a later one"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
    },
    /// The file is damaged.
    #[error("{path} cannot be read: {why}; restore it from a backup")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The directory or a file in it cannot be used.
    #[error("open {path}")]
    Io {
        /// What was opened.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
}

/// Takes commits and makes them durable.
pub(crate) trait Log: Send + 'static {
    /// All commits, or none.
    fn append(&mut self, commits: &[Commit]) -> Result<(), CommitError>;
}

/// Forgets everything when the process ends.
pub(crate) struct Nowhere;

impl Log for Nowhere {
    fn append(&mut self, _commits: &[Commit]) -> Result<(), CommitError> {
        Ok(())
    }
}

/// The SQLite file and the lock on its directory.
pub(crate) struct Sqlite {
    connection: Connection,
    /// Held, not read: the lock goes with the process.
    _lock: File,
}

/// What a file held when it was opened.
pub(crate) struct Loaded {
    pub(crate) log: Sqlite,
    pub(crate) objects: Vec<Object>,
    pub(crate) revision: u64,
}

impl Sqlite {
    pub(crate) fn open(dir: &Path, fields: FieldsOf) -> Result<Loaded, OpenError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| OpenError::Io { path, source }
        };
        std::fs::create_dir_all(dir).map_err(io(dir))?;
        let lock = lock(dir)?;
        let path = dir.join("state.db");
        let private = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path);
        drop(private.map_err(io(&path))?);
        let corrupt = |error: rusqlite::Error| OpenError::Corrupt {
            path: path.clone(),
            why: error.to_string(),
        };
        let mut connection = Connection::open(&path).map_err(corrupt)?;
        let found = prepare(&mut connection).map_err(corrupt)?;
        if found > FORMAT {
            return Err(OpenError::Newer { path, found });
        }
        let (objects, revision) = load(&connection, fields).map_err(|why| OpenError::Corrupt {
            path: path.clone(),
            why,
        })?;
        Ok(Loaded {
            log: Self {
                connection,
                _lock: lock,
            },
            objects,
            revision,
        })
    }

    fn write(&mut self, commits: &[Commit]) -> Result<(), rusqlite::Error> {
        let transaction = self.connection.transaction()?;
        for event in commits.iter().flat_map(|commit| &commit.events) {
            let Key { resource, name } = event.key();
            if event.deleted {
                let sql = "DELETE FROM objects WHERE api_group=?1 AND plural=?2 AND namespace=?3 AND name=?4";
                transaction.prepare_cached(sql)?.execute(params![
                    resource.group,
                    resource.plural,
                    name.namespace.as_str(),
                    name.name.as_str()
                ])?;
            } else {
                let sql = "INSERT OR REPLACE INTO objects VALUES (?1,?2,?3,?4,?5)";
                transaction.prepare_cached(sql)?.execute(params![
                    resource.group,
                    resource.plural,
                    name.namespace.as_str(),
                    name.name.as_str(),
                    event.object.body().as_ref(),
                ])?;
            }
        }
        if let Some(last) = commits.last() {
            let revision = i64::try_from(last.revision).unwrap_or(i64::MAX);
            transaction.execute("UPDATE meta SET revision=?1", [revision])?;
        }
        transaction.commit()
    }
}

impl Log for Sqlite {
    fn append(&mut self, commits: &[Commit]) -> Result<(), CommitError> {
        // A transaction that is dropped is rolled back.
        self.write(commits)
            .map_err(|error| match error.sqlite_error_code() {
                Some(rusqlite::ErrorCode::DiskFull) => CommitError::Full,
                _ => CommitError::Io(error.to_string()),
            })
    }
}

fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join("lock");
    let io = |source| OpenError::Io {
        path: path.clone(),
        source,
    };
    let options = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .to_owned();
    let mut file = options.open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::Error(source)) => return Err(io(source)),
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            file.read_to_string(&mut pid).map_err(io)?;
            let pid = if pid.trim().is_empty() {
                "?".to_owned()
            } else {
                pid.trim().to_owned()
            };
            return Err(OpenError::InUse {
                path: dir.to_owned(),
                pid,
            });
        }
    }
    file.set_len(0).map_err(io)?;
    file.rewind().map_err(io)?;
    writeln!(file, "{}", std::process::id()).map_err(io)?;
    Ok(file)
}

/// Sets durability, makes the tables of a new file; gives the format found.
fn prepare(connection: &mut Connection) -> Result<i64, rusqlite::Error> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS meta (format INTEGER NOT NULL, revision INTEGER NOT NULL);
         INSERT INTO meta SELECT 1, 0 WHERE NOT EXISTS (SELECT 1 FROM meta);
         CREATE TABLE IF NOT EXISTS objects (
             api_group TEXT NOT NULL, plural TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
             body BLOB NOT NULL, PRIMARY KEY (api_group, plural, namespace, name)) WITHOUT ROWID;",
    )?;
    let found = transaction.query_row("SELECT format FROM meta", [], |row| row.get(0))?;
    transaction.commit()?;
    Ok(found)
}

fn load(connection: &Connection, fields: FieldsOf) -> Result<(Vec<Object>, u64), String> {
    let text = |error: rusqlite::Error| error.to_string();
    let revision: i64 = connection
        .query_row("SELECT revision FROM meta", [], |row| row.get(0))
        .map_err(text)?;
    let sql = "SELECT api_group, plural, body FROM objects";
    let mut statement = connection.prepare(sql).map_err(text)?;
    let rows = statement.query_map([], |row| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, Vec<u8>>(2)?,
        ))
    });
    let mut objects = Vec::new();
    for row in rows.map_err(text)? {
        let (group, plural, body) = row.map_err(text)?;
        let resource = Resource::interned(&group, &plural);
        let object = Object::parse(resource, body.into(), |value| fields(resource, value));
        objects.push(object.map_err(|error| format!("{error}: a stored object is garbled"))?);
    }
    Ok((objects, u64::try_from(revision).unwrap_or(0)))
}
