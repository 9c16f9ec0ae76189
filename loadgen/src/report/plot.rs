//! Scales, ticks, lines and marks of a plot in SVG: whatever numbers come in, only finite places within the picture come out.
//!
//! A picture's own zero is the upper left corner of its paper; the frame's upper edge is at y = 0, and names of marks stand above it.

use std::fmt::Write;

/// Of the whole picture. At 900 pixels of page a unit is about a pixel.
const WIDTH: f64 = 860.0;
/// Room for the names at the y axis.
const LEFT: f64 = 64.0;
/// Room for half of the last name at the x axis.
const RIGHT: f64 = 36.0;
/// Room for the names at the x axis, and its own.
const BOTTOM: f64 = 44.0;
/// Of the frame.
const HEIGHT: f64 = 280.0;
/// Room above a frame without names of marks: half of a name at the y axis.
const HEAD: f64 = 10.0;
/// Height of a row of names of marks.
const ROW: f64 = 14.0;
/// Width of a character of such a name, rather too much than too little: nothing here can measure text.
const CHARACTER: f64 = 6.4;
/// Characters of such a name that are shown.
const CHARACTERS_MAX: usize = 60;
/// Parts that a linear axis is divided into, about.
const PARTS: f64 = 6.0;

/// What arithmetic may bring in: a power of ten that is missed by so little still ends its decade.
const SPARE: f64 = 1e-9;

/// How the parts of a plot look. Colours come from the page.
pub(super) const STYLE: &str = "\
.plot { display: block; width: 100%; height: auto; }
.plot text { font-size: 11px; fill: var(--faint); }
.plot polyline, .plot path, .plot line, .key polyline { fill: none; stroke: currentColor; stroke-width: 1.6; stroke-linejoin: round; }
.plot circle { fill: currentColor; }
.plot .end { text-anchor: end; }
.plot .middle { text-anchor: middle; }
.plot .frame { fill: none; stroke: var(--faint); }
.plot .grid { color: var(--grid); stroke-width: 1; }
.plot .shade { fill: var(--grid); opacity: 0.5; }
.plot .mark line { stroke-width: 1.2; }
.plot .mark text { fill: currentColor; stroke: var(--page); stroke-width: 3px; paint-order: stroke; }
.mark { color: var(--mark); }
.checkpoint { color: var(--faint); opacity: 0.22; }
.plot .checkpoint { stroke-width: 1; }
.jitter { color: var(--faint); stroke-dasharray: 5 4; }
.line-0 { color: var(--line-0); }
.line-1 { color: var(--line-1); }
.line-2 { color: var(--line-2); }
.line-3 { color: var(--line-3); }
";

/// Lines that look different.
const LINES: usize = 4;

/// The class of a plot's line of this number.
pub(super) fn line_class(number: usize) -> String {
    format!("line-{}", number % LINES)
}

/// Text that stands for itself, within an element or an attribute.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// Without the digits that only arithmetic has brought in.
fn short(value: f64) -> String {
    format!("{}", (value * 1e6).round() / 1e6)
}

/// The name of a tick of seconds.
pub(super) fn seconds_name(seconds: f64) -> (f64, String) {
    (seconds, format!("{} s", short(seconds)))
}

/// The name of a tick of microseconds.
pub(super) fn micros_name(micros: f64) -> (f64, String) {
    let name = match micros {
        m if m < 1e3 => format!("{} µs", short(m)),
        m if m < 1e6 => format!("{} ms", short(m / 1e3)),
        m => format!("{} s", short(m / 1e6)),
    };
    (micros, name)
}

/// The name of a tick that counts.
pub(super) fn count_name(count: f64) -> (f64, String) {
    let name = match count {
        c if c < 1e3 => short(c),
        c if c < 1e6 => format!("{} k", short(c / 1e3)),
        c => format!("{} M", short(c / 1e6)),
    };
    (count, name)
}

/// Where values lie on an axis.
pub(super) struct Scale {
    /// Ends are exponents of ten.
    is_log: bool,
    low: f64,
    high: f64,
}

impl Scale {
    /// From 0 to `high`, or to 1 if that is no length.
    pub(super) fn linear(high: f64) -> Scale {
        Scale { is_log: false, low: 0.0, high: if high.is_finite() && high > 0.0 { high } else { 1.0 } }
    }

