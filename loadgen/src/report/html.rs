//! A report as one page of HTML that needs nothing else: no script, no font, no file. All text from outside is escaped, and what is unknown
//! or not a number is left out or shown as a dash.

use super::plot::{Plot, STYLE, Scale, count_name, escaped, line_class, micros_name, percentile_ticks, reach, seconds_name};
use super::{CHECKPOINT, ENDED_EARLY, NOTHING, QUANTILES, Report, Stretch, quantile_name, time};
use crate::ledger::Verdict;
use std::collections::BTreeMap;
use std::fmt::Write;

const PAGE_STYLE: &str = "\
:root {
  color-scheme: light dark;
  --page: #ffffff; --text: #1c2024; --faint: #59626b; --grid: #e2e6ea; --mark: #a3155f;
  --line-0: #0069a8; --line-1: #c65102; --line-2: #007a58; --line-3: #7d4bb3;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #15181b; --text: #e4e8eb; --faint: #9ba5ae; --grid: #2c3238; --mark: #ff8cc6;
    --line-0: #5cb6f2; --line-1: #f59a52; --line-2: #45cca2; --line-3: #c3a0f0;
  }
}
* { box-sizing: border-box; }
body { max-width: 900px; margin: 0 auto; padding: 20px; background: var(--page); color: var(--text); }
body, .plot text { font-family: system-ui, sans-serif; }
body { font-size: 15px; line-height: 1.45; }
h1 { font-size: 24px; margin: 0 0 8px; }
h2 { font-size: 17px; margin: 28px 0 6px; }
dl { display: flex; flex-wrap: wrap; gap: 4px 20px; margin: 12px 0; }
dl div { display: flex; gap: 6px; }
dt { color: var(--faint); }
dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 13px; font-variant-numeric: tabular-nums; white-space: nowrap; }
th, td { padding: 4px 6px; text-align: right; border-bottom: 1px solid var(--grid); }
th { font-weight: 600; }
th:first-child { text-align: left; padding-left: 0; }
figure { margin: 0; }
figcaption { display: flex; flex-wrap: wrap; gap: 2px 18px; font-size: 13px; color: var(--faint); margin-bottom: 4px; }
.key { width: 26px; height: 8px; margin-right: 6px; vertical-align: middle; }
.wrong { color: var(--mark); }
";

/// A report as a page.
pub fn html(report: &Report) -> String {
    let title = format!("Load of {}", escaped(&report.workload));
    let verdict = report.verdict.as_ref().map_or_else(String::new, ledger);
    let sections = [
        summary(report),
        settings(report),
        quantile_table(report),
        outages(report),
        verdict,
        latency_by_percentile(report),
        latency_over_time(report),
        throughput_over_time(report),
    ];
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <title>{title}</title>\n<style>\n{PAGE_STYLE}{STYLE}</style>\n</head>\n\
         <body>\n<h1>{title}</h1>\n{}</body>\n</html>\n",
        sections.concat()
    )
}

fn summary(report: &Report) -> String {
    // A run without rows may have taken no time, and then its rate is no number.
    let rate = if report.rows_per_s.is_finite() { format!("{:.0}", report.rows_per_s) } else { NOTHING.to_owned() };
    let ended_early = if report.is_complete { String::new() } else { format!("<p class=\"wrong\">The run {ENDED_EARLY}.</p>\n") };
    format!(
        "<p>{} rows, {rate} rows/s; {} due and not visible at most; {} checkpoints; {} windows counted.</p>\n{ended_early}",
        report.rows, report.backlog_max, report.checkpoints, report.windows
    )
}

fn settings(report: &Report) -> String {
    let own = [
        ("program", report.program.to_owned()),
        ("started", format!("{} UTC", report.started)),
        ("processors", report.processors.to_string()),
    ];
    let all = own.iter().map(|(name, value)| (*name, value)).chain(report.settings.iter().map(|(name, value)| (name.as_str(), value)));
    let setting = |(name, value): (&str, &String)| format!("<div><dt>{}</dt><dd>{}</dd></div>\n", escaped(name), escaped(value));
    format!("<dl>\n{}</dl>\n", all.map(setting).collect::<String>())
}

