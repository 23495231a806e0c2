//! The real-time clock with its battery-backed memory: Motorola MC146818 at ports 0x70 (index) and 0x71 (data), interrupt 8.
//!
//! Motorola MC146818 data sheet (ADI-1020) and Dallas DS12887 data sheet. The date and time are the host's plus what the guest
//! has moved them by; a century byte is at 0x32. What the clock does by itself (update, alarm, periodic interrupt) is found out
//! from the time that has passed whenever a register is accessed, or by the timer thread when an interrupt is enabled.

mod calendar;
mod configuration;

use std::sync::Arc;
use std::time::Duration;

use self::calendar::DateTime;
pub use self::configuration::{BootDevice, Configuration};
use super::{ByteDevice, Clock, Timed, Wakeup};
use crate::bus::{Action, InterruptLine, IoError, IoResult};

const INDEX_PORT: u16 = 0x70;
const DATA_PORT: u16 = 0x71;

const SECONDS: usize = 0x00;
const SECONDS_ALARM: usize = 0x01;
const MINUTES: usize = 0x02;
const MINUTES_ALARM: usize = 0x03;
const HOURS: usize = 0x04;
const HOURS_ALARM: usize = 0x05;
const WEEKDAY: usize = 0x06;
const DAY: usize = 0x07;
const MONTH: usize = 0x08;
const YEAR: usize = 0x09;
const STATUS_A: usize = 0x0a;
const STATUS_B: usize = 0x0b;
const STATUS_C: usize = 0x0c;
const STATUS_D: usize = 0x0d;
const CENTURY: usize = 0x32;

const A_UPDATE_IN_PROGRESS: u8 = 0x80;
const A_DIVIDER: u8 = 0x70;
const A_DIVIDER_RUNNING: u8 = 0x20;
const A_RATE: u8 = 0x0f;
/// The divider runs, 1024 periodic interrupts a second.
const A_POWER_ON: u8 = 0x26;
const B_SET: u8 = 0x80;
const B_PERIODIC: u8 = 0x40;
const B_ALARM: u8 = 0x20;
const B_UPDATE: u8 = 0x10;
const B_SQUARE_WAVE: u8 = 0x08;
const B_BINARY: u8 = 0x04;
const B_24_HOURS: u8 = 0x02;
const B_INTERRUPTS: u8 = B_PERIODIC | B_ALARM | B_UPDATE;
const C_INTERRUPT: u8 = 0x80;
/// The memory has kept its contents.
const D_VALID: u8 = 0x80;
const AFTERNOON: u8 = 0x80;
/// An alarm byte with both of these bits matches anything.
const ALARM_ANY: u8 = 0xc0;

/// How long before an update the update-in-progress bit is set: 244 microseconds.
const UPDATE_WARNING: u32 = 244_000;
const NANOSECONDS: u128 = 1_000_000_000;
/// The frequency that the periodic interrupt is divided from.
const CRYSTAL: u128 = 32_768;

/// The real-time clock and its memory.
pub struct Rtc {
    interrupt: InterruptLine,
    clock: Arc<dyn Clock>,
    wakeup: Wakeup,
    index: u8,
    /// Every byte as software stored it; those of the time count while they are being set only.
    memory: [u8; 128],
    /// Update, alarm and periodic flag, as in register C.
    flags: u8,
    /// What the guest has moved the time by, in seconds.
    moved: i64,
    /// The host's clock when the flags were last brought up to date.
    seen: Duration,
}

impl Rtc {
    /// The ports to map it at, the first and the last.
    pub const PORTS: std::ops::RangeInclusive<u16> = INDEX_PORT..=DATA_PORT;

    /// A clock that shows `clock`'s time and tells firmware of `configuration`. `interrupt` is ISA interrupt 8; `wakeup` is the
    /// timer thread's, among whose devices the clock belongs.
    pub fn new(
        interrupt: InterruptLine,
        clock: Arc<dyn Clock>,
        wakeup: Wakeup,
        configuration: &Configuration,
    ) -> Self {
        let mut memory = [0; 128];
        memory[STATUS_A] = A_POWER_ON;
        memory[STATUS_B] = B_24_HOURS;
        memory[STATUS_D] = D_VALID;
        configuration.store(&mut memory);
        let seen = clock.now();
        Self {
            interrupt,
            clock,
            wakeup,
            index: 0,
            memory,
            flags: 0,
            moved: 0,
            seen,
        }
    }

    /// As after a reset: no interrupts. The time and the memory stay as they are, the battery keeps them.
    pub fn reset(&mut self) {
        self.index = 0;
        self.flags = 0;
        self.seen = self.clock.now();
        if self.memory[STATUS_B] & B_SET != 0 {
            self.take_time();
        }
        self.memory[STATUS_B] &= !(B_SET | B_INTERRUPTS | B_SQUARE_WAVE);
        self.update_interrupt();
    }

    fn is_set(&self, bit: u8) -> bool {
        self.memory[STATUS_B] & bit != 0
    }

    fn is_running(&self) -> bool {
        self.memory[STATUS_A] & A_DIVIDER == A_DIVIDER_RUNNING
    }

