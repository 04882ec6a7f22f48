//! Mountpoint for Amazon S3, made of its published library: one bucket of an S3 server that is not
//! Amazon's, read-only, with the values that `mount-s3` takes when nothing is said.
//!
//!     bench-mountpoint BUCKET DIRECTORY ENDPOINT MEMORY_BYTES
use anyhow::{Context, Result, bail};
use mountpoint_s3_client::config::AddressingStyle;
use mountpoint_s3_client::user_agent::UserAgent;
use mountpoint_s3_fs::data_cache::DataCacheConfig;
use mountpoint_s3_fs::fuse::config::{FuseOptions, FuseSessionConfig, MountPoint};
use mountpoint_s3_fs::logging::{LoggingConfig, init_logging};
use mountpoint_s3_fs::memory::PagedPool;
use mountpoint_s3_fs::s3::config::{ClientConfig, PartConfig, Region, TargetThroughputSetting};
use mountpoint_s3_fs::s3::{Bucket, Prefix, S3Path};
use mountpoint_s3_fs::{MountpointConfig, Runtime, S3FilesystemConfig, Superblock, SuperblockConfig};

const PART_BYTES: usize = 8 * 1024 * 1024;
const FUSE_THREADS: usize = 16;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bucket, directory, endpoint, memory] = arguments.as_slice() else {
        bail!("bench-mountpoint BUCKET DIRECTORY ENDPOINT MEMORY_BYTES");
    };
    let _logging = init_logging(LoggingConfig {
        log_file: None,
        log_to_stdout: true,
        default_filter: "warn,awscrt=off".to_owned(),
    })?;
    let path = S3Path::new(Bucket::new(bucket)?, Prefix::empty());
    let client_config = ClientConfig {
        region: Region::new_user_specified("us-east-1".to_owned()),
        endpoint_url: Some(endpoint.clone()),
        addressing_style: AddressingStyle::Path,
        dual_stack: false,
        transfer_acceleration: false,
        auth_config: Default::default(),
        requester_pays: false,
        expected_bucket_owner: None,
        throughput_target: TargetThroughputSetting::Default,
        bind: None,
        part_config: PartConfig::with_part_size(PART_BYTES),
        user_agent: UserAgent::new(None),
    };
    let pool = PagedPool::new_with_candidate_sizes([PART_BYTES]);
    let client = client_config
        .create_client(pool.clone(), Some(&path))
        .context("the S3 server")?;
    let runtime = Runtime::new(client.event_loop_group());
    let filesystem = S3FilesystemConfig {
        mem_limit: memory.parse().context("MEMORY_BYTES")?,
        ..Default::default()
    };
    let superblock = Superblock::new(
        client.clone(),
        path,
        SuperblockConfig {
            cache_config: filesystem.cache_config.clone(),
            s3_personality: filesystem.s3_personality,
        },
    );
    let options = FuseOptions {
        read_only: true,
        ..Default::default()
    };
    let fuse = FuseSessionConfig::new(MountPoint::new(directory)?, options, FUSE_THREADS)?;
    let session = MountpointConfig::new(fuse, filesystem, DataCacheConfig::default())
        .create_fuse_session(superblock, client, runtime, pool)?;
    session.join()
}
