//! What is asked of a server, and what is made of its answers and of none. The servers here give canned answers; `./x s3` has a whole one.

mod server;

use super::*;
use raympp_state::checkpoint::StoreErrorKind;
use server::{Answer, Server};

const QUICK: Patience = Patience {
    retries_max: 3,
    retry_timeout: Duration::from_secs(20),
    pause_first: Duration::from_millis(1),
    pause_max: Duration::from_millis(4),
};

fn builder(endpoint: &str) -> AmazonS3Builder {
    AmazonS3Builder::new()
        .with_bucket_name("bucket")
        .with_endpoint(endpoint)
        .with_region("there")
        .with_access_key_id("somebody")
        .with_secret_access_key("secret")
}

fn blobs(endpoint: &str) -> S3Blobs {
    S3Blobs::with("s3://bucket/jobs/a b/", "jobs/a b/", builder(endpoint), QUICK).unwrap()
}

/// Method and path of each request.
fn asked(server: Server) -> Vec<String> {
    let line = |request: &String| request.lines().next().unwrap().replace(" HTTP/1.1", "");
    server.requests().iter().map(line).collect()
}

fn ok() -> Answer {
    Answer::status("200 OK", "")
}

#[test]
fn an_object_is_created_unless_there_is_one() {
    let exists = || Answer::error("412 Precondition Failed", "PreconditionFailed", "there is one");
    let in_the_way = Answer::error("409 Conflict", "ConditionalRequestConflict", "another request is under way");
    let server = Server::new(vec![ok(), exists(), in_the_way, exists(), Answer::Cut, ok()]);
    let blobs = blobs(&server.endpoint());
    let created = [1, 2, 3, 4].map(|_| blobs.create("commits/1", b"entry".to_vec()));
    assert_eq!(created, [Ok(true), Ok(false), Ok(false), Ok(true)]);
    let requests = server.requests();
    assert_eq!(requests.len(), 6);
    for request in requests {
        assert!(request.starts_with("PUT /bucket/jobs/a%20b/commits/1 "), "{request}");
        assert!(request.to_lowercase().contains("if-none-match: *"), "{request}");
    }
}

#[test]
fn a_creation_that_always_meets_another_is_an_error() {
    let in_the_way = || Answer::error("409 Conflict", "ConditionalRequestConflict", "another request is under way");
    let server = Server::new((0..=QUICK.retries_max).map(|_| in_the_way()).collect());
    let error = blobs(&server.endpoint()).create("commits/1", Vec::new()).unwrap_err();
    assert_eq!((error.kind, asked(server).len()), (StoreErrorKind::Io, QUICK.retries_max + 1));
    assert_eq!(error.happened, "the server says 409 Conflict, ConditionalRequestConflict: another request is under way");
}

#[test]
fn a_server_without_conditions_is_asked_first() {
    let server = Server::new(vec![Answer::status("404 Not Found", ""), ok(), ok()]);
    let builder = builder(&server.endpoint()).with_config(AmazonS3ConfigKey::ConditionalPut, "disabled");
    let blobs = S3Blobs::with("s3://bucket", "", builder, QUICK).unwrap();
    assert_eq!([1, 2].map(|_| blobs.create("commits/1", Vec::new())), [Ok(true), Ok(false)]);
    let requests = server.requests();
    let methods: Vec<&str> = requests.iter().filter_map(|request| request.split_whitespace().next()).collect();
    assert_eq!(methods, ["HEAD", "PUT", "HEAD"]);
    assert!(requests.iter().all(|request| !request.to_lowercase().contains("if-none-match")), "{requests:?}");
}

#[test]
fn what_fails_in_passing_is_tried_again() {
    let server = Server::new(vec![
        Answer::error("503 Slow Down", "SlowDown", "later"),
        Answer::Cut,
        ok(),
        Answer::error("500 Internal Server Error", "InternalError", "oh"),
        Answer::short("200 OK", "0123", 10),
        Answer::Bytes("HTTP/1.1 206 Partial Content\r\nETag: \"1\"\r\nLast-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\nConnection: close\r\nContent-Range: bytes 4-9/10\r\nContent-Length: 6\r\n\r\n456789".to_owned()),
    ]);
    let blobs = blobs(&server.endpoint());
    assert_eq!(blobs.put("packs/1", b"0123456789".to_vec()), Ok(()));
    assert_eq!(blobs.get("packs/1", None), Ok(Some(b"0123456789".to_vec())));
    let pack = "/bucket/jobs/a%20b/packs/1";
    let expected = [["PUT"; 3], ["GET"; 3]].concat();
    assert_eq!(asked(server), expected.into_iter().map(|method| format!("{method} {pack}")).collect::<Vec<_>>());
}

