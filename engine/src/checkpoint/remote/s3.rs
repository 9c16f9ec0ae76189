//! A bucket of an object store that speaks S3.
//!
//! Credentials, region and endpoint come from the usual variables (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT_URL`, …) or from
//! the machine's role. Requests run on the thread that makes the call, in a runtime of their own, and end early when the place is told to stop.
//!
//! *Retries*, with longer and longer pauses, are the client's, and ours for creations, which it does not try again by itself. What then still fails
//! is an error that names the object. Objects are of bounded size, so each is put by one request, whose contents the server checks against a SHA-256 that is signed.
//!
//! *Creation* is a put that the server refuses if the object is there (`If-None-Match`). For the few servers that don't know it,
//! `AWS_CONDITIONAL_PUT=disabled` looks first and puts then; two jobs that begin at the same instant are then not noticed.

use futures_core::Stream;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, Error as ClientError, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload,
    RetryConfig,
};
use raympp_state::checkpoint::packed::Blobs;
use raympp_state::checkpoint::{StoreError, StoreErrorKind};
use std::ops::Range;
use std::pin::Pin;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request may take as a whole: a pack of 32 MiB over a slow line.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a request is tried again.
const RETRY_TIMEOUT: Duration = Duration::from_secs(20);
const RETRIES_MAX: usize = 6;
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// Connections that rest longer are closed here, before servers close them.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct S3Blobs {
    place: String,
    prefix: Path,
    client: AmazonS3,
    runtime: Runtime,
    /// True once calls are to end.
    stopped: watch::Sender<bool>,
    creates: Creates,
}

/// How an object is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Creates {
    IfNoneMatch,
    AfterLooking,
}

impl S3Blobs {
    /// The objects of a bucket under a prefix. Nothing is asked of the server yet.
    ///
    /// # Errors
    /// Why no client can be made of what the variables say.
    pub(super) fn new(url: &str, bucket: &str, prefix: &str) -> Result<S3Blobs, String> {
        // Another library of this process may have chosen one already; any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let prefix = Path::parse(prefix.trim_matches('/')).map_err(|error| error.to_string())?;
        let builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
        let says = |key: AmazonS3ConfigKey| builder.get_config_value(&key).unwrap_or_default();
        let endpoints = [says(AmazonS3ConfigKey::Endpoint), says(AmazonS3ConfigKey::S3Endpoint)];
        let plain = endpoints.iter().any(|endpoint| endpoint.starts_with("http://"));
        let creates =
            if says(AmazonS3ConfigKey::ConditionalPut).trim() == "disabled" { Creates::AfterLooking } else { Creates::IfNoneMatch };
        let options = ClientOptions::new()
            .with_allow_http(plain)
            .with_connect_timeout(CONNECT_TIMEOUT)
            .with_timeout(REQUEST_TIMEOUT)
            .with_pool_idle_timeout(IDLE_TIMEOUT);
        let backoff = BackoffConfig { init_backoff: BACKOFF_FIRST, max_backoff: BACKOFF_MAX, base: 2.0 };
        let retry = RetryConfig { backoff, max_retries: RETRIES_MAX, retry_timeout: RETRY_TIMEOUT };
        let client = builder.with_client_options(options).with_retry(retry).build().map_err(|error| error.to_string())?;
        let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
        let place = url.trim_end_matches('/').to_owned();
        Ok(S3Blobs { place, prefix, client, runtime, stopped: watch::Sender::new(false), creates })
    }

    fn path(&self, name: &str) -> Path {
        Path::from(format!("{}/{name}", self.prefix))
    }

