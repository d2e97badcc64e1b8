//! The named limits of the image store: what an image may cost before it is refused.
//!
//! An image is input from strangers. Each limit has a name that its error repeats, and a default that no image in
//! ordinary use comes near.

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// Upper bounds on images, archives and downloads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one manifest or index (registries allow 4 MiB).
    pub manifest_bytes: u64,
    /// Bytes of one image configuration.
    pub config_bytes: u64,
    /// Layers of one image. Overlayfs takes 500 lower directories; the mount option string takes fewer.
    pub layers: u64,
    /// Bytes of one layer as it is stored and sent.
    pub layer_bytes: u64,
    /// Bytes of one layer unpacked, headers included. Stops decompression bombs.
    pub unpacked_layer_bytes: u64,
    /// Entries of one layer. Stops archives that use up the disk's inodes.
    pub layer_entries: u64,
    /// Bytes of one extended header (a long name, PAX records), which is held in memory.
    pub extended_header_bytes: u64,
    /// Entries of one image archive.
    pub archive_entries: u64,
    /// Bytes of all JSON files of one image archive together, which are held in memory.
    pub archive_metadata_bytes: u64,
    /// Blobs that are downloaded at the same time, over all pulls.
    pub concurrent_downloads: usize,
    /// Attempts for one manifest or blob before the pull fails.
    pub download_attempts: u32,
    /// Bytes of `/etc/passwd` or `/etc/group` that are read to find a user.
    pub user_file_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            manifest_bytes: 4 * MIB,
            config_bytes: 8 * MIB,
            layers: 127,
            layer_bytes: 64 * GIB,
            unpacked_layer_bytes: 128 * GIB,
            layer_entries: 4_000_000,
            extended_header_bytes: MIB,
            archive_entries: 100_000,
            archive_metadata_bytes: 64 * MIB,
            concurrent_downloads: 3,
            download_attempts: 5,
            user_file_bytes: 4 * MIB,
        }
    }
}
