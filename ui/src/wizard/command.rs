//! The command that makes the same machine as the wizard.

use super::draft::{DiskChoice, Draft};
use crate::model::media::Role;
use crate::model::{Generation, UNPLUGGED};

impl Draft {
    /// The command that makes the same machine, ready for a shell.
    pub fn command(&self) -> String {
        let mut words = vec![
            "guesthouse".to_owned(),
            "create".into(),
            self.name.trim().into(),
        ];
        let mut option = |name: &str, value: String| words.extend([name.to_owned(), value]);
        let source = self
            .source
            .as_ref()
            .map(|source| source.path.display().to_string());
        if let (Some(Role::Appliance), Some(path)) = (self.source_role(), &source) {
            return self.import_command(path);
        }
        match (self.source_role(), source) {
            (Some(Role::Optical), Some(path)) => option("--iso", path),
            (Some(_), Some(path)) => option("--disk", path),
            _ => {}
        }
        match self.disk {
            DiskChoice::New => option("--disk", format!("{}G", self.disk_size)),
            DiskChoice::Existing => option("--disk", self.disk_file.trim().to_owned()),
            DiskChoice::None if self.source_role().is_none_or(|role| role == Role::Optical) => {
                option("--disk", "none".into());
            }
            DiskChoice::None => {}
        }
        if !self.copied_disks().is_empty() {
            words.push("--copy-disk".into());
        }
        let mut option = |name: &str, value: String| words.extend([name.to_owned(), value]);
        option("--memory", format!("{}M", self.memory));
        option("--cpus", self.processors.to_string());
        option("--generation", self.generation.number().to_string());
        option("--network", self.switch.clone());
        let attached = self.switch != UNPLUGGED;
        for forward in self.forwards.iter().filter(|_| attached) {
            option("--forward", forward.to_string());
        }
        if self.secure_boot && self.generation == Generation::Two {
            words.push("--secure-boot".into());
        }
        if self.start {
            words.push("--start".into());
        }
        joined(&words)
    }

    /// The command that imports the machine in the file at `path`.
    fn import_command(&self, path: &str) -> String {
        let generation = self.generation.number().to_string();
        let mut words = ["guesthouse", "import", path, "--name", self.name.trim()]
            .map(str::to_owned)
            .to_vec();
        words.extend(["--generation".to_owned(), generation]);
        if self.start {
            words.push("--start".into());
        }
        joined(&words)
    }
}

fn joined(words: &[String]) -> String {
    let words: Vec<_> = words.iter().map(|word| quoted(word)).collect();
    words.join(" ")
}

/// `word` as a shell takes it for one word.
fn quoted(word: &str) -> String {
    let plain =
        |character: char| character.is_ascii_alphanumeric() || "-_./+:,@%=".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