    /// Whole decades around those of the values that have a logarithm; the one from 1 to 10 if none has.
    pub(super) fn log(values: impl Iterator<Item = f64>) -> Scale {
        let exponents = values.map(f64::log10).filter(|exponent| exponent.is_finite());
        let ends = exponents.fold(None, |ends: Option<(f64, f64)>, exponent| {
            let (low, high) = ends.unwrap_or((exponent, exponent));
            Some((low.min(exponent), high.max(exponent)))
        });
        let (low, high) = ends.map_or((0.0, 1.0), |(low, high)| ((low + SPARE).floor(), (high - SPARE).ceil()));
        Scale { is_log: true, low, high: high.max(low + 1.0) }
    }

    /// The share of the axis that lies below a value. What the axis does not reach is at its nearer end.
    pub(super) fn share(&self, value: f64) -> f64 {
        let along = if self.is_log { value.max(f64::MIN_POSITIVE).log10() } else { value };
        let share = (along - self.low) / (self.high - self.low);
        if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) }
    }

    /// Values to name: round ones, few enough to be read.
    pub(super) fn ticks(&self) -> Vec<f64> {
        if !self.is_log {
            let step = round_step(self.high / PARTS);
            return (0..=(self.high / step) as usize).map(|i| i as f64 * step).collect();
        }
        let within_decade: &[f64] = if self.high - self.low <= 3.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let decades = self.low as i32..self.high as i32;
        let ticks = decades.flat_map(|exponent| within_decade.iter().map(move |factor| factor * 10_f64.powi(exponent)));
        ticks.chain([10_f64.powi(self.high as i32)]).collect()
    }
}

/// The first of 1, 2, 5, 10, 20… that is no less.
fn round_step(least: f64) -> f64 {
    let decade = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|factor| factor * decade).find(|&step| step >= least).unwrap_or(10.0 * decade)
}

/// 1 / (1 - quantile); of the last of so many values, which is the maximum, their number.
pub(super) fn reach(quantile: f64, count: u64) -> f64 {
    1.0 / (1.0 - quantile).max(1.0 / count.max(1) as f64)
}

/// Ticks at 50 %, at 90 %, and at each nine more.
pub(super) fn percentile_ticks(scale: &Scale) -> Vec<(f64, String)> {
    let decades = scale.ticks().into_iter().filter(|&tick| tick >= 10.0).enumerate();
    let name = |nines: usize| match nines {
        1 => "90%".to_owned(),
        2 => "99%".to_owned(),
        more => format!("99.{}%", "9".repeat(more - 2)),
    };
    std::iter::once((2.0, "50%".to_owned())).chain(decades.map(|(i, tick)| (tick, name(i + 1)))).collect()
}

/// To a tenth of a unit, which is all that can be seen.
fn tenth(place: f64) -> f64 {
    (place * 10.0).round() / 10.0
}

/// A name above the frame.
struct Name<'a> {
    /// Where on the x axis what it names is.
    x: f64,
    /// Where the text begins.
    start: f64,
    row: usize,
    text: &'a str,
}

/// A picture that is being drawn; what is drawn later covers what was drawn before.
pub(super) struct Plot {
    across: Scale,
    up: Scale,
    head: f64,
    body: String,
}

impl Plot {
    /// An empty frame.
    pub(super) fn new(across: Scale, up: Scale) -> Plot {
        Plot { across, up, head: HEAD, body: String::new() }
    }

    fn x(&self, value: f64) -> f64 {
        tenth(LEFT + self.across.share(value) * (WIDTH - LEFT - RIGHT))
    }

    fn y(&self, value: f64) -> f64 {
        tenth(HEIGHT * (1.0 - self.up.share(value)))
    }

