// SPDX-License-Identifier: GPL-2.0
//! The tables as pictures: `build/bench/workloads.svg`, `sizes.svg`.

use super::bars::{size_name, SETTINGS};
use super::results::Results;
use super::tables::measured_sizes;
use anyhow::{anyhow, Context, Result};
use plotters::coord::Shift;
use plotters::prelude::*;
use rmmap_bench::plan::COMPARED;
use rmmap_bench::{Object, Workload};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The pictures' names, below the folder of the results.
pub const PICTURES: [&str; 2] = ["workloads.svg", "sizes.svg"];

/// The objects to show, and their colours: ours warm, others cold.
const SHOWN: &[(Object, RGBColor)] = &[
    (Object::Rmmap, RGBColor(200, 60, 30)),
    (Object::RmmapNever, RGBColor(240, 160, 60)),
    (Object::Memfd, RGBColor(40, 80, 160)),
    (Object::MemfdHuge, RGBColor(100, 160, 220)),
    (Object::Ramfs, RGBColor(120, 120, 120)),
    (Object::Anon, RGBColor(40, 120, 80)),
    (Object::AnonHuge, RGBColor(130, 190, 130)),
];

/// The allocating workloads, which readers compare first.
const ALLOCATING: &[Workload] = &[
    Workload::SeqWrite,
    Workload::RandomWrite,
    Workload::Populate,
    Workload::PrivateHole,
    Workload::WriteCall,
];

/// A part of a picture.
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws the pictures for which there are figures.
pub fn draw(folder: &Path, results: &Results) -> Result<()> {
    let pictures = [workloads(results), sizes(results)];
    for (name, picture) in PICTURES.iter().zip(pictures) {
        let svg = picture.with_context(|| format!("cannot draw {name}"))?;
        fs::write(folder.join(name), marked(&svg))?;
    }
    Ok(())
}

/// Adds the licence to a picture, as in all files that may become part of the project.
fn marked(svg: &str) -> String {
    format!("<!-- SPDX\x2dLicense-Identifier: GPL-2.0 -->\n{svg}")
}

/// Draws the cost by workload, a bar per object, for each setting of init_on_alloc.
fn workloads(results: &Results) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (960, 760)).into_drawing_area();
        area.fill(&WHITE).map_err(failed)?;
        for (area, on) in area.split_evenly((2, 1)).into_iter().zip(SETTINGS) {
            workloads_on(&area, results, on)?;
        }
        area.present().map_err(failed)?;
    }
    Ok(svg)
}

fn workloads_on(area: &Area, results: &Results, on: bool) -> Result<()> {
    let mut bars = Vec::new();
    let mut at: f64 = 0.0;
    let mut shown = BTreeSet::new();
    let mut names = Vec::new();
    for &workload in ALLOCATING {
        let begin = at;
        for &(object, colour) in SHOWN {
            if let Some(record) = results.find(on, object, workload, COMPARED) {
                bars.push((at, record.per_page, colour));
                shown.insert(object);
                at += 1.0;
            }
        }
        if at > begin {
            names.push(((begin + at) / 2.0, workload.name()));
            at += 1.0;
        }
    }
    let zeroing = results.counted(on).next().map_or(0.0, |r| r.zeroing);
    let top = bars.iter().map(|bar| bar.1).fold(1.0, f64::max) * 1.1;
    let caption = format!(
        "Instructions per page of 4 KiB, {}, Linux {}, init_on_alloc={}",
        size_name(COMPARED),
        results.kernel,
        u8::from(on)
    );
    let mut chart = ChartBuilder::on(area)
        .caption(caption, ("sans-serif", 20))
        .margin(10)
        .x_label_area_size(30)
        .y_label_area_size(60)
        .build_cartesian_2d(-0.5..at.max(1.0), 0.0..top)
        .map_err(failed)?;
    chart
        .configure_mesh()
        .max_light_lines(0)
        .disable_x_mesh()
        .disable_x_axis()
        .y_label_formatter(&|cost| format!("{cost:.0}"))
        .draw()
        .map_err(failed)?;
    let columns = bars
        .iter()
        .map(|&(x, cost, colour)| Rectangle::new([(x, 0.0), (x + 0.9, cost)], colour.filled()));
    chart.draw_series(columns).map_err(failed)?;
    let line = [(-0.5, zeroing), (at, zeroing)];
    chart
        .draw_series(LineSeries::new(line, BLACK.stroke_width(1)))
        .map_err(failed)?;
    let labels = names
        .iter()
        .map(|(x, name)| Text::new(name.clone(), (*x - 1.5, -top * 0.02), ("sans-serif", 14)));
    chart.draw_series(labels).map_err(failed)?;
    let none = || -> [Rectangle<(f64, f64)>; 0] { [] };
    for &(object, colour) in SHOWN.iter().filter(|(object, _)| shown.contains(object)) {
        chart
            .draw_series(none())
            .map_err(failed)?
            .label(object.name())
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled()));
    }
    chart
        .draw_series(none())
        .map_err(failed)?
        .label("zeroing")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 12, y)], BLACK));
    legend(&mut chart)
}

