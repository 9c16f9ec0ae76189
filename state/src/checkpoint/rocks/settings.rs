//! RocksDB as checkpoints need it. What is written is large values, each written once, read at most once after a restart, and removed when they
//! have been rewritten or their slice has gone; that is unlike what the defaults are made for.
//!
//! - *One log, synced by commits, read up to its torn end*: see the module above. `max_total_wal_size` flushes the families that nobody writes to, which
//!   would otherwise pin old log files; and it bounds what a restart reads again.
//! - *Parts of records in blob files* (values of 4 KiB and more): compaction then moves keys alone. The ledger rewrites records where that pays; a tree
//!   that rewrites them once more would write everything several times over. Blob files of which half is garbage are rewritten when
//!   compaction comes past, which it does often, since tables of keys alone are tiny.
//! - *LZ4 for what is small; blob files as they are*: compressing records took a tenth of both cores at a million keys, twice where blobs are moved.
//! - *Small memtables*: two of 16 MiB for parts, two of 1 MiB for each other table, and two more before writing waits: that bounds memory, whatever is
//!   written. A waiting persister stalls no row. A manager of all write buffers would only bound the same a second time.
//! - *A block cache of 4 MiB*: for the index; records never come through it.
//! - *At most 256 open files*: handles and their tables' indices are memory too.
//! - *Background threads below all others*: two threads flush and compact at the lowest CPU priority. Compaction gives way on the disk too; flushing
//!   does not, since commits wait behind it.
//! - *Written bytes go to disk as they come* (`bytes_per_sync`): else a sync at a commit would wait for all that was written since.
//! - *No statistics, a small log of its own*: nobody reads them.
//! - *Paranoid checks*: a file that is not what it should be is an error at opening, never skipped.

use super::failure::{self, Doing};
use crate::checkpoint::error::StoreError;
use crate::checkpoint::place::Table;
use rocksdb::{BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType, DBRecoveryMode, Env, LogLevel, Options};

const MIB: usize = 1 << 20;
const WAL_BYTES_MAX: u64 = 64 * MIB as u64;
const PARTS_MEMTABLE_BYTES: usize = 16 * MIB;
const MEMTABLE_BYTES: usize = MIB;
const MEMTABLES_MAX: i32 = 4;
const BLOB_BYTES_MIN: u64 = 4 << 10;
const BLOB_FILE_BYTES: u64 = 64 * MIB as u64;
const BLOCK_CACHE_BYTES: usize = 4 * MIB;
const OPEN_FILES_MAX: i32 = 256;
const BACKGROUND_THREADS: i32 = 2;

/// Settings of the database; it is made if `make`.
pub(super) fn options(make: bool) -> Result<Options, StoreError> {
    let mut options = Options::default();
    options.create_if_missing(make);
    // The process may have been killed between the database's root and its tables.
    options.create_missing_column_families(true);
    options.set_paranoid_checks(true);
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    options.set_max_total_wal_size(WAL_BYTES_MAX);
    options.set_bytes_per_sync(MIB as u64);
    options.set_wal_bytes_per_sync(MIB as u64);
    options.set_max_open_files(OPEN_FILES_MAX);
    options.set_max_background_jobs(BACKGROUND_THREADS);
    options.set_env(&low_priority()?);
    options.set_log_level(LogLevel::Warn);
    options.set_max_log_file_size(MIB);
    options.set_keep_log_file_num(2);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options.set_skip_stats_update_on_db_open(true);
    Ok(options)
}

/// The process's threads for RocksDB, with their priority lowered.
fn low_priority() -> Result<Env, StoreError> {
    let mut env = Env::new().map_err(|error| failure::of(error, Doing::Opening, &"RocksDB's environment"))?;
    env.lower_thread_pool_cpu_priority();
    env.lower_thread_pool_io_priority();
    env.lower_high_priority_thread_pool_cpu_priority();
    Ok(env)
}

/// The tables as column families.
pub(super) fn families() -> Vec<ColumnFamilyDescriptor> {
    let cache = Cache::new_lru_cache(BLOCK_CACHE_BYTES);
    // RocksDB opens no database without a family of this name; nothing is in it.
    let default = ColumnFamilyDescriptor::new("default", family(&cache, MEMTABLE_BYTES));
    let table = |table: Table| match table {
        Table::Parts => ColumnFamilyDescriptor::new(table.name(), of_parts(&cache)),
        _ => ColumnFamilyDescriptor::new(table.name(), family(&cache, MEMTABLE_BYTES)),
    };
    std::iter::once(default).chain(Table::ALL.map(table)).collect()
}

fn family(cache: &Cache, memtable_bytes: usize) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    let mut options = Options::default();
    options.set_block_based_table_factory(&blocks);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_write_buffer_size(memtable_bytes);
    options.set_max_write_buffer_number(MEMTABLES_MAX);
    options
}

fn of_parts(cache: &Cache) -> Options {
    let mut options = family(cache, PARTS_MEMTABLE_BYTES);
    options.set_enable_blob_files(true);
    options.set_min_blob_size(BLOB_BYTES_MIN);
    options.set_blob_file_size(BLOB_FILE_BYTES);
    options.set_enable_blob_gc(true);
    options.set_blob_gc_age_cutoff(0.5);
    options.set_blob_gc_force_threshold(0.5);
    options
}