    /// Carries out a request on this thread.
    fn call<T>(&self, name: &str, request: impl Future<Output = Result<T, ClientError>>) -> Result<T, Failed> {
        let mut stopped = self.stopped.subscribe();
        let outcome = self.runtime.block_on(async {
            tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => None,
                outcome = request => Some(outcome),
            }
        });
        match outcome {
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) => Err(Failed { told: self.failed(name, &error), error: Some(error) }),
            None => Err(Failed { told: self.ended(name), error: None }),
        }
    }

    /// Waits, but not longer than the job lasts.
    fn rest(&self, pause: Duration) {
        let mut stopped = self.stopped.subscribe();
        // Whether the time has passed or the job has ended, the next call tells.
        let _ = self.runtime.block_on(async { tokio::time::timeout(pause, stopped.wait_for(|stopped| *stopped)).await.is_ok() });
    }

    fn ended(&self, name: &str) -> StoreError {
        StoreError::new(StoreErrorKind::Io, format!("{}/{name}", self.place), "the job ends", "start it again")
    }

    fn failed(&self, name: &str, error: &ClientError) -> StoreError {
        let text = error.to_string();
        let (kind, advice) = match error {
            _ if matches!(error, ClientError::PermissionDenied { .. } | ClientError::Unauthenticated { .. })
                || text.contains("403 Forbidden") =>
            {
                (
                    StoreErrorKind::ReadOnly,
                    "give the job credentials (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) that may list, read, write and delete there",
                )
            }
            _ if text.contains("NoSuchBucket") => (StoreErrorKind::Missing, "make the bucket, or name another one"),
            _ => (StoreErrorKind::Io, "look whether the object store can be reached (AWS_ENDPOINT_URL, AWS_REGION) and has no trouble"),
        };
        StoreError::new(kind, format!("{}/{name}", self.place), text, advice)
    }

    /// The bytes of an object behind its end are none, and no error.
    fn is_behind_end(&self, name: &str, range: &Range<u64>) -> Result<bool, Failed> {
        let path = self.path(name);
        self.call(name, self.client.head(&path)).map(|meta| meta.size <= range.start)
    }

    async fn list_all(&self, folder: &Path) -> Result<Vec<ObjectMeta>, ClientError> {
        let mut listed = self.client.list(Some(folder));
        let mut objects = Vec::new();
        while let Some(object) = std::future::poll_fn(|context| Pin::new(&mut listed).poll_next(context)).await {
            objects.push(object?);
        }
        Ok(objects)
    }
}

/// A request that failed: as it is told, and as the client has it.
struct Failed {
    told: StoreError,
    error: Option<ClientError>,
}

impl Blobs for S3Blobs {
    fn place(&self) -> &str {
        &self.place
    }

    fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let path = self.path(name);
        self.call(name, self.client.put(&path, bytes.into())).map(|_| ()).map_err(|failed| failed.told)
    }

    fn create(&self, name: &str, bytes: Vec<u8>) -> Result<bool, StoreError> {
        if self.creates == Creates::AfterLooking {
            return match self.get(name, None)? {
                Some(_) => Ok(false),
                None => self.put(name, bytes).map(|()| true),
            };
        }
        let (path, payload, mut pause) = (self.path(name), PutPayload::from(bytes), BACKOFF_FIRST);
        for attempt in 0.. {
            match self.call(name, self.client.put_opts(&path, payload.clone(), PutMode::Create.into())) {
                Ok(_) => return Ok(true),
                // Maybe by an attempt of which only the answer was lost; whoever asks looks.
                Err(Failed { error: Some(ClientError::AlreadyExists { .. }), .. }) => return Ok(false),
                Err(Failed { error: Some(_), told }) if attempt < RETRIES_MAX && told.kind == StoreErrorKind::Io => self.rest(pause),
                Err(failed) => return Err(failed.told),
            }
            pause = (pause * 2).min(BACKOFF_MAX);
        }
        Ok(false)
    }

    fn get(&self, name: &str, range: Option<Range<u64>>) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path(name);
        let options = GetOptions { range: range.clone().map(GetRange::Bounded), ..GetOptions::default() };
        let request = async { self.client.get_opts(&path, options).await?.bytes().await };
        match (self.call(name, request), range) {
            (Ok(bytes), _) => Ok(Some(bytes.to_vec())),
            (Err(Failed { error: Some(ClientError::NotFound { .. }), told }), _) if told.kind != StoreErrorKind::Missing => Ok(None),
            (Err(Failed { error: Some(_), told }), Some(range)) => {
                if self.is_behind_end(name, &range).unwrap_or(false) {
                    Ok(Some(Vec::new()))
                } else {
                    Err(told)
                }
            }
            (Err(failed), _) => Err(failed.told),
        }
    }

    fn list(&self, folder: &str) -> Result<Vec<(String, u64)>, StoreError> {
        let path = self.path(folder);
        let listed = self.call(folder, self.list_all(&path)).map_err(|failed| failed.told)?;
        let root = Path::from(format!("{}/", self.prefix));
        let name = |object: ObjectMeta| {
            let parts: Vec<String> = object.location.prefix_match(&root)?.map(|part| part.as_ref().to_owned()).collect();
            Some((parts.join("/"), object.size))
        };
        let mut objects: Vec<(String, u64)> = listed.into_iter().filter_map(name).collect();
        objects.sort_unstable();
        Ok(objects)
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        let path = self.path(name);
        match self.call(name, self.client.delete(&path)) {
            Err(Failed { error: Some(ClientError::NotFound { .. }), told }) if told.kind != StoreErrorKind::Missing => Ok(()),
            outcome => outcome.map_err(|failed| failed.told),
        }
    }

    fn stop(&self) {
        self.stopped.send_replace(true);
    }
}
