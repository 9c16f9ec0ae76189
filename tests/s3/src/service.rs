//! What answers requests: files as objects, unless there is an outage.
//!
//! Requests with a condition are carried out one after the other, for the files alone do not see to it that only one of two creations succeeds.

use crate::Outage;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpError, HttpResponse};
use s3s_fs::FileSystem;
use std::pin::Pin;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};

/// See the module.
#[derive(Clone)]
pub(crate) struct Service {
    files: S3Service,
    outage: watch::Receiver<Outage>,
    conditional: Arc<Mutex<()>>,
}

impl Service {
    pub(crate) fn new(directory: &str, outage: watch::Receiver<Outage>) -> Result<Service, String> {
        let files = FileSystem::new(directory).map_err(|error| format!("{directory}: {error:?}"))?;
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single("test", "secret"));
        Ok(Service { files: service.build(), outage, conditional: Arc::new(Mutex::new(())) })
    }

    /// Answers requests of connections, for ever.
    pub(crate) async fn answer(self, listener: TcpListener) -> std::io::Result<()> {
        loop {
            let (socket, _) = listener.accept().await?;
            let service = self.clone();
            let reply = service_fn(move |request| service.clone().reply(request));
            tokio::spawn(async move {
                // Clients are killed in the middle of requests.
                let _ = Builder::new().serve_connection(TokioIo::new(socket), reply).await;
            });
        }
    }

    async fn reply(self, request: Request<Incoming>) -> Result<HttpResponse, HttpError> {
        let outage = *self.outage.borrow();
        match outage {
            Outage::None | Outage::Away => {}
            Outage::Busy => return Ok(refuse(request, StatusCode::SERVICE_UNAVAILABLE, "SlowDown").await),
            Outage::Denied => return Ok(refuse(request, StatusCode::FORBIDDEN, "AccessDenied").await),
            Outage::Lost => return Ok(refuse(request, StatusCode::NOT_FOUND, "NoSuchBucket").await),
        }
        let _one = if request.headers().contains_key("if-none-match") { Some(self.conditional.lock().await) } else { None };
        self.files.call(request.map(Body::from)).await
    }
}

/// Takes a request in and refuses it.
async fn refuse(request: Request<Incoming>, status: StatusCode, code: &str) -> HttpResponse {
    let mut body = request.into_body();
    while let Some(Ok(_)) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {}
    let text = format!("<Error><Code>{code}</Code><Message>as the test wants it</Message></Error>");
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}