/// Faults, and how long they lasted.
fn outages(report: &Report) -> String {
    if report.outages.is_empty() {
        return String::new();
    }
    let items: String = report.outages.iter().map(|outage| format!("<li>{}</li>\n", escaped(&outage.to_string()))).collect();
    format!("<ul>\n{items}</ul>\n")
}

fn quantile_table(report: &Report) -> String {
    let header: String = QUANTILES.iter().map(|&quantile| format!("<th>{}</th>", quantile_name(quantile))).collect();
    let mut table = format!("<div class=\"wide\"><table>\n<tr><th>latency</th><th>count</th>{header}</tr>\n");
    let mut row = |what: &str, count: &str, quantiles: &BTreeMap<String, f64>| {
        let shown = |&quantile: &f64| quantiles.get(&quantile_name(quantile)).map_or_else(|| NOTHING.to_owned(), |&micros| time(micros));
        let cells: String = QUANTILES.iter().map(|quantile| format!("<td>{}</td>", shown(quantile))).collect();
        let _ = writeln!(table, "<tr><th>{}</th><td>{count}</td>{cells}</tr>", escaped(what));
    };
    for latency in &report.latencies {
        row(latency.what, &latency.count.to_string(), &latency.quantiles_us);
    }
    row("the generator's pauses", "", &report.pauses_us);
    row("the machine's own jitter", "", &report.jitter_us);
    table + "</table></div>\n"
}

fn ledger(verdict: &Verdict) -> String {
    let Verdict { rows, late, expected, right, missing, wrong, surplus, examples } = verdict;
    let class = if verdict.is_right() { "right" } else { "wrong" };
    let mut text = format!(
        "<p class=\"{class}\">Ledger: {rows} rows, {late} late; {expected} results expected: {right} right, {missing} missing, \
         {wrong} wrong, {surplus} surplus.</p>\n"
    );
    if !examples.is_empty() {
        let items: String = examples.iter().map(|example| format!("<li>{}</li>\n", escaped(example))).collect();
        let _ = writeln!(text, "<ul>\n{items}</ul>");
    }
    text
}

/// A plot with a heading and, by class, what its lines are.
fn figure(heading: &str, keys: &[(String, &str)], plot: Plot) -> String {
    let key = |(class, name): &(String, &str)| {
        let line = format!("<polyline class=\"{class}\" points=\"0,4 26,4\"/>");
        format!("<span><svg class=\"key\" viewBox=\"0 0 26 8\">{line}</svg>{}</span>\n", escaped(name))
    };
    let keys: String = keys.iter().map(key).collect();
    let heading = escaped(heading);
    format!("<h2>{heading}</h2>\n<figure>\n<figcaption>\n{keys}</figcaption>\n{}</figure>\n", plot.finish(&heading))
}

fn latency_by_percentile(report: &Report) -> String {
    // Jitter is known by quantile only: its maximum has no place but the end of the axis.
    let jitter = |&quantile: &f64| Some((1.0 / (1.0 - quantile), *report.jitter_us.get(&quantile_name(quantile))?));
    let mut lines = vec![("jitter".to_owned(), "the machine's own jitter", QUANTILES.iter().map(jitter).collect::<Vec<_>>())];
    for (number, latency) in report.latencies.iter().enumerate() {
        let points = latency.curve.iter().map(|&(quantile, micros)| Some((reach(quantile, latency.count), micros)));
        lines.push((line_class(number), latency.what, points.collect()));
    }
    let points = || lines.iter().flat_map(|(_, _, points)| points.iter().flatten());
    let across = Scale::log(points().map(|&(x, _)| x).chain([1.0, 1e5]));
    let (x_ticks, up) = (percentile_ticks(&across), Scale::log(points().map(|&(_, micros)| micros)));
    let y_ticks = up.ticks();
    let mut plot = Plot::new(across, up);
    plot.x_axis("share that was as fast or faster", x_ticks.into_iter());
    plot.y_axis(y_ticks.into_iter().map(micros_name));
    lines.iter().for_each(|(class, _, points)| plot.line(class, points));
    let keys: Vec<(String, &str)> = lines.into_iter().map(|(class, name, _)| (class, name)).collect();
    figure("Latency by percentile", &keys, plot)
}

