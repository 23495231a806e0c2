//! How many processors the machine has, and how they are put together.

use std::cell::RefCell;
use std::rc::Rc;

use relm4::adw;
use relm4::adw::prelude::*;

use super::edit::Edit;
use super::topic::{Editor, Topic, View, choice_row, choose, number_row, offer, switch_row};
use crate::model::{Host, Processor};
use crate::reason::Reason;
use crate::text::{gettext, gettext_with, ngettext_with, whole};

const THREADS: [u32; 2] = [1, 2];

/// The topic.
pub struct Processors {
    page: adw::PreferencesPage,
    group: adw::PreferencesGroup,
    count: adw::SpinRow,
    reason: Reason,
    topology: adw::PreferencesGroup,
    sockets: adw::ComboRow,
    possible: Rc<RefCell<Vec<u32>>>,
    threads: adw::ComboRow,
    nested: adw::SwitchRow,
    topology_reason: Reason,
}

impl Processors {
    /// An empty one.
    pub fn new(editor: &Editor) -> Self {
        let most = Host::inspect().map_or(256, |host| host.processors);
        let row = number_row(&gettext("Processors"), 1, most, 1.0);
        row.set_subtitle(&ngettext_with(
            "This computer has {number} processor",
            "This computer has {number} processors",
            u64::from(most),
            &[],
        ));
        row.connect_value_notify({
            let editor = editor.clone();
            move |row| {
                let count = whole(row.value()).try_into().unwrap_or(u32::MAX);
                editor.edit(Edit::Processors(count));
            }
        });
        let reason = Reason::new(&row);
        let possible = Rc::<RefCell<Vec<u32>>>::default();
        let sockets = choice_row(&gettext("Sockets"), &[], {
            let (editor, possible) = (editor.clone(), possible.clone());
            move |number| {
                let sockets = possible.borrow().get(number).copied();
                if let Some(sockets) = sockets {
                    editor.edit(Edit::Sockets(sockets));
                }
            }
        });
        sockets.set_subtitle(&gettext("Some editions of Windows use one or two only"));
        let threads = choice_row(&gettext("Threads of a Core"), &["1", "2"], {
            let editor = editor.clone();
            move |number| {
                if let Some(threads) = THREADS.get(number) {
                    editor.edit(Edit::Threads(*threads));
                }
            }
        });
        let nested = switch_row(
            &gettext("Nested Virtualization"),
            &gettext("Lets the guest run virtual machines of its own; Windows may become slower"),
            {
                let editor = editor.clone();
                move |on| editor.edit(Edit::Nested(on))
            },
        );
        let topology_reason = Reason::new(&sockets);
        let group = adw::PreferencesGroup::new();
        group.add(&row);
        group.add(reason.row());
        group.add(&nested);
        let topology = adw::PreferencesGroup::builder()
            .title(gettext("Topology"))
            .build();
        topology.add(&sockets);
        topology.add(&threads);
        topology.add(topology_reason.row());
        let page = adw::PreferencesPage::new();
        page.add(&group);
        page.add(&topology);
        Self {
            page,
            group,
            count: row,
            reason,
            topology,
            sockets,
            possible,
            threads,
            nested,
            topology_reason,
        }
    }
}

impl Topic for Processors {
    fn page(&self) -> &adw::PreferencesPage {
        &self.page
    }

    fn show(&self, view: &View) {
        let processor = view.definition.processor;
        let adjustment = self.count.adjustment();
        // A machine from elsewhere may have more than this host; the row must not cut that down by itself.
        adjustment.set_upper(adjustment.upper().max(f64::from(processor.count)));
        self.count.set_value(f64::from(processor.count));
        self.group.set_description(view.later().as_deref());
        self.reason.find(&view.findings, "processor.count");
        self.nested.set_active(processor.nested);
        let topology = processor.topology();
        let possible = Processor::possible_sockets(processor.count.min(1024), processor.threads);
        let names: Vec<String> = possible.iter().map(u32::to_string).collect();
        offer(&self.sockets, &names);
        let chosen = topology.and_then(|topology| {
            let mut possible = possible.iter();
            possible.position(|sockets| *sockets == topology.sockets)
        });
        self.sockets.set_sensitive(possible.len() > 1);
        self.possible.replace(possible);
        choose(&self.sockets, chosen);
        let threads = THREADS.iter().position(|one| *one == processor.threads);
        choose(&self.threads, threads);
        self.threads
            .set_sensitive(processor.count.is_multiple_of(2));
        let odd = gettext("Two threads need an even number of processors");
        self.threads
            .set_subtitle(if processor.count.is_multiple_of(2) {
                ""
            } else {
                &odd
            });
        let shape = topology.map(|topology| {
            gettext_with(
                "Sockets: {sockets}, cores in each: {cores}, threads of each core: {threads}",
                &[
                    ("sockets", &topology.sockets),
                    ("cores", &topology.cores),
                    ("threads", &topology.threads),
                ],
            )
        });
        self.topology.set_description(shape.as_deref());
        self.topology_reason.find(&view.findings, "processor.cores");
    }
}
