//! An S3 server on loopback for tests: `s3-server DIRECTORY SEED`.
//!
//! Buckets are the directories in DIRECTORY; the key is `test`, the secret `secret`. The endpoint is the one line printed. There is trouble on the
//! line, by the seed: some connections are cut at once, some answers are `503 Slow Down`, some come slowly, some end in their middle.
//!
//! A line of its input is an outage that lasts until the next line ([`Outage`]); each is answered by a line when it is in force. The server ends with
//! its input, so with whoever started it.

mod line;
mod service;

use line::Line;
use service::Service;
use std::error::Error;
use std::io::BufRead;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// What is wrong for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outage {
    /// `none`: nothing but the trouble on the line.
    None,
    /// `away`: connections are cut.
    Away,
    /// `busy`: every answer is `503 Slow Down`.
    Busy,
    /// `denied`: every answer is `403 AccessDenied`.
    Denied,
    /// `lost`: every answer is `404 NoSuchBucket`.
    Lost,
}

impl Outage {
    fn of_name(name: &str) -> Option<Outage> {
        Some(match name {
            "none" => Outage::None,
            "away" => Outage::Away,
            "busy" => Outage::Busy,
            "denied" => Outage::Denied,
            "lost" => Outage::Lost,
            _ => return None,
        })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, seed] = arguments.as_slice() else { return Err("s3-server DIRECTORY SEED".into()) };
    let seed = seed.parse()?;
    let (set, outage) = watch::channel(Outage::None);
    std::thread::spawn(move || follow(&set));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(directory, seed, outage))
}

/// Sets outages as the input says; ends the program with it.
fn follow(set: &watch::Sender<Outage>) {
    for name in std::io::stdin().lock().lines().map_while(Result::ok) {
        let Some(outage) = Outage::of_name(&name) else { break };
        set.send_replace(outage);
        println!("{name}");
    }
    std::process::exit(0);
}

async fn serve(directory: &str, seed: u64, outage: watch::Receiver<Outage>) -> Result<(), Box<dyn Error>> {
    let service = Service::new(directory, outage.clone())?;
    let (server, line) = (listen().await?, listen().await?);
    let server_address = server.local_addr()?;
    println!("http://{}", line.local_addr()?);
    tokio::select! {
        ended = service.answer(server) => ended?,
        ended = Line::new(server_address, seed, outage).carry(line) => ended?,
    }
    Ok(())
}

async fn listen() -> std::io::Result<TcpListener> {
    TcpListener::bind("127.0.0.1:0").await
}
