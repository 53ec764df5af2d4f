//! Pictures: something over pods, a line for each contestant. SVG text; fonts are the viewer's.

use std::ops::Range;

use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;

use crate::record::Record;

/// Pixels.
const SIZE: (u32, u32) = (960, 480);
/// Of them, to the right, for the legend, and above for the title.
const LEGEND: u32 = 220;
const TITLE: u32 = 40;
const FONT: &str = "sans-serif";
const GREY: RGBColor = RGBColor(200, 204, 208);
const DARK: RGBColor = RGBColor(60, 64, 68);
/// Distinguishable with any colour vision (Okabe and Ito, "Color Universal Design", 2008).
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 0, 0),
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];
/// Highest over lowest beyond which a linear scale would press what matters to the ground.
const FAR_APART: f64 = 6.0;

/// A picture that cannot be drawn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no picture of `{title}`: {why}")]
pub struct Error {
    title: String,
    why: String,
}

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
struct Picture {
    title: &'static str,
    across: &'static str,
    up: &'static str,
    /// Whether the scale may be logarithmic.
    stretches: bool,
    /// By name, in the order of the legend.
    lines: Vec<(String, Vec<(f64, f64)>)>,
}

/// The pictures of those subjects that were measured, by file name.
///
/// # Errors
/// The library refuses.
pub fn all(record: &Record) -> Result<Vec<(&'static str, String)>, Error> {
    let pictures = [
        (
            "add.svg",
            times(
                record,
                "add",
                "ADD, spawn to exit, half of them: ms over pods that are there",
            ),
        ),
        (
            "del.svg",
            times(
                record,
                "del",
                "DEL, spawn to exit, half of them: ms over pods that are there",
            ),
        ),
        ("burst.svg", burst(record)),
        ("packets.svg", packets(record)),
    ];
    let drawn = pictures
        .into_iter()
        .filter(|(_, picture)| !picture.lines.is_empty());
    drawn
        .map(|(name, picture)| Ok((name, picture.svg()?)))
        .collect()
}

fn times(record: &Record, name: &str, title: &'static str) -> Picture {
    let of = |name: &str| {
        // of a chain only the whole
        let rows = record
            .rows
            .iter()
            .filter(|row| row.name == name && !row.variant.contains(':'));
        lines(rows.map(|row| (row.variant.as_str(), row.pods, row.p50_us / 1e3)))
    };
    let mut all = of(name);
    // Peers have rows of their own, in which the others are once more.
    for line in of(&format!("{name} peers")) {
        if !all.iter().any(|(known, _)| *known == line.0) {
            all.push(line);
        }
    }
    Picture {
        title,
        across: "pods",
        up: "ms",
        stretches: true,
        lines: all,
    }
}

fn burst(record: &Record) -> Picture {
    Picture {
        title: "Thirty ADDs at once: ms until so many were done",
        across: "ADDs",
        up: "ms",
        stretches: false,
        lines: figures(record, "burst30 done"),
    }
}

fn packets(record: &Record) -> Picture {
    Picture {
        title: "64-byte UDP packets through a node: packets a second over pods",
        across: "pods",
        up: "packets/s",
        stretches: false,
        lines: figures(record, "packets"),
    }
}

fn figures(record: &Record, name: &str) -> Vec<(String, Vec<(f64, f64)>)> {
    let figures = record.figures.iter().filter(|figure| figure.name == name);
    lines(figures.map(|figure| (figure.variant.as_str(), figure.pods, figure.value)))
}

