//! The handle by which a running machine is watched and told what to do.

use std::fs::File;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use parking_lot::Mutex;
use uuid::Uuid;

use super::conductor::{self, Message};
use super::log::Log;
use super::networks::{CardStatus, Networks};
use super::usage::{Meters, Usage};
use super::{CommandError, MachineEvent, SerialConnection, StartError, State};
use crate::definition::{Definition, NetworkCard};
use crate::display::{ScreenshotError, Surface};
use crate::hypervisor::ProcessorState;
use crate::input::{InputEvent, InputSink, Lights};
use crate::remote::{Address, AskForSize, LocalScreen, Options, RemoteError, RemoteServer};
use crate::virtio::graphics::GraphicsHandle;

/// How a machine is started.
#[derive(Debug, Default)]
pub struct StartOptions {
    /// Where what the guest sends over its first serial port goes, and what it receives comes from.
    pub serial: Option<SerialConnection>,
    /// The same for its virtio console, if it has one.
    pub console: Option<SerialConnection>,
}

/// Reads the text on the screen, if there is text on it.
pub(super) type TextReader = Box<dyn Fn() -> Option<Vec<String>> + Send>;

/// What a machine's handle, its own thread and its devices share.
pub(super) struct Common {
    pub state: Mutex<State>,
    pub subscribers: Mutex<Vec<Sender<MachineEvent>>>,
    pub log: Log,
    pub surface: Arc<Surface>,
    pub lights: Mutex<Lights>,
    /// The devices that take input; none while the machine is off.
    pub input: Mutex<Option<Arc<dyn InputSink>>>,
    /// The text on the screen, if the adapter is in a text mode; none while the machine is off.
    pub text: Mutex<Option<TextReader>>,
    pub remote: RemoteServer,
    /// The way to the display of an adapter that takes another size; none while the machine is off.
    pub graphics: Mutex<Option<GraphicsHandle>>,
    /// The network cards; none while the machine is off.
    pub networks: Mutex<Option<Arc<Networks>>>,
    /// What it uses; none while the machine is off.
    pub meters: Mutex<Option<Arc<Meters>>>,
}

impl Common {
    /// Tells everybody who watches.
    pub fn tell(&self, event: &MachineEvent) {
        self.subscribers
            .lock()
            .retain(|subscriber| subscriber.send(event.clone()).is_ok());
    }

    /// Changes the state and tells everybody.
    pub fn enter(&self, state: State) {
        let mut current = self.state.lock();
        *current = state.clone();
        // With the lock, so that nobody who comes at this moment hears of it twice or never.
        self.tell(&MachineEvent::State(state));
    }

    /// Asks the guest for a screen of so many pixels; tells whether there is a driver that hears it now.
    fn ask_for_screen(&self, width: u32, height: u32) -> bool {
        let graphics = self.graphics.lock().clone();
        graphics.is_some_and(|graphics| graphics.ask_for_size(width, height))
    }

    /// Adds a line to the log and tells everybody.
    pub fn note(&self, source: &str, text: &str) {
        if let Some(line) = self.log.add(source, text) {
            self.tell(&MachineEvent::Log { line });
        }
    }
}

/// Input goes to the machine's devices while there are any.
struct Input(std::sync::Weak<Common>);

/// Asks the machine's display, while it has one that hears it, for another size.
fn ask_for_size(common: &std::sync::Weak<Common>) -> AskForSize {
    let common = common.clone();
    Arc::new(move |width, height| {
        let common = common.upgrade();
        common.is_some_and(|common| common.ask_for_screen(width, height))
    })
}

impl InputSink for Input {
    fn input(&self, event: InputEvent) {
        let sink = self
            .0
            .upgrade()
            .and_then(|common| common.input.lock().clone());
        if let Some(sink) = sink {
            sink.input(event);
        }
    }
}

