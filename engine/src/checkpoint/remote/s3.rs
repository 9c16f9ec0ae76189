//! A bucket of an object store that speaks S3.
//!
//! Credentials, region and endpoint come from the usual variables (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT_URL`, …)
//! or from the machine's role. A thread of its own carries requests out (`requests.rs`); calls end early when the place is told to stop.
//!
//! *Retries*, with longer and longer pauses, are the client's, and ours for creations and lists that were cut off, which it does not try again by
//! itself. What then still fails is an error that names the object (`failed.rs`). Objects are of bounded size, so each is put by one request, whose
//! contents the server checks against a SHA-256 that is signed.
//!
//! *Creation* is a put that the server refuses if the object is there (`If-None-Match`). For the few servers that don't know it,
//! `AWS_CONDITIONAL_PUT=disabled` looks first and puts then; two jobs that begin at the same instant are then not noticed.

mod failed;
mod requests;

use failed::{Failed, is_torn_list, is_undecided};
use futures_core::Stream;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::{Path, PathPart};
use object_store::{
    BackoffConfig, ClientOptions, Error as ClientError, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload,
    RetryConfig,
};
use raympp_state::checkpoint::StoreError;
use raympp_state::checkpoint::packed::Blobs;
use requests::Requests;
use std::ops::Range;
use std::pin::Pin;
use std::time::Duration;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request may take as a whole: a pack of 32 MiB over a slow line.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);
/// Connections that rest longer are closed here, before servers close them.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// How a request is tried again.
#[derive(Clone, Copy, Debug)]
struct Patience {
    retries_max: usize,
    /// No retry begins later than so long after the request.
    retry_timeout: Duration,
    pause_first: Duration,
    pause_max: Duration,
}

const PATIENCE: Patience = Patience {
    retries_max: 6,
    retry_timeout: Duration::from_secs(20),
    pause_first: Duration::from_millis(100),
    pause_max: Duration::from_secs(5),
};

/// See the module.
pub(super) struct S3Blobs {
    place: String,
    prefix: Path,
    client: AmazonS3,
    requests: Requests,
    patience: Patience,
    creates: Creates,
}

/// How an object is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Creates {
    IfNoneMatch,
    AfterLooking,
}

impl S3Blobs {
    /// The objects of a bucket under a prefix, with what the variables say. Nothing is asked of the server yet.
    ///
    /// # Errors
    /// Why no client can be made of them.
    pub(super) fn new(url: &str, bucket: &str, prefix: &str) -> Result<S3Blobs, String> {
        S3Blobs::with(url, prefix, AmazonS3Builder::from_env().with_bucket_name(bucket), PATIENCE)
    }

    fn with(url: &str, prefix: &str, builder: AmazonS3Builder, patience: Patience) -> Result<S3Blobs, String> {
        // Another library of this process may have chosen one already; any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let prefix = Path::parse(prefix.trim_matches('/')).map_err(|error| error.to_string())?;
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
        let Patience { retries_max: max_retries, retry_timeout, pause_first: init_backoff, pause_max: max_backoff } = patience;
        let retry = RetryConfig { backoff: BackoffConfig { init_backoff, max_backoff, base: 2.0 }, max_retries, retry_timeout };
        let client = builder.with_client_options(options).with_retry(retry).build().map_err(|error| error.to_string())?;
        let requests = Requests::start().map_err(|error| format!("no thread for requests: {error}"))?;
        Ok(S3Blobs { place: url.trim_end_matches('/').to_owned(), prefix, client, requests, patience, creates })
    }

    /// Where an object lies in the bucket. The prefix is taken as it was written.
    fn path(&self, name: &str) -> Path {
        let parts = name.split('/').filter(|part| !part.is_empty()).map(PathPart::from);
        self.prefix.parts().chain(parts).collect()
    }

    /// Carries out a request about an object and waits for it.
    fn call<T, R>(&self, name: &str, request: impl FnOnce(AmazonS3, Path) -> R) -> Result<T, Failed>
    where
        T: Send + 'static,
        R: Future<Output = Result<T, ClientError>> + Send + 'static,
    {
        let what = || format!("{}/{name}", self.place);
        match self.requests.call(request(self.client.clone(), self.path(name))) {
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) => Err(Failed::new(what(), error)),
            None => Err(Failed::ended(what())),
        }
    }

    /// The bytes that an object has, if it is there.
    fn bytes(&self, name: &str) -> Result<Option<u64>, StoreError> {
        match self.call(name, |client, path| async move { client.head(&path).await }) {
            Ok(meta) => Ok(Some(meta.size)),
            Err(failed) if failed.is_absence() => Ok(None),
            Err(failed) => Err(failed.told),
        }
    }
}

