//! Runs other programs. Nothing here goes through a shell; a program that fails is an error that names it.

use crate::report::Outcome;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

/// A program about to be run, with standard input empty.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    name: OsString,
    arguments: Vec<OsString>,
    directory: Option<PathBuf>,
    variables: Vec<(String, OsString)>,
}

impl Program {
    pub(crate) fn new(name: impl Into<OsString>) -> Program {
        Program { name: name.into(), arguments: vec![], directory: None, variables: vec![] }
    }

    pub(crate) fn arguments<S: AsRef<OsStr>>(mut self, arguments: &[S]) -> Program {
        self.arguments.extend(arguments.iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    pub(crate) fn directory(mut self, directory: &Path) -> Program {
        self.directory = Some(directory.to_owned());
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: impl Into<OsString>) -> Program {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// Runs it with its output on ours; fails unless it succeeds.
    pub(crate) fn run(&self) -> Outcome<()> {
        let status = self.command().status().map_err(|error| self.not_started(&error))?;
        self.judge(status)
    }

    /// Runs it and returns its exit code, output on ours.
    pub(crate) fn exit_code(&self) -> Outcome<i32> {
        let status = self.command().status().map_err(|error| self.not_started(&error))?;
        status.code().ok_or_else(|| format!("{} was killed by a signal", self.line()))
    }

    /// True if it can be started and succeeds; its output is dropped.
    pub(crate) fn succeeds(&self) -> bool {
        self.command().stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }

    /// Runs it and returns what it printed; fails unless it succeeds.
    pub(crate) fn output(&self) -> Outcome<String> {
        let output = self.command().stderr(Stdio::inherit()).output().map_err(|error| self.not_started(&error))?;
        self.judge(output.status)?;
        String::from_utf8(output.stdout).map_err(|_| format!("{} printed bytes that are not UTF-8", self.line()))
    }

    /// Runs it and returns its exit code and what it printed; `None` if it had to be ended because it took longer than this.
    pub(crate) fn code_and_output_within(&self, limit: Duration) -> Outcome<Option<(i32, String)>> {
        let failed = |error: std::io::Error| format!("{}: {error}", self.line());
        let mut child = self.command().stdout(Stdio::piped()).spawn().map_err(|error| self.not_started(&error))?;
        let (give, printed) = std::sync::mpsc::channel();
        if let Some(mut stdout) = child.stdout.take() {
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                give.send(stdout.read_to_end(&mut bytes).map(|_| bytes))
            });
        }
        let Ok(bytes) = printed.recv_timeout(limit) else {
            child.kill().map_err(failed)?;
            child.wait().map_err(failed)?;
            return Ok(None);
        };
        let code = child.wait().map_err(failed)?.code().ok_or_else(|| format!("{} was killed by a signal", self.line()))?;
        Ok(Some((code, String::from_utf8_lossy(&bytes.map_err(failed)?).into_owned())))
    }

    /// Runs it, passing each line it prints on and to `observe`; fails unless it succeeds.
    pub(crate) fn run_observed(&self, mut observe: impl FnMut(&str)) -> Outcome<()> {
        let mut child = self.command().stdout(Stdio::piped()).spawn().map_err(|error| self.not_started(&error))?;
        if let Some(stdout) = child.stdout.take() {
            for line in BufReader::new(stdout).split(b'\n') {
                let line = line.map_err(|error| format!("{}: {error}", self.line()))?;
                let line = String::from_utf8_lossy(&line);
                println!("{line}");
                observe(&line);
            }
        }
        let status = child.wait().map_err(|error| format!("{}: {error}", self.line()))?;
        self.judge(status)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.name);
        command.args(&self.arguments).stdin(Stdio::null());
        // `cargo run` has told us about this crate; a build script that looks at these would run again, and with it everything that needs its crate.
        let about_us = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(about_us)) {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command
    }

    fn judge(&self, status: ExitStatus) -> Outcome<()> {
        if status.success() { Ok(()) } else { Err(format!("{} failed ({status})", self.line())) }
    }

    fn not_started(&self, error: &std::io::Error) -> String {
        format!("{} can't be started: {error}", self.line())
    }

    /// The program's name without the directories before it.
    pub(crate) fn name(&self) -> String {
        Path::new(&self.name).file_name().unwrap_or(&self.name).to_string_lossy().into_owned()
    }

    /// The command as one would type it.
    fn line(&self) -> String {
        let words = self.arguments.iter().map(|word| word.to_string_lossy().into_owned());
        std::iter::once(self.name()).chain(words).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_is_an_error_that_names_it() {
        assert_eq!(Program::new("/bin/false").arguments(&["a", "b"]).run(), Err("false a b failed (exit status: 1)".to_owned()));
        assert!(Program::new("/bin/no such program").run().is_err_and(|error| error.starts_with("no such program can't be started")));
    }

    #[test]
    fn lines_are_observed_and_output_is_returned() {
        let mut lines = vec![];
        let echo = Program::new("printf").arguments(&["a\\nb\\n"]);
        assert_eq!(echo.run_observed(|line| lines.push(line.to_owned())), Ok(()));
        assert_eq!(lines, ["a", "b"]);
        assert_eq!(echo.output(), Ok("a\nb\n".to_owned()));
    }
}
