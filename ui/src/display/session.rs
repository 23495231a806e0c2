//! The session with the server: one task that both receives what the server sends and sends what the person does.
//!
//! It must be one, because vnc-rs lets nobody send while another waits to receive. vnc-rs does not tell where an update ends either:
//! the picture is shown, and the next update asked for, when nothing has come for a moment. On a still screen nothing is sent or done.

use std::future::Ready;
use std::os::unix::net::UnixStream as Stream;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use vnc::{
    ClientKeyEvent, ClientMouseEvent, PixelFormat, Rect, VncClient, VncConnector, VncEncoding,
    VncError, VncEvent, X11Event,
};

use super::frame::{Area, SharedFrame};
use super::keyboard::KeyEvent;
use super::pointer::PointerEvent;

/// When nothing has come for so long, an update is taken to be complete.
const QUIET: Duration = Duration::from_millis(2);
/// An update that takes longer is shown as far as it is.
const LONGEST: Duration = Duration::from_millis(16);

/// What the session is to send.
#[derive(Debug, Clone, Copy)]
pub enum Command {
    /// A key.
    Key(KeyEvent),
    /// The pointer.
    Pointer(PointerEvent),
    /// What was announced has been drawn.
    Drawn,
}

/// A pointer shape.
#[derive(Debug, Clone)]
pub struct Shape {
    /// In pixels.
    pub width: u16,
    /// In pixels.
    pub height: u16,
    /// The pixel that points.
    pub hot: (u16, u16),
    /// Blue, green, red, alpha.
    pub pixels: Vec<u8>,
}

/// What the session tells.
#[derive(Debug)]
pub enum Told {
    /// The guest's screen has this many pixels.
    Size(u16, u16),
    /// There is something to draw.
    Changed,
    /// The guest's pointer looks like this; without one, the guest draws its own or shows none.
    Shape(Option<Shape>),
    /// The guest rings.
    Bell,
    /// It is over, for this reason.
    Ended(String),
}

fn area(part: Rect) -> Area {
    Area {
        x: part.x.into(),
        y: part.y.into(),
        width: part.width.into(),
        height: part.height.into(),
    }
}

async fn connect(stream: Stream) -> Result<VncClient, VncError> {
    stream.set_nonblocking(true)?;
    let stream = UnixStream::from_std(stream)?;
    // The window's own connection needs no password.
    VncConnector::<UnixStream, Ready<Result<String, VncError>>>::new(stream)
        .add_encoding(VncEncoding::CopyRect)
        .add_encoding(VncEncoding::Raw)
        .add_encoding(VncEncoding::CursorPseudo)
        .add_encoding(VncEncoding::DesktopSizePseudo)
        .set_pixel_format(PixelFormat::bgra())
        .allow_shared(true)
        .build()?
        .try_start()
        .await?
        .finish()
}

/// Runs the session over `stream` until it ends or `commands` does. Reports by `tell`, the end too if it is the server's.
pub async fn run(
    stream: Stream,
    frame: SharedFrame,
    commands: mpsc::Receiver<Command>,
    tell: impl Fn(Told),
) {
    let client = match connect(stream).await {
        Ok(client) => client,
        Err(error) => {
            tell(Told::Ended(error.to_string()));
            return;
        }
    };
    match exchange(&client, &frame, commands, &tell).await {
        Ok(()) => {}
        Err(VncError::ClientNotRunning) => {
            tell(Told::Ended("the machine closed its screen".into()));
        }
        Err(error) => tell(Told::Ended(error.to_string())),
    }
    // Fails only when it is closed already.
    let _ = client.close().await;
}

async fn exchange(
    client: &VncClient,
    frame: &SharedFrame,
    mut commands: mpsc::Receiver<Command>,
    tell: &impl Fn(Told),
) -> Result<(), VncError> {
    // When the update that is being received began, and when its latest part came.
    let mut update: Option<(Instant, Instant)> = None;
    loop {
        let complete = update.map(|(began, latest)| (latest + QUIET).min(began + LONGEST));
        tokio::select! {
            event = client.recv_event() => {
                if take(event?, frame, tell)? {
                    let now = Instant::now();
                    update = Some((update.map_or(now, |(began, _)| began), now));
                }
            }
            command = commands.recv() => {
                let Some(command) = command else { return Ok(()) };
                client.input(event(command)).await?;
            }
            () = sleep_until(complete.unwrap_or_else(Instant::now)), if complete.is_some() => {
                update = None;
                let news = frame.lock().announce();
                if news {
                    tell(Told::Changed);
                    client.input(X11Event::Refresh).await?;
                }
            }
        }
    }
}

fn event(command: Command) -> X11Event {
    match command {
        Command::Key(KeyEvent { keysym, down }) => X11Event::KeyEvent(ClientKeyEvent {
            keycode: keysym,
            down,
        }),
        Command::Pointer(PointerEvent { x, y, buttons }) => {
            X11Event::PointerEvent(ClientMouseEvent {
                position_x: x,
                position_y: y,
                bottons: buttons,
            })
        }
        Command::Drawn => X11Event::Refresh,
    }
}

