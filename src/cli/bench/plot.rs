//! Latency distribution and throughput against streams, as SVG.

use std::fmt::Write;

use super::report::Report;

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 300.0;
const MARGIN: f64 = 60.0;
const COLOURS: [&str; 8] =
    ["#1b6ca8", "#c8553d", "#3a7d44", "#7b4ea3", "#b8860b", "#2a9d8f", "#8d5a97", "#555555"];

/// Two axes with their names and largest values.
struct Panel {
    left: f64,
    max_x: f64,
    max_y: f64,
}

impl Panel {
    fn x(&self, x: f64) -> f64 {
        self.left + x / self.max_x * WIDTH
    }

    fn y(&self, y: f64) -> f64 {
        MARGIN + HEIGHT - y / self.max_y * HEIGHT
    }

    fn axes(&self, svg: &mut String, title: &str, x_name: &str) {
        let (left, bottom) = (self.left, MARGIN + HEIGHT);
        let _ = write!(
            svg,
            r##"<path d="M{left} {MARGIN}V{bottom}H{}" fill="none" stroke="#222"/>"##,
            left + WIDTH
        );
        let _ =
            write!(svg, r#"<text x="{left}" y="{}" font-size="15">{title}</text>"#, MARGIN - 20.0);
        for i in 0..=4 {
            let share = f64::from(i) / 4.0;
            let (x, y) = (share * self.max_x, share * self.max_y);
            let _ = write!(
                svg,
                r#"<text x="{}" y="{}" text-anchor="middle">{x:.3}</text>"#,
                self.x(x),
                bottom + 18.0
            );
            let _ = write!(
                svg,
                r#"<text x="{}" y="{}" text-anchor="end">{y:.3}</text>"#,
                left - 6.0,
                self.y(y) + 4.0
            );
        }
        let _ = write!(svg, r#"<text x="{left}" y="{}">{x_name}</text>"#, bottom + 40.0);
    }

    fn line(&self, svg: &mut String, points: &[(f64, f64)], colour: &str) {
        let path = points.iter().fold(String::new(), |mut path, (x, y)| {
            let step = if path.is_empty() { 'M' } else { 'L' };
            let _ = write!(path, "{step}{:.1} {:.1}", self.x(*x), self.y(*y));
            path
        });
        let _ =
            write!(svg, r#"<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>"#);
        for (x, y) in points.iter().take(if points.len() > 20 { 0 } else { points.len() }) {
            let (x, y) = (self.x(*x), self.y(*y));
            let _ = write!(svg, r#"<circle cx="{x:.1}" cy="{y:.1}" r="3" fill="{colour}"/>"#);
        }
    }
}

/// Both drawings side by side.
pub fn svg(reports: &[Report]) -> String {
    let most = |values: &mut dyn Iterator<Item = f64>| values.fold(1e-9, f64::max);
    let latency = Panel {
        left: MARGIN,
        max_x: most(&mut reports.iter().map(|r| r.block_latency_ms.p99)),
        max_y: 1.0,
    };
    let throughput = Panel {
        left: 3.0 * MARGIN + WIDTH,
        max_x: most(&mut reports.iter().map(|r| r.streams as f64)),
        max_y: most(&mut reports.iter().map(|r| 1.0 / r.real_time_factor)),
    };
    let height = HEIGHT + 2.0 * MARGIN + 18.0 * reports.len() as f64;
    let width = 2.0 * WIDTH + 5.0 * MARGIN;
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>"##
    );
    latency.axes(&mut svg, "share of blocks ready in time", "block latency, ms");
    throughput.axes(&mut svg, "seconds of audio a CPU second", "streams");
    for (i, report) in reports.iter().enumerate() {
        let colour = COLOURS[i % COLOURS.len()];
        let shares = report.block_latency_distribution_ms.iter().take(100).enumerate();
        let points: Vec<_> = shares.map(|(p, ms)| (*ms, p as f64 / 100.0)).collect();
        latency.line(&mut svg, &points, colour);
        let point = (report.streams as f64, 1.0 / report.real_time_factor);
        throughput.line(&mut svg, &[point], colour);
        let y = HEIGHT + 2.0 * MARGIN + 18.0 * i as f64;
        let Report { latency, search, beam, streams, .. } = report;
        let _ = write!(
            svg,
            r#"<text x="{MARGIN}" y="{y}" fill="{colour}">{latency}, {search}, beam {beam}, {streams} streams</text>"#
        );
    }
    let mut points: Vec<_> =
        reports.iter().map(|r| (r.streams as f64, 1.0 / r.real_time_factor)).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    throughput.line(&mut svg, &points, "#bbbbbb");
    svg.push_str("</svg>\n");
    svg
}
