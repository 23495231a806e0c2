//! Input status 1 (port 0x3DA): where the beam is, from a clock.
//! IBM VGA XGA Technical Reference Manual, section 2, "Input Status Register 1".

/// The time of one line in nanoseconds: 31.47 kHz, as every standard mode has it.
const LINE: u64 = 31_778;
/// The part of a line that shows the picture: 640 of 800 dots.
const SHOWN: u64 = LINE * 4 / 5;
/// The lines of a picture while the registers hold nothing sensible.
const ORDINARY_LINES: u32 = 449;

/// Nothing is shown at this moment, between lines or between pictures.
const DISPLAY_DISABLED: u8 = 0x01;
/// The beam is on its way back to the top.
const VERTICAL_RETRACE: u8 = 0x08;

/// The beam, as the guest has seen it.
///
/// A guest that reads seldom (a slow processor, a busy host) would miss the short retraces, or see nothing but them, and wait for
/// a long time; so where a whole line or picture began since the last read, it is told the opposite of what it was told then.
#[derive(Debug, Clone, Default)]
pub(crate) struct Beam {
    seen_picture: u64,
    seen_line: u64,
    last: u8,
}

impl Beam {
    /// The status at `now` nanoseconds on any monotonic clock, for pictures of `lines` shown of `total` lines.
    pub(crate) fn status(&mut self, now: u64, lines: u32, total: u32) -> u8 {
        let total = if total < 100 { ORDINARY_LINES } else { total };
        let shown = u64::from(lines.min(total.saturating_sub(2)));
        let line = now / LINE;
        let (picture, row) = (line / u64::from(total), line % u64::from(total));
        let retrace = if picture == self.seen_picture {
            row >= shown
        } else {
            self.last & VERTICAL_RETRACE == 0
        };
        let between_lines = if line == self.seen_line {
            now % LINE >= SHOWN
        } else {
            self.last & DISPLAY_DISABLED == 0
        };
        let status = match (retrace, between_lines) {
            (true, _) => VERTICAL_RETRACE | DISPLAY_DISABLED,
            (false, true) => DISPLAY_DISABLED,
            (false, false) => 0,
        };
        (self.seen_picture, self.seen_line, self.last) = (picture, line, status);
        status
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beam_goes_round() {
        let mut beam = Beam::default();
        let mut seen = [0_u32; 16];
        for now in (0..LINE * 449).step_by(1000) {
            seen[usize::from(beam.status(now, 400, 449))] += 1;
        }
        let all = seen.iter().sum::<u32>();
        assert!(
            seen[0] > all * 65 / 100,
            "the picture is shown most of the time"
        );
        assert!(
            (all * 8 / 100..all * 12 / 100).contains(&seen[9]),
            "retrace takes a tenth"
        );
        assert_eq!(seen[0] + seen[1] + seen[9], all);
    }

    #[test]
    fn whoever_waits_for_a_retrace_or_its_end_gets_on_however_seldom_they_look() {
        for step in [
            1,
            1000,
            LINE,
            40_000,
            LINE * 449,
            LINE * 450,
            123_456_789,
            u64::from(u32::MAX),
        ] {
            for bit in [VERTICAL_RETRACE, DISPLAY_DISABLED] {
                let (mut beam, mut now) = (Beam::default(), 0_u64);
                for wanted in [bit, 0, bit, 0] {
                    // A picture's time and a few looks more are enough.
                    let looks = LINE * 449 / step + 4;
                    let found = (0..looks).any(|_| {
                        now += step;
                        beam.status(now, 400, 449) & bit == wanted
                    });
                    assert!(found, "step {step}, bit {bit}, wanted {wanted}");
                }
            }
        }
    }
}
