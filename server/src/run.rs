//! `run`: a script from its first row to its last.

use crate::cli::RunOptions;
use crate::metrics_file::MetricsFile;
use crate::progress::Progress;
use crate::script::{in_file, read};
use crate::{Failure, output, summary};
use raympp_engine::sink::table::format_table;
use raympp_engine::{Answer, Engine, Error};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often progress is shown.
const REFRESH: Duration = Duration::from_millis(200);

/// Runs the script of the options.
pub(crate) fn run(options: &RunOptions) -> Result<(), Failure> {
    let text = read(&options.file)?;
    let engine = build(options)?;
    let mut metrics = options.metrics_file.as_deref().map(MetricsFile::new);
    if let Some(metrics) = &metrics {
        // A file that can't be written is told before the job starts, not in the middle of it.
        metrics.write(&engine.stats()).map_err(|problem| Failure::Usage(format!("raympp: {problem}")))?;
    }
    let interrupted = watch_interrupts()?;
    let mut progress = Progress::start(options.plain);
    let deferred = engine.execute_deferred(&text).map_err(|error| in_file(&options.file, error))?;
    engine.forget_absent();
    let mut outcome = Ok(false);
    while !interrupted.load(Ordering::Acquire) {
        outcome = engine.wait_timeout(REFRESH);
        let stats = engine.stats();
        progress.show(&stats);
        if let Some(metrics) = &mut metrics {
            metrics.renew(&stats, progress.elapsed()).map_err(Failure::Running)?;
        }
        if !matches!(outcome, Ok(false)) {
            break;
        }
    }
    let closed = matches!(outcome, Err(Error::Closed { .. }));
    progress.finish((!closed).then(|| engine.stats()).as_ref());
    if let Some(metrics) = &metrics {
        metrics.write(&engine.stats()).map_err(Failure::Running)?;
    }
    outcome?;
    let answers = deferred.finish(&engine)?;
    let stats = engine.stats();
    engine.shutdown()?;
    answers.iter().try_for_each(print_answer)?;
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
    if let Some(directory) = &options.state_dir {
        builder = builder.state_dir(directory);
    }
    if let Some(interval) = options.checkpoint_interval {
        builder = builder.barrier_interval_us(interval.as_micros() as u64);
    }
    builder = builder.fall_back(options.fall_back);
    for metric in &options.reset {
        builder = builder.reset_metric(metric);
    }
    if let Some(checkpoints) = options.keep {
        builder = builder.keep_checkpoints(checkpoints);
    }
    builder.build().map_err(|error| Failure::Usage(format!("raympp: {error}")))
}

/// Becomes true at the first Ctrl-C (SIGINT), SIGTERM or SIGHUP; a second one ends the process.
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

fn print_answer(answer: &Answer) -> Result<(), Failure> {
    match answer {
        Answer::Rows { rows, age_us } => {
            let table = format_table(std::slice::from_ref(rows)).map_err(|error| Failure::Running(error.to_string()))?;
            if *age_us > 0 {
                output::note(&format!("the next answer can lack rows of the last {:.3} s", *age_us as f64 / 1e6));
            }
            output::line(&table)
        }
        Answer::Text(text) => output::line(text),
        Answer::Names(names) => names.iter().try_for_each(|name| output::line(name)),
        Answer::Done(_) => Ok(()),
    }
}
