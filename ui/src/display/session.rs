//! The session with the server: one task that both receives what the server sends and sends what the person does.
//!
//! It must be one, because vnc-rs lets nobody send while another waits to receive. vnc-rs does not tell where an update ends either:
//! the picture is shown, and the next update asked for, when nothing has come for a moment. (Where pixels are seen rather than sent,
//! an update is one message.) On a still screen nothing is sent or done.

use std::fmt;
use std::future::Ready;
use std::os::unix::net::UnixStream as Stream;
use std::sync::Arc;
use std::time::Duration;

use guesthouse_engine::display::{Rectangle, Surface};
use guesthouse_engine::remote::LocalScreen;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use vnc::{
    ClientKeyEvent, ClientMouseEvent, PixelFormat, Rect, VncClient, VncConnector, VncEncoding,
    VncError, VncEvent, X11Event,
};

use super::keyboard::KeyEvent;
use super::picture::Picture;
use super::pointer::PointerEvent;
use crate::text::gettext;

/// When nothing has come for so long, an update is taken to be complete.
const QUIET: Duration = Duration::from_millis(2);
/// An update that takes longer is shown as far as it is.
const LONGEST: Duration = Duration::from_millis(16);

/// The way to a machine's screen.
pub enum Connection {
    /// The machine is in this process: its pixels are seen.
    Local(LocalScreen),
    /// It is in another process: its pixels are sent.
    Stream(Stream),
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Local(_) => "Local",
            Self::Stream(_) => "Stream",
        })
    }
}

impl Connection {
    /// Where its picture is seen.
    pub fn picture(&self) -> Picture {
        Picture::new(match self {
            Self::Local(screen) => Arc::clone(&screen.surface),
            Self::Stream(_) => Arc::new(Surface::default()),
        })
    }

    /// The stream, and what happens to pixels.
    fn split(self) -> (Stream, Pixels) {
        match self {
            Self::Local(screen) => (screen.stream, Pixels::Seen),
            Self::Stream(stream) => (stream, Pixels::Sent),
        }
    }
}

/// How pixels come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pixels {
    /// They are on the surface already.
    Seen,
    /// By the protocol, to be drawn on the surface.
    Sent,
}

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