/// Takes what the server sent; tells whether it was part of an update of the picture.
fn take(event: VncEvent, frame: &SharedFrame, tell: &impl Fn(Told)) -> Result<bool, VncError> {
    match event {
        VncEvent::SetResolution(screen) => {
            frame
                .lock()
                .resize(screen.width.into(), screen.height.into());
            tell(Told::Size(screen.width, screen.height));
            Ok(true)
        }
        VncEvent::RawImage(part, data) => fits(frame.lock().put(area(part), &data)),
        VncEvent::Copy(to, from) => fits(frame.lock().copy(area(to), area(from))),
        VncEvent::SetCursor(place, pixels) => {
            let shape = (place.width > 0 && place.height > 0).then_some(Shape {
                width: place.width,
                height: place.height,
                hot: (place.x, place.y),
                pixels,
            });
            tell(Told::Shape(shape));
            // An update that has nothing else ends here too.
            Ok(true)
        }
        VncEvent::Bell => {
            tell(Told::Bell);
            Ok(false)
        }
        VncEvent::Error(error) => Err(VncError::General(error)),
        // A guest's text is not put on this computer's clipboard unasked; the rest was not asked for.
        _ => Ok(false),
    }
}

fn fits(fits: bool) -> Result<bool, VncError> {
    if fits {
        Ok(true)
    } else {
        Err(VncError::InvalidImageData)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use guesthouse_engine::display::Surface;
    use guesthouse_engine::input::{InputEvent, InputSink, ScanCode};
    use guesthouse_engine::remote::{Options, RemoteServer, us_keysym};

    use super::*;

    struct Sink(mpsc::UnboundedSender<InputEvent>);

    impl InputSink for Sink {
        fn input(&self, event: InputEvent) {
            let _ = self.0.send(event);
        }
    }

    /// A server with a screen, a session with it, and what comes out at either end.
    struct Rig {
        surface: Arc<Surface>,
        server: RemoteServer,
        frame: SharedFrame,
        commands: mpsc::Sender<Command>,
        told: mpsc::UnboundedReceiver<Told>,
        input: mpsc::UnboundedReceiver<InputEvent>,
    }

    impl Rig {
        fn new(width: u32, height: u32) -> Self {
            let surface = Arc::new(Surface::new(width, height));
            let (sender, input) = mpsc::unbounded_channel();
            let server = RemoteServer::new(
                Arc::clone(&surface),
                Arc::new(Sink(sender)),
                "test",
                Options::default(),
            );
            let frame = SharedFrame::default();
            let (commands, receiver) = mpsc::channel(64);
            let (tell, told) = mpsc::unbounded_channel();
            let stream = server.connect().unwrap();
            tokio::spawn(run(stream, frame.clone(), receiver, move |what| {
                let _ = tell.send(what);
            }));
            Self {
                surface,
                server,
                frame,
                commands,
                told,
                input,
            }
        }

        async fn next(&mut self) -> Told {
            let next = tokio::time::timeout(Duration::from_secs(60), self.told.recv());
            next.await.unwrap().unwrap()
        }

        /// Draws as the toolkit would, until the picture is the surface's.
        async fn drawn(&mut self) {
            loop {
                let waiting = {
                    let mut frame = self.frame.lock();
                    let view = self.surface.view();
                    let (width, height) = view.size();
                    let all = Area {
                        x: 0,
                        y: 0,
                        width: width as usize,
                        height: height as usize,
                    };
                    let same = frame.size() == (all.width, all.height)
                        && (0..height).all(|y| {
                            let bytes = view.row(y).iter().flat_map(|pixel| pixel.to_le_bytes());
                            frame.row(all, y as usize).iter().copied().eq(bytes)
                        });
                    if same {
                        return;
                    }
                    frame.take_damage().1
                };
                if waiting {
                    self.commands.send(Command::Drawn).await.unwrap();
                }
                self.next().await;
            }
        }
    }

    fn paint(surface: &Surface, seed: u32) {
        surface.draw(|frame| {
            let (width, height) = frame.size();
            for y in 0..height {
                let row: Vec<u32> = (0..width)
                    .map(|x| (x * y + seed * 77) & 0xff_ffff)
                    .collect();
                frame.draw_row(0, y, &row);
            }
        });
    }

    #[tokio::test]
    async fn the_picture_follows_the_guest() {
        let mut rig = Rig::new(640, 480);
        for seed in 0..5 {
            paint(&rig.surface, seed);
            rig.drawn().await;
        }
        rig.surface.draw(|frame| frame.resize(800, 600));
        paint(&rig.surface, 9);
        rig.drawn().await;
        assert_eq!(rig.frame.lock().size(), (800, 600));
    }

    #[tokio::test]
    async fn what_is_typed_arrives_while_the_screen_is_still() {
        let mut rig = Rig::new(64, 64);
        rig.drawn().await;
        for code in [0x1e, 0xc8, 0x56] {
            let keysym = us_keysym(ScanCode(code)).unwrap();
            for down in [true, false] {
                let key = Command::Key(KeyEvent { keysym, down });
                rig.commands.send(key).await.unwrap();
                let got = tokio::time::timeout(Duration::from_secs(60), rig.input.recv());
                let expected = InputEvent::Key {
                    code: ScanCode(code),
                    down,
                };
                assert_eq!(got.await.unwrap(), Some(expected));
            }
        }
    }

    #[tokio::test]
    async fn what_nobody_draws_is_not_fetched() {
        let mut rig = Rig::new(64, 64);
        rig.drawn().await;
        // Whatever the guest draws, no more than two pictures come; then there is silence until one is drawn.
        for seed in 0..50 {
            paint(&rig.surface, seed);
            tokio::time::sleep(Duration::from_millis(4)).await;
        }
        let mut changes = 0;
        while let Ok(told) = rig.told.try_recv() {
            changes += usize::from(matches!(told, Told::Changed));
        }
        assert!(changes <= 2, "{changes}");
        rig.drawn().await;
    }

    #[tokio::test]
    async fn the_end_is_told() {
        let mut rig = Rig::new(64, 64);
        rig.drawn().await;
        rig.server.ring();
        while !matches!(rig.next().await, Told::Bell) {}
        rig.server.stop();
        while !matches!(rig.next().await, Told::Ended(_)) {}
    }
}
