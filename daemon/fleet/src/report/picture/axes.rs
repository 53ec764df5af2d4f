//! How far a picture reaches, and in which units.

use super::{Duration, Picture, Sample, Timestamp};

/// Held over used beyond which a linear scale would press what matters to the ground.
const FAR_APART: f64 = 6.0;
/// A change of less than this share of the highest is none.
const STILL: f64 = 0.01;

/// The axes of a picture.
#[derive(Clone, Copy, Debug)]
pub struct Axes {
    start: Timestamp,
    /// Of the time, in units.
    pub unit: Unit,
    /// Where time begins,
    pub first: f64,
    /// and ends.
    pub last: f64,
    /// Addresses at the bottom,
    pub lowest: f64,
    /// and at the top.
    pub highest: f64,
    /// Whether each step is ten times the one before.
    pub logarithmic: bool,
}

/// A unit of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// s
    Seconds,
    /// min
    Minutes,
    /// h
    Hours,
    /// d
    Days,
}

impl Unit {
    /// One that gives a handful of steps.
    fn of(span: Duration) -> Self {
        match span.as_secs() {
            ..300 => Self::Seconds,
            300..14_400 => Self::Minutes,
            14_400..259_200 => Self::Hours,
            _ => Self::Days,
        }
    }

    fn seconds(self) -> f64 {
        match self {
            Self::Seconds => 1.0,
            Self::Minutes => 60.0,
            Self::Hours => 3600.0,
            Self::Days => 86_400.0,
        }
    }

    /// For the axis.
    pub fn name(self) -> &'static str {
        match self {
            Self::Seconds => "seconds since measuring began",
            Self::Minutes => "minutes since measuring began",
            Self::Hours => "hours since measuring began",
            Self::Days => "days since measuring began",
        }
    }

    /// For a tick.
    pub fn label(self, value: f64) -> String {
        if value.fract().abs() < 1e-6 {
            format!("{value:.0}")
        } else {
            format!("{value:.1}")
        }
    }
}

impl Axes {
    /// The axes that show all of `picture` in which something happens; nothing if it has no samples.
    pub fn of(picture: &Picture<'_>) -> Option<Self> {
        let all = || picture.lines.iter().flat_map(|line| line.samples);
        let start = all().map(|sample| sample.at).min()?;
        let end = all().map(|sample| sample.at).max()?;
        let end = still_from(picture).map_or(end, |still| {
            end.min(still.after(still.since(start).mul_f64(0.25)))
        });
        let held = all().map(|sample| sample.held).max()?;
        let used: Vec<_> = all().map(|sample| sample.used).collect();
        let mean = used.iter().map(|used| f64::from(*used)).sum::<f64>() / used.len() as f64;
        let limit = picture.limit.as_ref().map_or(0, |limit| limit.addresses);
        let highest = f64::from(held.max(limit)).max(1.0) * 1.05;
        let logarithmic = highest > FAR_APART * mean.max(1.0);
        let least = used
            .iter()
            .copied()
            .filter(|used| *used > 0)
            .min()
            .unwrap_or(1);
        let unit = Unit::of(end.since(start));
        Some(Self {
            start,
            unit,
            first: 0.0,
            last: (end.since(start).as_secs_f64() / unit.seconds()).max(1e-3),
            lowest: if logarithmic {
                power_below(f64::from(least))
            } else {
                0.0
            },
            highest,
            logarithmic,
        })
    }

    /// Where so many addresses at that time are; on a logarithmic scale none is at the bottom.
    pub fn point(&self, at: Timestamp, addresses: u32) -> (f64, f64) {
        let time = at.since(self.start).as_secs_f64() / self.unit.seconds();
        (time, f64::from(addresses).max(self.lowest))
    }

    /// Whether it is not beyond the right edge.
    pub fn shows(&self, sample: &Sample) -> bool {
        self.point(sample.at, 0).0 <= self.last
    }

    /// What pods use at each time, under the policy that serves most of them.
    pub fn most_used(&self, picture: &Picture<'_>) -> Vec<(f64, f64)> {
        let longest = picture
            .lines
            .iter()
            .map(|line| line.samples)
            .max_by_key(|samples| samples.len());
        let times = longest
            .unwrap_or_default()
            .iter()
            .filter(|sample| self.shows(sample))
            .enumerate();
        let most = times.map(|(index, sample)| {
            let used = picture
                .lines
                .iter()
                .filter_map(|line| line.samples.get(index));
            self.point(sample.at, used.map(|sample| sample.used).max().unwrap_or(0))
        });
        most.collect()
    }
}

/// When the last line has come to rest; nothing if that is late.
fn still_from(picture: &Picture<'_>) -> Option<Timestamp> {
    let of_line = |samples: &[Sample]| {
        let (first, last) = (samples.first()?, samples.last()?);
        let highest = samples
            .iter()
            .map(|sample| sample.held.max(sample.used))
            .max()?;
        let far =
            |one: u32, other: u32| f64::from(one.abs_diff(other)) > STILL * f64::from(highest);
        let moved = samples
            .iter()
            .rev()
            .find(|sample| far(sample.held, last.held) || far(sample.used, last.used));
        Some(moved.map_or(first.at, |sample| sample.at))
    };
    picture
        .lines
        .iter()
        .filter_map(|line| of_line(line.samples))
        .max()
}

/// 1, 10, 100, ...
fn power_below(value: f64) -> f64 {
    10_f64.powf(value.max(1.0).log10().floor())
}

#[cfg(test)]
mod tests {
    use super::super::Line;
    use super::*;

    fn samples(points: impl IntoIterator<Item = (u64, u32, u32)>) -> Vec<Sample> {
        let points = points.into_iter().map(|(second, held, used)| Sample {
            at: Timestamp::from_secs(second),
            held,
            used,
            calls: 0,
        });
        points.collect()
    }

    fn axes(samples: &[Sample]) -> Axes {
        let picture = Picture {
            title: String::new(),
            subtitle: String::new(),
            lines: vec![Line {
                name: String::new(),
                samples,
            }],
            limit: None,
        };
        Axes::of(&picture).expect("samples")
    }

    #[test]
    fn the_long_rest_after_a_scale_out_is_cut_off() {
        let rising = samples(
            (0..=1800)
                .step_by(10)
                .map(|second| (second, second.min(200) as u32, 10)),
        );
        let axes = axes(&rising);
        assert_eq!(axes.unit, Unit::Seconds);
        assert!((200.0..300.0).contains(&axes.last), "{axes:?}");
    }

    #[test]
    fn what_moves_to_the_end_is_shown_to_the_end() {
        let day = samples(
            (0..=86_400)
                .step_by(600)
                .map(|second| (second, 100 + (second % 7_000) as u32, 90)),
        );
        let axes = axes(&day);
        assert_eq!((axes.unit, axes.last), (Unit::Hours, 24.0));
        assert!(axes.logarithmic);
        assert_eq!(axes.lowest, 10.0);
    }
}
