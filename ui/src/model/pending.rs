//! The handle of a running machine until the engine has one: the signatures that the windows are built against. No machine can be
//! started, and it says so.

#![expect(
    missing_docs,
    reason = "the engine documents its own face, which replaces this"
)]

use std::fs::File;
use std::path::{Path, PathBuf};

use guesthouse_engine::definition::Definition;
use guesthouse_engine::input::InputEvent;
use guesthouse_engine::machine::{MachineEvent, State};

#[derive(Debug, Clone, thiserror::Error)]
#[error("this build has no engine yet that could run a machine")]
pub struct StartError;

#[derive(Debug, Clone, thiserror::Error)]
pub enum CommandError {
    #[error("the machine is not running; start it first")]
    NotRunning,
    #[error("the guest has locked the drive")]
    Locked,
}

#[derive(Debug, Default)]
pub struct StartOptions {}

#[derive(Clone)]
pub struct Machine(std::convert::Infallible);

impl Machine {
    pub fn start(_: &Definition, _: &Path, _: StartOptions) -> Result<Self, StartError> {
        Err(StartError)
    }
    pub fn state(&self) -> State {
        match self.0 {}
    }
    pub fn subscribe(&self) -> crossbeam_channel::Receiver<MachineEvent> {
        match self.0 {}
    }
    pub fn pause(&self) -> Result<(), CommandError> {
        match self.0 {}
    }
    pub fn resume(&self) -> Result<(), CommandError> {
        match self.0 {}
    }
    pub fn reset(&self) -> Result<(), CommandError> {
        match self.0 {}
    }
    pub fn shutdown(&self) -> Result<(), CommandError> {
        match self.0 {}
    }
    pub fn power_off(&self) -> Result<(), CommandError> {
        match self.0 {}
    }
    pub fn input(&self, _: InputEvent) {
        match self.0 {}
    }
    pub fn insert(&self, _: usize, _: File, _: PathBuf) -> Result<(), CommandError> {
        match self.0 {}
    }
    pub fn eject(&self, _: usize, _: bool) -> Result<(), CommandError> {
        match self.0 {}
    }
    pub fn screenshot(&self) -> Result<Vec<u8>, CommandError> {
        match self.0 {}
    }
    pub fn log(&self) -> Vec<String> {
        match self.0 {}
    }
}