/// Draws the cost of a populate by the size of the object, a line per object.
fn sizes(results: &Results) -> Result<String> {
    let sizes: Vec<u64> = measured_sizes(results).into_iter().collect();
    let exponent = |size: u64| (size as f64).log2();
    let (first, last) = (
        sizes.first().copied().unwrap_or(1),
        sizes.last().copied().unwrap_or(2),
    );
    let mut lines = Vec::new();
    for &(object, colour) in SHOWN {
        let points: Vec<_> = sizes
            .iter()
            .filter_map(|&size| {
                let record = results.find(false, object, Workload::Populate, size as usize)?;
                Some((exponent(size), record.per_page))
            })
            .collect();
        if points.len() > 1 {
            lines.push((object, colour, points));
        }
    }
    let costs = lines
        .iter()
        .flat_map(|(_, _, points)| points.iter().map(|point| point.1));
    let top = costs.fold(1.0, f64::max) * 1.2;
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (960, 400)).into_drawing_area();
        area.fill(&WHITE).map_err(failed)?;
        let caption = format!(
            "MAP_POPULATE: instructions per page by size, Linux {}, init_on_alloc=0",
            results.kernel
        );
        let mut chart = ChartBuilder::on(&area)
            .caption(caption, ("sans-serif", 20))
            .margin(10)
            .x_label_area_size(30)
            .y_label_area_size(60)
            .build_cartesian_2d(exponent(first) - 0.5..exponent(last) + 0.5, 0.0..top)
            .map_err(failed)?;
        chart
            .configure_mesh()
            .max_light_lines(0)
            .x_label_formatter(&|power| size_name(power.exp2() as usize))
            .y_label_formatter(&|cost| format!("{cost:.0}"))
            .draw()
            .map_err(failed)?;
        for (object, colour, points) in lines {
            let stroke = colour.stroke_width(2);
            chart
                .draw_series(LineSeries::new(points, stroke).point_size(4))
                .map_err(failed)?
                .label(object.name())
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 12, y)], stroke));
        }
        legend(&mut chart)?;
        area.present().map_err(failed)?;
    }
    Ok(svg)
}

fn legend<'a, C>(chart: &mut ChartContext<'a, SVGBackend<'a>, C>) -> Result<()>
where
    C: CoordTranslate,
{
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .position(SeriesLabelPosition::UpperRight)
        .draw()
        .map_err(failed)
}

fn failed<E: std::fmt::Display>(error: E) -> anyhow::Error {
    anyhow!("{error}")
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::{record, results};
    use super::*;
    use rmmap_bench::plan::MIB;

    #[test]
    fn pictures_show_what_there_is() {
        let records = vec![
            record("rmmap", "populate", COMPARED, 4163.2),
            record("rmmap", "populate", 4 * MIB, 4187.0),
            record("memfd", "populate", COMPARED, 15776.5),
        ];
        let dir = tempfile::tempdir().unwrap();
        draw(dir.path(), &results(records)).unwrap();
        let read = |name| fs::read_to_string(dir.path().join(name)).unwrap();
        let workloads = read(PICTURES[0]);
        assert!(workloads.contains("Linux 7.3.4") && workloads.contains("populate"));
        let sizes = read(PICTURES[1]);
        assert!(
            sizes.contains("rmmap") && !sizes.contains("memfd"),
            "one size is no line"
        );
    }

    #[test]
    fn nothing_measured_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        draw(dir.path(), &results(vec![])).unwrap();
    }
}
