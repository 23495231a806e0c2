//! The harness of every measurement: subject and peers in turn, medians and ratios as a table, the values as JSON.
//!
//! A bench program makes a [`Harness`], hands it its measurements and ends with [`Harness::finish`]. What it was called with:
//! words choose the rows that have one of them in their name, `--rounds N`, `--compare FILE` an earlier run's results, `--list`,
//! `--guests` only what needs hardware virtualization.
//! The results are merged into `target/bench/results.json`, by the row's name; `GUESTHOUSE_BENCH_RESULTS` names another file.

mod arguments;
pub mod program;
mod results;
mod table;

use std::path::PathBuf;

use guesthouse_engine::hypervisor::check_host;

pub use arguments::Arguments;
pub use results::{Better, Results, Row, Unit, Values};

/// One quantity that a measurement tells: the name of its row, what it counts in and which direction is the better one.
#[derive(Debug, Clone)]
pub struct Quantity {
    /// What a person reads; the filter looks in it, and an earlier run's row is found by it.
    pub name: String,
    /// What it counts in.
    pub unit: Unit,
    /// Which direction is the better one.
    pub better: Better,
}

/// A quantity of which less is better: a time, an amount of memory.
pub fn less(name: impl Into<String>, unit: Unit) -> Quantity {
    Quantity {
        name: name.into(),
        unit,
        better: Better::Less,
    }
}

/// A quantity of which more is better: a rate.
pub fn more(name: impl Into<String>, unit: Unit) -> Quantity {
    Quantity {
        name: name.into(),
        unit,
        better: Better::More,
    }
}

/// Who is measured: the first of a measurement is ours, the others are peers.
pub struct Subject<'a, const N: usize> {
    name: String,
    measure: Box<dyn FnMut() -> anyhow::Result<[f64; N]> + 'a>,
    warm: bool,
}

/// A subject called `name`. `measure` is called once in each round and tells a value for each quantity, in their order.
pub fn subject<'a, const N: usize>(
    name: impl Into<String>,
    measure: impl FnMut() -> anyhow::Result<[f64; N]> + 'a,
) -> Subject<'a, N> {
    Subject {
        name: name.into(),
        measure: Box::new(measure),
        warm: false,
    }
}

impl<const N: usize> Subject<'_, N> {
    /// Measured once without counting it before the first round, so that its files are in memory.
    #[must_use]
    pub fn warm(mut self) -> Self {
        self.warm = true;
        self
    }
}

/// What a measurement needs of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing special.
    Nothing,
    /// A KVM that runs a guest's kernel on the hardware; elsewhere the measurement is left to the nested rig.
    HardwareVirtualization,
}

/// Takes measurements and reports them.
pub struct Harness {
    arguments: Arguments,
    earlier: Option<Results>,
    hardware: bool,
    results: Results,
    left_out: Vec<String>,
    failures: usize,
}

impl Harness {
    /// As the program's arguments say.
    pub fn from_arguments() -> Self {
        let arguments = Arguments::parse(std::env::args().skip(1)).unwrap_or_else(|error| {
            eprintln!("{error}");
            std::process::exit(2)
        });
        let earlier = arguments.compare.as_ref().map(|path| {
            Results::load(path).unwrap_or_else(|error| {
                eprintln!("{error:#}");
                std::process::exit(2)
            })
        });
        let hardware = check_host().is_ok_and(|host| !host.emulated);
        Self {
            arguments,
            earlier,
            hardware,
            results: Results::default(),
            left_out: Vec::new(),
            failures: 0,
        }
    }

    /// Whether any of these rows was asked for. Ask before a costly preparation.
    pub fn wants(&self, quantities: &[Quantity]) -> bool {
        quantities
            .iter()
            .any(|quantity| self.arguments.accepts(&quantity.name))
    }

    /// Measures `subjects` in turn, `rounds` times (`--rounds` says otherwise), and prints a table of the medians. One that fails
    /// is told with its reason, and the others go on.
    pub fn measure<const N: usize>(
        &mut self,
        needs: Needs,
        quantities: [Quantity; N],
        rounds: usize,
        mut subjects: Vec<Subject<'_, N>>,
    ) {
        let needed = needs == Needs::HardwareVirtualization;
        if !self.wants(&quantities) || (self.arguments.guests && !needed) {
            return;
        }
        if self.arguments.list {
            for quantity in &quantities {
                table::line(&quantity.name);
            }
            return;
        }
        if needed && !self.hardware {
            self.left_out
                .extend(quantities.into_iter().map(|quantity| quantity.name));
            return;
        }
        let rounds = self.arguments.rounds.unwrap_or(rounds).max(1);
        let mut values = vec![vec![Vec::new(); N]; subjects.len()];
        let mut failures = vec![None; subjects.len()];
        for subject in subjects.iter_mut().filter(|subject| subject.warm) {
            // A failure comes again when it counts.
            let _ = (subject.measure)();
        }
        let mut order: Vec<usize> = (0..subjects.len()).collect();
        for _ in 0..rounds {
            for number in order.iter().copied() {
                let subject = &mut subjects[number];
                if failures[number].is_some() {
                    continue;
                }
                match (subject.measure)() {
                    Ok(round) => {
                        // For whoever watches a long measurement, and for what is left of one that is ended.
                        for (quantity, value) in quantities.iter().zip(&round) {
                            eprintln!("    {}: {}: {value:.3}", subject.name, quantity.name);
                        }
                        for (all, value) in values[number].iter_mut().zip(round) {
                            all.push(value);
                        }
                    }
                    Err(error) => {
                        eprintln!("    {}: {error:#}", subject.name);
                        failures[number] = Some(format!("{error:#}"));
                    }
                }
            }
            // Another begins each round: what the first does to the host, the next one finds.
            order.rotate_left(1);
        }
        for (place, quantity) in quantities.into_iter().enumerate() {
            let measured = subjects.iter().zip(&mut values).zip(&failures);
            let row = Row::new(
                quantity,
                measured
                    .map(|((subject, values), failure)| {
                        Values::new(
                            &subject.name,
                            std::mem::take(&mut values[place]),
                            failure.clone(),
                        )
                    })
                    .collect(),
            );
            table::print(&row, self.earlier.as_ref());
            self.results.rows.push(row);
        }
        self.failures += failures.iter().flatten().count();
    }

    /// Stores the results and ends the program: with failure when a measurement failed.
    ///
    /// # Panics
    /// When the results cannot be stored.
    pub fn finish(self) -> std::process::ExitCode {
        if !self.left_out.is_empty() {
            table::line(&format!(
                "\nNot measured here, since this computer's KVM emulates a guest's kernel; `make bench` measures them in the nested rig:\n    {}",
                self.left_out.join("\n    ")
            ));
        }
        if !self.results.rows.is_empty() {
            let path = results_file();
            self.results.merge_into(&path).unwrap();
            table::line(&format!("\nresults: {}", path.display()));
        }
        if self.failures > 0 {
            std::process::ExitCode::FAILURE
        } else {
            std::process::ExitCode::SUCCESS
        }
    }
}

/// Where the results go.
fn results_file() -> PathBuf {
    std::env::var_os("GUESTHOUSE_BENCH_RESULTS").map_or_else(
        || crate::target_folder().join("bench/results.json"),
        PathBuf::from,
    )
}
