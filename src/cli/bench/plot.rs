//! Latency distribution and throughput against streams.

use plotters::prelude::*;

use super::report::Report;
use crate::cli::plot::{DrawError, Drawing};

const HEIGHT: u32 = 420;
const WIDTH: u32 = 1000;
const LINE_HEIGHT: u32 = 18;
const FONT: (&str, i32) = ("sans-serif", 14);

/// Both drawings side by side, a line of legend for every report below.
pub struct Plot<'a>(pub &'a [Report]);

impl Drawing for Plot<'_> {
    fn size(&self) -> (u32, u32) {
        (WIDTH, HEIGHT + LINE_HEIGHT * (self.0.len() as u32 + 1))
    }

    fn draw<B: DrawingBackend>(
        &self,
        root: &DrawingArea<B, plotters::coord::Shift>,
    ) -> Result<(), DrawError<B>> {
        let reports = self.0;
        let most = |values: &mut dyn Iterator<Item = f64>| values.fold(1e-9, f64::max);
        let (charts, legend) = root.split_vertically(HEIGHT);
        let (left, right) = charts.split_horizontally(WIDTH / 2);
        let slowest = most(&mut reports.iter().map(|r| r.block_latency_ms.p99));
        let mut latency = ChartBuilder::on(&left)
            .caption("share of blocks ready in time", FONT)
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(50)
            .build_cartesian_2d(0.0..slowest, 0.0..1.0)?;
        latency.configure_mesh().x_desc("block latency, ms").label_style(FONT).draw()?;
        let most_streams = most(&mut reports.iter().map(|r| r.streams as f64));
        let fastest = most(&mut reports.iter().map(|r| 1.0 / r.real_time_factor));
        let mut throughput = ChartBuilder::on(&right)
            .caption("seconds of audio a CPU second", FONT)
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(50)
            .build_cartesian_2d(0.0..most_streams * 1.05, 0.0..fastest * 1.05)?;
        throughput.configure_mesh().x_desc("streams").label_style(FONT).draw()?;
        let mut points: Vec<_> =
            reports.iter().map(|r| (r.streams as f64, 1.0 / r.real_time_factor)).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        throughput.draw_series(LineSeries::new(points, RGBColor(187, 187, 187)))?;
        for (i, report) in reports.iter().enumerate() {
            let colour = Palette99::pick(i).to_rgba();
            let shares = report.block_latency_distribution_ms.iter().take(100).enumerate();
            let shares = shares.map(|(p, ms)| (*ms, p as f64 / 100.0));
            latency.draw_series(LineSeries::new(shares, colour.stroke_width(2)))?;
            let point = (report.streams as f64, 1.0 / report.real_time_factor);
            throughput.draw_series([Circle::new(point, 4, colour.filled())])?;
            let Report { latency, search, beam, streams, .. } = report;
            let text = format!("{latency}, {search}, beam {beam}, {streams} streams");
            let y = (LINE_HEIGHT * i as u32) as i32;
            legend.draw(&Text::new(text, (60, y), FONT.into_font().color(&colour)))?;
        }
        Ok(())
    }
}
