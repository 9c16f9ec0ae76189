//! What is said of a request that failed: the object, what happened, and what somebody can do.
//!
//! The client's errors are a chain of which each link shows some. What a server says is XML in one of them, and what a socket says is the last one.

use object_store::Error as ClientError;
use object_store::client::{HttpError, HttpErrorKind};
use raympp_state::checkpoint::{StoreError, StoreErrorKind};
use std::error::Error;

/// A request that failed: as it is told, and as the client has it; `None`: it was told to end.
pub(super) struct Failed {
    pub(super) told: StoreError,
    pub(super) error: Option<Box<ClientError>>,
}

impl Failed {
    /// `what` is the object.
    pub(super) fn new(what: String, error: ClientError) -> Failed {
        Failed { told: tell(what, &error), error: Some(Box::new(error)) }
    }

    /// The job ended first.
    pub(super) fn ended(what: String) -> Failed {
        Failed { told: StoreError::new(StoreErrorKind::Io, what, "the job ends", "start it again"), error: None }
    }

    /// True if there is no such object, in a bucket that is there.
    pub(super) fn is_absence(&self) -> bool {
        matches!(self.error.as_deref(), Some(ClientError::NotFound { .. })) && self.told.kind != StoreErrorKind::Missing
    }
}

/// True if the request came to an end of which only the answer may be lost, or that another one got in the way of.
pub(super) fn is_undecided(error: &ClientError) -> bool {
    // The client makes the same of "there is one" and of "there is another request"; what it was told differs.
    let in_the_way = matches!(error, ClientError::AlreadyExists { source, .. } if !source.is::<ClientError>());
    let cut_off = chain(error).filter_map(|link| link.downcast_ref::<HttpError>()).any(|link| link.kind() == HttpErrorKind::Interrupted);
    in_the_way || cut_off
}

/// True if the answer to a list did not come as a whole. The client's type for that is its own, so its words have to do.
pub(super) fn is_torn_list(error: &ClientError) -> bool {
    matches!(error, ClientError::Generic { source, .. } if source.to_string().starts_with("Error getting list response body"))
}

fn chain(error: &ClientError) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(Some(error as &(dyn Error + 'static)), |link| (*link).source())
}

fn tell(what: String, error: &ClientError) -> StoreError {
    let text = error.to_string();
    let status = part(&text, "status code: ", ": ");
    let code = part(&text, "<Code>", "</Code>").unwrap_or_default();
    let happened = match (status, part(&text, "<Message>", "</Message>")) {
        (Some(status), Some(message)) => format!("the server says {status}, {code}: {message}"),
        (Some(status), None) if !code.is_empty() => format!("the server says {status}, {code}"),
        _ => with_cause(error, text.clone()),
    };
    let (kind, advice) = judge(status.unwrap_or_default(), code, &text);
    StoreError::new(kind, what, happened, advice)
}

/// What a failure comes to, by what the server says or, if none said anything, by the text.
fn judge(status: &str, code: &str, text: &str) -> (StoreErrorKind, &'static str) {
    const CREDENTIALS: &str = "give the job credentials (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN) that may list, read, write and delete there";
    match code {
        "NoSuchBucket" => (StoreErrorKind::Missing, "make the bucket, or name another one"),
        "RequestTimeTooSkewed" => (StoreErrorKind::Io, "set this machine's clock"),
        "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" => (StoreErrorKind::ReadOnly, CREDENTIALS),
        "NotImplemented" => (
            StoreErrorKind::Io,
            "if the server does not know If-None-Match, set AWS_CONDITIONAL_PUT=disabled and let only one run begin at a time",
        ),
        _ if status.starts_with("401") || status.starts_with("403") => (StoreErrorKind::ReadOnly, CREDENTIALS),
        // That is where the machine's role is asked for when there are no other credentials.
        _ if status.is_empty() && text.contains("169.254.") => (StoreErrorKind::ReadOnly, CREDENTIALS),
        _ => (StoreErrorKind::Io, "look whether the object store can be reached (AWS_ENDPOINT_URL, AWS_REGION) and has no trouble"),
    }
}

/// The text, and the last link of the chain if the text lacks it: that is what the socket or the resolver said.
fn with_cause(error: &ClientError, text: String) -> String {
    match chain(error).last().map(ToString::to_string) {
        Some(cause) if !text.contains(&cause) => format!("{text}: {cause}"),
        _ => text,
    }
}

/// What stands between two texts.
fn part<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before).and_then(|(_, rest)| rest.split_once(after)).map(|(found, _)| found.trim())
}
