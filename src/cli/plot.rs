//! Drawings as SVG, PNG or HTML, by the ending of the name.

use std::path::Path;

use anyhow::Context;
use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::style::{FontStyle, WHITE, register_font};

/// What a backend says when it cannot draw.
pub type DrawError<B> = DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>;

/// Something that can be drawn on any backend.
pub trait Drawing {
    /// Width and height in pixels.
    fn size(&self) -> (u32, u32);
    /// Draws itself on a white ground.
    fn draw<B: DrawingBackend>(&self, root: &DrawingArea<B, Shift>) -> Result<(), DrawError<B>>;
}

/// Refuses names that no drawing can have, before any work is done.
pub fn check(path: &Path, endings: &[&str]) -> anyhow::Result<()> {
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
    if endings.contains(&ending.as_str()) {
        return Ok(());
    }
    let endings = endings.join(" or .");
    Err(super::Misuse(format!("{}: end the name in .{endings}", path.display())).into())
}

/// Draws into a file.
pub fn save(path: &Path, title: &str, drawing: &impl Drawing) -> anyhow::Result<()> {
    let font = epaint_default_fonts::UBUNTU_LIGHT;
    register_font("sans-serif", FontStyle::Normal, font)
        .map_err(|_| anyhow::anyhow!("the font of the drawings is damaged"))?;
    let failed = || format!("cannot draw {}", path.display());
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png")) {
        let root = BitMapBackend::new(path, drawing.size()).into_drawing_area();
        return finish(&root, drawing).with_context(failed);
    }
    let mut svg = String::new();
    finish(&SVGBackend::with_string(&mut svg, drawing.size()).into_drawing_area(), drawing)
        .with_context(failed)?;
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("html")) {
        svg = format!(
            "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\n<body>{svg}</body></html>\n"
        );
    }
    if super::output::is_special(path) {
        return std::fs::write(path, svg)
            .with_context(|| format!("cannot write {}", path.display()));
    }
    super::output::put(path, svg.as_bytes(), super::output::Meet::Replace).map(|_| ())
}

fn finish<B: DrawingBackend>(
    root: &DrawingArea<B, Shift>,
    drawing: &impl Drawing,
) -> anyhow::Result<()> {
    let text = |error: DrawError<B>| anyhow::anyhow!("{error}");
    root.fill(&WHITE).map_err(text)?;
    drawing.draw(root).map_err(text)?;
    root.present().map_err(text)
}
