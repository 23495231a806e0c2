//! The machine's own thread: puts it together, carries out commands, hears what processors and drives report, and takes it apart.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::board::Order;
use super::fault::{Fault, FaultBridge};
use super::handle::{Command, Common};
use super::hardware::Hardware;
use super::processors::{Report, Reporter, panic_text};
use super::watch::{self, Watch};
use super::{CommandError, MachineEvent, StartError, StartOptions, State};
use crate::bus::Action;
use crate::definition::Definition;
use crate::hypervisor::ProcessorState;
use crate::snapshot::SCREEN;

/// What reaches the machine's thread.
pub(super) enum Message {
    /// Somebody wants something.
    Command(Command, Sender<Result<(), CommandError>>),
    /// A processor stands still and says why.
    Report(Report),
    /// A drive's image failed.
    Fault(Fault),
    /// The guest opened or closed the tray of an optical drive.
    TrayMoved(usize),
    /// The guest has changed the size of its memory balloon, or told its statistics.
    MemoryTold,
}

/// How a machine ended.
enum End {
    Off,
    Crashed(String),
}

/// Runs the machine from its first moment to its last. `started` hears whether it started.
pub(super) fn conduct(
    common: &Arc<Common>,
    definition: &Definition,
    folder: &Path,
    options: StartOptions,
    sender: &Sender<Message>,
    receiver: &Receiver<Message>,
    started: &Sender<Result<(), StartError>>,
) {
    let faults = Arc::new(FaultBridge::new(definition, {
        let sender = sender.clone();
        move |fault| {
            // A machine that is gone needs no reports.
            let _ = sender.send(Message::Fault(fault));
        }
    }));
    let reporter: Reporter = Arc::new({
        let sender = sender.clone();
        move |report| {
            let _ = sender.send(Message::Report(report));
        }
    });
    let built = catch_unwind(AssertUnwindSafe(|| {
        let order = Order {
            common,
            definition,
            folder,
            faults: &faults,
            sender,
        };
        Hardware::build(order, options, &reporter)
    }));
    let hardware = match built {
        Ok(Ok(hardware)) => hardware,
        Ok(Err(error)) => {
            common.enter(State::Off);
            let _ = started.send(Err(error));
            return;
        }
        Err(panic) => {
            common.enter(State::Off);
            let _ = started.send(Err(StartError::Internal(panic_text(&*panic))));
            return;
        }
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        hardware.run();
        common.enter(State::Running);
        common.note("engine", "The machine has started.");
        let _ = started.send(Ok(()));
        serve(common, &hardware, &faults, receiver)
    }));
    let (end, reply) = outcome.unwrap_or_else(|panic| {
        (
            End::Crashed(format!(
                "A fault in Guesthouse stopped it: {}.",
                panic_text(&*panic)
            )),
            None,
        )
    });
    keep_screen(common, folder);
    // From here on no drive waits for an answer.
    faults.close();
    common.input.lock().take();
    common.text.lock().take();
    common.graphics.lock().take();
    common.networks.lock().take();
    common.meters.lock().take();
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(hardware))) {
        common.note(
            "engine",
            &format!(
                "A fault in Guesthouse while the machine was taken apart: {}.",
                panic_text(&*panic)
            ),
        );
    }
    match end {
        End::Off => {
            common.note("engine", "The machine is off.");
            common.enter(State::Off);
        }
        End::Crashed(reason) => {
            common.note("engine", &reason);
            common.enter(State::Crashed { reason });
        }
    }
    if let Some(reply) = reply {
        let _ = reply.send(Ok(()));
    }
    // Whoever sent a command meanwhile hears that there is nobody any more, since the channel ends here.
}

/// Keeps what the screen showed last, for lists and snapshots. It is a picture: what goes wrong is only written down.
fn keep_screen(common: &Common, folder: &Path) {
    let picture = match crate::display::thumbnail(&common.surface) {
        Ok(Some(picture)) => picture,
        Ok(None) => return,
        Err(error) => return tracing::warn!(%error, "the screen's picture could not be made"),
    };
    let file = folder.join(SCREEN);
    let temporary = file.with_extension("part");
    let written =
        std::fs::write(&temporary, picture).and_then(|()| std::fs::rename(&temporary, &file));
    if let Err(error) = written {
        let _ = std::fs::remove_file(&temporary);
        tracing::warn!(file = %file.display(), %error, "the screen's picture could not be kept");
    }
}

type Reply = Sender<Result<(), CommandError>>;

