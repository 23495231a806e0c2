//! Leaving the program while machines run: nobody's guest is killed by a click on the window's button or by the session's end.
//! The session is kept from ending or sleeping while machines are alive, and closing the window asks what becomes of them.

use std::cell::Cell;

use relm4::adw;
use relm4::adw::prelude::*;
use relm4::gtk::ApplicationInhibitFlags;

use super::AppInput;
use crate::dialogs::question::{self, Weight};
use crate::model::{Machines, State};
use crate::text::{gettext, ngettext_with};

/// What a person said about the machines that run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Press their power buttons, and close when all are off.
    ShutDown,
    /// Pull their plugs.
    ForceOff,
    /// Stay.
    Stay,
}

/// Where leaving stands.
#[derive(Default)]
pub struct Closing {
    /// A question is open.
    asking: bool,
    /// The window is closed when all machines are off.
    leaving: Cell<bool>,
    inhibition: Cell<Option<u32>>,
}

impl Closing {
    /// The window is to be closed: closes it, or asks.
    pub fn requested(
        &mut self,
        machines: &Machines,
        window: &adw::ApplicationWindow,
        input: &relm4::Sender<AppInput>,
    ) {
        let alive = machines.alive().len();
        if alive == 0 {
            leave();
        } else if !self.asking {
            let heading = ngettext_with(
                "{number} Machine Is Still Running",
                "{number} Machines Are Still Running",
                alive.try_into().unwrap_or(u64::MAX),
                &[],
            );
            let body = gettext(
                "Closing the window ends them. Shut them down as if their power buttons were pressed, or force them off and lose what the guests have not saved.",
            );
            self.ask(heading, body, true, window, input);
        }
    }

    /// Takes the answer.
    pub fn answered(
        &mut self,
        answer: Answer,
        machines: &Machines,
        window: &adw::ApplicationWindow,
        input: &relm4::Sender<AppInput>,
    ) {
        self.asking = false;
        if machines.alive().is_empty() && answer != Answer::Stay {
            leave();
            return;
        }
        match answer {
            Answer::Stay => self.leaving.set(false),
            Answer::ShutDown => {
                self.leaving.set(true);
                for (_, machine) in machines.alive() {
                    // A machine that stands still cannot answer its power button.
                    if matches!(machine.state(), State::Paused { .. })
                        && let Err(error) = machine.resume()
                    {
                        tracing::warn!(%error, "a paused machine could not be resumed to shut it down");
                    }
                    if let Err(error) = machine.shutdown() {
                        tracing::warn!(%error, "a machine's power button could not be pressed");
                    }
                }
                let body = gettext(
                    "The window closes when all guests have shut down. A guest that does not answer can be forced off.",
                );
                self.ask(gettext("Shutting Down…"), body, false, window, input);
            }
            Answer::ForceOff => {
                self.leaving.set(true);
                for (folder, machine) in machines.alive() {
                    if let Err(error) = machine.power_off() {
                        tracing::warn!(folder = %folder.display(), %error, "a machine could not be forced off");
                    }
                }
                self.follow(machines, window);
            }
        }
    }

    fn ask(
        &mut self,
        heading: String,
        body: String,
        shut_down: bool,
        window: &adw::ApplicationWindow,
        input: &relm4::Sender<AppInput>,
    ) {
        self.asking = true;
        let (window, input) = (window.clone(), input.clone());
        relm4::spawn_local(async move {
            let mut answers = vec![(gettext("_Force Off"), Weight::Destructive)];
            if shut_down {
                answers.push((gettext("_Shut Down"), Weight::Suggested));
            }
            let answer = match question::ask(&window, &heading, &body, &answers).await {
                Some(0) => Answer::ForceOff,
                Some(_) => Answer::ShutDown,
                None => Answer::Stay,
            };
            let _ = input.send(AppInput::Closing(answer));
        });
    }

    /// Follows the machines' states: closes the window when the last one of those it waits for is off, and keeps the session
    /// from ending exactly while there are machines alive.
    pub fn follow(&self, machines: &Machines, window: &adw::ApplicationWindow) {
        let alive = !machines.alive().is_empty();
        if self.leaving.get() && !alive {
            leave();
            return;
        }
        let application = relm4::main_application();
        match (alive, self.inhibition.take()) {
            (true, None) => {
                let flags = ApplicationInhibitFlags::LOGOUT | ApplicationInhibitFlags::SUSPEND;
                let cookie = application.inhibit(
                    Some(window),
                    flags,
                    Some(&gettext("Virtual machines are running")),
                );
                // Zero means that nobody could be asked.
                self.inhibition
                    .set(Some(cookie).filter(|cookie| *cookie != 0));
            }
            (true, held) => self.inhibition.set(held),
            (false, Some(cookie)) => application.uninhibit(cookie),
            (false, None) => {}
        }
    }
}

fn leave() {
    relm4::main_application().quit();
}
