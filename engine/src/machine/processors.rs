//! The threads that run a machine's virtual processors, and how they are stopped, reset and let go on together.

use std::any::Any;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::bus::{Action, MemoryBus, PortBus};
use crate::hypervisor::{CoalescedWrites, Exit, Kicker, ProcessorState, Vcpu};

/// What a processor's thread tells the machine. Unless said otherwise it stands still after it until it is let run again.
#[derive(Debug)]
pub(super) enum Report {
    /// A device asked for something that concerns the whole machine.
    Action(Action),
    /// The processor cannot go on, or its thread panicked: why, and what it held.
    Failed(String, Option<ProcessorState>),
    /// The guest read or wrote a model-specific register that this host does not know; the processor goes on meanwhile.
    UnknownRegister {
        /// Which.
        index: u32,
        /// What it wrote, if it wrote.
        written: Option<u64>,
    },
}

/// How many unknown registers of a processor are told of.
const UNKNOWN_REGISTERS: usize = 64;

/// Takes the reports; called on the processor's thread.
pub(super) type Reporter = Arc<dyn Fn(Report) + Send + Sync>;

/// The address spaces that the processors see.
#[derive(Clone, Default)]
pub(super) struct Buses {
    pub ports: Arc<PortBus>,
    pub memory: Arc<MemoryBus>,
    /// Writes to memory that the kernel collects.
    pub collected: Option<Arc<CoalescedWrites>>,
}

impl Buses {
    /// Carries out the writes that the kernel has collected. To be called before anything that may come after them.
    pub fn settle(&self) {
        if let Some(collected) = &self.collected {
            collected.flush(|address, data| {
                // Devices whose writes are collected ask for nothing that concerns the whole machine.
                if let Some(action) = self.memory.write(address, data) {
                    tracing::error!(?action, "a collected write asked for something");
                }
            });
        }
    }
}

#[derive(Default)]
struct Orders {
    run: bool,
    quit: bool,
    /// Counts how often the processors were let run; one that reported something waits for the next time.
    turn: u64,
    /// Counts the resets.
    resets: u64,
    /// How many threads stand still or are gone.
    still: usize,
    /// Counts how often the processors were asked what they hold.
    asked: u64,
    /// What they hold, as far as they have answered.
    states: Vec<ProcessorState>,
}

#[derive(Default)]
struct Control {
    /// Set while a thread must look at its orders before it enters the guest.
    attention: AtomicBool,
    /// Test aid: the next processor that looks up panics.
    #[cfg(feature = "fault-injection")]
    panic: AtomicBool,
    orders: Mutex<Orders>,
    changed: Condvar,
}

/// All processors of a machine. They stand still until [`Processors::run`].
pub(super) struct Processors {
    control: Arc<Control>,
    threads: Vec<(JoinHandle<()>, Kicker)>,
    /// The kernel's numbers of the threads.
    numbers: Arc<Mutex<Vec<i32>>>,
    buses: Buses,
}

impl Processors {
    /// Starts a thread for each of `processors`.
    ///
    /// # Errors
    /// When the host gives no more threads.
    pub fn new(
        name: &str,
        processors: Vec<Vcpu>,
        buses: &Buses,
        reporter: &Reporter,
    ) -> std::io::Result<Self> {
        let mut this = Self {
            control: Arc::default(),
            threads: Vec::new(),
            numbers: Arc::default(),
            buses: buses.clone(),
        };
        for vcpu in processors {
            let (control, buses, reporter) = (
                Arc::clone(&this.control),
                buses.clone(),
                Arc::clone(reporter),
            );
            let (kicker, index) = (vcpu.kicker(), vcpu.index());
            let numbers = Arc::clone(&this.numbers);
            let thread = thread::Builder::new()
                .name(format!("cpu{index} {name}"))
                .spawn(move || {
                    numbers
                        .lock()
                        .push(rustix::thread::gettid().as_raw_nonzero().get());
                    let outcome = catch_unwind(AssertUnwindSafe(|| {
                        processor(vcpu, &control, &buses, &reporter)
                    }));
                    if let Err(panic) = outcome {
                        let reason = format!(
                            "A fault in Guesthouse stopped processor {index}: {}.",
                            panic_text(&*panic)
                        );
                        reporter(Report::Failed(reason, None));
                    }
                    control.orders.lock().still += 1;
                    control.changed.notify_all();
                })?;
            this.threads.push((thread, kicker));
        }
        // An order to run must find every thread waiting for it.
        this.stop();
        Ok(this)
    }

    /// Lets the processors run, after a reset of each if [`Processors::reset`] came before.
    pub fn run(&self) {
        let mut orders = self.control.orders.lock();
        orders.run = true;
        orders.turn += 1;
        self.control.attention.store(false, Ordering::Release);
        drop(orders);
        self.control.changed.notify_all();
    }

    /// Stops all processors between two instructions; returns once they stand still.
    pub fn stop(&self) {
        let mut orders = self.control.orders.lock();
        orders.run = false;
        self.control.attention.store(true, Ordering::Release);
        drop(orders);
        self.kick();
        let mut orders = self.control.orders.lock();
        while orders.still < self.threads.len() {
            self.control.changed.wait(&mut orders);
        }
        drop(orders);
        self.buses.settle();
    }