/// What a machine can be told.
#[derive(Debug)]
pub(super) enum Command {
    Pause,
    Resume,
    Reset,
    Shutdown,
    PowerOff,
    ProcessorState(Sender<Vec<ProcessorState>>),
    Insert {
        drive: usize,
        file: File,
        path: PathBuf,
    },
    Eject {
        drive: usize,
        force: bool,
    },
    SetBalloon {
        bytes: u64,
    },
    AskMemory,
    #[cfg(feature = "fault-injection")]
    PanicProcessor,
}

/// One machine alive, or that was. Cloning gives another handle of the same machine; when the last one goes, it is powered off.
#[derive(Clone)]
pub struct Machine {
    common: Arc<Common>,
    commands: Arc<Commands>,
    uuid: Uuid,
}

struct Commands {
    sender: Sender<Message>,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

impl Drop for Commands {
    fn drop(&mut self) {
        let (reply, _) = bounded(1);
        // A machine that is off already takes no more commands.
        let _ = self.sender.send(Message::Command(Command::PowerOff, reply));
        if let Some(thread) = self.thread.lock().take()
            && thread.thread().id() != thread::current().id()
        {
            // Its panics were caught and told.
            let _ = thread.join();
        }
    }
}

impl Machine {
    /// Puts together the machine that `definition` describes, whose files are in `folder`, and lets it run. Returns when its
    /// first instruction is about to be carried out.
    ///
    /// # Errors
    /// What keeps it from starting; nothing was changed then.
    pub fn start(
        definition: &Definition,
        folder: &Path,
        options: StartOptions,
    ) -> Result<Self, StartError> {
        let surface = Arc::new(Surface::default());
        let common = Arc::new_cyclic(|common| Common {
            state: Mutex::new(State::Starting),
            subscribers: Mutex::default(),
            log: Log::open(folder),
            surface: Arc::clone(&surface),
            lights: Mutex::default(),
            input: Mutex::default(),
            text: Mutex::default(),
            remote: RemoteServer::new(
                surface,
                Arc::new(Input(common.clone())),
                definition.name.as_str(),
                Options {
                    ask_for_size: Some(ask_for_size(common)),
                    ..Options::default()
                },
            ),
            graphics: Mutex::default(),
            networks: Mutex::default(),
            meters: Mutex::default(),
        });
        let (sender, receiver) = unbounded();
        let (started, outcome) = bounded(1);
        let thread = thread::Builder::new()
            .name(format!("machine {}", definition.name))
            .spawn({
                let (common, sender, definition, folder) = (
                    Arc::clone(&common),
                    sender.clone(),
                    definition.clone(),
                    folder.to_owned(),
                );
                move || {
                    conductor::conduct(
                        &common,
                        &definition,
                        &folder,
                        options,
                        &sender,
                        &receiver,
                        &started,
                    )
                }
            })?;
        let commands = Arc::new(Commands {
            sender,
            thread: Mutex::new(Some(thread)),
        });
        match outcome.recv() {
            Ok(Ok(())) => Ok(Self {
                common,
                commands,
                uuid: definition.uuid,
            }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(StartError::Internal("its thread ended".to_owned())),
        }
    }

    fn command(&self, command: Command) -> Result<(), CommandError> {
        let (reply, answer) = bounded(1);
        self.commands
            .sender
            .send(Message::Command(command, reply))
            .map_err(|_| CommandError::NotRunning)?;
        answer.recv().unwrap_or(Err(CommandError::NotRunning))
    }

    /// The identifier that its definition has.
    pub fn uuid(&self) -> Uuid {
        self.uuid
    }

    /// What it is doing.
    pub fn state(&self) -> State {
        self.common.state.lock().clone()
    }

    /// What it is doing, as a first [`MachineEvent::State`], then everything that happens to it. The channel ends when the machine's
    /// last handle goes.
    pub fn subscribe(&self) -> Receiver<MachineEvent> {
        let (sender, receiver) = unbounded();
        let state = self.common.state.lock();
        // The receiver is here still.
        let _ = sender.send(MachineEvent::State(state.clone()));
        self.common.subscribers.lock().push(sender);
        receiver
    }

    /// Stops the guest where it is.
    ///
    /// # Errors
    /// When the machine is not running.
    pub fn pause(&self) -> Result<(), CommandError> {
        self.command(Command::Pause)
    }

    /// Lets the guest go on; what failed for want of space is tried again.
    ///
    /// # Errors
    /// When the machine is not running.
    pub fn resume(&self) -> Result<(), CommandError> {
        self.command(Command::Resume)
    }

    /// Presses the reset button.
    ///
    /// # Errors
    /// When the machine is not running.
    pub fn reset(&self) -> Result<(), CommandError> {
        self.command(Command::Reset)
    }

    /// Presses the power button: asks the guest to shut down. Whether and when it does is the guest's to say.
    ///
    /// # Errors
    /// When the machine is not running.
    pub fn shutdown(&self) -> Result<(), CommandError> {
        self.command(Command::Shutdown)
    }

    /// Pulls the plug. What the guest flushed is on the disk, and what it wrote is flushed now; what it kept in its memory is
    /// lost. Returns when the machine is off.
    ///
    /// # Errors
    /// When the machine is not running.
    pub fn power_off(&self) -> Result<(), CommandError> {
        self.command(Command::PowerOff)
    }

    /// Puts the medium `file`, found at `path`, into optical drive number `drive` (counting from 0); what was in it is taken out.
    ///
    /// # Errors
    /// When the machine is not running, has no such drive, or the medium cannot be used.
    pub fn insert(&self, drive: usize, file: File, path: PathBuf) -> Result<(), CommandError> {
        self.command(Command::Insert { drive, file, path })
    }

    /// Takes the medium out of optical drive number `drive` (counting from 0), even one that the guest has locked if `force`.
    ///
    /// # Errors
    /// When the machine is not running, has no such drive, or the guest has locked the medium.
    pub fn eject(&self, drive: usize, force: bool) -> Result<(), CommandError> {
        self.command(Command::Eject { drive, force })
    }

    /// How its network cards are doing, in the order of the definition; none while the machine is off.
    pub fn networks(&self) -> Vec<CardStatus> {
        let networks = self.common.networks.lock().clone();
        networks.map_or_else(Vec::new, |networks| networks.status())
    }

    /// Makes switch, cable, forwards and capture of network card number `card` (counting from 0) what `wanted` says, at once. What
    /// cannot be had is no error: [`Machine::networks`] says so for the card or the forward. Its model and address stay until the
    /// machine is started anew.
    ///
    /// # Errors
    /// When the machine is not running or has no such card.
    pub fn change_network(&self, card: usize, wanted: &NetworkCard) -> Result<(), CommandError> {
        let networks = self.common.networks.lock().clone();
        let networks = networks.ok_or(CommandError::NotRunning)?;
        let faults = networks
            .change(card, wanted)
            .ok_or(CommandError::NoNetworkCard {
                card,
                count: networks.count(),
            })?;
        for fault in faults {
            self.common.note("network", &fault);
        }
        self.common.tell(&MachineEvent::Network { card });
        Ok(())
    }

    /// What it has used since it was started; nothing while it is off. It takes some milliseconds: not for a thread that draws.
    pub fn usage(&self) -> Option<Usage> {
        let meters = self.common.meters.lock().clone();
        meters.map(|meters| meters.read())
    }

    /// Whether it was started with a memory balloon, and is not off.
    pub fn has_balloon(&self) -> bool {
        let meters = self.common.meters.lock();
        meters
            .as_ref()
            .is_some_and(|meters| meters.balloon.is_some())
    }

    /// Asks the guest to give back `bytes` of its memory in all, and to take the rest again. When and how far it does is the
    /// guest's to say: [`MachineEvent::Memory`] tells.
    ///
    /// # Errors
    /// When the machine is not running or has no memory balloon.
    pub fn set_balloon(&self, bytes: u64) -> Result<(), CommandError> {
        self.command(Command::SetBalloon { bytes })
    }

    /// Asks the guest how it uses its memory: [`MachineEvent::Memory`] tells, if the guest has the balloon's driver.
    ///
    /// # Errors
    /// When the machine is not running or has no memory balloon.
    pub fn ask_memory(&self) -> Result<(), CommandError> {
        self.command(Command::AskMemory)
    }

    /// Presses a key, moves the pointer. Nothing happens while the machine is off.
    pub fn input(&self, event: InputEvent) {
        Input(Arc::downgrade(&self.common)).input(event);
    }

    /// The lights of its keyboard.
    pub fn lights(&self) -> Lights {
        *self.common.lights.lock()
    }

    /// What each of its processors holds, to see where a guest is that does not go on. The guest stands still for a moment.
    ///
    /// # Errors
    /// When the machine is not running.
    pub fn processor_state(&self) -> Result<Vec<ProcessorState>, CommandError> {
        let (sender, states) = bounded(1);
        self.command(Command::ProcessorState(sender))?;
        states.recv().map_err(|_| CommandError::NotRunning)
    }

    /// Whether the guest's pointer goes where it is put, so that nothing needs to be grabbed: [`MachineEvent::Pointer`] tells when
    /// that changes.
    pub fn pointer_is_absolute(&self) -> bool {
        !self.common.remote.is_relative()
    }

    /// Asks the guest for a screen of `width` by `height` pixels (320 to 4088 each, else the nearest of these); one that has no
    /// driver for its adapter yet learns it when it has. Tells whether there is a driver that hears it now.
    pub fn ask_for_screen(&self, width: u32, height: u32) -> bool {
        self.common.ask_for_screen(width, height)
    }

    /// Its screen.
    pub fn surface(&self) -> &Arc<Surface> {
        &self.common.surface
    }

    /// The text on its screen, row by row, if the screen shows text now.
    pub fn screen_text(&self) -> Option<Vec<String>> {
        self.common.text.lock().as_ref().and_then(|text| text())
    }

    /// The picture on its screen as a PNG file.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn screenshot(&self) -> Result<Vec<u8>, ScreenshotError> {
        crate::display::png(&self.common.surface)
    }

