//! The server of one machine's screen: who is connected, and what all of them are told.

use std::{
    collections::BTreeMap,
    fs, io,
    net::{SocketAddr, TcpListener},
    os::unix::{
        fs::{FileTypeExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use parking_lot::Mutex;

use super::{
    handshake::shake_hands,
    keyboard::Keyboard,
    message::LONGEST_TEXT,
    picture::Picture,
    pointer::Pointer,
    stream::Stream,
    update::Writer,
    viewer::{Reader, State, Viewer},
};
use crate::{
    display::Surface,
    input::{InputSink, Lights},
};

/// Takes text that a viewer put on its clipboard.
pub type TakeText = Arc<dyn Fn(String) + Send + Sync>;
/// Asks the guest for a screen of a width and height in pixels; tells whether that is possible at all.
pub type AskForSize = Arc<dyn Fn(u32, u32) -> bool + Send + Sync>;

/// What can be chosen about a server.
#[derive(Clone)]
pub struct Options {
    /// Wanted from everyone who comes by [`RemoteServer::listen`] or [`RemoteServer::attach`], of which eight bytes count; the
    /// machine's own window does not need it.
    pub password: Option<String>,
    /// How many may be connected at once.
    pub most_viewers: usize,
    /// Where text goes that viewers put on their clipboards.
    pub take_text: Option<TakeText>,
    /// Whom viewers ask for a screen of another size; without it they are told that it is prohibited.
    pub ask_for_size: Option<AskForSize>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            password: None,
            most_viewers: 32,
            take_text: None,
            ask_for_size: None,
        }
    }
}

/// Where to be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A socket in the file system, for this user only.
    Unix(PathBuf),
    /// A TCP address. One that other computers reach needs a password. So does, in practice, one that only this computer reaches,
    /// where others use this computer too.
    Tcp(SocketAddr),
}

/// Why the server cannot be reached, or a viewer not be served.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// Everyone on the network could use the machine.
    #[error(
        "other computers can reach {0}, so it needs a password: set one, or use a loopback address"
    )]
    NeedsPassword(SocketAddr),
    /// The path is somebody's.
    #[error("{} exists and is no socket that was left behind; choose another path", .0.display())]
    Occupied(PathBuf),
    /// The address cannot be used.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// As text.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The server was stopped.
    #[error("the machine's screen is no longer served")]
    Stopped,
    /// As many as allowed are there.
    #[error("{0} viewers are connected to this machine already; close one")]
    TooMany(usize),
    /// The connection could not be set up.
    #[error("cannot serve the viewer: {0}")]
    Viewer(#[from] io::Error),
}

/// Somebody who is connected and was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewerInformation {
    /// As [`RemoteServer::attach`] gave it.
    pub identity: u64,
    /// The address of the other end, for people.
    pub peer: String,
}

/// How a viewer of this process reaches a screen: pixels and their size by the surface, everything else by the protocol.
pub struct LocalScreen {
    /// To the server.
    pub stream: UnixStream,
    /// What is on the screen.
    pub surface: Arc<Surface>,
}

/// Who is let in, and what is sent.
enum Admission {
    /// Everyone.
    Anyone,
    /// Who knows this.
    Password(String),
    /// One that sees the pixels without being sent them.
    Looker,
}

impl Admission {
    fn password(&self) -> Option<&str> {
        match self {
            Self::Password(password) => Some(password),
            Self::Anyone | Self::Looker => None,
        }
    }
}

/// What all threads of a server share.
pub struct Shared {
    surface: Arc<Surface>,
    input: Arc<dyn InputSink>,
    name: Mutex<String>,
    options: Options,
    viewers: Mutex<BTreeMap<u64, Arc<Viewer>>>,
    next: AtomicU64,
    lights: Mutex<Option<Lights>>,
    relative: AtomicBool,
    stopped: AtomicBool,
}

impl Shared {
    pub fn surface(&self) -> &Surface {
        &self.surface
    }

    pub fn input(&self) -> &dyn InputSink {
        &*self.input
    }

    pub fn name(&self) -> String {
        self.name.lock().clone()
    }

    pub fn lights(&self) -> Lights {
        self.lights.lock().unwrap_or_default()
    }

    pub fn lights_are_known(&self) -> bool {
        self.lights.lock().is_some()
    }

    pub fn is_relative(&self) -> bool {
        self.relative.load(Ordering::Acquire)
    }

    pub fn clipboard(&self, text: String) {
        if let Some(take) = &self.options.take_text {
            take(text);
        }
    }

