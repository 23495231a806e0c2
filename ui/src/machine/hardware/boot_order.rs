//! The drives in the order in which the firmware tries them. A drive that is switched off is not tried, unless all are.

use relm4::adw::prelude::*;
use relm4::prelude::*;
use relm4::{adw, gtk};

use super::titles;
use crate::access;
use crate::model::Definition;
use crate::text::gettext;

/// The group.
pub struct BootOrder {
    definition: Definition,
    alive: bool,
    rows: Vec<adw::ActionRow>,
}

/// What it is told.
#[derive(Debug)]
pub enum BootOrderInput {
    /// The machine is this now.
    Show(Definition),
    /// Whether it is alive.
    Alive(bool),
    /// The drive at this place of the order goes to that place.
    Move(usize, usize),
    /// The drive with this number is tried, or not.
    Try(usize, bool),
}

#[relm4::component(pub)]
impl Component for BootOrder {
    type Init = (Definition, bool);
    type Input = BootOrderInput;
    type Output = Definition;
    type CommandOutput = ();

    view! {
        #[root]
        adw::PreferencesGroup {
            set_title: &gettext("Boot Order"),
            #[watch]
            set_description: Some(if model.alive {
                "Turn the machine off to change which drive it starts from."
            } else {
                "The firmware starts from the first drive that holds something to start from."
            }),
            #[watch]
            set_visible: model.definition.drives.len() > 1,
        }
    }

    fn init(
        (definition, alive): Self::Init,
        root: Self::Root,
        sender: ComponentSender<Self>,
    ) -> ComponentParts<Self> {
        let mut model = Self {
            definition,
            alive,
            rows: Vec::new(),
        };
        let widgets = view_output!();
        model.show(&root, &sender);
        ComponentParts { model, widgets }
    }

    fn update(
        &mut self,
        message: BootOrderInput,
        sender: ComponentSender<Self>,
        root: &Self::Root,
    ) {
        match message {
            BootOrderInput::Show(definition) => {
                let same = definition.drives == self.definition.drives;
                self.definition = definition;
                if same {
                    return;
                }
            }
            BootOrderInput::Alive(alive) => {
                if alive == self.alive {
                    return;
                }
                self.alive = alive;
            }
            BootOrderInput::Move(from, to) => {
                let mut order = order(&self.definition);
                if from < order.len() && to < order.len() {
                    order.swap(from, to);
                    self.put(&order, &sender);
                }
            }
            BootOrderInput::Try(number, tried) => {
                let mut order = order(&self.definition);
                if tried == order.contains(&number) {
                    return;
                }
                if tried {
                    order.push(number);
                } else {
                    order.retain(|other| *other != number);
                }
                self.put(&order, &sender);
            }
        }
        self.show(root, &sender);
    }
}

/// The numbers of the drives that are tried, the first one first.
fn order(definition: &Definition) -> Vec<usize> {
    let mut order: Vec<(u32, usize)> = definition
        .drives
        .iter()
        .enumerate()
        .filter_map(|(number, drive)| Some((drive.boot?, number)))
        .collect();
    order.sort_unstable();
    order.into_iter().map(|(_, number)| number).collect()
}

impl BootOrder {
    fn put(&mut self, order: &[usize], sender: &ComponentSender<Self>) {
        for drive in &mut self.definition.drives {
            drive.boot = None;
        }
        for (place, number) in (1_u32..).zip(order) {
            if let Some(drive) = self.definition.drives.get_mut(*number) {
                drive.boot = Some(place);
            }
        }
        let _ = sender.output(self.definition.clone());
    }

    fn show(&mut self, root: &adw::PreferencesGroup, sender: &ComponentSender<Self>) {
        for row in self.rows.drain(..) {
            root.remove(&row);
        }
        let titles = titles(&self.definition);
        let order = order(&self.definition);
        let rest = (0..titles.len()).filter(|number| !order.contains(number));
        for (place, number) in order.iter().copied().chain(rest).enumerate() {
            let Some(title) = titles.get(number) else {
                continue;
            };
            let tried = place < order.len();
            let row = adw::ActionRow::builder()
                .title(title)
                .sensitive(!self.alive)
                .build();
            if tried {
                row.set_title(&format!("{}. {title}", place + 1));
            }
            let button = |icon: &str, name: &str, to: Option<usize>| {
                let button = gtk::Button::builder()
                    .icon_name(icon)
                    .tooltip_text(name)
                    .valign(gtk::Align::Center)
                    .css_classes(["flat"])
                    .sensitive(to.is_some())
                    .visible(tried)
                    .build();
                access::name(&button, &format!("{name}: {title}"));
                let input = sender.input_sender().clone();
                button.connect_clicked(move |_| {
                    if let Some(to) = to {
                        let _ = input.send(BootOrderInput::Move(place, to));
                    }
                });
                button
            };
            let earlier = place.checked_sub(1);
            let later = Some(place + 1).filter(|to| *to < order.len());
            row.add_suffix(&button("go-up-symbolic", "Earlier", earlier));
            row.add_suffix(&button("go-down-symbolic", "Later", later));
            let switch = gtk::Switch::builder()
                .active(tried)
                .valign(gtk::Align::Center)
                .build();
            access::name(&switch, &format!("Start from {title}"));
            let input = sender.input_sender().clone();
            switch.connect_active_notify(move |switch| {
                let _ = input.send(BootOrderInput::Try(number, switch.is_active()));
            });
            row.add_suffix(&switch);
            root.add(&row);
            self.rows.push(row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Drive, ImageFormat, Name};

    #[test]
    fn drives_are_tried_by_their_numbers() {
        let mut definition = Definition::new(Name::new("Test").unwrap());
        definition.drives = [Some(3), None, Some(1)]
            .map(|boot| Drive {
                boot,
                ..Drive::disk("a".into(), ImageFormat::Raw)
            })
            .to_vec();
        assert_eq!(order(&definition), [2, 0]);
        assert_eq!(
            titles(&definition),
            ["Hard Disk 1", "Hard Disk 2", "Hard Disk 3"]
        );
    }
}
