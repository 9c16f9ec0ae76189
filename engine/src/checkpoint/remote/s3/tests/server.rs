//! A server that gives the answers of a list, one per connection, and remembers what it was asked. After the last one nobody listens.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// What becomes of a request.
pub(super) enum Answer {
    /// It is answered by these bytes; then the connection ends.
    Bytes(String),
    /// The connection ends.
    Cut,
    /// Nothing comes until the client gives up.
    Silence,
}

impl Answer {
    /// A status with a body.
    pub(super) fn status(status: &str, body: &str) -> Answer {
        Answer::short(status, body, body.len())
    }

    /// As from a server that has been told something wrong.
    pub(super) fn error(status: &str, code: &str, message: &str) -> Answer {
        let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>");
        Answer::status(status, &body)
    }

    /// A status with a body of which only the beginning comes.
    pub(super) fn short(status: &str, body: &str, length: usize) -> Answer {
        let head = "ETag: \"1\"\r\nLast-Modified: Wed, 21 Oct 2015 07:28:00 GMT\r\nConnection: close\r\n";
        Answer::Bytes(format!("HTTP/1.1 {status}\r\n{head}Content-Length: {length}\r\n\r\n{body}"))
    }
}

/// See the module.
pub(super) struct Server {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    asked: Receiver<String>,
    thread: JoinHandle<()>,
}

impl Server {
    pub(super) fn new(answers: Vec<Answer>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let (tell, asked) = channel();
        let over = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            for answer in answers {
                let (connection, _) = listener.accept().unwrap();
                if over.load(Ordering::Acquire) {
                    return;
                }
                reply(connection, &answer, &tell);
            }
        });
        Server { address, is_over, asked, thread }
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits for the next request and returns its head.
    pub(super) fn next(&self) -> String {
        self.asked.recv().unwrap()
    }

    /// Heads of the requests that came and were not taken yet.
    pub(super) fn requests(self) -> Vec<String> {
        self.is_over.store(true, Ordering::Release);
        // It has ended by itself if nobody listens.
        let _ = TcpStream::connect(self.address);
        self.thread.join().unwrap();
        self.asked.iter().collect()
    }
}

fn reply(connection: TcpStream, answer: &Answer, tell: &Sender<String>) {
    let mut reader = BufReader::new(&connection);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
            length = value.trim().parse().unwrap_or_else(|_| panic!("{name}"));
        }
        head.push_str(&line);
    }
    reader.read_exact(&mut vec![0; length]).unwrap();
    // The test may have seen enough.
    let _ = tell.send(head);
    match answer {
        Answer::Bytes(bytes) => (&connection).write_all(bytes.as_bytes()).unwrap(),
        Answer::Cut => {}
        Answer::Silence => {
            // Whether it ends in good order does not matter.
            let _ = reader.read_to_end(&mut Vec::new());
        }
    }
}