    pub fn resize(&self, width: u32, height: u32) -> bool {
        self.options
            .ask_for_size
            .as_ref()
            .is_some_and(|ask| ask(width, height))
    }

    /// Notes something for every viewer and wakes their writers.
    fn tell_all(&self, tell: impl Fn(&mut State)) {
        for viewer in self.viewers.lock().values() {
            tell(&mut viewer.state.lock());
        }
        self.surface.wake();
    }

    /// Lets a viewer in and starts its two threads.
    fn attach(
        self: &Arc<Self>,
        stream: Box<dyn Stream>,
        admission: Admission,
    ) -> Result<u64, RemoteError> {
        let control = stream.duplicate()?;
        let identity = self.next.fetch_add(1, Ordering::Relaxed);
        let viewer = Arc::new(Viewer::new(identity, control));
        {
            let mut viewers = self.viewers.lock();
            // Asked under the lock under which stopping closes all, so that none slips in after it.
            if self.stopped.load(Ordering::Acquire) {
                return Err(RemoteError::Stopped);
            }
            if viewers.len() >= self.options.most_viewers {
                return Err(RemoteError::TooMany(viewers.len()));
            }
            viewers.insert(identity, Arc::clone(&viewer));
        }
        let shared = Arc::clone(self);
        let spawned = std::thread::Builder::new()
            .name(format!("viewer-{identity}-in"))
            .spawn(move || {
                let leave = Leave { shared, viewer };
                leave.shared.serve(&leave.viewer, stream, &admission);
            });
        if let Err(error) = spawned {
            self.viewers.lock().remove(&identity);
            return Err(error.into());
        }
        Ok(identity)
    }

    /// The reading thread of a viewer.
    fn serve(
        self: &Arc<Self>,
        viewer: &Arc<Viewer>,
        mut stream: Box<dyn Stream>,
        admission: &Admission,
    ) {
        let peer = &viewer.peer;
        let size = || self.surface.view().size();
        let (width, height) =
            match shake_hands(&mut *stream, admission.password(), &self.name(), size) {
                Ok(size) => size,
                Err(error) => {
                    tracing::info!(%peer, %error, "a viewer was not let in");
                    return;
                }
            };
        let writing = match stream.duplicate() {
            Ok(writing) => writing,
            Err(error) => {
                tracing::warn!(%peer, %error, "a viewer cannot be served");
                return;
            }
        };
        let picture = match admission {
            Admission::Looker => Picture::shared(width, height),
            Admission::Anyone | Admission::Password(_) => Picture::new(width, height),
        };
        let mut writer = Writer::new(Arc::clone(self), Arc::clone(viewer), writing, picture);
        let writers_viewer = Arc::clone(viewer);
        let spawned = std::thread::Builder::new()
            .name(format!("viewer-{}-out", viewer.identity))
            .spawn(move || {
                if let Err(error) = writer.run() {
                    tracing::debug!(%error, "a viewer can no longer be written to");
                }
                // The reader ends with it.
                writers_viewer.close();
            });
        let writer = match spawned {
            Ok(writer) => writer,
            Err(error) => {
                tracing::warn!(%peer, %error, "a viewer cannot be served");
                return;
            }
        };
        viewer.let_in.store(true, Ordering::Release);
        tracing::info!(%peer, "a viewer is connected");
        let mut reader = Reader {
            shared: Arc::clone(self),
            viewer: Arc::clone(viewer),
            keyboard: Keyboard::default(),
            pointer: Pointer::default(),
        };
        let reason = reader.run(stream);
        tracing::info!(%peer, %reason, "a viewer is gone");
        viewer.close();
        self.surface.wake();
        if writer.join().is_err() {
            tracing::error!(%peer, "the thread that wrote to a viewer failed");
        }
    }
}

/// Takes a viewer off the list when its thread ends, however it does.
struct Leave {
    shared: Arc<Shared>,
    viewer: Arc<Viewer>,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.viewer.close();
        self.shared.viewers.lock().remove(&self.viewer.identity);
        self.shared.surface.wake();
    }
}

/// A listening socket and the thread that answers there.
struct Listener {
    stop: Box<dyn Fn() + Send + Sync>,
    path: Option<PathBuf>,
    thread: Option<JoinHandle<()>>,
    address: Address,
}

impl Drop for Listener {
    fn drop(&mut self) {
        (self.stop)();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(address = ?self.address, "the thread that listened for viewers failed");
        }
        if let Some(path) = &self.path
            && let Err(error) = fs::remove_file(path)
        {
            tracing::warn!(path = %path.display(), %error, "the socket could not be removed");
        }
    }
}

