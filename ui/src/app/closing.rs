//! Leaving the program while machines run: nobody's guest is killed by a click on the window's button or by the session's end.
//! The session is kept from ending or sleeping while machines are alive, and closing the window asks what becomes of them.

use std::cell::Cell;
use std::time::Duration;

use ashpd::desktop::background::Background;
use relm4::adw;
use relm4::adw::prelude::*;
use relm4::gtk::{self, ApplicationInhibitFlags, gio};

use super::AppInput;
use crate::dialogs::question::{self, Weight};
use crate::model::{Machines, State};
use crate::settings::{self, WhenClosed};
use crate::text::{gettext, ngettext_with};

/// The notification that the program runs without a window.
const KEEPS_RUNNING: &str = "keeps-running";

/// How long guests have to shut down when the session ends. Sessions wait for a program some time, but not for minutes.
const PATIENCE: Duration = Duration::from_secs(15);

/// What a person said about the machines that run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Press their power buttons, and close when all are off.
    ShutDown,
    /// Pull their plugs.
    ForceOff,
    /// Let them run without the window.
    KeepRunning,
    /// Stay.
    Stay,
}

/// Where leaving stands.
#[derive(Default)]
pub struct Closing {
    /// The program stays when the window is closed and no machine runs: it waits in the background.
    stays: bool,
    /// A question is open.
    asking: bool,
    /// The window is closed when all machines are off.
    leaving: Cell<bool>,
    /// The session ends.
    ending: Cell<bool>,
    /// The window is away while machines run.
    hidden: Cell<bool>,
    inhibition: Cell<Option<u32>>,
}

impl Closing {
    /// Nothing is closed yet. A program that `stays` is there without its window too.
    pub fn new(stays: bool) -> Self {
        Self {
            stays,
            ..Self::default()
        }
    }

    /// The program is to end with its window.
    pub fn stays_no_longer(&mut self) {
        self.stays = false;
    }

    /// The session ends, or somebody ends the program: the guests are asked to shut down, and those that have not after a while are
    /// forced off in order, so that nothing that they gave their disks is lost. The second time there is no while.
    pub fn session_ends(
        &mut self,
        machines: &Machines,
        window: &adw::ApplicationWindow,
        input: &relm4::Sender<AppInput>,
    ) {
        if machines.alive().is_empty() {
            return leave();
        }
        if self.ending.replace(true) {
            return self.answered(Answer::ForceOff, machines, window, input);
        }
        tracing::info!("the session ends: guests are asked to shut down");
        self.answered(Answer::ShutDown, machines, window, input);
        let input = input.clone();
        gtk::glib::timeout_add_local_once(PATIENCE, move || {
            let _ = input.send(AppInput::Closing(Answer::ForceOff));
        });
    }

    /// The window is to be closed: closes it, or asks.
    pub fn requested(
        &mut self,
        machines: &Machines,
        window: &adw::ApplicationWindow,
        input: &relm4::Sender<AppInput>,
    ) {
        settings::get().keep_window(window);
        let alive = machines.alive().len();
        let when_closed = settings::get().when_closed();
        if alive == 0 && self.stays {
            window.set_visible(false);
        } else if alive == 0 {
            leave();
        } else if self.asking {
            // The answer is on its way.
        } else if when_closed == WhenClosed::KeepRunning {
            self.answered(Answer::KeepRunning, machines, window, input);
        } else if when_closed == WhenClosed::ShutDown {
            self.answered(Answer::ShutDown, machines, window, input);
        } else {
            let heading = ngettext_with(
                "{number} Machine Is Still Running",
                "{number} Machines Are Still Running",
                alive.try_into().unwrap_or(u64::MAX),
                &[],
            );
            let body = gettext(
                "They can keep running without the window; start Guesthouse again to see them. Or shut them down as if their power buttons were pressed, or force them off and lose what the guests have not saved.",
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
            Answer::KeepRunning => self.hide(machines, window, input),
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
                answers.push((gettext("_Shut Down"), Weight::Plain));
                answers.push((gettext("_Keep Running"), Weight::Suggested));
            }
            let answer = match question::ask(&window, &heading, &body, &answers).await {
                Some(0) => Answer::ForceOff,
                Some(1) => Answer::ShutDown,
                Some(_) => Answer::KeepRunning,
                None => Answer::Stay,
            };
            let _ = input.send(AppInput::Closing(answer));
        });
    }

    /// Puts the window away; the machines go on, and the program ends with the last of them.
    fn hide(
        &self,
        machines: &Machines,
        window: &adw::ApplicationWindow,
        input: &relm4::Sender<AppInput>,
    ) {
        self.hidden.set(true);
        window.set_visible(false);
        let number = machines.alive().len().try_into().unwrap_or(u64::MAX);
        let notification = gio::Notification::new(&gettext("Guesthouse Keeps Running"));
        notification.set_body(Some(&ngettext_with(
            "{number} machine runs without a window. Start Guesthouse again to see it.",
            "{number} machines run without a window. Start Guesthouse again to see them.",
            number,
            &[],
        )));
        relm4::main_application().send_notification(Some(KEEPS_RUNNING), &notification);
        let input = input.clone();
        relm4::spawn(async move {
            // A sandboxed program has to ask; who is none gets no answer.
            let request =
                Background::request().reason(gettext("Virtual machines are running").as_str());
            match request.send().await.and_then(|request| request.response()) {
                Ok(answer) if answer.run_in_background() => {}
                Ok(_) | Err(ashpd::Error::Response(_)) => {
                    let _ = input.send(AppInput::Refused);
                }
                Err(error) => {
                    tracing::debug!(%error, "no portal was told that machines run in the background");
                }
            }
        });
    }

    /// The desktop does not let the program run without a window: shows it again, and says why.
    pub fn refused(&self, window: &adw::ApplicationWindow) {
        window.present();
        question::error(
            window,
            &gettext("Guesthouse cannot run without a window"),
            &gettext(
                "The desktop does not allow it, and could end the machines at any time. They run on as long as the window is there; the desktop’s settings may allow Guesthouse to run in the background.",
            ),
        );
    }

    /// The window is shown again.
    pub fn shown(&self) {
        if self.hidden.replace(false) {
            relm4::main_application().withdraw_notification(KEEPS_RUNNING);
        }
    }

    /// Follows the machines' states: closes the window when the last one of those it waits for is off, and keeps the session
    /// from ending exactly while there are machines alive.
    pub fn follow(&self, machines: &Machines, window: &adw::ApplicationWindow) {
        let alive = !machines.alive().is_empty();
        let left = self.leaving.get() || (self.hidden.get() && !self.stays);
        if left && !alive {
            leave();
            return;
        }
        let application = relm4::main_application();
        if !alive && self.hidden.replace(false) {
            application.withdraw_notification(KEEPS_RUNNING);
        }
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
