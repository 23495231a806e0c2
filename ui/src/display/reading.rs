//! What is written on a guest's screen in a text mode, as assistive programs read it: by characters, words and lines, and what is new.

/// The text, of which every place is counted in characters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reading {
    text: Vec<char>,
    caret: usize,
}

/// What became of a text: some of it was replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub start: u32,
    /// How many characters are gone.
    pub removed: u32,
    /// How many are new.
    pub inserted: u32,
}

fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

impl Reading {
    /// The text of `rows`, without what is blank at their ends and beneath the last.
    pub fn new(rows: &[String]) -> Self {
        let rows: Vec<&str> = rows.iter().map(|row| row.trim_end()).collect();
        let text = rows.join("\n");
        Self {
            text: text.trim_end().chars().collect(),
            caret: 0,
        }
    }

    /// Where something was written last.
    pub fn caret(&self) -> u32 {
        number(self.caret.min(self.text.len()))
    }

    /// Something was written as far as `place`.
    pub fn set_caret(&mut self, place: u32) {
        self.caret = usize::try_from(place).unwrap_or(usize::MAX);
    }

    /// The text from `start` to before `end`, as far as there is any.
    pub fn part(&self, start: u32, end: u32) -> String {
        let (start, end) = (self.place(start), self.place(end));
        let part = self.text.get(start..end);
        part.unwrap_or_default().iter().collect()
    }

    fn place(&self, place: u32) -> usize {
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        place.min(self.text.len())
    }

    /// Where the character at `place` begins and ends.
    pub fn character(&self, place: u32) -> (u32, u32) {
        let start = self.place(place);
        (number(start), number((start + 1).min(self.text.len())))
    }

    /// Where the word at `place` begins, and where the next does.
    pub fn word(&self, place: u32) -> (u32, u32) {
        let place = self.place(place);
        let begins = |at: &usize| {
            let blank = |at: usize| {
                self.text
                    .get(at)
                    .is_none_or(|letter| letter.is_whitespace())
            };
            !blank(*at) && (*at == 0 || blank(*at - 1))
        };
        let start = (0..=place).rev().find(begins).unwrap_or(0);
        let end = (place + 1..self.text.len()).find(begins);
        (number(start), number(end.unwrap_or(self.text.len())))
    }

    /// Where the line at `place` begins, and where the next does.
    pub fn line(&self, place: u32) -> (u32, u32) {
        let place = self.place(place);
        let ends = |letter: &char| *letter == '\n';
        let (before, after) = self.text.split_at(place);
        let start = before.iter().rposition(ends).map_or(0, |end| end + 1);
        let end = after.iter().position(ends);
        let end = end.map_or(self.text.len(), |end| place + end + 1);
        (number(start), number(end))
    }

    /// What has to become of this text to be `now`, if anything.
    pub fn change(&self, now: &Self) -> Option<Change> {
        let (old, new) = (&self.text, &now.text);
        let same = |pairs: &mut dyn Iterator<Item = (&char, &char)>| {
            pairs.take_while(|(old, new)| old == new).count()
        };
        let start = same(&mut old.iter().zip(new));
        let (old_rest, new_rest) = (old.get(start..)?, new.get(start..)?);
        let end = same(&mut old_rest.iter().rev().zip(new_rest.iter().rev()));
        let change = Change {
            start: number(start),
            removed: number(old_rest.len().saturating_sub(end)),
            inserted: number(new_rest.len().saturating_sub(end)),
        };
        (change.removed + change.inserted > 0).then_some(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(text: &str) -> Reading {
        Reading::new(&text.lines().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn blanks_that_nobody_sees_are_left_out() {
        let text = reading("  GNU GRUB   \n\n* Läuft  \n   \n");
        assert_eq!(text.part(0, u32::MAX), "  GNU GRUB\n\n* Läuft");
        assert_eq!(text.part(12, 15), "* L");
        assert_eq!(text.part(15, 12), "");
        assert_eq!(text.part(90, 91), "");
    }

    #[test]
    fn parts_are_found() {
        let text = reading("one  two\n\nthree");
        for (place, word, line) in [
            (0, "one  ", "one  two\n"),
            (2, "one  ", "one  two\n"),
            (4, "one  ", "one  two\n"),
            (5, "two\n\n", "one  two\n"),
            (8, "two\n\n", "one  two\n"),
            (9, "two\n\n", "\n"),
            (10, "three", "three"),
            (99, "three", "three"),
        ] {
            let (start, end) = text.word(place);
            assert_eq!(text.part(start, end), word, "{place}");
            let (start, end) = text.line(place);
            assert_eq!(text.part(start, end), line, "{place}");
        }
        assert_eq!(text.character(1), (1, 2));
        assert_eq!(text.character(99), (15, 15));
        let nothing = Reading::default();
        assert_eq!(
            (nothing.character(3), nothing.word(3), nothing.line(3)),
            ((0, 0), (0, 0), (0, 0))
        );
    }

    #[test]
    fn changes_are_as_small_as_they_can_be() {
        for (old, new, change) in [
            ("", "", None),
            ("login:", "login:", None),
            ("login:", "login: root", Some((6, 0, 5))),
            ("a\nb", "a\nc\nb", Some((2, 0, 2))),
            ("> one\n  two", "  one\n> two", Some((0, 7, 7))),
            ("aaa", "aa", Some((2, 1, 0))),
            ("all of it", "", Some((0, 9, 0))),
        ] {
            let found = reading(old).change(&reading(new));
            let found = found.map(|change| (change.start, change.removed, change.inserted));
            assert_eq!(found, change, "{old:?} {new:?}");
        }
    }
}