    /// Ticks of the x axis, and what it shows.
    pub(super) fn x_axis(&mut self, name: &str, ticks: impl Iterator<Item = (f64, String)>) {
        for (value, tick) in ticks {
            let (x, y) = (self.x(value), HEIGHT + 17.0);
            let _ = writeln!(self.body, r#"<line class="grid" x1="{x}" y1="0" x2="{x}" y2="{HEIGHT}"/>"#);
            let _ = writeln!(self.body, r#"<text class="middle" x="{x}" y="{y}">{}</text>"#, escaped(&tick));
        }
        let (x, y) = ((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT + 36.0);
        let _ = writeln!(self.body, r#"<text class="middle" x="{x}" y="{y}">{}</text>"#, escaped(name));
    }

    /// Ticks of the y axis.
    pub(super) fn y_axis(&mut self, ticks: impl Iterator<Item = (f64, String)>) {
        for (value, tick) in ticks {
            let (y, right) = (self.y(value), WIDTH - RIGHT);
            let _ = writeln!(self.body, r#"<line class="grid" x1="{LEFT}" y1="{y}" x2="{right}" y2="{y}"/>"#);
            let _ = writeln!(self.body, r#"<text class="end" x="{}" y="{}">{}</text>"#, LEFT - 8.0, y + 4.0, escaped(&tick));
        }
    }

    /// Shades the frame from the left up to a value on the x axis, and says what that is if there is room.
    pub(super) fn shade(&mut self, until: f64, name: &str) {
        let width = tenth(self.x(until) - LEFT);
        if width > 0.0 {
            let _ = writeln!(self.body, r#"<rect class="shade" x="{LEFT}" y="0" width="{width}" height="{HEIGHT}"/>"#);
        }
        if width > name.chars().count() as f64 * CHARACTER + 8.0 {
            let (x, y) = (LEFT + 4.0, HEIGHT - 6.0);
            let _ = writeln!(self.body, r#"<text x="{x}" y="{y}">{}</text>"#, escaped(name));
        }
    }

    /// A line through points, with a gap wherever there is none or what is there is not a number; a point without neighbours is a dot.
    pub(super) fn line(&mut self, class: &str, points: &[Option<(f64, f64)>]) {
        for run in points.split(|point| point.is_none_or(|(x, y)| x.is_nan() || y.is_nan())) {
            let mut places: Vec<(f64, f64)> = run.iter().flatten().map(|&(x, y)| (self.x(x), self.y(y))).collect();
            places.dedup();
            let _ = match places.as_slice() {
                [] => continue,
                [(x, y)] => writeln!(self.body, r#"<circle class="{class}" cx="{x}" cy="{y}" r="2.5"/>"#),
                places => {
                    let places: Vec<String> = places.iter().map(|(x, y)| format!("{x},{y}")).collect();
                    writeln!(self.body, r#"<polyline class="{class}" points="{}"/>"#, places.join(" "))
                }
            };
        }
    }

    /// Lines across the frame, without names. They are one path, so that many of them on one spot are no darker than one.
    pub(super) fn verticals(&mut self, class: &str, values: impl Iterator<Item = f64>) {
        let mut places: Vec<f64> = values.map(|value| self.x(value)).collect();
        places.dedup();
        let path: String = places.iter().map(|x| format!("M{x} 0V{HEIGHT}")).collect();
        if !path.is_empty() {
            let _ = writeln!(self.body, r#"<path class="{class}" d="{path}"/>"#);
        }
    }

    /// Lines across the frame with names above it, in as many rows as it takes for none to cover another.
    pub(super) fn marks<'a>(&mut self, marks: impl Iterator<Item = (f64, &'a str)>) {
        let (names, rows) = self.arrange(marks);
        self.head = HEAD + rows as f64 * ROW;
        for Name { x, start, row, text } in names {
            let top = -((rows - row) as f64) * ROW;
            let shown: String = text.chars().take(CHARACTERS_MAX).collect();
            let rest = if shown.len() < text.len() { "…" } else { "" };
            let (full, shown) = (escaped(text), escaped(&shown));
            let _ = writeln!(self.body, r#"<g class="mark"><title>{full}</title><line x1="{x}" y1="{top}" x2="{x}" y2="{HEIGHT}"/>"#);
            let _ = writeln!(self.body, r#"<text x="{}" y="{}">{shown}{rest}</text></g>"#, start + 3.0, top + 10.0);
        }
    }

    /// Gives each name the first row in which it begins after all others have ended; answers how many rows there are.
    fn arrange<'a>(&self, marks: impl Iterator<Item = (f64, &'a str)>) -> (Vec<Name<'a>>, usize) {
        let mut ends: Vec<f64> = Vec::new();
        let mut names = Vec::new();
        for (value, text) in marks {
            let width = text.chars().count().min(CHARACTERS_MAX + 1) as f64 * CHARACTER + 8.0;
            let x = self.x(value);
            let start = tenth(x.min(WIDTH - width));
            let row = ends.iter().position(|&end| end <= start).unwrap_or(ends.len());
            match ends.get_mut(row) {
                Some(end) => *end = start + width,
                None => ends.push(start + width),
            }
            names.push(Name { x, start, row, text });
        }
        (names, ends.len())
    }

    /// The picture, with a description for those who cannot see it.
    pub(super) fn finish(self, description: &str) -> String {
        let Plot { head, body, .. } = self;
        let (description, height, width) = (escaped(description), head + HEIGHT + BOTTOM, WIDTH - LEFT - RIGHT);
        format!(
            "<svg class=\"plot\" viewBox=\"0 {} {WIDTH} {height}\" role=\"img\" aria-label=\"{description}\">\n{body}\
             <rect class=\"frame\" x=\"{LEFT}\" y=\"0\" width=\"{width}\" height=\"{HEIGHT}\"/>\n</svg>\n",
            -head
        )
    }
}