/// The server of one machine's screen. Dropping it disconnects everyone.
pub struct RemoteServer {
    shared: Arc<Shared>,
    listeners: Mutex<Vec<Listener>>,
}

impl RemoteServer {
    /// Serves `surface` to viewers, and `input` by what they do. `name` is what they show as their title.
    pub fn new(
        surface: Arc<Surface>,
        input: Arc<dyn InputSink>,
        name: impl Into<String>,
        options: Options,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                surface,
                input,
                name: Mutex::new(name.into()),
                options,
                viewers: Mutex::new(BTreeMap::new()),
                next: AtomicU64::new(1),
                lights: Mutex::new(None),
                relative: AtomicBool::new(false),
                stopped: AtomicBool::new(false),
            }),
            listeners: Mutex::new(Vec::new()),
        }
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// Serves whoever is at the other end of `stream`, and tells under which number.
    pub fn attach(&self, stream: impl Stream) -> Result<u64, RemoteError> {
        offered(&self.shared, Box::new(stream))
    }

    /// Connects a viewer of this user, who needs no password.
    pub fn connect(&self) -> Result<UnixStream, RemoteError> {
        let (ours, theirs) = UnixStream::pair()?;
        self.admit(ours)?;
        Ok(theirs)
    }

    /// Serves the viewer at the other end of `stream`, who has shown already to be this user and needs no password.
    pub fn admit(&self, stream: UnixStream) -> Result<(), RemoteError> {
        self.shared.attach(Box::new(stream), Admission::Anyone)?;
        Ok(())
    }

    /// Connects a viewer of this process that looks at the surface itself. It needs no password, and in place of pixels it is
    /// told where they changed: by CopyRect, from a place to itself.
    pub fn connect_looker(&self) -> Result<LocalScreen, RemoteError> {
        let (ours, theirs) = UnixStream::pair()?;
        self.shared.attach(Box::new(ours), Admission::Looker)?;
        Ok(LocalScreen {
            stream: theirs,
            surface: Arc::clone(&self.shared.surface),
        })
    }

    /// Lets viewers come by `address`. Returns the address, with the port that was found if it was 0.
    pub fn listen(&self, address: &Address) -> Result<Address, RemoteError> {
        if self.shared.stopped.load(Ordering::Acquire) {
            return Err(RemoteError::Stopped);
        }
        let listener = match address {
            Address::Tcp(address) => self.listen_tcp(*address)?,
            Address::Unix(path) => self.listen_unix(path)?,
        };
        let address = listener.address.clone();
        self.listeners.lock().push(listener);
        Ok(address)
    }

    fn listen_tcp(&self, address: SocketAddr) -> Result<Listener, RemoteError> {
        if !address.ip().is_loopback() && self.shared.options.password.is_none() {
            return Err(RemoteError::NeedsPassword(address));
        }
        let failed = |source| RemoteError::Listen {
            address: address.to_string(),
            source,
        };
        let listener = TcpListener::bind(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let control = listener.try_clone().map_err(failed)?;
        let thread = spawn_listener(Arc::clone(&self.shared), move |shared| {
            let (stream, _) = listener.accept()?;
            // Small answers are not to wait for more.
            stream.set_nodelay(true)?;
            offer(shared, Box::new(stream));
            Ok(())
        })?;
        Ok(Listener {
            stop: Box::new(move || stop_listening(&control)),
            path: None,
            thread: Some(thread),
            address: Address::Tcp(address),
        })
    }

    fn listen_unix(&self, path: &Path) -> Result<Listener, RemoteError> {
        let failed = |source| RemoteError::Listen {
            address: path.display().to_string(),
            source,
        };
        if let Ok(metadata) = fs::symlink_metadata(path) {
            // A socket at which nobody answers was left behind by a process that died.
            let left_behind =
                metadata.file_type().is_socket() && UnixStream::connect(path).is_err();
            if !left_behind {
                return Err(RemoteError::Occupied(path.into()));
            }
            fs::remove_file(path).map_err(failed)?;
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        let control = listener.try_clone().map_err(failed)?;
        let thread = spawn_listener(Arc::clone(&self.shared), move |shared| {
            let (stream, _) = listener.accept()?;
            // Whoever was quicker than the permissions above.
            let user = rustix::net::sockopt::socket_peercred(&stream)?.uid;
            if user != rustix::process::geteuid() && !user.is_root() {
                tracing::warn!(user = user.as_raw(), "another user's viewer was sent away");
                return Ok(());
            }
            offer(shared, Box::new(stream));
            Ok(())
        })?;
        Ok(Listener {
            stop: Box::new(move || stop_listening(&control)),
            path: Some(path.into()),
            thread: Some(thread),
            address: Address::Unix(path.into()),
        })
    }

    /// Who is connected and was let in.
    pub fn viewers(&self) -> Vec<ViewerInformation> {
        self.shared
            .viewers
            .lock()
            .values()
            .filter(|viewer| viewer.let_in.load(Ordering::Acquire))
            .map(|viewer| ViewerInformation {
                identity: viewer.identity,
                peer: viewer.peer.clone(),
            })
            .collect()
    }

    /// Disconnects one viewer.
    pub fn disconnect(&self, identity: u64) {
        let viewer = self.shared.viewers.lock().get(&identity).cloned();
        if let Some(viewer) = viewer {
            viewer.close();
            self.shared.surface.wake();
        }
    }

    /// Tells viewers which lights of the keyboard the guest has turned on.
    pub fn set_lights(&self, lights: Lights) {
        let before = self.shared.lights.lock().replace(lights);
        if before != Some(lights) {
            self.shared.tell_all(|state| {
                state.news.lights |= state.settings.extensions.lights;
            });
        }
    }

    /// Chooses whether viewers that can send motions instead of places: right for a mouse, wrong for a tablet.
    pub fn set_relative(&self, relative: bool) {
        if self.shared.relative.swap(relative, Ordering::AcqRel) != relative {
            self.shared.tell_all(|state| {
                state.news.pointer |= state.settings.extensions.relative_pointer;
            });
        }
    }

    /// Whether viewers that can are to send motions instead of places.
    pub fn is_relative(&self) -> bool {
        self.shared.is_relative()
    }

    /// Gives the machine another name.
    pub fn set_name(&self, name: impl Into<String>) {
        *self.shared.name.lock() = name.into();
        self.shared
            .tell_all(|state| state.news.name |= state.settings.extensions.name);
    }

    /// Rings the bell at every viewer.
    pub fn ring(&self) {
        self.shared.tell_all(|state| state.bell = true);
    }

    /// Puts text on the clipboard of every viewer, cut to a MiB. The protocol has Latin-1 only: other characters become "?".
    pub fn set_text(&self, text: &str) {
        let text: Vec<u8> = text
            .chars()
            .take(LONGEST_TEXT as usize)
            .map(|character| u8::try_from(u32::from(character)).unwrap_or(b'?'))
            .collect();
        self.shared
            .tell_all(|state| state.text = Some(text.clone()));
    }

    /// Disconnects everyone and lets nobody in any more.
    pub fn stop(&self) {
        self.shared.stopped.store(true, Ordering::Release);
        let listeners = std::mem::take(&mut *self.listeners.lock());
        drop(listeners);
        for viewer in self.shared.viewers.lock().values() {
            viewer.close();
        }
        self.shared.surface.wake();
    }
}

impl Drop for RemoteServer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn offered(shared: &Arc<Shared>, stream: Box<dyn Stream>) -> Result<u64, RemoteError> {
    let password = shared.options.password.clone();
    shared.attach(
        stream,
        password.map_or(Admission::Anyone, Admission::Password),
    )
}

fn offer(shared: &Arc<Shared>, stream: Box<dyn Stream>) {
    if let Err(error) = offered(shared, stream) {
        tracing::warn!(%error, "a viewer was sent away");
    }
}

fn spawn_listener(
    shared: Arc<Shared>,
    accept: impl Fn(&Arc<Shared>) -> io::Result<()> + Send + 'static,
) -> Result<JoinHandle<()>, RemoteError> {
    let run = move || {
        loop {
            let accepted = accept(&shared);
            if shared.stopped.load(Ordering::Acquire) {
                return;
            }
            if let Err(error) = accepted {
                tracing::warn!(%error, "a viewer could not be accepted");
                // Out of files, most likely: not to be asked again at once.
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    };
    Ok(std::thread::Builder::new()
        .name("viewer-listen".into())
        .spawn(run)?)
}

fn stop_listening(listener: &impl std::os::fd::AsFd) {
    // Linux wakes a thread in accept when its socket is shut down.
    if let Err(error) = rustix::net::shutdown(listener, rustix::net::Shutdown::Both) {
        tracing::warn!(%error, "a listening socket could not be shut down");
    }
}
