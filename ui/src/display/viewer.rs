//! The component: a guest's screen, or a page that says that there is none.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use guesthouse_engine::input::ScanCode;
use relm4::adw;
use relm4::gtk::{self, gdk, glib, prelude::*};
use relm4::prelude::*;
use tokio::sync::mpsc;

use crate::settings::{self, ReleaseKeys};
use crate::text::{gettext, gettext_with, message};

use super::geometry::{Scaling, step};
use super::grab::{Grab, Held};
use super::screen::Screen;
use super::session::{self, Connection, Told};
use super::zoom::{self, Zoom};

/// How long the way out is shown after the guest was given the keyboard.
const REMINDER: Duration = Duration::from_secs(4);
/// What a person does that may wait to be sent.
const MOST_COMMANDS: usize = 1024;
/// What is written on the screen is read no sooner again than after this time.
const BETWEEN_READINGS: Duration = Duration::from_millis(500);
/// The most characters that are said of what is new on the screen.
const MOST_SAID: usize = 300;
/// How long the size of the picture is shown after it was changed.
const SIZE_SHOWN: Duration = Duration::from_secs(1);
/// The guest is asked for a screen that fills its place when that has had its size for so long.
const SIZE_SETTLED: Duration = Duration::from_millis(300);
/// The smallest screen that a guest is asked for: what desktops expect at least.
const LEAST_SIZE: (u32, u32) = (640, 480);

/// What releases the keyboard and the pointer.
fn way_out() -> String {
    let keys = settings::get().release_keys();
    gettext(match keys {
        ReleaseKeys::ControlAlt => {
            message("Press Ctrl+Alt to release the keyboard and the pointer")
        }
        ReleaseKeys::RightControl => {
            message("Press the right Ctrl key to release the keyboard and the pointer")
        }
        ReleaseKeys::ControlShift => {
            message("Press Ctrl+Shift to release the keyboard and the pointer")
        }
    })
}

/// A guest's screen.
pub struct Viewer {
    screen: Screen,
    scroller: gtk::ScrolledWindow,
    reminder: gtk::Revealer,
    words: gtk::Label,
    /// How often something was said, or hushed: what ends before the latest is nobody's business.
    reminders: u64,
    /// How often the picture's place had another size: what settled before the latest is nobody's business.
    allocations: u64,
    grab: Rc<Grab>,
    /// The number of the session that is shown: what others still tell is nobody's business.
    session: u64,
    connected: bool,
    read: Option<ReadScreen>,
    /// It is being read, or will be.
    reading: bool,
}

/// Reads what is written on a guest's screen, row by row; nothing while it shows a picture.
#[derive(Clone)]
pub struct ReadScreen(pub Arc<dyn Fn() -> Option<Vec<String>> + Send + Sync>);

impl fmt::Debug for ReadScreen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ReadScreen")
    }
}

/// What the viewer is asked to do.
#[derive(Debug)]
pub enum ViewerInput {
    /// Show the screen that the RFB server at the other end serves.
    Connect(Connection),
    /// What is written on the screen is read by this, for those who do not see it.
    Read(ReadScreen),
    /// Show no screen.
    Disconnect,
    /// Fit the picture in another way.
    SetScaling(Scaling),
    /// Make it a step larger, or (false) smaller.
    Zoom(bool),
    /// Press keys together, the first first, and release them.
    SendKeys(Vec<ScanCode>),
    /// Give the guest the keyboard, the pointer and the desktop's shortcuts.
    Grab,
    /// Take them back.
    Release,
    /// Answer with the picture.
    Screenshot,
}

/// What the viewer tells.
#[derive(Debug)]
pub enum ViewerOutput {
    /// Whether the guest has the pointer and the desktop's shortcuts.
    Grabbed(bool),
    /// The guest's screen has this many pixels across and down.
    Size(u32, u32),
    /// The screen would be filled with so many pixels across and down.
    Room(u32, u32),
    /// A person fitted the picture in another way.
    Scaled(Scaling),
    /// The screen is gone, for this reason.
    Disconnected(String),
    /// The picture that was asked for; none while there is none.
    Screenshot(Option<gdk::Texture>),
}

/// What the viewer's own parts tell it.
#[derive(Debug)]
pub enum News {
    /// A session, by its number.
    Session(u64, Told),
    /// Who has the keyboard and the pointer.
    Held(Held),
    /// Another size of the picture is wanted.
    Zoom(Zoom),
    /// The picture's place may have another size.
    Allocated,
    /// The size that it had after so many changes has been there for a while.
    Settled(u64),
    /// What is written on the screen in the session of this number.
    Text(u64, Option<Vec<String>>),
    /// What was said as the one of this number has been shown for long enough.
    HideReminder(u64),
}