/// One line a variant, in the order they first come; of a single point there is none.
fn lines<'a>(points: impl Iterator<Item = (&'a str, u32, f64)>) -> Vec<(String, Vec<(f64, f64)>)> {
    let mut lines: Vec<(String, Vec<(f64, f64)>)> = Vec::new();
    for (name, pods, value) in points {
        let point = (f64::from(pods), value);
        match lines.iter_mut().find(|(line, _)| line == name) {
            Some((_, points)) => points.push(point),
            None => lines.push((name.to_owned(), vec![point])),
        }
    }
    lines.retain(|(_, points)| points.len() > 1);
    for (_, points) in &mut lines {
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    lines
}

impl Picture {
    fn svg(&self) -> Result<String, Error> {
        let mut text = String::new();
        let drawn = self.draw(SVGBackend::with_string(&mut text, SIZE));
        drawn.map_err(|why| Error {
            title: self.title.to_owned(),
            why: why.to_string(),
        })?;
        Ok(text)
    }

    fn draw<'a>(&self, backend: SVGBackend<'a>) -> Drawn<'a> {
        let all = backend.into_drawing_area();
        all.fill(&WHITE)?;
        let (head, body) = all.split_vertically(TITLE);
        head.draw_text(self.title, &(FONT, 18).into_font().color(&BLACK), (20, 12))?;
        let (left, right) = body.split_horizontally(SIZE.0 - LEGEND);
        let points = || self.lines.iter().flat_map(|(_, points)| points);
        let highest = points().map(|point| point.1).fold(0.0, f64::max);
        let lowest = points().map(|point| point.1).fold(highest, f64::min);
        if self.stretches && lowest > 0.0 && highest / lowest > FAR_APART {
            self.chart(&left, (lowest * 0.8..highest * 1.25).log_scale())?;
        } else {
            self.chart(&left, 0.0..highest * 1.1)?;
        }
        self.legend(&right)?;
        all.present()
    }

    fn chart<'a, Y>(&self, area: &Area<'a>, scale: Y) -> Drawn<'a>
    where
        Y: AsRangedCoord<Value = f64>,
        Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        let across = self.lines.iter().flat_map(|(_, points)| points);
        let farthest = across.map(|point| point.0).fold(1.0, f64::max);
        let across: Range<f64> = 0.0..farthest;
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(across, scale)?;
        let label = (FONT, 13).into_font().color(&DARK);
        chart
            .configure_mesh()
            .light_line_style(GREY.mix(0.22))
            .bold_line_style(GREY.mix(0.5))
            .axis_style(DARK)
            .x_desc(self.across)
            .y_desc(self.up)
            .label_style(label.clone())
            .axis_desc_style(label)
            .x_label_formatter(&|x| format!("{x:.0}"))
            .y_label_formatter(&|y| format!("{y}"))
            .draw()?;
        for (index, (_, points)) in self.lines.iter().enumerate() {
            chart.draw_series(LineSeries::new(points.iter().copied(), style(index)))?;
        }
        Ok(())
    }

    fn legend<'a>(&self, area: &Area<'a>) -> Drawn<'a> {
        let text = (FONT, 13).into_font().color(&BLACK);
        for (index, (name, _)) in self.lines.iter().enumerate() {
            let y = 24 + 24 * index as i32;
            area.draw(&PathElement::new([(8, y), (36, y)], style(index)))?;
            area.draw_text(name, &text, (44, y - 7))?;
        }
        Ok(())
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

fn style(index: usize) -> ShapeStyle {
    COLOURS[index % COLOURS.len()].stroke_width(2)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn record(peer_ms: u64) -> Record {
        let mut record = Record::default();
        for (who, ms) in [("floor", 1), ("berth", 2), ("peer", peer_ms)] {
            for pods in [500, 0] {
                record.times("add", who, pods, &[Duration::from_millis(ms)]);
            }
        }
        record
    }

    #[test]
    fn only_what_was_measured_is_drawn_and_named() {
        let pictures = all(&record(3)).unwrap();
        assert_eq!(pictures.len(), 1);
        let (name, svg) = &pictures[0];
        assert_eq!(*name, "add.svg");
        for said in ["ADD", "floor", "berth", "peer", "pods", "ms"] {
            assert!(svg.contains(said), "{said} in {svg}");
        }
        assert_eq!(all(&Record::default()).unwrap(), []);
    }

    #[test]
    fn far_apart_lines_are_on_a_logarithmic_scale() {
        let svg = |ms| all(&record(ms)).unwrap().remove(0).1;
        // a step of the one scale, and of neither axis of the other
        assert!(!svg(3).contains(">\n10\n<") && svg(90).contains(">\n10\n<"));
    }
}