    /// The latest lines of its log, oldest first.
    pub fn log(&self) -> Vec<String> {
        self.common.log.lines()
    }

    /// A new viewer of the screen in another process of this user, which also takes input, by the remote framebuffer protocol.
    ///
    /// # Errors
    /// When the host gives no socket or thread.
    pub fn connect_viewer(&self) -> Result<UnixStream, RemoteError> {
        self.common.remote.connect()
    }

    /// Serves the viewer at the other end of `stream`, a process of this user, by the remote framebuffer protocol.
    ///
    /// # Errors
    /// When the host gives no thread, or too many look at the screen already.
    pub fn admit_viewer(&self, stream: UnixStream) -> Result<(), RemoteError> {
        self.common.remote.admit(stream)
    }

    /// A new viewer of the screen in this process: it takes pixels from the surface.
    ///
    /// # Errors
    /// When the host gives no socket or thread.
    pub fn connect_looker(&self) -> Result<LocalScreen, RemoteError> {
        self.common.remote.connect_looker()
    }

    /// Lets viewers connect at `address` from now on; returns the address with the port that was found if it was 0.
    ///
    /// # Errors
    /// When the address is taken or not a loopback address.
    pub fn listen(&self, address: &Address) -> Result<Address, RemoteError> {
        self.common.remote.listen(address)
    }

    /// Makes the thread of a processor panic, to see what holds.
    ///
    /// # Errors
    /// When the machine is not running.
    #[cfg(feature = "fault-injection")]
    pub fn panic_processor(&self) -> Result<(), CommandError> {
        self.command(Command::PanicProcessor)
    }
}
