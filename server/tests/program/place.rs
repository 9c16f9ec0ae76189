//! A place outside of state directories for a test's checkpoints: a directory or, where `RAYMPP_S3_SERVER` names a server program for tests, a
//! bucket of such a server, with trouble on the line.
#![allow(dead_code, reason = "not each test binary has a place")]

use super::support::Directory;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// See the module. It goes away with the value.
pub(crate) struct Place {
    base: String,
    variables: Vec<(&'static str, String)>,
    server: Option<Child>,
}

impl Place {
    /// A place whose objects lie in a directory of the test; `seed` is of the trouble.
    pub(crate) fn new(directory: &Directory, seed: u64) -> Place {
        let objects = directory.text("objects");
        std::fs::create_dir_all(format!("{objects}/bucket")).expect("a directory for the bucket");
        match std::env::var_os("RAYMPP_S3_SERVER") {
            None => Place { base: format!("file://{objects}/bucket"), variables: Vec::new(), server: None },
            Some(program) => {
                let mut command = Command::new(program);
                command.args([&objects, &seed.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
                let mut server = command.spawn().expect("the server starts");
                let mut endpoint = String::new();
                let output = server.stdout.take().expect("piped");
                BufReader::new(output).read_line(&mut endpoint).expect("the server says where it is");
                let endpoint = endpoint.trim().to_owned();
                let set = [
                    ("AWS_ENDPOINT_URL", endpoint.as_str()),
                    ("AWS_ACCESS_KEY_ID", "test"),
                    ("AWS_SECRET_ACCESS_KEY", "secret"),
                    ("AWS_REGION", "us-east-1"),
                ];
                let variables = set.map(|(name, value)| (name, value.to_owned())).to_vec();
                Place { base: "s3://bucket".to_owned(), variables, server: Some(server) }
            }
        }
    }

    /// The URL of a job's checkpoints.
    pub(crate) fn url(&self, job: &str) -> String {
        format!("{}/{job}", self.base)
    }

    /// Tells a program how to get there.
    pub(crate) fn tell(&self, command: &mut Command) {
        command.envs(self.variables.iter().map(|(name, value)| (*name, value.as_str())));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            // It ends with its input in any case.
            let _ = (server.kill(), server.wait());
        }
    }
}
