//! What was measured, and its file.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::SystemTime;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::Quantity;

/// What a value counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Microseconds.
    Microseconds,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// KiB.
    Kibibytes,
    /// MiB a second.
    MebibytesPerSecond,
    /// How often in a second.
    PerSecond,
    /// Hundredths of one of the host's processors.
    PercentOfProcessor,
    /// A plain number.
    Count,
}

impl Unit {
    /// As it stands behind a number.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Microseconds => "µs",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
            Self::Kibibytes => "KiB",
            Self::MebibytesPerSecond => "MiB/s",
            Self::PerSecond => "/s",
            Self::PercentOfProcessor => "% of a processor",
            Self::Count => "",
        }
    }
}

/// Which direction is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// A time, say.
    Less,
    /// A rate, say.
    More,
}

/// What one subject came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Values {
    /// Who.
    pub subject: String,
    /// The middle one; none when there is no value.
    pub median: Option<f64>,
    /// All, in the order they were measured.
    pub values: Vec<f64>,
    /// Why the measurement ended early, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

impl Values {
    /// What `subject` came to.
    pub fn new(subject: &str, values: Vec<f64>, failure: Option<String>) -> Self {
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        let (low, high) = (
            sorted.get(sorted.len().saturating_sub(1) / 2),
            sorted.get(sorted.len() / 2),
        );
        Self {
            subject: subject.to_owned(),
            median: low.zip(high).map(|(low, high)| f64::midpoint(*low, *high)),
            values,
            failure,
        }
    }

    /// The least and the greatest value.
    pub fn range(&self) -> Option<(f64, f64)> {
        let least = self.values.iter().copied().reduce(f64::min);
        least.zip(self.values.iter().copied().reduce(f64::max))
    }
}

/// One quantity of all subjects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What was measured.
    pub name: String,
    /// What it counts in.
    pub unit: Unit,
    /// Which direction is the better one.
    pub better: Better,
    /// When, in seconds since 1970.
    pub at: u64,
    /// Whether in the nested rig, where everything is slower.
    pub rig: bool,
    /// The first is ours.
    pub subjects: Vec<Values>,
}

impl Row {
    /// What was measured just now.
    pub fn new(quantity: Quantity, subjects: Vec<Values>) -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            name: quantity.name,
            unit: quantity.unit,
            better: quantity.better,
            at: since.map_or(0, |since| since.as_secs()),
            rig: crate::in_rig(),
            subjects,
        }
    }

    /// The value of `subject` among them.
    pub fn median(&self, subject: &str) -> Option<f64> {
        let values = self
            .subjects
            .iter()
            .find(|values| values.subject == subject);
        values.and_then(|values| values.median)
    }
}

/// All rows of a file.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// In the order they were measured first.
    pub rows: Vec<Row>,
}

impl Results {
    /// Reads a file of results.
    ///
    /// # Errors
    /// When there is none or it holds something else.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read(path).with_context(|| format!("{}", path.display()))?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{} is no file of results", path.display()))
    }

    /// Puts these rows into the file at `path`, in the place of those of the same name.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn merge_into(&self, path: &Path) -> anyhow::Result<()> {
        // What is no file of results makes room for one.
        let mut all = Self::load(path).unwrap_or_default();
        for row in &self.rows {
            let same = |old: &&mut Row| old.name == row.name && old.rig == row.rig;
            match all.rows.iter_mut().find(same) {
                Some(old) => *old = row.clone(),
                None => all.rows.push(row.clone()),
            }
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&serde_json::to_vec_pretty(&all)?)?;
        file.persist(path)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::less;

    fn row(name: &str, value: f64) -> Row {
        let values = vec![Values::new("ours", vec![value], None)];
        Row::new(less(name, Unit::Seconds), values)
    }

    #[test]
    fn the_median_is_the_middle_one_and_nothing_has_none() {
        for (values, median) in [
            (vec![], None),
            (vec![3.0], Some(3.0)),
            (vec![9.0, 1.0, 2.0], Some(2.0)),
            (vec![4.0, 1.0, 2.0, 9.0], Some(3.0)),
        ] {
            assert_eq!(Values::new("one", values, None).median, median);
        }
    }

    #[test]
    fn a_later_run_replaces_its_own_rows_only() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bench/results.json");
        let results = |rows| Results { rows };
        results(vec![row("one", 1.0), row("two", 2.0)])
            .merge_into(&file)
            .unwrap();
        results(vec![row("two", 3.0)]).merge_into(&file).unwrap();
        let all = Results::load(&file).unwrap();
        let medians: Vec<_> = all.rows.iter().map(|row| row.median("ours")).collect();
        assert_eq!(medians, [Some(1.0), Some(3.0)]);
        assert!(Results::load(&folder.path().join("none")).is_err());
    }
}