impl Component for Viewer {
    type CommandOutput = News;
    type Init = ();
    type Input = ViewerInput;
    type Output = ViewerOutput;
    type Root = gtk::Stack;
    type Widgets = gtk::Stack;

    fn init_root() -> gtk::Stack {
        gtk::Stack::new()
    }

    fn init((): (), root: gtk::Stack, sender: ComponentSender<Self>) -> ComponentParts<Self> {
        let nothing = adw::StatusPage::builder()
            .icon_name("video-display-symbolic")
            .title(gettext("No Screen"))
            .description(gettext("The machine shows nothing at the moment."))
            .build();
        let screen = Screen::default();
        // The keyboard's focus is for the screen, not for what scrolls it.
        let scroller = gtk::ScrolledWindow::builder()
            .child(&screen)
            .focusable(false)
            .build();
        screen.describe(&way_out());
        let words = gtk::Label::builder()
            .label(way_out())
            .wrap(true)
            .css_classes(["osd", "toolbar"])
            .build();
        let reminder = gtk::Revealer::builder()
            .child(&words)
            .halign(gtk::Align::Center)
            .valign(gtk::Align::Start)
            .margin_top(12)
            .can_target(false)
            .build();
        let overlay = gtk::Overlay::builder().child(&scroller).build();
        overlay.add_overlay(&reminder);
        root.add_named(&nothing, Some(NOTHING));
        root.add_named(&overlay, Some(SCREEN));

        let news = sender.command_sender().clone();
        let grab = Grab::new(&screen, move |held| news.emit(News::Held(held)));
        let news = sender.command_sender().clone();
        zoom::follow(&scroller, &screen, &grab, move |zoom| {
            news.emit(News::Zoom(zoom));
        });
        let news = sender.command_sender().clone();
        screen.connect_allocated(move || news.emit(News::Allocated));
        let model = Self {
            screen,
            scroller,
            reminder,
            words,
            reminders: 0,
            allocations: 0,
            grab,
            session: 0,
            connected: false,
            read: None,
            reading: false,
        };
        model.set_scaling(Scaling::default());
        ComponentParts {
            model,
            widgets: root,
        }
    }

    fn update_with_view(
        &mut self,
        root: &mut gtk::Stack,
        input: ViewerInput,
        sender: ComponentSender<Self>,
        _: &gtk::Stack,
    ) {
        match input {
            ViewerInput::Connect(connection) => self.connect(connection, &sender),
            ViewerInput::Read(read) => {
                self.read = Some(read);
                self.read_later(&sender);
            }
            ViewerInput::Disconnect => self.disconnect(root),
            ViewerInput::SetScaling(scaling) => self.set_scaling(scaling),
            ViewerInput::Zoom(larger) => {
                let scaling = step(self.screen.percent(), larger);
                let around = None;
                self.zoom(Zoom { scaling, around }, &sender);
            }
            ViewerInput::SendKeys(keys) => self.grab.send_keys(&keys),
            ViewerInput::Grab => {
                if self.connected {
                    self.grab.grab(None);
                }
            }
            ViewerInput::Release => self.grab.release(),
            ViewerInput::Screenshot => {
                let picture = self.connected.then(|| self.screen.texture()).flatten();
                tell(&sender, ViewerOutput::Screenshot(picture));
            }
        }
    }

    fn update_cmd_with_view(
        &mut self,
        root: &mut gtk::Stack,
        news: News,
        sender: ComponentSender<Self>,
        _: &gtk::Stack,
    ) {
        match news {
            News::Session(session, told) if session == self.session => {
                self.told(told, root, &sender);
            }
            News::Session(..) => {}
            News::Held(held) => {
                self.remind(held, &sender);
                tell(&sender, ViewerOutput::Grabbed(held == Held::Everything));
            }
            News::Zoom(zoom) => self.zoom(zoom, &sender),
            News::Allocated => self.ask_for_size_later(&sender),
            News::Settled(allocations) if allocations == self.allocations => {
                if let Some((width, height)) = self.screen.wanted_size().filter(|_| self.connected)
                {
                    let (width, height) = (width.max(LEAST_SIZE.0), height.max(LEAST_SIZE.1));
                    tell(&sender, ViewerOutput::Room(width, height));
                }
            }
            News::Settled(_) => {}
            News::Text(session, rows) => {
                self.reading = false;
                if session == self.session {
                    self.show_text(&rows.unwrap_or_default());
                }
            }
            News::HideReminder(reminder) if reminder == self.reminders => self.hush(),
            News::HideReminder(_) => {}
        }
    }
}

/// The pages of the root.
const NOTHING: &str = "nothing";
const SCREEN: &str = "screen";

fn tell(sender: &ComponentSender<Viewer>, output: ViewerOutput) {
    if sender.output(output).is_err() {
        tracing::debug!("nobody listens to the viewer any more");
    }
}