fn serve(
    common: &Common,
    hardware: &Hardware,
    faults: &FaultBridge,
    receiver: &Receiver<Message>,
) -> (End, Option<Reply>) {
    let mut watch = Watch::default();
    loop {
        let message = match receiver.recv_timeout(watch::INTERVAL) {
            Ok(message) => message,
            Err(RecvTimeoutError::Disconnected) => return (End::Off, None),
            Err(RecvTimeoutError::Timeout) => {
                if *common.state.lock() == State::Running
                    && let Some(text) = watch.look(hardware)
                {
                    common.note("engine", &text);
                }
                continue;
            }
        };
        match message {
            Message::Command(Command::PowerOff, reply) => return (End::Off, Some(reply)),
            Message::Command(command, reply) => {
                let outcome = carry_out(common, hardware, faults, command);
                let failed = matches!(outcome, Err(CommandError::Failed(_)));
                let text = outcome
                    .as_ref()
                    .err()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                // Whoever gave the command may not wait for the answer.
                let _ = reply.send(outcome);
                if failed {
                    return (End::Crashed(text), None);
                }
            }
            Message::Report(Report::Action(Action::PowerOff)) => {
                common.note("engine", "The guest has switched the machine off.");
                tell_end(common);
                return (End::Off, None);
            }
            Message::Report(Report::Action(Action::Reset)) => {
                common.note("engine", "The guest has reset the machine.");
                tell_end(common);
                if let Err(error) = reset(common, hardware, faults) {
                    return (End::Crashed(error.to_string()), None);
                }
            }
            Message::Report(Report::Failed(reason, state)) => {
                for line in state.iter().flat_map(lines) {
                    common.note("processor", &line);
                }
                return (End::Crashed(reason), None);
            }
            Message::Report(Report::UnknownRegister { index, written }) => {
                common.note("engine", &unknown_register(index, written));
            }
            Message::Fault(fault) => {
                common.note("engine", &fault.text);
                if let Some(reason) = fault.pause {
                    hardware.stop();
                    common.enter(State::Paused {
                        reason: Some(reason),
                    });
                }
            }
            Message::TrayMoved(drive) => common.tell(&MachineEvent::Medium {
                drive,
                file: hardware.drives().medium(drive),
            }),
            Message::MemoryTold => {
                if let Some(balloon) = hardware.balloon() {
                    common.tell(&MachineEvent::Memory {
                        returned: balloon.actual(),
                        statistics: balloon.statistics(),
                    });
                }
            }
        }
    }
}

fn carry_out(
    common: &Common,
    hardware: &Hardware,
    faults: &FaultBridge,
    command: Command,
) -> Result<(), CommandError> {
    match command {
        Command::Pause => {
            if !matches!(*common.state.lock(), State::Paused { .. }) {
                hardware.stop();
                common.enter(State::Paused { reason: None });
            }
            Ok(())
        }
        Command::Resume => {
            if matches!(*common.state.lock(), State::Paused { .. }) {
                // Before the drives try again: if that fails at once, the machine pauses once more.
                common.enter(State::Running);
                hardware.run();
                faults.retry();
            }
            Ok(())
        }
        Command::Reset => reset(common, hardware, faults),
        Command::ProcessorState(states) => {
            // Whoever asked may not wait for the answer.
            let _ = states.send(if *common.state.lock() == State::Running {
                hardware.look_at_processors()
            } else {
                hardware.processor_states()
            });
            Ok(())
        }
        Command::Shutdown => {
            hardware.press_power_button();
            Ok(())
        }
        Command::Insert { drive, file, path } => {
            hardware.drives().insert(drive, file, &path)?;
            common.tell(&MachineEvent::Medium {
                drive,
                file: Some(path),
            });
            Ok(())
        }
        Command::Eject { drive, force } => {
            hardware.drives().eject(drive, force)?;
            common.tell(&MachineEvent::Medium { drive, file: None });
            Ok(())
        }
        Command::SetBalloon { bytes } => {
            let balloon = hardware.balloon().ok_or(CommandError::NoBalloon)?;
            balloon.set_target(bytes);
            Ok(())
        }
        Command::AskMemory => {
            hardware.balloon().ok_or(CommandError::NoBalloon)?.ask();
            Ok(())
        }
        #[cfg(feature = "fault-injection")]
        Command::PanicProcessor => {
            hardware.panic_processor();
            Ok(())
        }
        // Taken before.
        Command::PowerOff => Ok(()),
    }
}

/// What a processor holds, line by line.
fn lines(state: &ProcessorState) -> Vec<String> {
    state.to_string().lines().map(str::to_owned).collect()
}

fn unknown_register(index: u32, written: Option<u64>) -> String {
    match written {
        None => format!(
            "The guest read model-specific register {index:#x}, which this computer's KVM does not know; it got 0."
        ),
        Some(value) => format!(
            "The guest wrote {value:#x} to model-specific register {index:#x}, which this computer's KVM does not know; nothing \
             came of it."
        ),
    }
}

/// All processors and devices start anew; a machine that was paused runs after it.
/// Tells that the guest came to an end by itself.
fn tell_end(common: &Common) {
    let meters = common.meters.lock();
    let written = meters
        .as_ref()
        .map_or(0, |meters| meters.read().disk_written);
    drop(meters);
    common.tell(&MachineEvent::Ended { written });
}

fn reset(common: &Common, hardware: &Hardware, faults: &FaultBridge) -> Result<(), CommandError> {
    hardware.stop();
    hardware
        .reset()
        .map_err(|error| CommandError::Failed(error.to_string()))?;
    let paused = *common.state.lock() != State::Running;
    if paused {
        common.enter(State::Running);
    }
    hardware.run();
    faults.retry();
    Ok(())
}