#[test]
fn what_is_not_there_is_none_and_behind_the_end_is_nothing() {
    let unsatisfiable = Answer::error("416 Range Not Satisfiable", "InvalidRange", "it ends before");
    let server = Server::new(vec![
        Answer::error("404 Not Found", "NoSuchKey", "there is none"),
        unsatisfiable,
        Answer::short("200 OK", "", 10),
        Answer::status("404 Not Found", ""),
    ]);
    let blobs = blobs(&server.endpoint());
    assert_eq!(blobs.get("packs/1", None), Ok(None));
    assert_eq!(blobs.get("packs/1", Some(10..20)), Ok(Some(Vec::new())));
    assert_eq!(blobs.get("packs/1", Some(7..7)), Ok(None));
    assert_eq!(asked(server).len(), 4);
}

fn page(keys: &[&str], next: Option<&str>) -> Answer {
    let object = |key: &&str| {
        format!(
            "<Contents><Key>{key}</Key><Size>5</Size><LastModified>2015-10-21T07:28:00.000Z</LastModified><ETag>\"1\"</ETag></Contents>"
        )
    };
    let next = next.map_or(String::new(), |token| format!("<NextContinuationToken>{token}</NextContinuationToken>"));
    let objects: String = keys.iter().map(object).collect();
    Answer::status("200 OK", &format!("<ListBucketResult>{objects}{next}</ListBucketResult>"))
}

#[test]
fn lists_have_all_pages_and_names_without_the_prefix() {
    let first = || page(&["jobs/a b/packs/2", "jobs/a b/packs/3"], Some("more"));
    // The first answer ends in its middle.
    let server = Server::new(vec![Answer::short("200 OK", "<ListBucketResult>", 100), first(), page(&["jobs/a b/packs/1"], None)]);
    let listed = blobs(&server.endpoint()).list("packs/").unwrap();
    assert_eq!(listed, ["packs/1", "packs/2", "packs/3"].map(|name| (name.to_owned(), 5)));
    let requests = asked(server);
    assert!(requests.iter().all(|request| request.contains("prefix=jobs%2Fa+b%2Fpacks%2F")), "{requests:?}");
    assert!(requests[2].contains("continuation-token=more"), "{requests:?}");
}

#[test]
fn a_refusal_is_told_with_the_object_and_what_to_do() {
    let cases = [
        ("403 Forbidden", "SignatureDoesNotMatch", StoreErrorKind::ReadOnly, "AWS_SECRET_ACCESS_KEY"),
        ("400 Bad Request", "ExpiredToken", StoreErrorKind::ReadOnly, "AWS_SESSION_TOKEN"),
        ("403 Forbidden", "RequestTimeTooSkewed", StoreErrorKind::Io, "set this machine's clock"),
        ("404 Not Found", "NoSuchBucket", StoreErrorKind::Missing, "make the bucket"),
        ("501 Not Implemented", "NotImplemented", StoreErrorKind::Io, "AWS_CONDITIONAL_PUT=disabled"),
        ("400 Bad Request", "Strange", StoreErrorKind::Io, "AWS_ENDPOINT_URL"),
    ];
    for (status, code, kind, advice) in cases {
        // A server that is in trouble is asked again.
        let times = if status.starts_with('5') { QUICK.retries_max + 1 } else { 1 };
        let answers = || (0..times).map(|_| Answer::error(status, code, "so it is"));
        let server = Server::new((0..5).flat_map(|_| answers()).collect());
        let blobs = blobs(&server.endpoint());
        let errors = [
            blobs.get("packs/1", None).unwrap_err(),
            blobs.put("packs/1", Vec::new()).unwrap_err(),
            blobs.create("packs/1", Vec::new()).unwrap_err(),
            blobs.delete("packs/1").unwrap_err(),
            blobs.list("packs/1").unwrap_err(),
        ];
        for error in errors {
            assert_eq!((error.kind, &*error.what), (kind, "s3://bucket/jobs/a b/packs/1"), "{error}");
            assert_eq!(error.happened, format!("the server says {status}, {code}: so it is"));
            assert!(error.advice.contains(advice), "{error}");
        }
    }
}

#[test]
fn without_a_server_the_reason_is_told() {
    let endpoint = Server::new(Vec::new()).endpoint();
    let error = blobs(&endpoint).list("commits/").unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Io);
    assert!(error.happened.contains(&endpoint) && error.happened.contains("Connection refused"), "{error}");
    assert!(error.advice.contains("AWS_ENDPOINT_URL"), "{error}");
}

#[test]
fn a_call_under_way_ends_when_the_job_does() {
    let server = Server::new(vec![Answer::Silence]);
    let blobs = blobs(&server.endpoint());
    std::thread::scope(|scope| {
        let call = scope.spawn(|| blobs.put("packs/1", Vec::new()));
        server.next();
        blobs.stop();
        assert_eq!(call.join().unwrap().unwrap_err().happened, "the job ends");
    });
    assert_eq!(blobs.get("packs/1", None).unwrap_err().happened, "the job ends", "and so does a later one");
    assert!(asked(server).is_empty());
}

#[test]
fn calls_may_come_from_a_thread_of_an_async_runtime() {
    let server = Server::new(vec![Answer::status("200 OK", "text")]);
    let endpoint = server.endpoint();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let read = runtime.block_on(async move { blobs(&endpoint).get("packs/1", None) });
    assert_eq!(read, Ok(Some(b"text".to_vec())));
}
