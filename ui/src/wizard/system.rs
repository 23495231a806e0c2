//! The wizard's second page: name, operating system, generation, processors and memory.

use std::sync::Arc;

use relm4::adw::prelude::*;
use relm4::prelude::*;
use relm4::{adw, gtk};

use super::draft::{Choice, Place};
use super::field::{Guard, Reason, View};
use super::findings::Field;
use crate::access;
use crate::machine::GENERATIONS;
use crate::model::Generation;
use crate::text::{self, gettext, gettext_with, whole};

/// The page.
pub struct SystemPage {
    place: Arc<Place>,
    name: (Guard, Reason),
    system: (Guard, Reason),
    generation: (Guard, Reason),
    processors: (Guard, Reason),
    memory: (Guard, Reason),
}

/// What it tells the wizard.
#[derive(Debug)]
pub enum SystemOutput {
    /// A choice.
    Choose(Choice),
    /// On to the next page.
    Next,
}

#[relm4::component(pub)]
impl Component for SystemPage {
    type Init = Arc<Place>;
    type Input = Arc<View>;
    type Output = SystemOutput;
    type CommandOutput = ();

    view! {
        #[root]
        adw::NavigationPage {
            set_title: &gettext("System"),
            set_tag: Some("system"),
            adw::ToolbarView {
                add_top_bar = &adw::HeaderBar {
                    set_show_start_title_buttons: false,
                    set_show_end_title_buttons: false,
                    #[wrap(Some)]
                    set_title_widget = &adw::WindowTitle::new(&gettext("New Machine"), &gettext("System")),
                    pack_end = &gtk::Button {
                        set_label: &gettext("Next"),
                        set_tooltip_text: Some(&gettext("On to Storage")),
                        connect_clicked[sender] => move |_| { let _ = sender.output(SystemOutput::Next); },
                    },
                },
                #[wrap(Some)]
                set_content = &adw::PreferencesPage {
                    add = &adw::PreferencesGroup {
                        #[local_ref]
                        add = name -> adw::EntryRow {
                            set_title: &gettext("Name"),
                            set_max_length: 200,
                            connect_changed[sender, guard = model.name.0.clone()] => move |row| if guard.touch() {
                                let _ = sender.output(SystemOutput::Choose(Choice::Name(row.text().into())));
                            },
                        },
                        add: model.name.1.row(),
                        #[local_ref]
                        add = system -> adw::ComboRow {
                            set_title: &gettext("Operating System"),
                            set_enable_search: true,
                            set_search_match_mode: gtk::StringFilterMatchMode::Substring,
                            set_expression: Some(&gtk::PropertyExpression::new(
                                gtk::StringObject::static_type(),
                                gtk::Expression::NONE,
                                "string",
                            )),
                            set_model: Some(&system_names(&model.place)),
                            connect_selected_notify[sender, guard = model.system.0.clone()] => move |row| if guard.touch() {
                                let number = usize::try_from(row.selected()).ok().and_then(|number| number.checked_sub(1));
                                let _ = sender.output(SystemOutput::Choose(Choice::System(number)));
                            },
                        },
                        add: model.system.1.row(),
                    },
                    add = &adw::PreferencesGroup {
                        #[local_ref]
                        add = generation -> adw::ComboRow {
                            set_title: &gettext("Generation"),
                            set_model: Some(&gtk::StringList::new(&GENERATIONS.map(|(_, name, _)| name))),
                            connect_selected_notify[sender, guard = model.generation.0.clone()] => move |row| {
                                let Some((generation, _, about)) = usize::try_from(row.selected()).ok().and_then(|number| GENERATIONS.get(number)) else {
                                    return;
                                };
                                row.set_subtitle(&gettext(*about));
                                if guard.touch() {
                                    let _ = sender.output(SystemOutput::Choose(Choice::Generation(*generation)));
                                }
                            },
                            set_subtitle: &gettext(GENERATIONS[0].2),
                        },
                        add: model.generation.1.row(),
                        #[name = "secure_boot"]
                        add = &adw::SwitchRow {
                            set_title: &gettext("Secure Boot"),
                            set_subtitle: &gettext("The firmware starts only what is signed with a key that it trusts"),
                            connect_active_notify[sender] => move |row| {
                                let _ = sender.output(SystemOutput::Choose(Choice::SecureBoot(row.is_active())));
                            },
                        },
                    },
                    add = &adw::PreferencesGroup {
                        #[local_ref]
                        add = processors -> adw::SpinRow {
                            set_title: &gettext("Processors"),
                            set_subtitle: &gettext_with("This computer has {number}", &[("number", &model.place.host.processors)]),
                            set_adjustment: Some(&gtk::Adjustment::new(1.0, 1.0, 256.0, 1.0, 4.0, 0.0)),
                            set_numeric: true,
                            connect_value_notify[sender, guard = model.processors.0.clone()] => move |row| if guard.touch() {
                                let count = whole(row.value()).try_into().unwrap_or(u32::MAX);
                                let _ = sender.output(SystemOutput::Choose(Choice::Processors(count)));
                            },
                        },
                        add: model.processors.1.row(),
                        #[local_ref]
                        add = memory -> adw::SpinRow {
                            set_title: &gettext("Memory in MiB"),
                            set_subtitle: &gettext_with(
                                "This computer has {size}, {free} of them free",
                                &[
                                    ("size", &text::bytes(model.place.host.memory)),
                                    ("free", &text::bytes(model.place.host.available)),
                                ],
                            ),
                            set_adjustment: Some(&gtk::Adjustment::new(1024.0, 1.0, 16_777_216.0, 256.0, 1024.0, 0.0)),
                            set_numeric: true,
                            connect_value_notify[sender, guard = model.memory.0.clone()] => move |row| if guard.touch() {
                                let _ = sender.output(SystemOutput::Choose(Choice::Memory(whole(row.value()))));
                            },
                        },
                        add: model.memory.1.row(),
                    },
                },
            },
        }
    }

