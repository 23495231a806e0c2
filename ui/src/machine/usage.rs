//! The graphs of what a running machine uses: processor, memory, disk and network. Each is made of the difference between two
//! looks at the machine's counters.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use relm4::gtk;

use super::graph::Graph;
use crate::model::{Definition, Usage};
use crate::text::{self, gettext, gettext_with};

/// The counters at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// The counters.
    pub usage: Usage,
    /// When.
    pub time: Instant,
}

/// What was used between two looks.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Rates {
    /// Of all virtual processors' time, 0 to 1.
    processor: f64,
    /// Bytes a second.
    read: f64,
    written: f64,
    received: f64,
    sent: f64,
}

impl Rates {
    fn between(before: &Sample, now: &Sample, processors: u32) -> Option<Self> {
        let time = now.time.checked_duration_since(before.time)?;
        if time < Duration::from_millis(1) {
            return None;
        }
        let seconds = time.as_secs_f64();
        let spent = now.usage.processor.saturating_sub(before.usage.processor);
        let rate = |before: u64, now: u64| as_float(now.saturating_sub(before)) / seconds;
        let (before, now) = (&before.usage, &now.usage);
        Some(Self {
            processor: (spent.as_secs_f64() / seconds / f64::from(processors.max(1)))
                .clamp(0.0, 1.0),
            read: rate(before.disk_read, now.disk_read),
            written: rate(before.disk_written, now.disk_written),
            received: rate(before.network_received, now.network_received),
            sent: rate(before.network_sent, now.network_sent),
        })
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a graph shows no more than a few digits"
)]
fn as_float(number: u64) -> f64 {
    number as f64
}

/// What the guest uses of its memory: what it says of it, or else what the host has given it.
fn memory(usage: &Usage) -> u64 {
    let said = usage.statistics;
    match (said.total, said.available.or(said.free)) {
        (Some(total), Some(free)) => total.saturating_sub(free),
        _ => usage.memory,
    }
}

/// The graphs.
pub struct Graphs {
    grid: gtk::FlowBox,
    processor: Graph,
    memory: Graph,
    disk: Graph,
    network: Graph,
    before: RefCell<Option<Sample>>,
}

impl Graphs {
    /// Empty ones.
    pub fn new() -> Self {
        const SMALL: f64 = 64.0 * 1024.0;
        let this = Self {
            grid: gtk::FlowBox::builder()
                .selection_mode(gtk::SelectionMode::None)
                .homogeneous(true)
                .min_children_per_line(1)
                .max_children_per_line(2)
                .column_spacing(12)
                .row_spacing(12)
                .build(),
            processor: Graph::new(&gettext("Processor"), Some(1.0), 1.0),
            memory: Graph::new(&gettext("Memory"), None, SMALL),
            disk: Graph::new(&gettext("Disk"), None, SMALL),
            network: Graph::new(&gettext("Network"), None, SMALL),
            before: RefCell::default(),
        };
        for graph in [&this.processor, &this.memory, &this.disk, &this.network] {
            let child = gtk::FlowBoxChild::builder()
                .child(graph.widget())
                .focusable(false)
                .build();
            this.grid.append(&child);
        }
        this.clear();
        this
    }

    /// The widget.
    pub fn widget(&self) -> &gtk::FlowBox {
        &self.grid
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.before.replace(None);
        for graph in [&self.processor, &self.memory, &self.disk, &self.network] {
            graph.clear();
        }
    }

    /// Adds what the machine used until `sample`.
    pub fn add(&self, sample: &Sample, definition: &Definition) {
        let total = definition.memory.bytes();
        let used = memory(&sample.usage).min(total);
        self.memory.set_top(as_float(total.max(1)));
        let words = gettext_with(
            "{used} of {total}",
            &[("used", &text::bytes(used)), ("total", &text::bytes(total))],
        );
        self.memory.push(as_float(used), &words);
        let before = self.before.replace(Some(*sample));
        let count = definition.processor.count;
        let Some(rates) = before.and_then(|before| Rates::between(&before, sample, count)) else {
            return;
        };
        let percent = text::whole(rates.processor * 100.0);
        let words = gettext_with("{percent} %", &[("percent", &percent)]);
        self.processor.push(rates.processor, &words);
        let per_second = |rate: f64| text::bytes(text::whole(rate));
        let words = gettext_with(
            "{read}/s read, {written}/s written",
            &[
                ("read", &per_second(rates.read)),
                ("written", &per_second(rates.written)),
            ],
        );
        self.disk.push(rates.read + rates.written, &words);
        let words = gettext_with(
            "{received}/s in, {sent}/s out",
            &[
                ("received", &per_second(rates.received)),
                ("sent", &per_second(rates.sent)),
            ],
        );
        self.network.push(rates.received + rates.sent, &words);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_differences_over_time() {
        let start = Instant::now();
        let sample = |seconds: u64, usage: Usage| Sample {
            usage,
            time: start + Duration::from_secs(seconds),
        };
        let before = sample(0, Usage::default());
        let now = sample(
            2,
            Usage {
                processor: Duration::from_secs(2),
                disk_read: 4096,
                network_sent: 100,
                ..Usage::default()
            },
        );
        let rates = Rates::between(&before, &now, 2).unwrap();
        assert_eq!(
            (rates.processor, rates.read, rates.written, rates.sent),
            (0.5, 2048.0, 0.0, 50.0)
        );
        // A machine that was started anew counts from nothing.
        let again = Rates::between(&now, &sample(4, Usage::default()), 2).unwrap();
        assert_eq!((again.processor, again.read), (0.0, 0.0));
        assert_eq!(Rates::between(&now, &now, 2), None);
        assert_eq!(Rates::between(&now, &before, 2), None);
    }

    #[test]
    fn what_the_guest_says_of_its_memory_counts_first() {
        let mut usage = Usage {
            memory: 700,
            ..Usage::default()
        };
        assert_eq!(memory(&usage), 700);
        usage.statistics.total = Some(1000);
        usage.statistics.available = Some(600);
        assert_eq!(memory(&usage), 400);
    }
}
