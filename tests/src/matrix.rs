//! docs/guests.md: which guest does what on which kind of machine, as the tests found it. Each test that boots a guest has a [`Row`] and
//! tells it what worked; when the test ends the row is put into the file, beside those of other runs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What a guest can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    /// It comes to where a person can use it; with the time that took.
    Boots,
    /// Its screen shows what it should.
    Picture,
    /// What is typed arrives.
    Keyboard,
    /// What the mouse does arrives.
    Pointer,
    /// It reads and writes a disk.
    Disk,
    /// It reads a CD or DVD.
    Cd,
    /// It reaches the network.
    Network,
    /// It installs itself onto a disk, which then boots.
    Installs,
    /// It restarts when asked to.
    Reboots,
    /// It switches the machine off when asked to.
    ShutsDown,
}

const CELLS: [(Cell, &str); 10] = [
    (Cell::Boots, "boots"),
    (Cell::Picture, "picture"),
    (Cell::Keyboard, "keyboard"),
    (Cell::Pointer, "pointer"),
    (Cell::Disk, "disk"),
    (Cell::Cd, "CD"),
    (Cell::Network, "network"),
    (Cell::Installs, "installs"),
    (Cell::Reboots, "reboots"),
    (Cell::ShutsDown, "shuts down"),
];

const OPENING: &str = "# Guests

What the tests of `make test-guests` found, each row at the test's last run: a number is the time from the start until a person can use the
guest, in the nested rig, where everything takes some ten times as long as on a computer of today. An empty cell was not tried. \"no\" stays until a
test shows otherwise; the remark has the reason.

";

const CLOSING: &str = "
Not tried yet: Debian's own installer to its end, for which it wants a whole mirror of Debian.

With Secure Boot: on OVMF as Debian 12 builds it, and as the Flatpak brings it. Debian 13's knows it with system management mode only, which
machines here do not have; there a machine with Secure Boot says so and does not start.

Not to be had as a package of Debian, PyPI, npm or crates.io, and therefore not tried: FreeDOS or another DOS, a BSD, Haiku, ReactOS, KolibriOS.
";

thread_local! {
    static FAILURE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Remembers why the test that runs on this thread fails.
pub(crate) fn note_failure(why: &str) {
    FAILURE.with_borrow_mut(|failure| *failure = Some(why.to_owned()));
}

/// What one test finds of one guest on one kind of machine.
pub struct Row {
    guest: String,
    machine: String,
    cells: BTreeMap<Cell, String>,
    remark: String,
    started: Instant,
}

impl Row {
    /// A row for `guest` on the kind of machine called `machine`, of which the test tries `cells`: what it does not come to counts as not
    /// working.
    pub fn new(guest: &str, machine: &str, cells: &[Cell]) -> Self {
        FAILURE.with_borrow_mut(Option::take);
        eprintln!("{guest}, machine {machine}");
        Self {
            guest: guest.to_owned(),
            machine: machine.to_owned(),
            cells: cells.iter().map(|cell| (*cell, "no".to_owned())).collect(),
            remark: String::new(),
            started: Instant::now(),
        }
    }

    /// It can be used now, as long after the row's beginning as has passed.
    pub fn boots(&mut self) {
        let seconds = self.started.elapsed().as_secs_f64();
        self.cells.insert(Cell::Boots, format!("{seconds:.0} s"));
        eprintln!("    boots: {seconds:.1} s");
    }

    /// This works.
    pub fn works(&mut self, cell: Cell) {
        self.cells.insert(cell, "yes".to_owned());
        let name = CELLS.iter().find(|(one, _)| *one == cell);
        eprintln!(
            "    {}: yes, {:.1} s",
            name.map_or("", |(_, name)| name),
            self.started.elapsed().as_secs_f64()
        );
    }

    /// Something to know about it.
    pub fn remark(&mut self, text: &str) {
        self.remark = text.to_owned();
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let failure = FAILURE.with_borrow_mut(Option::take);
            self.remark = failure.unwrap_or_else(|| "the test failed".to_owned());
        }
        if std::env::var_os("GUESTHOUSE_MATRIX").is_none_or(|value| value != "yes") {
            return;
        }
        let path = file();
        let mut table = Table::parse(&fs::read_to_string(&path).unwrap_or_default());
        table.put(self);
        if let Err(error) = write(&path, &table.text()) {
            eprintln!("{}: {error}", path.display());
        }
    }
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guests.md")
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}

/// The rows of the file: guest and machine, then the cells, then the remark.
#[derive(Debug, Default, PartialEq)]
struct Table(Vec<Vec<String>>);

const COLUMNS: usize = CELLS.len() + 3;

impl Table {
    /// Reads the rows of a file; what is no row of the table is left out.
    fn parse(text: &str) -> Self {
        let rows = text.lines().filter_map(|line| {
            let inner = line.strip_prefix("| ")?.strip_suffix(" |")?;
            let cells: Vec<String> = inner
                .split(" | ")
                .map(|cell| cell.trim().to_owned())
                .collect();
            let heading = cells[0] == "guest" || cells[0].starts_with('-');
            (cells.len() == COLUMNS && !heading).then_some(cells)
        });
        Self(rows.collect())
    }

    /// Puts a row in the place of the same guest's on the same kind of machine: what it did not try stays.
    fn put(&mut self, row: &Row) {
        let plain = |text: &str| text.replace(['|', '\n'], " ").trim().to_owned();
        let key = [plain(&row.guest), plain(&row.machine)];
        let known = self.0.iter().position(|cells| cells[..2] == key);
        let place = known.unwrap_or_else(|| {
            let mut cells = key.to_vec();
            cells.resize(COLUMNS, String::new());
            self.0.push(cells);
            self.0.len() - 1
        });
        let cells = &mut self.0[place];
        for (number, (cell, _)) in CELLS.iter().enumerate() {
            if let Some(found) = row.cells.get(cell) {
                cells[number + 2] = plain(found);
            }
        }
        cells[COLUMNS - 1] = plain(&row.remark);
    }

    fn text(&self) -> String {
        let mut heading = vec!["guest".to_owned(), "machine".to_owned()];
        heading.extend(CELLS.map(|(_, name)| name.to_owned()));
        heading.push("remark".to_owned());
        let rule = vec!["---".to_owned(); COLUMNS];
        let lines = [&heading, &rule].into_iter().chain(&self.0);
        let mut text = OPENING.to_owned();
        for cells in lines {
            text += &format!("| {} |\n", cells.join(" | "));
        }
        text + CLOSING
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_replaces_what_it_tried_and_leaves_the_others() {
        let mut first = Row::new("Alpine", "1", &[Cell::Boots, Cell::Disk]);
        first.boots();
        let mut table = Table::default();
        table.put(&first);
        let mut other = Row::new("Debian", "1", &[Cell::Boots]);
        other.remark("no picture | yet\n");
        table.put(&other);

        let mut again = Table::parse(&table.text());
        assert_eq!(again, table);
        let mut second = Row::new("Alpine", "1", &[Cell::Disk]);
        second.works(Cell::Disk);
        again.put(&second);
        let text = again.text();
        assert!(
            text.contains("| Alpine | 1 | 0 s |  |  |  | yes |  |  |  |  |  |  |\n"),
            "{text}"
        );
        assert!(
            text.contains("| Debian | 1 | no |  |  |  |  |  |  |  |  |  | no picture   yet |\n"),
            "{text}"
        );
        assert_eq!(again.0.len(), 2);
    }
}
