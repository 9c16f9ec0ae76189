//! An S3 server on loopback for tests: `s3-server DIRECTORY [SEED]`.
//!
//! Buckets are the directories in DIRECTORY; the key is `test`, the secret `secret`. The endpoint is the one line printed. With a seed there is trouble on
//! the line: some connections are cut at once, some answers are `503 Slow Down`, some come slowly, some end in their middle. It ends with its input, so with
//! whoever started it.

mod line;

use hyper::server::conn::http1::Builder;
use hyper_util::rt::TokioIo;
use line::Line;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use std::error::Error;
use std::net::SocketAddr;
use tokio::net::TcpListener;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().ok_or("s3-server DIRECTORY [SEED]")?;
    let seed: Option<u64> = arguments.next().map(|seed| seed.parse()).transpose()?;
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(&directory, seed))
}

async fn serve(directory: &str, seed: Option<u64>) -> Result<(), Box<dyn Error>> {
    let files = FileSystem::new(directory).map_err(|error| format!("{directory}: {error:?}"))?;
    let mut service = S3ServiceBuilder::new(files);
    service.set_auth(SimpleAuth::from_single("test", "secret"));
    let (server, server_address) = listen().await?;
    let answering = answer(server, service.build());
    let Some(seed) = seed else {
        println!("http://{server_address}");
        return answering.await;
    };
    let (line, line_address) = listen().await?;
    println!("http://{line_address}");
    tokio::select! {
        ended = answering => ended,
        ended = Line::new(server_address, seed).carry(line) => Ok(ended?),
    }
}

async fn listen() -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

async fn answer(listener: TcpListener, service: S3Service) -> Result<(), Box<dyn Error>> {
    loop {
        let (socket, _) = listener.accept().await?;
        let connection = Builder::new().serve_connection(TokioIo::new(socket), service.clone());
        tokio::spawn(async move {
            // Clients are killed in the middle of requests.
            let _ = connection.await;
        });
    }
}