/// Half the length of an interval. One interval alone does not tell.
fn half_interval_s(report: &Report) -> f64 {
    match report.intervals.as_slice() {
        [first, second, ..] => (second.from_s - first.from_s) / 2.0,
        _ => 0.0,
    }
}

/// A frame whose x axis is the time of the run, with what happened before counting began shaded.
fn over_time(report: &Report, time: &str, up: Scale) -> Plot {
    let end_s = report.intervals.last().map_or(0.0, |interval| interval.from_s + 2.0 * half_interval_s(report));
    let across = Scale::linear(report.marks.iter().map(|mark| mark.at_s).fold(end_s.max(report.warm_up_s), f64::max));
    let ticks = across.ticks();
    let mut plot = Plot::new(across, up);
    plot.shade(report.warm_up_s, "warm-up");
    plot.x_axis(time, ticks.into_iter().map(seconds_name));
    plot.verticals(CHECKPOINT, report.marks.iter().filter(|mark| mark.what == CHECKPOINT).map(|mark| mark.at_s));
    plot
}

/// Adds what happened, over the lines, and says what the faint lines are if there are any.
fn add_marks(report: &Report, plot: &mut Plot, keys: &mut Vec<(String, &str)>) {
    let named = report.marks.iter().filter(|mark| mark.what != CHECKPOINT);
    plot.marks(named.map(|mark| (mark.at_s, mark.what.as_str())));
    if report.marks.iter().any(|mark| mark.what == CHECKPOINT) {
        keys.push((CHECKPOINT.to_owned(), CHECKPOINT));
    }
}

fn latency_over_time(report: &Report) -> String {
    let up = Scale::log(report.intervals.iter().flat_map(|interval| interval.visible_us).flatten());
    let (ticks, half_s) = (up.ticks(), half_interval_s(report));
    let mut plot = over_time(report, "time at which rows were due", up);
    plot.y_axis(ticks.into_iter().map(micros_name));
    let mut keys = Vec::new();
    for (number, name) in ["p50", "p99", "max"].into_iter().enumerate() {
        // The latency of no rows is not 0 but nothing: such an interval is a gap.
        let point = |interval: &Stretch| Some((interval.from_s + half_s, interval.visible_us?[number]));
        plot.line(&line_class(number), &report.intervals.iter().map(point).collect::<Vec<_>>());
        keys.push((line_class(number), name));
    }
    add_marks(report, &mut plot, &mut keys);
    figure("Latency over time, until rows were visible", &keys, plot)
}

fn throughput_over_time(report: &Report) -> String {
    let highest = report.intervals.iter().map(|interval| interval.rows_per_s).fold(0.0, f64::max);
    // The line is not to run along the upper edge.
    let up = Scale::linear(highest * 1.08);
    let (ticks, half_s) = (up.ticks(), half_interval_s(report));
    let mut plot = over_time(report, "time", up);
    plot.y_axis(ticks.into_iter().map(count_name));
    let points = report.intervals.iter().map(|interval| Some((interval.from_s + half_s, interval.rows_per_s)));
    plot.line(&line_class(0), &points.collect::<Vec<_>>());
    let mut keys = vec![(line_class(0), "rows a second that became visible")];
    add_marks(report, &mut plot, &mut keys);
    figure("Throughput over time", &keys, plot)
}