/// Asks again, with longer and longer pauses, while the answer is an error that is passing.
async fn ask<T, R>(patience: Patience, is_passing: fn(&ClientError) -> bool, request: impl Fn() -> R) -> Result<T, ClientError>
where
    R: Future<Output = Result<T, ClientError>>,
{
    let mut pause = patience.pause_first;
    for _ in 0..patience.retries_max {
        match request().await {
            Err(error) if is_passing(&error) => {}
            outcome => return outcome,
        }
        rest(pause).await;
        pause = (pause * 2).min(patience.pause_max);
    }
    request().await
}

/// Puts an object unless there is one: false if there is. A request that was cut off may have been carried out all the same; then a later one finds the
/// object, and whoever asks looks what it is.
async fn create(client: AmazonS3, path: Path, payload: PutPayload, patience: Patience) -> Result<bool, ClientError> {
    created(ask(patience, is_undecided, || client.put_opts(&path, payload.clone(), PutMode::Create.into())).await)
}

fn created<T>(outcome: Result<T, ClientError>) -> Result<bool, ClientError> {
    match outcome {
        Ok(_) => Ok(true),
        Err(ClientError::AlreadyExists { source, .. }) if source.is::<ClientError>() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Lists a folder, from the start again when a page was cut off: that is no failure of a request to the client, which does not try it again.
async fn list(client: AmazonS3, folder: Path, patience: Patience) -> Result<Vec<ObjectMeta>, ClientError> {
    ask(patience, is_torn_list, || list_once(&client, &folder)).await
}

async fn list_once(client: &AmazonS3, folder: &Path) -> Result<Vec<ObjectMeta>, ClientError> {
    let mut listed = client.list(Some(folder));
    let mut objects = Vec::new();
    while let Some(object) = std::future::poll_fn(|context| Pin::new(&mut listed).poll_next(context)).await {
        objects.push(object?);
    }
    Ok(objects)
}

/// A timer of the runtime, no thread sleeps.
async fn rest(pause: Duration) {
    let _ = tokio::time::timeout(pause, std::future::pending::<()>()).await;
}

impl Blobs for S3Blobs {
    fn place(&self) -> &str {
        &self.place
    }

    fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let put = self.call(name, |client, path| async move { client.put(&path, bytes.into()).await });
        put.map(|_| ()).map_err(|failed| failed.told)
    }

    fn create(&self, name: &str, bytes: Vec<u8>) -> Result<bool, StoreError> {
        if self.creates == Creates::AfterLooking {
            return match self.bytes(name)? {
                Some(_) => Ok(false),
                None => self.put(name, bytes).map(|()| true),
            };
        }
        let patience = self.patience;
        self.call(name, |client, path| create(client, path, bytes.into(), patience)).map_err(|failed| failed.told)
    }

    fn get(&self, name: &str, range: Option<Range<u64>>) -> Result<Option<Vec<u8>>, StoreError> {
        if range.as_ref().is_some_and(Range::is_empty) {
            return Ok(self.bytes(name)?.map(|_| Vec::new()));
        }
        let options = GetOptions { range: range.clone().map(GetRange::Bounded), ..GetOptions::default() };
        match self.call(name, |client, path| async move { client.get_opts(&path, options).await?.bytes().await }) {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(failed) if failed.is_absence() => Ok(None),
            Err(failed) => match range {
                // The bytes behind an object's end are none, and no error.
                Some(range) if failed.error.is_some() && self.bytes(name)?.is_some_and(|bytes| bytes <= range.start) => {
                    Ok(Some(Vec::new()))
                }
                _ => Err(failed.told),
            },
        }
    }

    fn list(&self, folder: &str) -> Result<Vec<(String, u64)>, StoreError> {
        let patience = self.patience;
        let listed = self.call(folder, |client, path| list(client, path, patience)).map_err(|failed| failed.told)?;
        let name = |object: ObjectMeta| {
            let parts: Vec<String> = object.location.prefix_match(&self.prefix)?.map(|part| part.as_ref().to_owned()).collect();
            Some((parts.join("/"), object.size))
        };
        let mut objects: Vec<(String, u64)> = listed.into_iter().filter_map(name).collect();
        objects.sort_unstable();
        Ok(objects)
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        match self.call(name, |client, path| async move { client.delete(&path).await }) {
            Err(failed) if !failed.is_absence() => Err(failed.told),
            _ => Ok(()),
        }
    }

    fn stop(&self) {
        self.requests.stop();
    }
}

#[cfg(test)]
mod tests;