    /// The clock's time at the host's `time`, in seconds since 1970.
    fn seconds_at(&self, time: Duration) -> i64 {
        i64::try_from(time.as_secs())
            .unwrap_or(i64::MAX)
            .saturating_add(self.moved)
    }

    fn encode(&self, value: i64) -> u8 {
        let value = u8::try_from(value.rem_euclid(100)).unwrap_or(0);
        if self.is_set(B_BINARY) {
            value
        } else {
            ((value / 10) << 4) | (value % 10)
        }
    }

    fn decode(&self, byte: u8) -> i64 {
        i64::from(if self.is_set(B_BINARY) {
            byte
        } else {
            (byte >> 4) * 10 + (byte & 0xf)
        })
    }

    fn encode_hour(&self, hour: i64) -> u8 {
        if self.is_set(B_24_HOURS) {
            return self.encode(hour);
        }
        let afternoon = if hour >= 12 { AFTERNOON } else { 0 };
        self.encode((hour + 11) % 12 + 1) | afternoon
    }

    fn decode_hour(&self, byte: u8) -> i64 {
        if self.is_set(B_24_HOURS) {
            return self.decode(byte);
        }
        let noon = if byte & AFTERNOON != 0 { 12 } else { 0 };
        self.decode(byte & !AFTERNOON) % 12 + noon
    }

    /// Stores the time of now into the bytes of the time.
    fn store_time(&mut self) {
        let time = DateTime::from_seconds(self.seconds_at(self.clock.now()));
        self.memory[SECONDS] = self.encode(time.second);
        self.memory[MINUTES] = self.encode(time.minute);
        self.memory[HOURS] = self.encode_hour(time.hour);
        self.memory[WEEKDAY] = self.encode(time.weekday);
        self.memory[DAY] = self.encode(time.day);
        self.memory[MONTH] = self.encode(time.month);
        self.memory[YEAR] = self.encode(time.year);
        self.memory[CENTURY] = self.encode(time.year.div_euclid(100));
    }

    /// Moves the clock to what the bytes of the time say. What no date has is brought to the nearest that one has.
    fn take_time(&mut self) {
        let time = DateTime {
            year: self.decode(self.memory[CENTURY]) * 100 + self.decode(self.memory[YEAR]).min(99),
            month: self.decode(self.memory[MONTH]).clamp(1, 12),
            day: self.decode(self.memory[DAY]).clamp(1, 31),
            weekday: 1,
            hour: self.decode_hour(self.memory[HOURS]).min(23),
            minute: self.decode(self.memory[MINUTES]).min(59),
            second: self.decode(self.memory[SECONDS]).min(59),
        };
        self.moved = 0;
        self.moved = time
            .to_seconds()
            .saturating_sub(self.seconds_at(self.clock.now()));
    }

    /// The first second after `seconds` at which the alarm goes off, if it ever does.
    fn next_alarm(&self, seconds: i64) -> Option<i64> {
        let field = |index: usize, limit: i64, hour: bool| -> Option<Option<i64>> {
            let byte = self.memory[index];
            if byte & ALARM_ANY == ALARM_ANY {
                return Some(None);
            }
            let value = if hour {
                self.decode_hour(byte)
            } else {
                self.decode(byte)
            };
            (value < limit).then_some(Some(value))
        };
        let second = field(SECONDS_ALARM, 60, false)?;
        let minute = field(MINUTES_ALARM, 60, false)?;
        let hour = field(HOURS_ALARM, 24, true)?;
        let first = seconds.checked_add(1)?;
        let midnight = first.checked_sub(first.rem_euclid(86_400))?;
        let time = first.rem_euclid(86_400);
        // Hours, minutes and seconds that match, today from `time` on, then tomorrow. At most one hour and minute that begin
        // before `time` are looked through in vain.
        for candidate_hour in time / 3600..48 {
            if hour.is_some_and(|hour| hour != candidate_hour % 24) {
                continue;
            }
            for candidate_minute in 0..60 {
                let minute_end = candidate_hour * 3600 + candidate_minute * 60 + 60;
                if minute.is_some_and(|minute| minute != candidate_minute) || minute_end <= time {
                    continue;
                }
                let start = minute_end - 60;
                let at = match second {
                    Some(second) => start + second,
                    None => start.max(time),
                };
                if at >= time {
                    return midnight.checked_add(at);
                }
            }
        }
        None
    }

    /// How many periodic interrupts are due in all up to the host's `time`; none when they are switched off.
    fn periods_at(&self, time: Duration) -> Option<u128> {
        let shift = self.period_shift()?;
        Some((time.as_nanos() * CRYSTAL / NANOSECONDS) >> shift)
    }

    /// The crystal's ticks from one periodic interrupt to the next are 2 to this power.
    fn period_shift(&self) -> Option<u8> {
        match self.memory[STATUS_A] & A_RATE {
            0 => None,
            rate @ 1..=2 => Some(rate + 6),
            rate => Some(rate - 1),
        }
    }