#[cfg(test)]
mod tests {
    use super::super::{Latency, Mark, Outage};
    use super::*;

    fn empty() -> Report {
        Report {
            workload: "generated".to_owned(),
            program: "raympp-loadgen 0",
            started: "2024-11-11 00:00:00".to_owned(),
            is_complete: true,
            settings: Vec::new(),
            processors: 2,
            jitter_us: BTreeMap::new(),
            pauses_us: BTreeMap::new(),
            rows: 0,
            rows_per_s: f64::NAN,
            backlog_max: 0,
            checkpoints: 0,
            windows: 0,
            latencies: Vec::new(),
            warm_up_s: 0.0,
            intervals: Vec::new(),
            marks: Vec::new(),
            outages: Vec::new(),
            verdict: None,
        }
    }

    fn quantiles(micros: f64) -> BTreeMap<String, f64> {
        QUANTILES.iter().map(|&quantile| (quantile_name(quantile), micros * quantile)).collect()
    }

    fn interval(from_s: f64, rows_per_s: f64, visible_us: [f64; 3]) -> Stretch {
        Stretch { from_s, rows_per_s, visible_us: (rows_per_s > 0.0).then_some(visible_us), result_us: None }
    }

    fn mark(at_s: f64, what: &str) -> Mark {
        Mark { at_s, what: what.to_owned() }
    }

    fn full() -> Report {
        let curve = vec![(0.0, 100.0), (0.5, 200.0), (0.9, 300.0), (1.0, 90_000.0)];
        let latency = |what| Latency { what, count: 1_000, mean_us: 210.0, quantiles_us: quantiles(90_000.0), curve: curve.clone() };
        let busy = [200.0, 300.0, 90_000.0];
        Report {
            settings: vec![("--files".to_owned(), "<a & \"b\">'".to_owned())],
            jitter_us: quantiles(50.0),
            pauses_us: quantiles(70.0),
            rows_per_s: 1e6,
            latencies: vec![latency("row visible"), latency("window's result")],
            warm_up_s: 2.0,
            intervals: [2.0, 3.0, 4.0, 5.0, 6.0].map(|at| interval(at, if at == 4.0 { 0.0 } else { 1e6 }, busy)).to_vec(),
            marks: vec![mark(1.0, CHECKPOINT), mark(3.0, "<kill> & \"restart\""), mark(3.1, &"long ".repeat(20)), mark(7.0, CHECKPOINT)],
            outages: vec![Outage { at_s: 3.0, fault: "<kill>".to_owned(), end: "back".to_owned(), lasted_s: Some(0.1) }],
            is_complete: false,
            verdict: Some(Verdict { missing: 1, expected: 1, examples: vec!["a<b".to_owned()], ..Verdict::default() }),
            ..empty()
        }
    }

    /// Every tag ends, quotes within it come in pairs, elements are closed in order, and an ampersand begins an entity.
    fn assert_is_well_formed(page: &str) {
        let mut open = Vec::new();
        for piece in page.split('<').skip(1) {
            let (tag, text) = piece.split_once('>').expect("a tag ends");
            assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
            assert!(!text.contains('>'), "{text}");
            match tag.strip_prefix('/') {
                Some(closed) => assert_eq!(open.pop(), Some(closed)),
                None if tag.starts_with('!') || tag.ends_with('/') => {}
                None => open.extend(tag.split(' ').next()),
            }
        }
        assert!(open.is_empty(), "{open:?}");
        let entities = ["amp;", "lt;", "gt;", "quot;", "#39;"];
        assert!(page.split('&').skip(1).all(|piece| entities.iter().any(|entity| piece.starts_with(entity))));
    }

    fn assert_is_a_page_of_numbers(page: &str) {
        assert_is_well_formed(page);
        assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
        assert_eq!(page.matches("<svg class=\"plot\"").count(), 3);
    }

