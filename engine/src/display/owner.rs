//! Which of a machine's adapters draws its screen: the VGA, or the driver's adapter that has taken it over.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use super::scanout::Wake;

struct Owned {
    taken: Mutex<bool>,
    wake: Wake,
}

/// The screen's owner. At first it is the VGA. Cloning shares it.
#[derive(Clone)]
pub struct ScreenOwner(Arc<Owned>);

impl ScreenOwner {
    /// The screen is the VGA's, which `wake` lets look at it.
    pub fn new(wake: Wake) -> Self {
        Self(Arc::new(Owned {
            taken: Mutex::new(false),
            wake,
        }))
    }

    /// Takes the screen from the VGA: once this returns, the VGA draws nothing.
    pub fn take(&self) {
        *self.0.taken.lock() = true;
    }

    /// Gives the screen back to the VGA, which draws all of it.
    pub fn release(&self) {
        *self.0.taken.lock() = false;
        self.0.wake.wake();
    }

    /// Whether the screen is not the VGA's now.
    pub fn is_taken(&self) -> bool {
        *self.0.taken.lock()
    }

    /// Keeps the screen as it is while the VGA draws; nothing if it is not the VGA's.
    pub(super) fn draw(&self) -> Option<MutexGuard<'_, bool>> {
        Some(self.0.taken.lock()).filter(|taken| !**taken)
    }
}
