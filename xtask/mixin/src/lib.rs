//! The mixin: alerts, recording rules, their tests, and dashboards, written from one place.
//!
//! Queries name families by their ids in the family table, see [`names::expand`]. Plain JSON is
//! written for dashboards: they need a few kinds of panels, for which Grafana's typed builders would
//! bring another language and its packages.

pub mod alerts;
mod cases;
pub mod dashboards;
pub mod names;
mod panels;
pub mod rules;
mod two_instances;
mod yaml;

use names::UnknownFamily;

/// The files of the directory `mixin`, by their paths in it.
///
/// # Errors
/// If a query names a family that does not exist.
pub fn files() -> Result<Vec<(String, String)>, UnknownFamily> {
    let [tests, of_instances] = cases::files()?;
    let mut files = vec![
        ("alerts.yaml".to_owned(), yaml::document(&alerts::file()?)),
        ("rules.yaml".to_owned(), yaml::document(&rules::file()?)),
        ("tests.yaml".to_owned(), yaml::document(&tests)),
        (
            "tests-instances.yaml".to_owned(),
            yaml::document(&of_instances),
        ),
    ];
    for (name, dashboard) in dashboards::all()? {
        files.push((
            format!("dashboards/{name}.json"),
            format!("{dashboard:#}\n"),
        ));
    }
    Ok(files)
}
