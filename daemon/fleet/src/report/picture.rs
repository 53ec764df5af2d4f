//! A picture of a workload: the addresses that each policy holds over time as lines, those that pods use as an area below
//! them. SVG text; fonts are the viewer's.

mod axes;

use std::time::Duration;

use ipam::Timestamp;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;

use crate::run::Sample;
use axes::Axes;

/// Pixels.
const SIZE: (u32, u32) = (1040, 520);
/// Of them, to the right, for the legend.
const LEGEND: u32 = 190;
const TITLE: u32 = 64;
const LIMIT: u32 = 1;
const FONT: &str = "sans-serif";
const GREY: RGBColor = RGBColor(200, 204, 208);
const DARK: RGBColor = RGBColor(60, 64, 68);
/// Distinguishable with any colour vision (Okabe and Ito, "Color Universal Design", 2008).
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];

/// What is drawn.
#[derive(Clone, Debug)]
pub struct Picture<'a> {
    /// Above everything.
    pub title: String,
    /// Below that.
    pub subtitle: String,
    /// A line each; the first one is thicker.
    pub lines: Vec<Line<'a>>,
    /// What is there for them, if that belongs on the picture.
    pub limit: Option<Limit>,
}

/// A level that no line can cross.
#[derive(Clone, Debug)]
pub struct Limit {
    /// For the legend.
    pub name: String,
    /// Where it is.
    pub addresses: u32,
}

/// A policy's line.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    /// For the legend.
    pub name: String,
    /// What was held and used when.
    pub samples: &'a [Sample],
}

/// A picture that cannot be drawn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is nothing on it.
    #[error("no picture of `{0}`: it has no samples")]
    Empty(String),
    /// The library refuses.
    #[error("no picture of `{title}`: {why}")]
    Refused {
        /// Of what.
        title: String,
        /// As it says.
        why: String,
    },
}

impl Picture<'_> {
    /// The picture as an SVG document.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] without samples, [`Error::Refused`] if the library fails.
    pub fn svg(&self) -> Result<String, Error> {
        let axes = Axes::of(self).ok_or_else(|| Error::Empty(self.title.clone()))?;
        let mut text = String::new();
        let drawn = self.draw(&axes, SVGBackend::with_string(&mut text, SIZE));
        drawn.map_err(|why| Error::Refused {
            title: self.title.clone(),
            why: why.to_string(),
        })?;
        Ok(text)
    }

    fn draw<'a>(&self, axes: &Axes, backend: SVGBackend<'a>) -> Drawn<'a> {
        let all = backend.into_drawing_area();
        all.fill(&WHITE)?;
        let (head, body) = all.split_vertically(TITLE);
        head.draw_text(&self.title, &(FONT, 22).into_font().color(&BLACK), (20, 12))?;
        head.draw_text(
            &self.subtitle,
            &(FONT, 14).into_font().color(&DARK),
            (20, 40),
        )?;
        let (left, right) = body.split_horizontally(SIZE.0 - LEGEND);
        if axes.logarithmic {
            self.chart(axes, &left, (axes.lowest..axes.highest).log_scale())?;
        } else {
            self.chart(axes, &left, axes.lowest..axes.highest)?;
        }
        self.legend(&right)?;
        all.present()
    }

    fn chart<'a, Y>(&self, axes: &Axes, area: &Area<'a>, scale: Y) -> Drawn<'a>
    where
        Y: AsRangedCoord<Value = f64>,
        Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        let mut chart = ChartBuilder::on(area)
            .margin_left(12)
            .margin_bottom(10)
            .margin_right(6)
            .x_label_area_size(44)
            .y_label_area_size(72)
            .build_cartesian_2d(axes.first..axes.last, scale)?;
        let label = (FONT, 13).into_font().color(&DARK);
        chart
            .configure_mesh()
            .light_line_style(GREY.mix(0.22))
            .x_max_light_lines(1)
            .y_max_light_lines(if axes.logarithmic { 10 } else { 1 })
            .bold_line_style(GREY.mix(0.5))
            .axis_style(DARK)
            .x_labels(8)
            .y_labels(8)
            .x_desc(axes.unit.name())
            .y_desc("addresses")
            .label_style(label.clone())
            .axis_desc_style(label)
            .x_label_formatter(&|x| axes.unit.label(*x))
            .y_label_formatter(&|y| super::table::grouped(*y as u64))
            .draw()?;
        let used = axes.most_used(self);
        chart.draw_series(AreaSeries::new(used, axes.lowest, GREY.mix(0.9)))?;
        if let Some(limit) = &self.limit {
            let level = f64::from(limit.addresses);
            let ends = [(axes.first, level), (axes.last, level)];
            chart.draw_series([PathElement::new(ends, DARK.stroke_width(LIMIT))])?;
        }
        // The first one last, so that it is on top.
        for (index, line) in self.lines.iter().enumerate().rev() {
            let points = line.samples.iter().filter(|sample| axes.shows(sample));
            let points = points.map(|sample| axes.point(sample.at, sample.held));
            chart.draw_series(LineSeries::new(points, style(index)))?;
        }
        Ok(())
    }

    fn legend<'a>(&self, area: &Area<'a>) -> Drawn<'a> {
        let text = (FONT, 13).into_font().color(&BLACK);
        for (index, line) in self.lines.iter().enumerate() {
            let y = 18 + 24 * index as i32;
            area.draw(&PathElement::new([(8, y), (36, y)], style(index)))?;
            area.draw_text(&line.name, &text, (44, y - 7))?;
        }
        let y = 18 + 24 * self.lines.len() as i32;
        area.draw(&Rectangle::new([(8, y - 6), (36, y + 6)], GREY.filled()))?;
        area.draw_text("used by pods", &text, (44, y - 7))?;
        if let Some(limit) = &self.limit {
            let y = y + 24;
            area.draw(&PathElement::new(
                [(8, y), (36, y)],
                DARK.stroke_width(LIMIT),
            ))?;
            area.draw_text(&limit.name, &text, (44, y - 7))?;
        }
        Ok(())
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

