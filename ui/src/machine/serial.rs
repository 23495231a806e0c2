//! The machine's first serial port as a terminal: what the guest sent last, and what it sends from now on; keys go to it.

use std::rc::Rc;
use std::sync::Arc;

use relm4::adw::prelude::*;
use relm4::gtk::{gdk, gio, glib};
use relm4::prelude::*;
use relm4::{adw, gtk};
use tokio::sync::Notify;
use vte4::prelude::*;

use crate::model::SerialConsole;
use crate::text::gettext;

/// Lines above the screen that can be scrolled back to.
const SCROLLBACK: i64 = 10_000;
/// How much is shown at a time: the window answers in between.
const PIECE: usize = 16 << 10;

/// The view.
pub struct SerialView {
    terminal: vte4::Terminal,
    console: Option<SerialConsole>,
    /// Shows what comes from the console; ends with the console's time here.
    showing: Option<glib::JoinHandle<()>>,
    said: bool,
}

/// What it is told.
#[derive(Debug)]
pub enum SerialInput {
    /// The machine runs, and this is the other end of its line; or it has none.
    Connect(Option<SerialConsole>),
    /// The guest said something.
    Said,
    /// A person typed this.
    Typed(String),
}

#[relm4::component(pub)]
impl SimpleComponent for SerialView {
    type Init = Option<SerialConsole>;
    type Input = SerialInput;
    type Output = ();

    view! {
        #[root]
        gtk::Stack {
            add_named[Some("empty")] = &adw::StatusPage {
                set_icon_name: Some("utilities-terminal-symbolic"),
                set_title: &gettext("Nothing Said Yet"),
                set_description: Some(&gettext("What the guest sends over its first serial port appears here, and what you type goes to it. Linux uses it as a console with “console=ttyS0” on its command line.")),
            },
            add_named[Some("terminal")] = &gtk::ScrolledWindow {
                set_hscrollbar_policy: gtk::PolicyType::Never,
                set_child: Some(&model.terminal),
            },
            #[watch]
            set_visible_child_name: if model.said { "terminal" } else { "empty" },
        }
    }

    fn init(
        console: Self::Init,
        root: Self::Root,
        sender: ComponentSender<Self>,
    ) -> ComponentParts<Self> {
        let model = Self {
            terminal: terminal(&sender),
            console: None,
            showing: None,
            said: false,
        };
        let widgets = view_output!();
        sender.input(SerialInput::Connect(console));
        ComponentParts { model, widgets }
    }

    fn update(&mut self, message: SerialInput, sender: ComponentSender<Self>) {
        match message {
            SerialInput::Connect(console) => self.connect(console, &sender),
            SerialInput::Said => self.said = true,
            SerialInput::Typed(text) => {
                let console = self.console.as_ref();
                if console.is_some_and(|console| !console.send(text.as_bytes())) {
                    // As a terminal does whose line is stopped.
                    self.terminal.error_bell();
                }
            }
        }
    }
}

impl SerialView {
    fn connect(&mut self, console: Option<SerialConsole>, sender: &ComponentSender<Self>) {
        if let Some(showing) = self.showing.take() {
            showing.abort();
        }
        self.console.clone_from(&console);
        let Some(console) = console else { return };
        self.terminal.reset(true, true);
        self.said = false;
        let bell = Arc::new(Notify::new());
        let ring = bell.clone();
        let mut reader = console.read(move || ring.notify_one());
        let (terminal, sender) = (self.terminal.clone(), sender.clone());
        self.showing = Some(glib::spawn_future_local(async move {
            let mut any = false;
            loop {
                let data = reader.take();
                if !data.is_empty() && !any {
                    any = true;
                    sender.input(SerialInput::Said);
                }
                for piece in data.chunks(PIECE) {
                    terminal.feed(piece);
                    glib::timeout_future(std::time::Duration::ZERO).await;
                }
                bell.notified().await;
            }
        }));
    }
}

/// The terminal, which sends what is typed.
fn terminal(sender: &ComponentSender<SerialView>) -> vte4::Terminal {
    let terminal = vte4::Terminal::new();
    terminal.set_scrollback_lines(SCROLLBACK);
    terminal.set_scroll_on_keystroke(true);
    terminal.set_mouse_autohide(true);
    terminal.set_audible_bell(false);
    // The colours of the window's style, light or dark.
    terminal.set_clear_background(false);
    terminal.add_css_class("view");
    terminal.add_css_class("serial");
    terminal.update_property(&[gtk::accessible::Property::Label(&gettext(
        "Serial Terminal",
    ))]);
    let style = adw::StyleManager::default();
    let follow = {
        let terminal = terminal.downgrade();
        Rc::new(move |style: &adw::StyleManager| {
            if let Some(terminal) = terminal.upgrade() {
                colour(&terminal, style.is_dark());
            }
        })
    };
    follow(&style);
    style.connect_dark_notify(move |style| follow(style));

    let input = sender.input_sender().clone();
    terminal.connect_commit(move |_, text, _| {
        let _ = input.send(SerialInput::Typed(text.to_owned()));
    });
    clipboard(&terminal);
    terminal
}

/// The text in the window's colours.
fn colour(terminal: &vte4::Terminal, dark: bool) {
    let text = if dark {
        gdk::RGBA::WHITE
    } else {
        gdk::RGBA::new(0.0, 0.0, 0.0, 1.0)
    };
    terminal.set_color_foreground(&text);
}

/// Copying and pasting, by the keys of terminals and a menu.
fn clipboard(terminal: &vte4::Terminal) {
    let actions = gio::SimpleActionGroup::new();
    let add = |name: &str, act: fn(&vte4::Terminal)| {
        let action = gio::SimpleAction::new(name, None);
        let terminal = terminal.downgrade();
        action.connect_activate(move |_, _| {
            if let Some(terminal) = terminal.upgrade() {
                act(&terminal);
            }
        });
        actions.add_action(&action);
    };
    add("copy", |terminal| {
        terminal.copy_clipboard_format(vte4::Format::Text);
    });
    add("paste", vte4::Terminal::paste_clipboard);
    add("select-all", vte4::Terminal::select_all);
    terminal.insert_action_group("serial", Some(&actions));
    let menu = gio::Menu::new();
    menu.append(Some(&gettext("_Copy")), Some("serial.copy"));
    menu.append(Some(&gettext("_Paste")), Some("serial.paste"));
    menu.append(Some(&gettext("Select _All")), Some("serial.select-all"));
    terminal.set_context_menu_model(Some(&menu));
    let shortcuts = gtk::ShortcutController::new();
    for (keys, action) in [
        ("<Control><Shift>c", "serial.copy"),
        ("<Control><Shift>v", "serial.paste"),
    ] {
        shortcuts.add_shortcut(gtk::Shortcut::new(
            gtk::ShortcutTrigger::parse_string(keys),
            Some(gtk::NamedAction::new(action)),
        ));
    }
    shortcuts.set_propagation_phase(gtk::PropagationPhase::Capture);
    terminal.add_controller(shortcuts);
}
