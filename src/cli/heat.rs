//! The drawing of an attention trace: log-mel features above, below them a row for every step, the frames across.

use plotters::prelude::*;
use vivavoce::{AttentionTrace, TracedStep};

use super::plot::{DrawError, Drawing};

const ROW: u32 = 12;
const FRAME: u32 = 14;
const LEFT: u32 = 60;
const SPECTROGRAM: u32 = 160;
const BELOW: u32 = 50;
const FONT: (&str, i32) = ("sans-serif", 12);
/// Of the normalised features.
const FEATURE_RANGE: (f32, f32) = (-2.0, 2.5);

pub struct Heat<'a> {
    pub trace: &'a AttentionTrace,
    pub name: &'a str,
}

impl Heat<'_> {
    /// Steps that emit a token; ends of blocks show nothing new.
    fn rows(&self) -> Vec<&TracedStep> {
        self.trace.steps.iter().filter(|step| !step.ends_block).collect()
    }

    fn seconds(&self) -> f64 {
        self.trace.num_frames as f64 * f64::from(self.trace.frame_ms) / 1000.0
    }
}

/// From white over blue to black.
fn shade(share: f32) -> RGBColor {
    let share = share.clamp(0.0, 1.0);
    let part = |to: f32| (255.0 * (1.0 - share) + to * share) as u8;
    RGBColor(part(10.0), part(40.0), part(110.0))
}

impl Drawing for Heat<'_> {
    fn size(&self) -> (u32, u32) {
        let rows = self.rows().len() as u32;
        (
            LEFT + 30 + FRAME * self.trace.num_frames as u32,
            40 + SPECTROGRAM + BELOW + ROW * rows.max(4),
        )
    }

    fn draw<B: DrawingBackend>(
        &self,
        root: &DrawingArea<B, plotters::coord::Shift>,
    ) -> Result<(), DrawError<B>> {
        let (trace, rows, end) = (self.trace, self.rows(), self.seconds());
        let (above, below) = root.split_vertically(40 + SPECTROGRAM);
        let bins = trace.num_mel_bins;
        let mut sound = ChartBuilder::on(&above)
            .caption(self.name, FONT)
            .margin_right(30)
            .y_label_area_size(LEFT)
            .build_cartesian_2d(0.0..end, 0.0..bins as f64)?;
        let shift = f64::from(trace.frame_shift_ms) / 1000.0;
        let (low, high) = FEATURE_RANGE;
        // Two rows and two bins a cell: as fine as the drawing shows.
        let features = &trace.features;
        sound.draw_series((0..features.nrows() / 2).flat_map(|t| {
            (0..bins / 2).map(move |bin| {
                let cell = [(0, 0), (0, 1), (1, 0), (1, 1)];
                let value = cell.map(|(i, j)| features[[2 * t + i, 2 * bin + j]]);
                let value = value.iter().sum::<f32>() / 4.0;
                let (x, y) = (2.0 * t as f64 * shift, 2.0 * bin as f64);
                let place = [(x, y), (x + 2.0 * shift, y + 2.0)];
                Rectangle::new(place, shade((value - low) / (high - low)).filled())
            })
        }))?;
        sound
            .configure_mesh()
            .disable_mesh()
            .disable_x_axis()
            .y_desc("mel filter")
            .y_labels(5)
            .y_label_formatter(&|bin| format!("{bin:.0}"))
            .label_style(FONT)
            .draw()?;

        let count = rows.len().max(1);
        let mut heat = ChartBuilder::on(&below)
            .margin_right(30)
            .x_label_area_size(BELOW - 10)
            .y_label_area_size(LEFT)
            .build_cartesian_2d(0.0..end, (count as f64)..0.0)?;
        let frame_s = f64::from(trace.frame_ms) / 1000.0;
        heat.draw_series(rows.iter().enumerate().flat_map(|(row, step)| {
            step.mean().into_iter().enumerate().map(move |(i, weight)| {
                let x = (step.first_frame + i) as f64 * frame_s;
                let y = row as f64;
                Rectangle::new([(x, y), (x + frame_s, y + 1.0)], shade(weight).filled())
            })
        }))?;
        let borders = (0..=trace.num_frames / trace.block_frames)
            .map(|block| (block * trace.block_frames) as f64 * frame_s);
        heat.draw_series(borders.map(|x| {
            PathElement::new([(x, 0.0), (x, count as f64)], RGBColor(225, 190, 150).stroke_width(1))
        }))?;
        heat.configure_mesh()
            .disable_mesh()
            .x_desc("seconds; vertical lines are the borders of blocks")
            .y_labels(0)
            .label_style(FONT)
            .draw()?;
        let plot = heat.plotting_area();
        for (row, step) in rows.iter().enumerate() {
            let (x, y) = plot.map_coordinate(&(0.0, row as f64));
            let (left, top) = below.get_base_pixel();
            let place = (x - left - 50, y - top);
            below.draw(&Text::new(step.token.clone(), place, FONT.into_font()))?;
        }
        Ok(())
    }
}