    /// Sets the flags of what happened since this was last called.
    fn catch_up(&mut self) {
        let now = self.clock.now();
        let before = std::mem::replace(&mut self.seen, now);
        // A host clock that was set back begins anew from where it is.
        if now <= before || !self.is_running() {
            return;
        }
        if self.periods_at(now) != self.periods_at(before) {
            self.flags |= B_PERIODIC;
        }
        if self.is_set(B_SET) || now.as_secs() == before.as_secs() {
            return;
        }
        self.flags |= B_UPDATE;
        if self
            .next_alarm(self.seconds_at(before))
            .is_some_and(|alarm| alarm <= self.seconds_at(now))
        {
            self.flags |= B_ALARM;
        }
    }

    fn update_interrupt(&self) {
        let pending = self.flags & self.memory[STATUS_B] & B_INTERRUPTS;
        self.interrupt.set_level(pending != 0);
    }

    fn read(&mut self, index: usize) -> u8 {
        match index {
            SECONDS | MINUTES | HOURS | WEEKDAY | DAY | MONTH | YEAR | CENTURY
                if !self.is_set(B_SET) =>
            {
                self.store_time();
            }
            STATUS_A => {
                let warning = self.is_running()
                    && !self.is_set(B_SET)
                    && self.clock.now().subsec_nanos() >= 1_000_000_000 - UPDATE_WARNING;
                return self.memory[STATUS_A] | if warning { A_UPDATE_IN_PROGRESS } else { 0 };
            }
            STATUS_C => {
                self.catch_up();
                let flags = std::mem::take(&mut self.flags);
                let interrupt = flags & self.memory[STATUS_B] & B_INTERRUPTS != 0;
                self.update_interrupt();
                self.notify();
                return flags | if interrupt { C_INTERRUPT } else { 0 };
            }
            _ => {}
        }
        self.memory.get(index).copied().unwrap_or(0xff)
    }

    fn write(&mut self, index: usize, value: u8) {
        self.catch_up();
        match index {
            SECONDS | MINUTES | HOURS | WEEKDAY | DAY | MONTH | YEAR | CENTURY => {
                if self.is_set(B_SET) {
                    self.memory[index] = value;
                } else {
                    self.store_time();
                    self.memory[index] = value;
                    self.take_time();
                }
            }
            STATUS_A => self.memory[STATUS_A] = value & !A_UPDATE_IN_PROGRESS,
            STATUS_B => {
                let was_set = self.is_set(B_SET);
                if value & B_SET != 0 && !was_set {
                    self.store_time();
                }
                self.memory[STATUS_B] = value;
                if value & B_SET != 0 {
                    // Setting the clock switches the update interrupt off.
                    self.memory[STATUS_B] &= !B_UPDATE;
                } else if was_set {
                    self.take_time();
                }
            }
            STATUS_C | STATUS_D => {}
            _ => {
                if let Some(byte) = self.memory.get_mut(index) {
                    *byte = value;
                }
            }
        }
        self.update_interrupt();
        self.notify();
    }

    /// Tells the timer thread, if it may have something to wait for.
    fn notify(&self) {
        if self.is_set(B_INTERRUPTS) {
            self.wakeup.notify();
        }
    }
}

impl ByteDevice for Rtc {
    fn read_byte(&mut self, port: u16) -> IoResult<u8> {
        match port {
            // The index register cannot be read: the bus floats.
            DATA_PORT => Ok(self.read(usize::from(self.index))),
            _ => Err(IoError::Unmapped),
        }
    }

    fn write_byte(&mut self, port: u16, value: u8) -> IoResult<Option<Action>> {
        match port {
            // Bit 7 masks the non-maskable interrupt, which nothing here raises.
            INDEX_PORT => self.index = value & 0x7f,
            DATA_PORT => self.write(usize::from(self.index), value),
            _ => return Err(IoError::Unmapped),
        }
        Ok(None)
    }
}

impl Timed for Rtc {
    fn tick(&mut self) -> Option<Duration> {
        self.catch_up();
        self.update_interrupt();
        if !self.is_running() {
            return None;
        }
        let now = self.seen;
        let awaited = |bit: u8| self.is_set(bit) && self.flags & bit == 0;
        let periodic = awaited(B_PERIODIC)
            .then(|| {
                let next = (self.periods_at(now)? + 1) << self.period_shift()?;
                let at = (next * NANOSECONDS).div_ceil(CRYSTAL);
                let left = at.saturating_sub(now.as_nanos());
                Some(Duration::from_nanos(
                    u64::try_from(left).unwrap_or(u64::MAX),
                ))
            })
            .flatten();
        let to_next_second =
            Duration::from_secs(1).saturating_sub(Duration::from_nanos(now.subsec_nanos().into()));
        let ticking = !self.is_set(B_SET);
        let update = (ticking && awaited(B_UPDATE)).then_some(to_next_second);
        let alarm = (ticking && awaited(B_ALARM))
            .then(|| {
                let seconds = self.seconds_at(now);
                let left = self.next_alarm(seconds)?.saturating_sub(seconds).max(1);
                let whole = Duration::from_secs(left.unsigned_abs() - 1);
                Some(whole.saturating_add(to_next_second))
            })
            .flatten();
        [periodic, update, alarm].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests;