    fn init(
        place: Arc<Place>,
        root: Self::Root,
        sender: ComponentSender<Self>,
    ) -> ComponentParts<Self> {
        let (name, system) = (adw::EntryRow::new(), adw::ComboRow::new());
        let generation = adw::ComboRow::new();
        let (processors, memory) = (access::spin_row(), access::spin_row());
        let model = Self {
            name: (Guard::default(), Reason::new(Field::Name, &name)),
            system: (Guard::default(), Reason::new(Field::System, &system)),
            generation: (
                Guard::default(),
                Reason::new(Field::Generation, &generation),
            ),
            processors: (
                Guard::default(),
                Reason::new(Field::Processors, &processors),
            ),
            memory: (Guard::default(), Reason::new(Field::Memory, &memory)),
            place,
        };
        let (name, system, processors, memory) = (&name, &system, &processors, &memory);
        let generation = &generation;
        let widgets = view_output!();
        ComponentParts { model, widgets }
    }

    fn update_with_view(
        &mut self,
        widgets: &mut Self::Widgets,
        view: Arc<View>,
        _: ComponentSender<Self>,
        _: &Self::Root,
    ) {
        let draft = &view.draft;
        self.name.0.fill(|| {
            if widgets.name.text() != draft.name {
                widgets.name.set_text(&draft.name);
            }
        });
        self.system.0.fill(|| {
            let known = |system: &_| self.place.systems.iter().position(|other| other == system);
            let number = draft
                .system
                .as_ref()
                .and_then(known)
                .map_or(0, |number| number + 1);
            widgets
                .system
                .set_selected(u32::try_from(number).unwrap_or(0));
        });
        self.generation.0.fill(|| {
            let number = GENERATIONS
                .iter()
                .position(|(generation, ..)| *generation == draft.generation);
            widgets.generation.set_selected(
                number
                    .and_then(|number| number.try_into().ok())
                    .unwrap_or(0),
            );
        });
        widgets
            .secure_boot
            .set_visible(draft.generation == Generation::Two);
        self.processors
            .0
            .fill(|| widgets.processors.set_value(f64::from(draft.processors)));
        self.memory.0.fill(|| {
            let mebibytes = u32::try_from(draft.memory).unwrap_or(u32::MAX);
            widgets.memory.set_value(f64::from(mebibytes));
        });
        for reason in [
            &self.name.1,
            &self.system.1,
            &self.generation.1,
            &self.processors.1,
            &self.memory.1,
        ] {
            reason.show(&view);
        }
    }
}

fn system_names(place: &Place) -> gtk::StringList {
    let names = place.systems.iter().map(|system| system.name.as_str());
    let unknown = gettext("Unknown");
    gtk::StringList::new(
        &std::iter::once(unknown.as_str())
            .chain(names)
            .collect::<Vec<_>>(),
    )
}
