//! Start-up, and parsing the generated project: from nothing, again, and a project ten times as large.

use std::path::Path;

use anyhow::Result;

use super::Setup;
use super::engine::Engine;
use super::measure::{Measured, median};
use super::project::Project;
use super::report::{Bound, Report};

pub const MILLISECONDS: f64 = 1_000.0;

pub fn shown(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", seconds * MILLISECONDS) } else { format!("{seconds:.2} s") }
}

/// From the start of the process to its first line.
pub fn start(setup: &Setup, project: &Project, report: &mut Report) -> Result<()> {
    let measured = median(setup.repeat.max(5), || Ok(()), || setup.kontiki.measure(&project.root, &["ls", "--help"]))?;
    let seconds = measured.first_line_seconds;
    report.at_most("start-up to the first line", shown(seconds), seconds, 0.030, "< 30 ms");
    Ok(())
}

struct Parse {
    cold: Measured,
    again: Measured,
}

pub fn parse(setup: &Setup, project: &Project, report: &mut Report) -> Result<()> {
    let what = |kind: &str| format!("parse {} models, {kind}", project.models);
    let ours = measure(&setup.kontiki, project, setup.repeat)?;
    report.at_most(&what("cold"), shown(ours.cold.seconds), ours.cold.seconds, 0.150, "< 150 ms");
    report.at_most(&what("nothing changed"), shown(ours.again.seconds), ours.again.seconds, 0.050, "< 50 ms");
    if let Some(peak) = ours.cold.peak_mib {
        report.at_most(&what("peak memory"), format!("{peak:.0} MiB"), peak, 150.0, "≤ 150 MiB");
    }
    let peers = [(&setup.dbt_core, 50.0, 60.0), (&setup.dbt2, 4.0, 10.0)];
    for (peer, cold, again) in peers.into_iter().filter_map(|(peer, cold, again)| Some((peer.as_ref()?, cold, again))) {
        let copy = project.copy(&setup.folder.join("models-peer"))?;
        let theirs = match measure(peer, &copy, 1) {
            Ok(theirs) => theirs,
            Err(error) => {
                report.note(format!("{} could not parse the project: {error}", peer.name));
                continue;
            }
        };
        report.figure(&what("cold"), peer.name, shown(theirs.cold.seconds));
        report.figure(&what("nothing changed"), peer.name, shown(theirs.again.seconds));
        if let Some(peak) = theirs.cold.peak_mib {
            report.figure(&what("peak memory"), peer.name, format!("{peak:.0} MiB"));
        }
        let against = format!("faster than {}", peer.name);
        report.ratio(&what("cold"), &against, theirs.cold.seconds / ours.cold.seconds, Bound::AtLeast(cold));
        report.ratio(
            &what("nothing changed"),
            &against,
            theirs.again.seconds / ours.again.seconds,
            Bound::AtLeast(again),
        );
    }
    let large = Project::generate(&setup.folder.join("models-large"), project.models * 10)?;
    let tenfold = measure(&setup.kontiki, &large, setup.repeat)?;
    let what = |kind: &str| format!("parse {} models, {kind}", large.models);
    report.figure(&what("cold"), "Kontiki", shown(tenfold.cold.seconds));
    report.figure(&what("nothing changed"), "Kontiki", shown(tenfold.again.seconds));
    if let Some(peak) = tenfold.cold.peak_mib {
        report.figure(&what("peak memory"), "Kontiki", format!("{peak:.0} MiB"));
    }
    let against = format!("of {} models", project.models);
    report.ratio(&what("cold"), &against, tenfold.cold.seconds / ours.cold.seconds, Bound::AtMost(12.0));
    report.ratio(&what("nothing changed"), &against, tenfold.again.seconds / ours.again.seconds, Bound::AtMost(12.0));
    Ok(())
}

fn measure(engine: &Engine, project: &Project, repeat: usize) -> Result<Parse> {
    let parse = || engine.measure(&project.root, &["parse"]);
    let cold = median(repeat, || forget(&project.root), parse)?;
    let again = median(repeat, || Ok(()), parse)?;
    Ok(Parse { cold, again })
}

/// Removes what earlier calls left in a project.
pub fn forget(root: &Path) -> Result<()> {
    for left in ["target", ".kontiki", "logs"] {
        let left = root.join(left);
        if left.exists() {
            std::fs::remove_dir_all(left)?;
        }
    }
    Ok(())
}