    /// The kernel's numbers of the threads that run them.
    pub fn thread_numbers(&self) -> Arc<Mutex<Vec<i32>>> {
        Arc::clone(&self.numbers)
    }

    /// What the processors hold. To be called while they stand still. One whose thread is gone is left out.
    pub fn states(&self) -> Vec<ProcessorState> {
        let mut orders = self.control.orders.lock();
        orders.asked += 1;
        orders.states.clear();
        self.control.changed.notify_all();
        loop {
            let gone = self
                .threads
                .iter()
                .filter(|(thread, _)| thread.is_finished());
            if orders.states.len() + gone.count() >= self.threads.len() {
                break;
            }
            // A thread that ends says so before it is finished: looked at again after a moment.
            self.control
                .changed
                .wait_for(&mut orders, Duration::from_millis(50));
        }
        let mut states = std::mem::take(&mut orders.states);
        states.sort_by_key(|state| state.index);
        states
    }

    /// Lets every processor start anew when it runs the next time. To be called while they stand still.
    pub fn reset(&self) {
        self.control.orders.lock().resets += 1;
    }

    #[cfg(feature = "fault-injection")]
    pub fn panic_one(&self) {
        self.control.panic.store(true, Ordering::Release);
        self.control.attention.store(true, Ordering::Release);
        self.kick();
    }

    fn kick(&self) {
        for (thread, kicker) in &self.threads {
            kicker.kick(thread);
        }
    }
}

impl Drop for Processors {
    fn drop(&mut self) {
        self.stop();
        self.control.orders.lock().quit = true;
        self.control.changed.notify_all();
        for (thread, _) in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a processor's thread ended in a panic outside of its guard");
            }
        }
    }
}

impl Control {
    /// Stands still until there is something to do; `false` means to quit. `reported`: this thread waits for the answer to a
    /// report, so an order to run that is older does not count.
    fn stand(
        &self,
        vcpu: &mut Vcpu,
        seen_resets: &mut u64,
        reported: bool,
    ) -> Result<bool, String> {
        #[cfg(feature = "fault-injection")]
        assert!(
            !self.panic.swap(false, Ordering::AcqRel),
            "a fault was injected"
        );
        vcpu.complete_access();
        let mut orders = self.orders.lock();
        let turn = orders.turn;
        orders.still += 1;
        self.changed.notify_all();
        let mut answered = orders.asked;
        while !orders.quit && (!orders.run || (reported && orders.turn == turn)) {
            if answered != orders.asked {
                answered = orders.asked;
                orders.states.push(vcpu.state());
                self.changed.notify_all();
            }
            self.changed.wait(&mut orders);
        }
        orders.still -= 1;
        // Under the lock: a stop that comes after sets the flag again.
        vcpu.clear_kick();
        let (quit, resets) = (orders.quit, orders.resets);
        drop(orders);
        if !quit && resets != *seen_resets {
            *seen_resets = resets;
            vcpu.reset().map_err(|error| error.to_string())?;
        }
        Ok(!quit)
    }
}

fn processor(mut vcpu: Vcpu, control: &Control, buses: &Buses, reporter: &Reporter) {
    let mut resets = 0;
    let mut reported = true;
    let mut unknown_registers = BTreeSet::new();
    // The first turn is like one after a report: nothing runs before the machine says so.
    loop {
        if reported || control.attention.load(Ordering::Acquire) {
            match control.stand(&mut vcpu, &mut resets, reported) {
                Ok(true) => reported = false,
                Ok(false) => return,
                Err(reason) => {
                    let reason = format!("A processor could not be reset: {reason}.");
                    reporter(Report::Failed(reason, None));
                    reported = true;
                    continue;
                }
            }
        }
        let exit = vcpu.run();
        buses.settle();
        let action = match exit {
            Exit::PortWrite { port, width, data } if data.len() == width.bytes() => {
                buses.ports.write(port, width, width.load(data))
            }
            Exit::PortRead { port, width, data } if data.len() == width.bytes() => {
                width.store(buses.ports.read(port, width), data);
                None
            }
            Exit::PortWrite { port, width, data } => buses.ports.write_string(port, width, data),
            Exit::PortRead { port, width, data } => {
                buses.ports.read_string(port, width, data);
                None
            }
            Exit::MemoryRead { address, data } => {
                buses.memory.read(address, data);
                None
            }
            Exit::MemoryWrite { address, data } => buses.memory.write(address, data),
            Exit::UnknownRegister { index, written } => {
                // Each once; a guest that tries them all is not told of without end.
                if unknown_registers.len() < UNKNOWN_REGISTERS
                    && unknown_registers.insert((index, written.is_some()))
                {
                    reporter(Report::UnknownRegister { index, written });
                }
                None
            }
            Exit::Interrupted => None,
            Exit::TripleFault => Some(Action::Reset),
            Exit::Failed(reason) => {
                reporter(Report::Failed(reason, Some(vcpu.state())));
                reported = true;
                None
            }
            Exit::Stuck => {
                reporter(Report::Failed(vcpu.explain(), Some(vcpu.state())));
                reported = true;
                None
            }
        };
        if let Some(action) = action {
            reporter(Report::Action(action));
            reported = true;
        }
    }
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no reason given".to_owned())
}
