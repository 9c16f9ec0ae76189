//! A place outside of state directories for a test's checkpoints: a directory or, where `RAYMPP_S3_SERVER` names a server program for tests, a
//! bucket of such a server, with trouble on the line. What a test asks of it holds for both.
#![allow(dead_code, reason = "each test binary uses a part")]

use super::support::Directory;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const KEY: &str = "AWS_ACCESS_KEY_ID";
const SECRET: &str = "AWS_SECRET_ACCESS_KEY";

/// See the module. It goes away with the value.
pub(crate) struct Place {
    /// The directory that is, or is behind, the bucket.
    bucket: String,
    server: Option<Server>,
}

/// A server under way.
struct Server {
    endpoint: String,
    program: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

/// What can be wrong with a place for a while, and what is said then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outage {
    name: &'static str,
    pub(crate) said: &'static str,
}

impl Place {
    /// A place whose objects lie in a directory of the test; `seed` is of the trouble.
    pub(crate) fn new(directory: &Directory, seed: u64) -> Place {
        let objects = directory.text("objects");
        let bucket = format!("{objects}/bucket");
        fs::create_dir_all(&bucket).expect("a directory for the bucket");
        let server = std::env::var_os("RAYMPP_S3_SERVER").map(|program| {
            let mut command = Command::new(program);
            command.args([&objects, &seed.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
            Server::start(command.spawn().expect("the server starts"))
        });
        Place { bucket, server }
    }

    /// The URL of a job's checkpoints.
    pub(crate) fn url(&self, job: &str) -> String {
        match self.server {
            None => format!("file://{}/{job}", self.bucket),
            Some(_) => format!("s3://bucket/{job}"),
        }
    }

    /// Tells a program how to get there.
    pub(crate) fn tell(&self, command: &mut Command) {
        command.env("AWS_REGION", "us-east-1").env(KEY, "test").env(SECRET, "secret").env("NO_PROXY", "127.0.0.1");
        if let Some(server) = &self.server {
            command.env("AWS_ENDPOINT_URL", &server.endpoint);
        }
    }

    /// Files of a job's objects in a folder.
    pub(crate) fn objects(&self, job: &str, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(format!("{}/{job}/{folder}", self.bucket)).into_iter().flatten();
        let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        // What begins with a dot is not an object yet.
        names.filter(|name| !name.starts_with('.')).collect()
    }

    /// Puts an object there by itself.
    pub(crate) fn plant(&self, job: &str, name: &str) {
        fs::write(format!("{}/{job}/{name}", self.bucket), "planted").expect("a folder of the job");
    }

    /// All that can be wrong with it while a job runs.
    pub(crate) fn outages(&self) -> Vec<Outage> {
        let outage = |(name, said)| Outage { name, said };
        match self.server {
            None => [("in the way", "directory")].map(outage).to_vec(),
            Some(_) => [("away", "rror"), ("busy", "503"), ("denied", "403 Forbidden, AccessDenied"), ("lost", "NoSuchBucket")]
                .map(outage)
                .to_vec(),
        }
    }

    /// Something is wrong with it for a job from now on.
    pub(crate) fn begin(&mut self, outage: Outage, job: &str) {
        let (objects, away) = (format!("{}/{job}", self.bucket), format!("{}/{job}-away", self.bucket));
        match &mut self.server {
            Some(server) => server.set(outage.name),
            None => {
                // A file where a directory should be: nothing can be put there any more.
                fs::rename(&objects, &away).expect("a job's objects");
                fs::write(&objects, "in the way").expect("a file");
            }
        }
    }

    /// All is well with it for the job again.
    pub(crate) fn end_outage(&mut self, job: &str) {
        let (objects, away) = (format!("{}/{job}", self.bucket), format!("{}/{job}-away", self.bucket));
        match &mut self.server {
            Some(server) => server.set("none"),
            None => {
                fs::remove_file(&objects).expect("what is in the way");
                fs::rename(&away, &objects).expect("a job's objects");
            }
        }
    }

    /// Wrong ways to name it: a URL, a variable to be set, and what is said.
    pub(crate) fn wrong_ways(&self) -> Vec<(String, (&'static str, &'static str), &'static str)> {
        match self.server {
            None => {
                fs::write(format!("{}/a-file", self.bucket), "text").expect("a file");
                vec![(self.url("a-file"), ("AWS_REGION", ""), "a-file")]
            }
            Some(_) => vec![
                (self.url("job"), (SECRET, "wrong"), "403 Forbidden, SignatureDoesNotMatch"),
                (self.url("job"), (KEY, "nobody"), "403 Forbidden, NotSignedUp"),
                ("s3://nowhere/job".to_owned(), ("AWS_REGION", "us-east-1"), "make the bucket, or name another one"),
            ],
        }
    }
}

impl Server {
    fn start(mut program: Child) -> Server {
        let input = program.stdin.take().expect("piped");
        let mut output = BufReader::new(program.stdout.take().expect("piped"));
        let endpoint = line(&mut output);
        Server { endpoint, program, input, output }
    }

    /// Sets an outage; it is in force when the call returns.
    fn set(&mut self, outage: &str) {
        writeln!(self.input, "{outage}").expect("the server listens");
        assert_eq!(line(&mut self.output), outage);
    }
}

fn line(output: &mut impl BufRead) -> String {
    let mut line = String::new();
    output.read_line(&mut line).expect("the server talks");
    line.trim().to_owned()
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends with its input in any case.
        let _ = (self.program.kill(), self.program.wait());
    }
}
