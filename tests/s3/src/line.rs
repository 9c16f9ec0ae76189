//! Trouble on the line between a client and the server: each connection gets its own, by a seed. While the server is away all are cut.

use crate::Outage;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const SLOW_DOWN: &[u8] = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// What happens to a connection.
#[derive(Clone, Copy)]
enum Trouble {
    None,
    /// It is cut before a byte has come.
    Cut,
    /// The first answer is that there is too much to do.
    SlowDown,
    /// Each piece of the answer waits.
    Slow,
    /// It is cut when so many bytes of answers have come.
    CutAfter(u64),
    /// It is cut when so many bytes of requests have gone: their answers are lost.
    CutBehind(u64),
}

/// The line.
pub(crate) struct Line {
    server: SocketAddr,
    random: u64,
    outage: watch::Receiver<Outage>,
}

impl Line {
    pub(crate) fn new(server: SocketAddr, seed: u64, outage: watch::Receiver<Outage>) -> Line {
        Line { server, random: seed, outage }
    }

    /// SplitMix64.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn trouble(&mut self) -> Trouble {
        let amount = self.draw() % 4_000;
        match self.draw() % 24 {
            0 => Trouble::Cut,
            1 => Trouble::SlowDown,
            2 => Trouble::Slow,
            3 => Trouble::CutAfter(amount),
            4 => Trouble::CutBehind(amount * 4),
            _ => Trouble::None,
        }
    }

    /// Carries connections, for ever.
    pub(crate) async fn carry(mut self, listener: TcpListener) -> io::Result<()> {
        loop {
            let (client, _) = listener.accept().await?;
            let (server, trouble, mut outage) = (self.server, self.trouble(), self.outage.clone());
            tokio::spawn(async move {
                tokio::select! {
                    biased;
                    _ = outage.wait_for(|outage| *outage == Outage::Away) => {}
                    // That it ends with an error is what it is for.
                    _ = connect(client, server, trouble) => {}
                }
            });
        }
    }
}

async fn connect(mut client: TcpStream, server: SocketAddr, trouble: Trouble) -> io::Result<()> {
    match trouble {
        Trouble::Cut => return Ok(()),
        Trouble::SlowDown => {
            let mut request = [0; 4096];
            let _ = client.read(&mut request).await?;
            return client.write_all(SLOW_DOWN).await;
        }
        _ => {}
    }
    let mut server = TcpStream::connect(server).await?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let (requests_max, answers_max, pause) = match trouble {
        Trouble::CutAfter(bytes) => (u64::MAX, bytes, None),
        Trouble::CutBehind(bytes) => (bytes, u64::MAX, None),
        Trouble::Slow => (u64::MAX, u64::MAX, Some(Duration::from_millis(30))),
        _ => (u64::MAX, u64::MAX, None),
    };
    tokio::select! {
        ended = pass(&mut from_client, &mut to_server, requests_max, None) => ended,
        ended = pass(&mut from_server, &mut to_client, answers_max, pause) => ended,
    }
}

/// Passes bytes on until one side ends, or so many have been passed.
async fn pass(
    from: &mut (impl AsyncReadExt + Unpin),
    to: &mut (impl AsyncWriteExt + Unpin),
    bytes_max: u64,
    pause: Option<Duration>,
) -> io::Result<()> {
    let (mut buffer, mut passed) = (vec![0; 16 << 10], 0);
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        let allowed = (bytes_max - passed).min(read as u64) as usize;
        to.write_all(&buffer[..allowed]).await?;
        passed += allowed as u64;
        if passed == bytes_max {
            return Ok(());
        }
        if let Some(pause) = pause {
            // A timer of the runtime, no thread sleeps.
            let _ = tokio::time::timeout(pause, std::future::pending::<()>()).await;
        }
    }
}
