//! Runs the commands of README.md, so that none of them is only text.
//!
//! In a block of language `console`, each line that starts with `$ ` is a command, and the other lines show what it prints. All of them run
//! in one fresh copy of the project with `raympp` and `raympp-loadgen` on the PATH, in order, and each must end with exit code 0, or with the one that a
//! comment `# exits 2` at its end names. `./x` commands are not run here but must be commands of this program, and `./x ci` is made
//! of the same steps as they are.

use crate::COMMANDS;
use crate::markdown::blocks;
use crate::report::{Outcome, Report, Tests};
use crate::shell::Program;
use crate::workspace::Workspace;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// A command that runs longer than this hangs.
const SECONDS_MAX: &str = "300";

#[derive(Debug, PartialEq, Eq)]
struct Written {
    line: usize,
    command: String,
    exit_code: i32,
}

/// Runs all commands of README.md.
pub(crate) fn run(workspace: &Workspace, report: &mut Report) -> Outcome<()> {
    let text = workspace.read(Path::new("README.md"))?;
    check_own_commands(&text)?;
    let commands = commands(&text);
    if commands.is_empty() {
        return Err("README.md shows no command that can be run".to_owned());
    }
    let raympp = workspace.build_raympp()?;
    workspace.build_program("raympp-loadgen")?;
    let copy = copy_of(workspace)?;
    let outcome = commands.iter().try_for_each(|written| run_one(&copy, &raympp, written, report));
    fs::remove_dir_all(&copy).map_err(|error| format!("{}: {error}", copy.display()))?;
    outcome
}

fn run_one(copy: &Path, raympp: &Path, written: &Written, report: &mut Report) -> Outcome<()> {
    println!("README.md:{}: $ {}", written.line, written.command);
    let mut search = OsString::from(raympp.parent().unwrap_or(Path::new(".")));
    search.push(":");
    search.push(std::env::var_os("PATH").unwrap_or_default());
    let shell = Program::new("timeout").arguments(&[SECONDS_MAX, "bash", "-c", &written.command]);
    let exit_code = shell.directory(copy).variable("PATH", search).exit_code()?;
    if exit_code == written.exit_code {
        report.count(Tests { passed: 1, failed: 0 });
        return Ok(());
    }
    report.count(Tests { passed: 0, failed: 1 });
    Err(format!("README.md:{}: {} ended with exit code {exit_code}, not {}", written.line, written.command, written.exit_code))
}

/// The commands that run in the copy.
fn commands(text: &str) -> Vec<Written> {
    let mut commands = vec![];
    for block in blocks(text).into_iter().filter(|block| block.language == "console") {
        for (index, line) in block.lines.iter().enumerate() {
            let Some(command) = line.strip_prefix("$ ").filter(|command| !command.starts_with("./x")) else { continue };
            let (command, exit_code) = match command.rsplit_once("# exits ") {
                Some((before, code)) => (before.trim_end(), code.trim().parse().unwrap_or(0)),
                None => (command, 0),
            };
            commands.push(Written { line: block.first_line + index, command: command.to_owned(), exit_code });
        }
    }
    commands
}

/// Fails if a fenced block shows a `./x` command that does not exist.
fn check_own_commands(text: &str) -> Outcome<()> {
    let lines = blocks(text).into_iter().flat_map(|block| block.lines);
    for line in lines {
        let Some(rest) = line.trim_start_matches("$ ").strip_prefix("./x ") else { continue };
        let name = rest.split_whitespace().next().unwrap_or_default();
        if name != "help" && !COMMANDS.iter().any(|command| command.name == name) {
            return Err(format!("README.md shows ./x {name}, which does not exist"));
        }
    }
    Ok(())
}

/// A copy of the project's files in a directory of its own below the target directory.
fn copy_of(workspace: &Workspace) -> Outcome<PathBuf> {
    let copy = workspace.target.join(format!("readme-{}", std::process::id()));
    for file in workspace.files()? {
        let (from, to) = (workspace.root.join(&file), copy.join(&file));
        let failed = |error: std::io::Error| format!("{} → {}: {error}", from.display(), to.display());
        fs::create_dir_all(to.parent().unwrap_or(&copy)).map_err(failed)?;
        fs::copy(&from, &to).map_err(failed)?;
    }
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_found_with_their_exit_codes() {
        let text = "```console\n$ raympp check a.sql\nok\n$ raympp check b.sql  # exits 2\n$ ./x test\n```\n```sh\nraympp run c.sql\n```\n";
        let written = |line, command: &str, exit_code| Written { line, command: command.to_owned(), exit_code };
        assert_eq!(commands(text), [written(2, "raympp check a.sql", 0), written(4, "raympp check b.sql", 2)]);
    }

    #[test]
    fn commands_of_this_program_must_exist() {
        assert_eq!(check_own_commands("```sh\n./x demo   # builds\n```\n"), Ok(()));
        assert!(check_own_commands("```console\n$ ./x dance\n```\n").is_err_and(|error| error.contains("./x dance")));
    }
}
