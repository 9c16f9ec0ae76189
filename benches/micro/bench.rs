//! Measures every case by itself: `./x bench micro [FILTER]`.

mod cases;

use criterion::{Criterion, Throughput};
use std::time::Duration;

/// As in the program: what is measured allocates with it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A batch as sources make it.
const ROWS: usize = 8_192;

fn main() {
    // There are hundreds of cases; differences that a second does not show are none that one case can tell.
    let criterion = Criterion::default().without_plots().sample_size(10);
    let criterion = criterion.warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(800));
    let mut criterion = criterion.configure_from_args();
    for (name, cases) in cases::groups() {
        let mut group = criterion.benchmark_group(name);
        for case in cases {
            let ready = (case.prepare)(ROWS);
            println!("{name}/{} results: {:016x}", case.name, (ready.hash)());
            group.throughput(Throughput::Elements(ready.elements));
            group.bench_function(case.name, |bencher| bencher.iter_custom(|runs| (ready.time)(runs)));
        }
        group.finish();
    }
    criterion.final_summary();
}
