//! The guest's first serial port, as a terminal at its other end would use it.

use std::time::{Duration, Instant};

use super::Guest;

impl Guest {
    /// All that the guest said on its serial line.
    pub fn serial(&self) -> String {
        self.serial.text()
    }

    /// How much the guest said on its serial line so far: a mark for [`Guest::wait_for_serial_since`].
    pub fn serial_mark(&self) -> usize {
        self.serial.mark()
    }

    /// Waits until the guest has said `text` on its serial line.
    ///
    /// # Panics
    /// When it does not within `seconds`.
    pub fn wait_for_serial(&self, text: &str, seconds: u64) {
        self.wait_for_serial_since(0, text, seconds);
    }

    /// Waits until the guest has said `text` on its serial line after `mark`, and gives what it said after these.
    ///
    /// # Panics
    /// When it does not within `seconds`.
    pub fn wait_for_serial_since(&self, mark: usize, text: &str, seconds: u64) -> String {
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            let said = self.serial.since(mark);
            if said.contains(text) {
                return said;
            }
            self.check_time(&format!("{text:?} on the serial line"), seconds, end);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sends text to the guest by its serial line.
    ///
    /// # Panics
    /// When the line is cut.
    pub fn send_serial(&self, text: &str) {
        self.serial.send(text);
    }

    /// Logs root in on the serial line of a guest that asks for no password.
    ///
    /// # Panics
    /// When no shell comes within `seconds`.
    pub fn log_in(&self, seconds: u64) {
        self.wait_for_serial("login: ", seconds);
        self.log_in_since_restart(seconds);
    }

    /// Logs root in as [`Guest::log_in`] does, when the login was waited for.
    ///
    /// # Panics
    /// As that.
    pub fn log_in_since_restart(&self, seconds: u64) {
        let mark = self.serial.mark();
        self.send_serial("root\n");
        self.wait_for_serial_since(mark, "# ", seconds);
        // Without the echo and with a prompt that stands nowhere else; without line editing, by which bash says more than its commands do (last,
        // since a shell that has no such option stops there). A job of its own that ends makes busybox's shell end too: start such by
        // `( COMMAND & )`.
        self.send_serial("stty -echo; PS1='' PS2=''; set +o emacs 2>/dev/null\n");
        // With the echo of what was sent before.
        self.try_shell("true", seconds);
        assert_eq!(self.shell("echo ready", seconds).trim(), "ready");
    }

    /// Runs a command in the shell on the serial line and gives what it printed.
    ///
    /// # Panics
    /// When it fails or does not end within `seconds`.
    pub fn shell(&self, command: &str, seconds: u64) -> String {
        let (status, output) = self.try_shell(command, seconds);
        if status != 0 {
            self.fail(&format!(
                "{command:?} failed with exit code {status}: {output}"
            ));
        }
        output
    }

    /// Runs a command as [`Guest::shell`] does, and gives its exit code too.
    ///
    /// # Panics
    /// When it does not end within `seconds`.
    pub fn try_shell(&self, command: &str, seconds: u64) -> (i32, String) {
        let mark = self.serial.mark();
        // Put together by the shell, so that an echo of the command is not taken for its end.
        self.send_serial(&format!(
            "{{ {command}\n}} 2>&1; echo \"end-of\"\"-command $?.\"\n"
        ));
        let mut said = self.wait_for_serial_since(mark, "end-of-command ", seconds);
        // To the line's end, so that nothing of it is taken for the next command's.
        let is_whole = |said: &str| {
            let line = said.split_once("end-of-command ");
            line.is_some_and(|(_, rest)| rest.contains('\n'))
        };
        for _ in 0..100 {
            if is_whole(&said) {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
            said = self.serial.since(mark);
        }
        let (output, rest) = said.split_once("end-of-command ").unwrap_or((&said, ""));
        let status: String = rest.chars().take_while(char::is_ascii_digit).collect();
        (status.parse().unwrap_or(-1), output.replace('\r', ""))
    }
}
