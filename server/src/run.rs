//! `run`: a script from its first row to its last.

use crate::cli::RunOptions;
use crate::progress::Progress;
use crate::script::{in_file, read};
use crate::{Failure, summary};
use raympp_engine::{Answer, Engine};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often progress is shown and files of counters are renewed.
const REFRESH: Duration = Duration::from_millis(200);

/// Runs the script of the options.
pub(crate) fn run(options: &RunOptions) -> Result<(), Failure> {
    let text = read(&options.file)?;
    let engine = build(options)?;
    // A file that can't be written is told before the job starts, not in the middle of it.
    write_metrics(options.metrics_file.as_deref(), &engine).map_err(|problem| Failure::Usage(format!("raympp: {problem}")))?;
    let interrupted = watch_interrupts()?;
    let mut progress = Progress::start(options.plain);
    let deferred = engine.execute_deferred(&text).map_err(|error| in_file(&options.file, error))?;
    let mut outcome = Ok(false);
    while !interrupted.load(Ordering::Acquire) {
        outcome = engine.wait_timeout(REFRESH);
        progress.show(&engine.stats());
        write_metrics(options.metrics_file.as_deref(), &engine).map_err(Failure::Running)?;
        if !matches!(outcome, Ok(false)) {
            break;
        }
    }
    progress.finish(&engine.stats());
    write_metrics(options.metrics_file.as_deref(), &engine).map_err(Failure::Running)?;
    outcome?;
    let answers = deferred.finish(&engine)?;
    let stats = engine.stats();
    engine.shutdown()?;
    for answer in answers {
        print_answer(&answer);
    }
    summary::print(&stats, progress.elapsed());
    Ok(())
}

fn build(options: &RunOptions) -> Result<Engine, Failure> {
    let mut builder = Engine::builder().replicas(options.replicas);
    if let Some(threads) = options.threads {
        builder = builder.threads(threads);
    }
    if let Some(partitions) = options.partitions {
        builder = builder.partitions(partitions);
    }
    if let Some(rows) = options.flush_rows {
        builder = builder.flush_rows(rows);
    }
    builder.build().map_err(|error| Failure::Usage(format!("raympp: {error}")))
}

/// Becomes true at the first Ctrl-C; a second one ends the process.
pub(crate) fn watch_interrupts() -> Result<Arc<AtomicBool>, Failure> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    let handler = move || {
        if flag.swap(true, Ordering::AcqRel) {
            std::process::exit(1);
        }
    };
    ctrlc::set_handler(handler).map_err(|error| Failure::Running(format!("Ctrl-C can't be watched: {error}")))?;
    Ok(interrupted)
}

fn write_metrics(file: Option<&Path>, engine: &Engine) -> Result<(), String> {
    let Some(file) = file else { return Ok(()) };
    let text = serde_json::to_string_pretty(&engine.stats()).expect("counters are plain data");
    let problem = |error| format!("the metrics file {} can't be written: {error}; check its directory and permissions", file.display());
    std::fs::write(file, text).map_err(problem)
}

fn print_answer(answer: &Answer) {
    match answer {
        Answer::Rows(rows) => match raympp_engine::sink::table::format_table(std::slice::from_ref(rows)) {
            Ok(table) => println!("{table}"),
            Err(error) => eprintln!("raympp: {error}"),
        },
        Answer::Text(text) => println!("{text}"),
        Answer::Names(names) => names.iter().for_each(|name| println!("{name}")),
        Answer::Done(_) => {}
    }
}