fn style(index: usize) -> ShapeStyle {
    let colour = COLOURS[index % COLOURS.len()];
    colour.stroke_width(if index == 0 { 3 } else { 2 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{cell, row};

    fn picture(held_per_used: [f64; 2]) -> String {
        let cells = held_per_used.map(|held| cell(row("out150", "berth", held), 500));
        let lines = cells
            .iter()
            .zip(["berth 1.20", "aws-default"])
            .map(|(cell, name)| Line {
                name: name.to_owned(),
                samples: &cell.run.samples,
            });
        let picture = Picture {
            title: "out150".to_owned(),
            subtitle: "150 nodes".to_owned(),
            lines: lines.collect(),
            limit: Some(Limit {
                name: "in the subnet".to_owned(),
                addresses: 7000,
            }),
        };
        picture.svg().expect("a picture")
    }

    #[test]
    fn a_picture_names_what_is_on_it() {
        let svg = picture([1.2, 6.0]);
        assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
        for said in [
            "out150",
            "150 nodes",
            "berth 1.20",
            "aws-default",
            "used by pods",
            "in the subnet",
            "minutes",
            "addresses",
        ] {
            assert!(svg.contains(said), "{said} in {svg}");
        }
        assert!(svg.matches("<polyline").count() >= 2);
    }

    #[test]
    fn far_apart_lines_are_on_a_logarithmic_scale() {
        // A step of 1,000 on the linear scale, powers of ten on the other.
        assert!(picture([1.2, 4.0]).contains(">\n1,000\n<"));
        assert!(picture([1.2, 40.0]).contains(">\n10,000\n<"));
    }

    #[test]
    fn nothing_is_no_picture() {
        let empty = Picture {
            title: "none".to_owned(),
            subtitle: String::new(),
            lines: Vec::new(),
            limit: None,
        };
        assert_eq!(empty.svg(), Err(Error::Empty("none".to_owned())));
    }
}
