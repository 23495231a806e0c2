//! Results for a person to read.
#![expect(clippy::print_stdout, reason = "the table is what it is for")]

use super::results::{Better, Results, Row};

/// Prints a line.
pub fn line(text: &str) {
    println!("{text}");
}

/// A number with three digits that count.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        value if value >= 100.0 => 0,
        value if value >= 10.0 => 1,
        value if value >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.decimals$}")
}

/// The row as text: a line for each subject, with its median and range, ours in relation to it, and the earlier run's.
fn text(row: &Row, earlier: Option<&Results>) -> String {
    let better = match row.better {
        Better::Less => "less is better",
        Better::More => "more is better",
    };
    let place = if row.rig { ", in the nested rig" } else { "" };
    let mut text = format!("\n{} ({better}{place})\n", row.name);
    let ours = row.subjects.first().and_then(|values| values.median);
    let before = earlier.and_then(|earlier| {
        let same = |old: &&Row| old.name == row.name && old.rig == row.rig;
        earlier.rows.iter().find(same)
    });
    for (place, values) in row.subjects.iter().enumerate() {
        let mut line = format!("    {:<28}", values.subject);
        if let (Some(median), Some((least, greatest))) = (values.median, values.range()) {
            line += &format!(
                "{:>12} {:<6} ({} to {}, {} rounds)",
                number(median),
                row.unit.symbol(),
                number(least),
                number(greatest),
                values.values.len()
            );
            if place > 0
                && let Some(ours) = ours
                && median != 0.0
            {
                line += &format!("; ours is {} times that", number(ours / median));
            }
            if let Some(old) = before.and_then(|row| row.median(&values.subject))
                && old != 0.0
            {
                line += &format!(
                    "; {} before, {:+.1} %",
                    number(old),
                    (median / old - 1.0) * 100.0
                );
            }
        }
        if let Some(failure) = &values.failure {
            line += &format!(" FAILED: {failure}");
        }
        text += line.trim_end();
        text.push('\n');
    }
    text.pop();
    text
}

/// Prints a row.
pub fn print(row: &Row, earlier: Option<&Results>) {
    line(&text(row, earlier));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::less;
    use crate::bench::results::{Unit, Values};

    #[test]
    fn a_row_tells_medians_ratios_what_was_before_and_what_failed() {
        let row = |ours: f64| {
            let mut row = Row::new(
                less("start", Unit::Milliseconds),
                vec![
                    Values::new("ours", vec![ours, ours - 10.0, ours + 10.0], None),
                    Values::new("QEMU", vec![100.0], None),
                    Values::new("other", vec![], Some("is not here".to_owned())),
                ],
            );
            row.rig = false;
            row
        };
        let earlier = Results {
            rows: vec![row(40.0)],
        };
        let text = text(&row(50.0), Some(&earlier));
        for part in [
            "start (less is better)",
            "50.0 ms     (40.0 to 60.0, 3 rounds); 40.0 before, +25.0 %",
            "100 ms     (100 to 100, 1 rounds); ours is 0.500 times that; 100 before, +0.0 %",
            "FAILED: is not here",
        ] {
            assert!(text.contains(part), "{part:?} in\n{text}");
        }
    }
}
