//! Machines that another process runs: `guesthouse run`, say. What they are doing is told by whoever follows their control sockets,
//! and what is wanted of them is asked of their holders.

use std::os::unix::net::UnixStream;
use std::sync::Arc;

use super::{ScanCode, State};

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

    /// A connection to the machine's screen, by the remote framebuffer protocol; it is asked for at once and waited for.
    ///
    /// # Errors
    /// Why there is none.
    fn screen(&self) -> Result<UnixStream, String>;

    /// The machine's screen as PNG; waits for it.
    ///
    /// # Errors
    /// Why there is none.
    fn screenshot(&self) -> Result<Vec<u8>, String>;

    /// Presses `keys` together, the first first, lets them go, and waits until that is done.
    ///
    /// # Errors
    /// Why they were not pressed.
    fn press(&self, keys: &[ScanCode]) -> Result<(), String>;

    /// Asks the guest for a screen of another size in pixels, and waits until that is told to it.
    ///
    /// # Errors
    /// Why it was not told.
    fn ask_for_screen(&self, width: u32, height: u32) -> Result<(), String>;
}

/// A machine that another process runs.
#[derive(Clone)]
pub struct Elsewhere {
    /// What it is doing.
    pub state: State,
    /// Who runs it.
    pub holder: Arc<dyn Holder>,
}