fn rectangle(part: Rect) -> Rectangle {
    Rectangle::new(
        part.x.into(),
        part.y.into(),
        part.width.into(),
        part.height.into(),
    )
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

/// Runs the session until it ends or `commands` does; `picture` is the connection's own. Reports by `tell`, the end too if it is the
/// server's.
pub async fn run(
    connection: Connection,
    picture: Picture,
    commands: mpsc::Receiver<Command>,
    tell: impl Fn(Told),
) {
    let (stream, pixels) = connection.split();
    let client = match connect(stream).await {
        Ok(client) => client,
        Err(error) => {
            tell(Told::Ended(error.to_string()));
            return;
        }
    };
    match exchange(&client, &picture, pixels, commands, &tell).await {
        Ok(()) => {}
        Err(VncError::ClientNotRunning) => {
            tell(Told::Ended(gettext("the machine closed its screen")));
        }
        Err(error) => tell(Told::Ended(error.to_string())),
    }
    // Fails only when it is closed already.
    let _ = client.close().await;
}

async fn exchange(
    client: &VncClient,
    picture: &Picture,
    pixels: Pixels,
    mut commands: mpsc::Receiver<Command>,
    tell: &impl Fn(Told),
) -> Result<(), VncError> {
    let quiet = match pixels {
        Pixels::Seen => Duration::ZERO,
        Pixels::Sent => QUIET,
    };
    // When the update that is being received began, and when its latest part came.
    let mut update: Option<(Instant, Instant)> = None;
    loop {
        let complete = update.map(|(began, latest)| (latest + quiet).min(began + LONGEST));
        tokio::select! {
            event = client.recv_event() => {
                if take(event?, picture, pixels, tell)? {
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
                if picture.announce() {
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
fn take(
    event: VncEvent,
    picture: &Picture,
    pixels: Pixels,
    tell: &impl Fn(Told),
) -> Result<bool, VncError> {
    match event {
        VncEvent::SetResolution(screen) => {
            if pixels == Pixels::Sent {
                let (width, height) = (screen.width.into(), screen.height.into());
                picture.surface().draw(|frame| frame.resize(width, height));
            }
            tell(Told::Size(screen.width, screen.height));
            Ok(true)
        }
        VncEvent::RawImage(part, data) => {
            put(picture.surface(), rectangle(part), &data)?;
            Ok(true)
        }
        VncEvent::Copy(to, from) => {
            let mut fits = true;
            if pixels == Pixels::Sent {
                let (to, from) = (rectangle(to), (from.x.into(), from.y.into()));
                picture.surface().draw(|frame| fits = frame.copy(to, from));
            }
            fits.then_some(true).ok_or(VncError::InvalidImageData)
        }
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

/// Draws `data`, row by row, at `part`.
fn put(surface: &Surface, part: Rectangle, data: &[u8]) -> Result<(), VncError> {
    let (rows, rest) = data.as_chunks::<4>();
    let width = part.width as usize;
    if width == 0 || rows.len() as u64 != part.area() || !rest.is_empty() {
        return Err(VncError::InvalidImageData);
    }
    let mut line = Vec::with_capacity(width);
    surface.draw(|frame| {
        for (y, row) in (part.y..).zip(rows.chunks_exact(width)) {
            line.clear();
            line.extend(
                row.iter()
                    .map(|pixel| u32::from_le_bytes(*pixel) & 0x00ff_ffff),
            );
            frame.draw_row(part.x, y, &line);
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
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
        picture: Picture,
        commands: mpsc::Sender<Command>,
        told: mpsc::UnboundedReceiver<Told>,
        input: mpsc::UnboundedReceiver<InputEvent>,
    }

    impl Rig {
        fn new(width: u32, height: u32, pixels: Pixels) -> Self {
            let surface = Arc::new(Surface::new(width, height));
            let (sender, input) = mpsc::unbounded_channel();
            let server = RemoteServer::new(
                Arc::clone(&surface),
                Arc::new(Sink(sender)),
                "test",
                Options::default(),
            );
            let connection = match pixels {
                Pixels::Seen => Connection::Local(server.connect_looker().unwrap()),
                Pixels::Sent => Connection::Stream(server.connect().unwrap()),
            };
            let picture = connection.picture();
            let (commands, receiver) = mpsc::channel(64);
            let (tell, told) = mpsc::unbounded_channel();
            tokio::spawn(run(connection, picture.clone(), receiver, move |what| {
                let _ = tell.send(what);
            }));
            Self {
                surface,
                server,
                picture,
                commands,
                told,
                input,
            }
        }

        async fn next(&mut self) -> Told {
            let next = tokio::time::timeout(Duration::from_secs(60), self.told.recv());
            next.await.unwrap().unwrap()
        }

        /// Draws as the toolkit would, once.
        async fn draw(&self) {
            if self.picture.take_news() {
                self.commands.send(Command::Drawn).await.unwrap();
            }
        }

        /// Waits until there is something to draw.
        async fn changed(&mut self) {
            while !matches!(self.next().await, Told::Changed) {}
        }

        /// Draws until the picture is the surface's.
        async fn drawn(&mut self) {
            loop {
                self.draw().await;
                let same = {
                    let (ours, theirs) = (self.picture.surface().view(), self.surface.view());
                    ours.size() == theirs.size() && ours.pixels() == theirs.pixels()
                };
                if same {
                    return;
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
        let mut rig = Rig::new(640, 480, Pixels::Sent);
        for seed in 0..5 {
            paint(&rig.surface, seed);
            rig.drawn().await;
        }
        // What scrolls is copied.
        for _ in 0..3 {
            rig.surface.draw(|frame| {
                assert!(frame.copy(Rectangle::new(0, 0, 640, 464), (0, 16)));
            });
            rig.drawn().await;
        }
        rig.surface.draw(|frame| frame.resize(800, 600));
        paint(&rig.surface, 9);
        rig.drawn().await;
        assert_eq!(rig.picture.surface().view().size(), (800, 600));
    }

    #[tokio::test]
    async fn every_change_of_a_picture_that_is_seen_is_told() {
        let mut rig = Rig::new(640, 480, Pixels::Seen);
        for seed in 0..5 {
            rig.changed().await;
            rig.draw().await;
            paint(&rig.surface, seed);
        }
        rig.changed().await;
        rig.draw().await;
        rig.surface.draw(|frame| frame.resize(800, 600));
        // A painting may have been told in two parts, the second of which is yet to be drawn.
        loop {
            match rig.next().await {
                Told::Size(800, 600) => break,
                Told::Changed => rig.draw().await,
                _ => {}
            }
        }
        rig.changed().await;
    }

    #[tokio::test]
    async fn what_is_typed_arrives_while_the_screen_is_still() {
        let mut rig = Rig::new(64, 64, Pixels::Seen);
        rig.changed().await;
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
        for pixels in [Pixels::Seen, Pixels::Sent] {
            let mut rig = Rig::new(64, 64, pixels);
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
    }

    #[test]
    fn pixels_that_do_not_fit_are_refused() {
        let surface = Surface::new(4, 4);
        for (part, bytes) in [
            (Rectangle::new(0, 0, 2, 2), 15),
            (Rectangle::new(0, 0, 2, 2), 20),
            (Rectangle::new(0, 0, 0, 2), 0),
        ] {
            assert!(put(&surface, part, &vec![0xff; bytes]).is_err(), "{part:?}");
        }
        assert!(put(&surface, Rectangle::new(1, 1, 1, 2), &[0xff; 8]).is_ok());
        let white = [0, 0xff_ffff, 0, 0];
        assert_eq!(surface.view().row(1), white);
        assert_eq!(surface.view().row(3), [0; 4]);
    }

    #[tokio::test]
    async fn the_end_is_told() {
        let mut rig = Rig::new(64, 64, Pixels::Sent);
        rig.drawn().await;
        rig.server.ring();
        while !matches!(rig.next().await, Told::Bell) {}
        rig.server.stop();
        while !matches!(rig.next().await, Told::Ended(_)) {}
    }
}
