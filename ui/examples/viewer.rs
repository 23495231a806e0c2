//! The viewer alone, with a screen that shows a test picture and answers to keys and the pointer: `cargo run -p guesthouse-ui
//! --example viewer`. Each key down turns the next square of the row at the bottom green, red while it is held; the white square
//! follows the pointer. With `--moving`, everything changes sixty times a second.

#![expect(clippy::print_stdout, reason = "shows what arrives")]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use guesthouse_engine::display::{Frame, Surface};
use guesthouse_engine::input::{InputEvent, InputSink, ScanCode};
use guesthouse_engine::remote::{Options, RemoteServer};
use guesthouse_ui::display::{Connection, Scaling, Viewer, ViewerInput, ViewerOutput};
use relm4::adw;
use relm4::adw::prelude::*;
use relm4::gtk;
use relm4::prelude::*;

const WIDTH: u32 = 720;
const HEIGHT: u32 = 400;
const SQUARE: u32 = 16;

/// Lines of a pixel, where blurring would be seen, and colours.
fn test_picture(frame: &mut Frame, step: u32) {
    for y in 0..HEIGHT {
        let row: Vec<u32> = (0..WIDTH)
            .map(|x| match (x / 120, y) {
                (_, 0) | (_, 399) => 0xff_0000,
                _ if x == 0 || x == WIDTH - 1 => 0x00_ff00,
                (0, _) => (x + y + step) % 2 * 0xff_ffff,
                (1, _) => x % 2 * 0xff_ffff,
                (2, _) => y % 2 * 0xff_ffff,
                (3, _) => (y + step) % 256 * 0x01_0000,
                (4, _) => (y + step) % 256 * 0x00_0100,
                _ => (y + step) % 256,
            })
            .collect();
        frame.draw_row(0, y, &row);
    }
}

fn square(frame: &mut Frame, x: u32, y: u32, colour: u32) {
    for row in 0..SQUARE {
        frame.draw_row(x, y + row, &[colour; 16]);
    }
}

struct Guest {
    surface: Arc<Surface>,
    keys: Mutex<u32>,
}

impl InputSink for Guest {
    fn input(&self, event: InputEvent) {
        println!("{event:?}");
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        self.surface.draw(|frame| match event {
            InputEvent::Key {
                code: ScanCode(_),
                down,
            } => {
                *keys += u32::from(down);
                let colour = if down { 0xff_0000 } else { 0x00_ff00 };
                square(frame, *keys * SQUARE, HEIGHT - 2 * SQUARE, colour);
            }
            InputEvent::Position { x, y, .. } => {
                test_picture(frame, 0);
                let at = |part: u16, size: u32| u32::from(part) * size / 0x1_0000;
                square(frame, at(x, WIDTH), at(y, HEIGHT), 0xff_ffff);
            }
            InputEvent::Motion { .. } | InputEvent::Wheel { .. } => {}
        });
    }
}

struct App {
    viewer: Controller<Viewer>,
    _server: RemoteServer,
}

#[relm4::component]
impl SimpleComponent for App {
    type Init = ();
    type Input = ViewerOutput;
    type Output = ();

    view! {
        adw::ApplicationWindow {
            set_title: Some("Viewer"),
            set_default_size: (800, 600),
            adw::ToolbarView {
                add_top_bar = &adw::HeaderBar {
                    pack_start = &gtk::ToggleButton {
                        set_label: "1:1",
                        connect_toggled[sender = model.viewer.sender().clone()] => move |button| {
                            sender.emit(ViewerInput::SetScaling(if button.is_active() {
                                Scaling::ONE_TO_ONE
                            } else {
                                Scaling::Fit
                            }));
                        },
                    },
                    pack_start = &gtk::Button {
                        set_label: "Ctrl+Alt+Delete",
                        connect_clicked[sender = model.viewer.sender().clone()] => move |_| {
                            let keys = [0x1d, 0x38, 0xd3].map(ScanCode);
                            sender.emit(ViewerInput::SendKeys(keys.into()));
                        },
                    },
                    pack_start = &gtk::Button {
                        set_label: "Disconnect",
                        connect_clicked[sender = model.viewer.sender().clone()] => move |_| {
                            sender.emit(ViewerInput::Disconnect);
                        },
                    },
                    pack_start = &gtk::Button {
                        set_label: "Screenshot",
                        connect_clicked[sender = model.viewer.sender().clone()] => move |_| {
                            sender.emit(ViewerInput::Screenshot);
                        },
                    },
                },
                #[wrap(Some)]
                set_content = model.viewer.widget(),
            }
        }
    }

    fn init((): (), root: Self::Root, sender: ComponentSender<Self>) -> ComponentParts<Self> {
        let surface = Arc::new(Surface::new(WIDTH, HEIGHT));
        surface.draw(|frame| test_picture(frame, 0));
        if std::env::args().any(|argument| argument == "--moving") {
            let surface = Arc::clone(&surface);
            std::thread::spawn(move || {
                for step in 0.. {
                    surface.draw(|frame| test_picture(frame, step));
                    std::thread::sleep(Duration::from_micros(16_667));
                }
            });
        }
        let guest = Arc::new(Guest {
            surface: Arc::clone(&surface),
            keys: Mutex::new(0),
        });
        let server = RemoteServer::new(surface, guest, "test", Options::default());
        let viewer = Viewer::builder()
            .launch(())
            .forward(sender.input_sender(), |output| output);
        match server.connect_looker() {
            Ok(screen) => viewer.emit(ViewerInput::Connect(Connection::Local(screen))),
            Err(error) => println!("{error}"),
        }
        let model = Self {
            viewer,
            _server: server,
        };
        let widgets = view_output!();
        ComponentParts { model, widgets }
    }

    fn update(&mut self, output: ViewerOutput, _: ComponentSender<Self>) {
        println!("{output:?}");
        if let ViewerOutput::Screenshot(Some(picture)) = output {
            println!("{:?}", picture.save_to_png("screenshot.png"));
        }
    }
}

fn main() {
    let arguments: Vec<String> = Vec::new();
    RelmApp::new("org.example.Viewer")
        .with_args(arguments)
        .run::<App>(());
}
