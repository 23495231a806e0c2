//! Machines that another process runs: `guesthouse run`, say. What they are doing is told by whoever follows their control sockets,
//! and what is wanted of them is asked of their holders.

use std::sync::Arc;

use super::State;

/// What can be wanted of a machine that another process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Let the guest stand still.
    Pause,
    /// Go on.
    Resume,
    /// Press the reset button.
    Reset,
    /// Press the power button.
    ShutDown,
    /// Pull the plug.
    PowerOff,
}

/// The process that runs a machine.
pub trait Holder: Send + Sync {
    /// Its number.
    fn process(&self) -> u32;

    /// Asks for `wish`, and waits until it is carried out: not for a thread that draws.
    ///
    /// # Errors
    /// Why it was not, and what to do.
    fn ask(&self, wish: Wish) -> Result<(), String>;
}

/// A machine that another process runs.
#[derive(Clone)]
pub struct Elsewhere {
    /// What it is doing.
    pub state: State,
    /// Who runs it.
    pub holder: Arc<dyn Holder>,
}
