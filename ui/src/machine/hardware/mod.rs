//! The Hardware view: what the machine is made of, a group of rows for each part of it. Each change is made at once; what needs
//! the machine to be off says so.

mod add;
mod boot_order;
mod disk_tools;
mod drives;

use std::sync::Arc;

use relm4::adw;
use relm4::adw::prelude::*;
use relm4::prelude::*;

use self::boot_order::{BootOrder, BootOrderInput};
use self::drives::{Drives, DrivesInput};
use super::overview::OverviewOutput;
use crate::model::{Definition, Machines, State, StoredMachine};

/// The view.
pub struct HardwareView {
    drives: Controller<Drives>,
    boot_order: Controller<BootOrder>,
}

/// What it is told.
#[derive(Debug)]
pub enum HardwareInput {
    /// The machine is this now.
    Show(StoredMachine),
    /// What it is doing.
    State(State),
    /// A medium was changed.
    Media,
}

#[relm4::component(pub)]
impl SimpleComponent for HardwareView {
    type Init = (Arc<Machines>, StoredMachine, State);
    type Input = HardwareInput;
    type Output = OverviewOutput;

    view! {
        #[root]
        adw::PreferencesPage {
            add: model.drives.widget(),
            add: model.boot_order.widget(),
        }
    }

    fn init(
        (machines, machine, state): Self::Init,
        root: Self::Root,
        sender: ComponentSender<Self>,
    ) -> ComponentParts<Self> {
        let model = Self {
            boot_order: BootOrder::builder()
                .launch((machine.definition.clone(), state.is_alive()))
                .forward(sender.output_sender(), |definition: Definition| {
                    OverviewOutput::Update(definition)
                }),
            drives: Drives::builder()
                .launch((machines, machine, state.is_alive()))
                .forward(sender.output_sender(), |output| output),
        };
        let widgets = view_output!();
        ComponentParts { model, widgets }
    }

    fn update(&mut self, message: HardwareInput, _: ComponentSender<Self>) {
        match message {
            HardwareInput::Show(machine) => {
                self.boot_order
                    .emit(BootOrderInput::Show(machine.definition.clone()));
                self.drives.emit(DrivesInput::Show(machine));
            }
            HardwareInput::State(state) => {
                let alive = state.is_alive();
                self.boot_order.emit(BootOrderInput::Alive(alive));
                self.drives.emit(DrivesInput::Alive(alive));
            }
            HardwareInput::Media => self.drives.emit(DrivesInput::Refresh),
        }
    }
}

/// What people call the drives: "Hard Disk 1", "Optical Drive 1".
fn titles(definition: &Definition) -> Vec<String> {
    use crate::model::DriveKind;
    let (mut disks, mut optical) = (0, 0);
    definition
        .drives
        .iter()
        .map(|drive| match drive.kind {
            DriveKind::Disk => {
                disks += 1;
                format!("Hard Disk {disks}")
            }
            DriveKind::Optical => {
                optical += 1;
                format!("Optical Drive {optical}")
            }
        })
        .collect()
}
