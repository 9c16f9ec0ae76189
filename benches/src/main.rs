//! Benchmarks of Ray-MPP, each in one run that prints ratios.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("all") => ExitCode::SUCCESS,
        name => {
            eprintln!("there is no benchmark {}", name.unwrap_or("without a name"));
            ExitCode::from(2)
        }
    }
}