    #[test]
    fn text_from_outside_is_escaped() {
        let page = html(&full());
        assert_is_a_page_of_numbers(&page);
        assert!(page.contains("<dd>&lt;a &amp; &quot;b&quot;&gt;&#39;</dd>"));
        assert!(page.contains("<title>&lt;kill&gt; &amp; &quot;restart&quot;</title>"));
        assert!(page.contains("<li>a&lt;b</li>") && page.contains("<li>&lt;kill&gt; at 3.000 s: back after 100.00 ms</li>"));
        assert!(page.contains("The run ended early") && page.contains("<dd>2024-11-11 00:00:00 UTC</dd>"));
        assert!(page.contains("prefers-color-scheme: dark") && !page.contains("<script") && !page.contains("http"));
    }

    #[test]
    fn nothing_and_next_to_nothing_can_be_shown() {
        assert_is_a_page_of_numbers(&html(&empty()));
        let one =
            Latency { what: "row visible", count: 1, mean_us: 0.0, quantiles_us: quantiles(0.0), curve: vec![(0.0, 0.0), (1.0, 0.0)] };
        let page = html(&Report { latencies: vec![one], intervals: vec![interval(0.0, 1.0, [0.0; 3])], ..empty() });
        assert_is_a_page_of_numbers(&page);
        assert_eq!(page.matches("<circle").count(), 5, "a curve, three latencies and a rate, each a dot");
        let odd = Report {
            marks: vec![mark(f64::INFINITY, "late")],
            intervals: vec![interval(f64::NAN, f64::INFINITY, [f64::NAN; 3])],
            ..empty()
        };
        assert_is_a_page_of_numbers(&html(&odd));
    }

    #[test]
    fn an_interval_without_rows_is_a_gap_in_latency_and_a_zero_in_throughput() {
        let page = html(&full());
        let lines = |heading: &str| {
            let figure = page.split("<h2>").find(|figure| figure.starts_with(heading)).expect("it is there");
            let plot = figure.split("</figcaption>").nth(1).expect("a plot");
            plot.lines().filter(|line| line.starts_with("<polyline")).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!((lines("Latency by").len(), lines("Latency over").len(), lines("Throughput").len()), (3, 6, 1));
        // Seven seconds are 760 wide and begin at 64; three decades are 280 high and begin at 100 µs: these are 3.5 s and 200 µs.
        assert!(lines("Latency over")[0].contains("444,251.9"), "{:?}", lines("Latency over"));
        assert!(lines("Throughput")[0].contains("552.6,280 "), "{:?}", lines("Throughput"));
    }

    #[test]
    fn names_of_marks_do_not_cover_each_other_and_checkpoints_have_none() {
        let page = html(&full());
        assert_eq!(page.matches("<g class=\"mark\">").count(), 4, "two in each plot over time");
        assert_eq!(page.matches("viewBox=\"0 -38 860 362\"").count(), 2, "two rows of names");
        assert_eq!(page.matches("<path class=\"checkpoint\"").count(), 2, "one path in each");
    }

    #[test]
    fn percentiles_stand_where_their_reach_is() {
        let scale = Scale::log([1.0, 1e5].into_iter());
        let names: Vec<String> = percentile_ticks(&scale).into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["50%", "90%", "99%", "99.9%", "99.99%", "99.999%"]);
        assert!((scale.share(reach(0.99, 1_000_000)) - 0.4).abs() < 1e-9);
        assert_eq!((reach(1.0, 1_000), scale.share(f64::INFINITY)), (1_000.0, 1.0));
        assert_eq!((Scale::log([30.0, 2_000.0].into_iter()).ticks()[..4]).to_vec(), [10.0, 20.0, 50.0, 100.0]);
        assert_eq!(Scale::linear(0.7).ticks().len(), 4, "0, 0.2, 0.4, 0.6");
    }
}
