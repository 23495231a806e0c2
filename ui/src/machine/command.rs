//! What a person wants of a machine that is alive: which question comes before, and how it is done. The page and the machine's own
//! window share it.

use std::path::PathBuf;

use super::actions::Act;
use super::{keys, screenshot};
use crate::model::{CommandError, Elsewhere, Machine, State, Wish};
use crate::text::{self, gettext, gettext_with, message};

/// What was done.
#[derive(Debug)]
pub enum Done {
    /// The picture was saved, or why not.
    Pictured(Result<PathBuf, String>),
    /// Something was done (as in "could not be paused"), or why not.
    Carried(&'static str, Result<(), String>),
    /// The power button was pressed.
    Pressed,
    /// The machine is off and can be deleted.
    Off,
}

/// What is asked before `act` is done to the machine called `name`: a heading, what it means, and the answer that wants it.
pub fn question(act: &Act, name: &str, state: &State) -> Option<[String; 3]> {
    match act {
        Act::Reset => Some([
            gettext_with("Reset “{name}”?", &[("name", &name)]),
            gettext("It starts from the beginning at once. What the guest has not saved is lost."),
            gettext("_Reset"),
        ]),
        Act::PowerOff => Some([
            gettext_with("Force “{name}” off?", &[("name", &name)]),
            gettext("That is like pulling its plug. What the guest has not saved is lost."),
            gettext("_Force Off"),
        ]),
        Act::Delete if state.is_alive() => Some([
            gettext_with("“{name}” is not off", &[("name", &name)]),
            gettext(
                "It is forced off before it is moved to the Trash. What the guest has not saved is lost.",
            ),
            gettext("_Force Off and Delete"),
        ]),
        _ => None,
    }
}

/// Does it to `machine`, which is called `name`. What the machine is told it has done when this returns, and that may last: not for
/// a thread that draws.
pub fn carry_out(machine: &Machine, name: &str, act: Act) -> Done {
    let done = |failure, result: Result<(), CommandError>| {
        Done::Carried(failure, result.map_err(|error| text::sentence(&error)))
    };
    match act {
        Act::Start => done(message("“{name}” could not be resumed"), machine.resume()),
        Act::Pause => done(message("“{name}” could not be paused"), machine.pause()),
        Act::Reset => done(message("“{name}” could not be reset"), machine.reset()),
        Act::ShutDown => match machine.shutdown() {
            Ok(()) => Done::Pressed,
            error => done(message("“{name}” could not be shut down"), error),
        },
        Act::PowerOff => done(
            message("“{name}” could not be forced off"),
            machine.power_off(),
        ),
        Act::Delete => match machine.power_off() {
            Ok(()) => Done::Off,
            error => done(message("“{name}” could not be forced off"), error),
        },
        Act::Screenshot => {
            let picture = machine.screenshot();
            let picture = picture.map_err(|error| text::sentence(&error));
            Done::Pictured(picture.and_then(|picture| screenshot::save(&picture, name)))
        }
        Act::SendKeys(id) => {
            for event in keys::events(&id) {
                machine.input(event);
            }
            done("", Ok(()))
        }
        Act::View(_)
        | Act::Scale(_)
        | Act::ZoomIn
        | Act::ZoomOut
        | Act::TypeClipboard
        | Act::KeyboardLayout
        | Act::Window
        | Act::Clone
        | Act::Export
        | Act::BackUp
        | Act::FreeSpace => done("", Ok(())),
    }
}

/// Does it to the machine called `name` that another process runs, as far as that can be.
pub fn carry_out_elsewhere(elsewhere: &Elsewhere, name: &str, act: Act) -> Done {
    let (wish, failure) = match act {
        Act::Screenshot => {
            let picture = elsewhere.holder.screenshot();
            let picture = picture.map_err(|error| text::sentence(&error));
            return Done::Pictured(picture.and_then(|picture| screenshot::save(&picture, name)));
        }
        Act::SendKeys(written) => {
            let failure = message("“{name}” was not sent the keys");
            let sent = elsewhere.holder.press(&keys::keys(&written));
            return Done::Carried(failure, sent.map_err(|error| text::sentence(&error)));
        }
        Act::Start => (Wish::Resume, message("“{name}” could not be resumed")),
        Act::Pause => (Wish::Pause, message("“{name}” could not be paused")),
        Act::Reset => (Wish::Reset, message("“{name}” could not be reset")),
        Act::ShutDown => (Wish::ShutDown, message("“{name}” could not be shut down")),
        Act::PowerOff => (Wish::PowerOff, message("“{name}” could not be forced off")),
        _ => return Done::Carried("", Ok(())),
    };
    match elsewhere.holder.ask(wish) {
        Ok(()) if wish == Wish::ShutDown => Done::Pressed,
        outcome => Done::Carried(failure, outcome.map_err(|error| text::sentence(&error))),
    }
}

/// What is said of a power button that was pressed.
pub fn pressed() -> String {
    gettext("The power button was pressed. A guest that does not answer can be forced off.")
}