impl Viewer {
    fn connect(&mut self, connection: Connection, sender: &ComponentSender<Self>) {
        let (commands, receiver) = mpsc::channel(MOST_COMMANDS);
        let picture = connection.picture();
        self.session += 1;
        self.connected = true;
        self.screen.set_picture(picture.clone());
        self.grab.set_shape(None);
        // The session before, if there was one, ends with its sender.
        self.grab.set_commands(Some(commands));
        let session = self.session;
        sender.command(move |news, shutdown| {
            let told = move |told| news.emit(News::Session(session, told));
            shutdown
                .register(session::run(connection, picture, receiver, told))
                .drop_on_shutdown()
        });
    }

    /// Tells soon how large the guest's screen would have to be, unless that changes until then.
    fn ask_for_size_later(&mut self, sender: &ComponentSender<Self>) {
        self.allocations += 1;
        let (news, allocations) = (sender.command_sender().clone(), self.allocations);
        glib::timeout_add_local_once(SIZE_SETTLED, move || news.emit(News::Settled(allocations)));
    }

    fn disconnect(&mut self, root: &gtk::Stack) {
        // From now on nobody is the session that is shown.
        self.session += 1;
        self.connected = false;
        self.read = None;
        self.screen.set_text(&[]);
        self.grab.set_commands(None);
        self.grab.set_shape(None);
        root.set_visible_child_name(NOTHING);
    }

    fn told(&mut self, told: Told, root: &gtk::Stack, sender: &ComponentSender<Self>) {
        match told {
            Told::Size(width, height) => {
                root.set_visible_child_name(SCREEN);
                self.screen.queue_resize();
                tell(sender, ViewerOutput::Size(width.into(), height.into()));
            }
            Told::Changed => {
                self.screen.queue_draw();
                self.read_later(sender);
            }
            Told::Shape(shape) => self.grab.set_shape(shape),
            Told::Bell => self.screen.error_bell(),
            Told::Ended(reason) => {
                self.disconnect(root);
                tell(sender, ViewerOutput::Disconnected(reason));
            }
        }
    }

    /// Has what is written on the screen read soon, by a worker: the machine may be busy with its screen.
    fn read_later(&mut self, sender: &ComponentSender<Self>) {
        let Some(ReadScreen(read)) = self.read.clone().filter(|_| !self.reading) else {
            return;
        };
        self.reading = true;
        let session = self.session;
        sender.oneshot_command(async move {
            tokio::time::sleep(BETWEEN_READINGS).await;
            let rows = relm4::spawn_blocking(move || read()).await;
            News::Text(session, rows.unwrap_or_default())
        });
    }

    /// Hands what is written on the screen to those who do not see it, and says what is new while the screen has the keyboard.
    fn show_text(&self, rows: &[String]) {
        let new = self.screen.set_text(rows);
        if self.screen.has_focus() && !new.is_empty() && new.chars().count() <= MOST_SAID {
            self.screen
                .announce(&new, gtk::AccessibleAnnouncementPriority::Low);
        }
    }

    fn set_scaling(&self, scaling: Scaling) {
        let policy = match scaling {
            Scaling::Fit => gtk::PolicyType::Never,
            Scaling::Percent(_) => gtk::PolicyType::Automatic,
        };
        self.scroller.set_policy(policy, policy);
        self.screen.set_scaling(scaling);
    }

    fn zoom(&mut self, zoom: Zoom, sender: &ComponentSender<Self>) {
        let Scaling::Percent(percent) = zoom.scaling else {
            return;
        };
        if !self.connected || self.screen.scaling() == zoom.scaling {
            return;
        }
        zoom::keep_in_place(&self.scroller, &self.screen, zoom);
        self.set_scaling(zoom.scaling);
        // A number and its sign, as languages write them.
        let size = gettext_with("{number} %", &[("number", &percent)]);
        self.say(&size, SIZE_SHOWN, sender);
        tell(sender, ViewerOutput::Scaled(zoom.scaling));
    }

    /// Shows the way out for a while, and says it.
    fn remind(&mut self, held: Held, sender: &ComponentSender<Self>) {
        if held != Held::Nothing && self.connected {
            let way_out = way_out();
            self.screen.describe(&way_out);
            self.say(&way_out, REMINDER, sender);
        } else {
            self.hush();
        }
    }

    fn say(&mut self, words: &str, time: Duration, sender: &ComponentSender<Self>) {
        self.hush();
        self.words.set_label(words);
        self.reminder.set_reveal_child(true);
        self.screen
            .announce(words, gtk::AccessibleAnnouncementPriority::Medium);
        let news = sender.command_sender().clone();
        let reminder = self.reminders;
        glib::timeout_add_local_once(time, move || news.emit(News::HideReminder(reminder)));
    }

    fn hush(&mut self) {
        self.reminders += 1;
        self.reminder.set_reveal_child(false);
    }
}
