//! Where what the program reads beside itself is: translations, settings' descriptions, icons. `build-aux/data` and `make install` put
//! it there.

use std::path::{Path, PathBuf};

/// The folders `share` that may be this program's.
pub fn folders() -> Vec<PathBuf> {
    let program = std::env::current_exe().unwrap_or_default();
    of(&program).collect()
}

/// Those of a `program` that is installed (`bin/` or `libexec/guesthouse/` beside `share/`) or just built (in `target/`).
fn of(program: &Path) -> impl Iterator<Item = PathBuf> + use<'_> {
    let above = program.ancestors().skip(2).take(3);
    above.map(|folder| folder.join("share"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_beside_the_program() {
        for (program, share) in [
            ("/usr/bin/guesthouse", "/usr/share"),
            ("/app/libexec/guesthouse/guesthouse-window", "/app/share"),
            ("/src/target/debug/guesthouse-window", "/src/target/share"),
        ] {
            assert!(of(Path::new(program)).any(|folder| folder == Path::new(share)));
        }
    }
}
