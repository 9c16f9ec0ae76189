//! What is shipped: the program that `cargo build` makes has none of what only tests use, though both are built from the same crates.

use crate::report::{Outcome, Report};
use crate::workspace::Workspace;
use std::fs;
use std::path::Path;

/// Where the name of the variable stands that tells a test's program where to break.
const HOME: &str = "state/src/crash_point/script.rs";

/// Fails if the program can be told to break.
pub(crate) fn run(workspace: &Workspace, _: &mut Report) -> Outcome<()> {
    let home = workspace.read(Path::new(HOME))?;
    let variable = variable(&home).ok_or(format!("{HOME} names no variable"))?;
    let program = workspace.build_raympp()?;
    let bytes = fs::read(&program).map_err(|error| format!("{}: {error}", program.display()))?;
    match bytes.windows(variable.len()).any(|window| window == variable.as_bytes()) {
        false => Ok(()),
        true => Err(format!("{} can be told to break by {variable}: some dependency asks for the feature crash-points", program.display())),
    }
}

/// The value of the constant `VARIABLE`.
fn variable(text: &str) -> Option<&str> {
    text.split_once("const VARIABLE: &str = \"")?.1.split_once('"').map(|(name, _)| name).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::variable;

    #[test]
    fn the_variable_is_found() {
        assert_eq!(variable("/// It.\npub const VARIABLE: &str = \"NAME\";\n"), Some("NAME"));
        assert_eq!(variable("pub const VARIABLE: &str = \"\";"), None);
    }
}
