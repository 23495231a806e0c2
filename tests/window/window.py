"""Works the real window as a person with a screen reader and a keyboard does: what is there is read from the accessibility tree
(AT-SPI 2, spoken to over its own D-Bus), what is done is done by focusing a control there and pressing keys (XTEST).

Everything waits for a condition, and a condition that does not come ends the test with the tree printed and the screen kept.
"""

import os
import re
import signal
import subprocess
import sys
import time
import traceback

import gi

gi.require_version("Atspi", "2.0")
from gi.repository import Atspi, Gio, GLib  # noqa: E402

import display  # noqa: E402

Role = Atspi.Role
State = Atspi.StateType
# What a person works with. Items of menus are left out: GTK 4.18 gives those that it makes of a menu's model no names.
CONTROLS = (
    Role.BUTTON,
    Role.TOGGLE_BUTTON,
    Role.CHECK_BOX,
    Role.TEXT,
    Role.ENTRY,
    Role.SPIN_BUTTON,
    Role.COMBO_BOX,
    Role.LIST_ITEM,
    Role.PAGE_TAB,
    Role.SLIDER,
    Role.LINK,
    Role.IMAGE,
)
ACCESSIBLE = "org.a11y.atspi.Accessible"

# How long to wait for what the program does by itself, and for a guest whose firmware an emulated processor runs.
SOON = 30
GUEST = 90
MOST_TABS = 60
# What is no fault of the program: a test's desktop shows no notifications.
EXCUSED = r"org\.freedesktop\.Notifications"
# From this correlation on, two pictures show the same.
ALIKE = 0.95


class Failure(Exception):
    """What a person expects did not happen."""


class Node:
    """Something in the accessibility tree, as it was when it was read."""

    def __init__(self, bus, path, name, role, description, states, parent):
        self.bus, self.path = bus, path
        self.name, self.role, self.description, self.states = name, role, description, states
        self.parent, self.children = parent, []

    def has(self, state):
        return bool(self.states >> int(state) & 1)

    def walk(self):
        yield self
        for child in self.children:
            yield from child.walk()

    def __str__(self):
        wanted = (State.FOCUSED, State.FOCUSABLE, State.SENSITIVE, State.CHECKED, State.SELECTED, State.EXPANDED)
        states = " ".join(state.value_nick for state in wanted if self.has(state))
        description = f" ({self.description})" if self.description else ""
        return f"{role_name(self.role)} {self.name!r}{description} [{states}]"


def role_name(role):
    try:
        return Role(role).value_nick
    except ValueError:
        return f"role {role}"


def dump(node, depth=0):
    lines = [f"{'  ' * depth}{node}"]
    for child in node.children:
        lines.append(dump(child, depth + 1))
    return "\n".join(lines)


class Window:
    """The program, its window and its command line."""

    def __init__(self, test, binary, arguments=(), **environment):
        """Starts `binary` with these arguments and waits for its window; `test` names the pictures."""
        self.test, self.binary = test, binary
        self.environment = {**os.environ, **environment}
        self.sandboxed = "GUESTHOUSE_FLATPAK" in os.environ
        # Where the program can write: a Flatpak only in its own data folder.
        self.exchange = os.getcwd()
        if self.sandboxed:
            self.exchange = os.path.join(os.environ["HOME"], ".var/app", os.environ["GUESTHOUSE_FLATPAK"], "data")
        self.output = open("program.log", "wb")
        session = Gio.bus_get_sync(Gio.BusType.SESSION)
        address = session.call_sync(
            "org.a11y.Bus", "/org/a11y/bus", "org.a11y.Bus", "GetAddress", None, None, Gio.DBusCallFlags.NONE, 30000, None
        ).unpack()[0]
        flags = Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION
        self.bus = Gio.DBusConnection.new_for_address_sync(address, flags, None, None)
        self.focused = None
        self.follow_focus()
        self.program = subprocess.Popen([binary, *arguments], env=self.environment, stdout=self.output, stderr=self.output)
        self.root = None
        self.root = self.wait("the program's window", self._application)
        self.wait("the window in front", lambda: self.tree().children and self.tree().children[0].has(State.ACTIVE))

    # The tree

    def call(self, bus, path, interface, method, arguments=None):
        return self.bus.call_sync(bus, path, interface, method, arguments, None, Gio.DBusCallFlags.NONE, 20000, None).unpack()

    def _application(self):
        registry = "org.a11y.atspi.Registry", "/org/a11y/atspi/accessible/root"
        for bus, path in self.call(*registry, ACCESSIBLE, "GetChildren")[0]:
            process = self.call(
                "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetConnectionUnixProcessID", GLib.Variant("(s)", (bus,))
            )[0]
            # From a Flatpak's sandbox a proxy speaks, which sandboxes of other tests cannot be mistaken for on a bus of this test's own.
            if process == self.program.pid or (self.sandboxed and program_name(process) == "xdg-dbus-proxy"):
                return bus, path
        return None

    def follow_focus(self):
        """Remembers what has the keyboard, as the program tells it."""

        def heard(_connection, bus, path, _interface, _signal, arguments):
            what, value = arguments.unpack()[:2]
            if what == "focused":
                if value:
                    self.focused = bus, path
                elif self.focused == (bus, path):
                    self.focused = None

        event = "org.a11y.atspi.Event.Object"
        self.bus.signal_subscribe(None, event, "StateChanged", None, None, Gio.DBusSignalFlags.NONE, heard)
        registry = "org.a11y.atspi.Registry", "/org/a11y/atspi/registry", "org.a11y.atspi.Registry"
        self.call(*registry, "RegisterEvent", GLib.Variant("(sass)", ("object:state-changed:focused", [], "")))

    def listen(self):
        """Takes in what the program told meanwhile."""
        while GLib.MainContext.default().iteration(False):
            pass

    def _read(self, bus, path, parent):
        low, high = self.call(bus, path, ACCESSIBLE, "GetState")[0]
        states = low | high << 32
        # What is not on the screen does not count, and neither does what is inside of it; the application itself is never on it. It is asked
        # nothing else: on a busy computer, what shows for seconds only would be missed meanwhile.
        if parent is not None and not states >> int(State.SHOWING) & 1:
            return None
        properties = self.call(
            bus, path, "org.freedesktop.DBus.Properties", "GetAll", GLib.Variant("(s)", (ACCESSIBLE,))
        )[0]
        role = self.call(bus, path, ACCESSIBLE, "GetRole")[0]
        node = Node(bus, path, properties["Name"], role, properties["Description"], states, parent)
        for child_bus, child_path in self.call(bus, path, ACCESSIBLE, "GetChildren")[0]:
            if child_path == "/org/a11y/atspi/null":
                continue
            try:
                child = self._read(child_bus, child_path, node)
            except GLib.Error:
                continue  # It went away meanwhile.
            if child is not None:
                node.children.append(child)
        return node

    def tree(self):
        """All that is on the screen now."""
        return self._read(*self.root, None)

    def find_all(self, role=None, name=None):
        """What is on the screen with this role and this name, which may be a regular expression."""

        def fits(node):
            if role is not None and node.role not in (role if isinstance(role, tuple) else (role,)):
                return False
            if name is None:
                return True
            return node.name == name if isinstance(name, str) else bool(name.search(node.name))

        # A program with several windows has one of them in front.
        tree = self.tree()
        front = [frame for frame in tree.children if frame.has(State.ACTIVE)]
        everything = list((front[0] if front else tree).walk())
        # What is behind a dialog cannot be reached.
        dialogs = [node for node in everything if node.role in (Role.DIALOG, Role.ALERT)]
        return [node for node in (dialogs[-1].walk() if dialogs else everything) if fits(node)]

    def find(self, role=None, name=None):
        """The first such thing that can be used, waited for."""
        what = f"{role_names(role)} {name if isinstance(name, str) or name is None else name.pattern!r}"

        def usable():
            found = [node for node in self.find_all(role, name) if node.has(State.SENSITIVE) or role == Role.LABEL]
            return found[0] if found else None

        return self.wait(what, usable)

    def can_press(self, name):
        return any(node.has(State.SENSITIVE) for node in self.find_all(Role.BUTTON, name))

    def selected(self, name):
        return any(node.has(State.SELECTED) for node in self.find_all(Role.PAGE_TAB, name))

    def text(self):
        """Everything that is written on the screen."""
        return "\n".join(node.name for node in self.tree().walk() if node.name)

    def content(self, node):
        """The text in `node`, as a screen reader reads it."""
        return self.call(node.bus, node.path, "org.a11y.atspi.Text", "GetText", GLib.Variant("(ii)", (0, -1)))[0]

    def unnamed(self, within=None):
        """What a screen reader could only call "button": controls on the screen, or in a part of it, without a name."""

        def silent(node):
            # A list's item, such as a chosen value, may be named by what is written in it.
            return not any(inner.name for inner in (node.walk() if node.role == Role.LIST_ITEM else [node]))

        return [node for node in (within or self.tree()).walk() if node.role in CONTROLS and silent(node)]

    def expect_names(self, where):
        """Fails if a control is without a name."""
        unnamed = "".join(f"\n  {node} in {node.parent}" for node in self.unnamed())
        self.expect(f"all controls of {where} have names:{unnamed}", not unnamed)

    def wait_for_text(self, pattern, seconds=SOON):
        """Waits until this is written somewhere in the window."""
        return self.wait(f"the text {pattern!r}", lambda: re.search(pattern, self.text()), seconds)

    def expect(self, what, true):
        if not true:
            raise Failure(f"not so: {what}")

    def wait(self, what, condition, seconds=SOON):
        """Waits until `condition` gives something true, and gives it back."""
        end = time.monotonic() + seconds
        last = None
        while True:
            try:
                result = condition()
                if result:
                    return result
            except GLib.Error as error:
                last = error
            if self.program.poll() is not None:
                raise Failure(f"the program ended with {self.program.returncode} while waiting for {what}")
            if time.monotonic() > end:
                raise Failure(f"{what} did not come within {seconds} s" + (f" ({last})" if last else ""))
            time.sleep(0.1)

    # The keyboard

    def keys(self, *keys):
        """Presses keys, or combinations as ctrl+n, one after the other."""
        subprocess.run(["xdotool", "key", "--delay", "30", *keys], check=True)

    def type(self, text, delay=12):
        subprocess.run(["xdotool", "type", "--delay", str(delay), text], check=True)

    def type_to_guest(self, text):
        """Types as fast as a firmware's keyboard buffer of fifteen keys can follow."""
        self.type(text, 60)

    def release(self):
        """Takes the keyboard back from the guest."""
        self.keys("ctrl+alt")

    def holder(self):
        """What has the keyboard now."""
        self.listen()
        return self.focused

    def focus(self, node, key="Tab"):
        """Moves the keyboard to `node` by Tab, or by an arrow in a menu, as a person without a pointer does."""
        inside = {(inner.bus, inner.path) for inner in node.walk()}
        first = None
        for _ in range(MOST_TABS):
            before = self.holder()
            if before in inside:
                return
            if before is not None and before == first:
                break  # Once around.
            first = first or before
            self.keys(key)
            end = time.monotonic() + 1
            while self.holder() in (before, None) and time.monotonic() < end:
                time.sleep(0.01)
        raise Failure(f"{node} cannot be reached with {key}")

    def choose_machine(self, name):
        """Goes to a machine's page by its row in the list."""
        step(f"choose {name!r}")
        machines = self.find(Role.LIST, "Machines")
        rows = [node for node in machines.walk() if node.role == Role.LIST_ITEM]
        number = [row.name.split(",")[0] for row in rows].index(name)
        self.focus(machines)
        self.keys("Home", *["Down"] * number)
        this = re.compile(f"^{re.escape(name)},")
        self.wait(f"{name} chosen", lambda: self.find_all(Role.LIST_ITEM, this)[0].has(State.SELECTED))

    def press(self, name, role=Role.BUTTON):
        """Presses a button, switch or the like with the space bar."""
        step(f"press {name!r}")
        for _ in range(5):
            node = self.find(role, name)
            self.focus(node)
            # What is being shown anew just now may take the keyboard away again.
            time.sleep(0.3)
            if self.holder() in {(inner.bus, inner.path) for inner in node.walk()}:
                break
        self.keys("space")

    def open_row(self, title):
        """Opens a row that has others in it."""
        step(f"open {title!r}")
        row = self.find(Role.LIST_ITEM, title)
        self.focus(row)
        self.keys("space")

    def topic(self, title, topics="Topics"):
        """Shows a topic of the Hardware view, by the arrows; `topics` is what their list is called in the window's language."""
        step(f"topic {title!r}")
        topics = self.wait("the topics", lambda: [node for node in self.find_all(Role.LIST, topics)])[0]
        rows = [node for node in topics.children if node.role == Role.LIST_ITEM]
        wanted = next((n for n, row in enumerate(rows) if row.name == title or row.name.startswith(f"{title},")), None)
        self.expect(f"there is a topic {title!r}", wanted is not None)
        self.focus(next(row for row in rows if row.has(State.SELECTED)))
        self.keys("Home", *["Down"] * wanted)
        self.wait(f"the topic {title!r}", lambda: self.find_all(Role.LIST_ITEM, re.compile(f"^{re.escape(title)}(,|$)"))[0].has(State.SELECTED))

    def choose(self, menu, letter):
        """Chooses an item of a menu by its underlined letter: GTK 4.18 gives the items of its menus no names."""
        step(f"choose {letter!r} in {menu!r}")
        self.focus(self.find(Role.TOGGLE_BUTTON, menu))
        self.keys("space")
        self.find(Role.MENU_ITEM)
        self.keys(letter)

    def enter(self, name, text):
        """Replaces what stands in a field."""
        step(f"enter {text!r} into {name!r}")
        self.focus(self.find((Role.TEXT, Role.ENTRY), name))
        self.keys("ctrl+a", "BackSpace")
        self.type(text)

    # The desktop's dialogs for files, which belong to the portal's program or, without one, to the toolkit

    def choose_file(self, title, path):
        """Types a file's place into the dialog."""
        step(f"choose {path!r}")
        self.wait(f"the dialog {title!r}", lambda: self.in_front() == title)

        def enter():
            # A slash opens the field for it, unless the dialog still reads the folder; in the field it replaces what is there.
            time.sleep(0.5)
            self.keys("ctrl+a", "slash")
            time.sleep(0.5)
            self.type(os.path.abspath(path)[1:])

        self._accept(title, enter)

    def save_file(self, title, path, replace=False):
        """Types where a file is to be written into the dialog; with `replace` the dialog asks whether the one there is to go."""
        step(f"save {path!r}")
        self.wait(f"the dialog {title!r}", lambda: self.in_front() == title)

        def enter():
            time.sleep(0.5)
            self.keys("ctrl+a")
            self.type(os.path.abspath(path))

        self._accept(title, enter, replace)

    def _accept(self, title, enter, replace=False):
        """Lets `enter` type the name until the dialog takes it: it looks names up and completes them, at times when more is typed already."""
        for _ in range(4):
            enter()
            time.sleep(0.5)
            # What it put behind what was typed.
            self.keys("shift+End", "Delete")
            self.keys("Return")
            end = time.monotonic() + 4
            while self.in_front() == title and time.monotonic() < end:
                time.sleep(0.1)
            if self.in_front() != title:
                break
        if replace:
            self.wait("the question", lambda: self.in_front() != title)
            time.sleep(0.5)
            self.keys("Return")
        self.wait("the dialog's end", lambda: self.in_front() not in (title, ""))

    def in_front(self):
        """The title of the window that has the keyboard."""
        command = ["xdotool", "getactivewindow", "getwindowname"]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()

    # The machine behind the window, by the command line

    def guesthouse(self, *arguments, check=True):
        result = subprocess.run([self.binary, *arguments], env=self.environment, capture_output=True, text=True)
        if check and result.returncode != 0:
            raise Failure(f"guesthouse {' '.join(arguments)} failed: {result.stderr}")
        return result.stdout

    def state(self, machine):
        match = re.search(r"^State: (\w+)", self.guesthouse("show", machine, check=False), re.MULTILINE)
        return match and match.group(1)

    def wait_for_state(self, machine, state, seconds=SOON):
        self.wait(f"{machine} {state}", lambda: self.state(machine) == state, seconds)

    def guest_text(self, machine):
        """The guest's screen as text; nothing while it shows none."""
        file = os.path.join(self.exchange, "guest.txt")
        result = subprocess.run([self.binary, "screenshot", machine, file], env=self.environment, capture_output=True, text=True)
        if result.returncode != 0:
            return ""
        with open(file, encoding="utf-8") as text:
            return text.read()

    def wait_for_guest(self, machine, text, seconds=GUEST):
        self.wait(f"{text!r} on the guest's screen", lambda: text in self.guest_text(machine), seconds)

    # Pictures

    def wear(self, scheme):
        """Makes the window light or dark; the settings are to be those of a file (GSETTINGS_BACKEND=keyfile)."""
        command = ["gsettings", "set", "io.github.guesthouse_vm.Guesthouse", "colour-scheme", scheme]
        share = os.path.join(os.path.dirname(self.binary), "..", "share", "glib-2.0", "schemas")
        before = display.pixels()
        subprocess.run(command, check=True, env={**self.environment, "GSETTINGS_SCHEMA_DIR": share})
        self.wait(f"the window to become {scheme}", lambda: display.pixels() != before)

    def picture(self, name):
        """Keeps what is on the display."""
        folder = os.environ.get("GUESTHOUSE_SCREENS", ".")
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, f"window-{self.test}-{name}.png")
        display.keep(display.pixels(), path)
        return path

    def geometry(self):
        """Where the window in front is on the display, as xdotool tells."""
        command = ["xdotool", "getactivewindow", "getwindowgeometry", "--shell"]
        geometry = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return {name: int(value) for name, value in (line.split("=") for line in geometry.split())}

    def size(self):
        """Width and height of the window in front."""
        geometry = self.geometry()
        return geometry["WIDTH"], geometry["HEIGHT"]

    def extents(self, node):
        """Left, top, width and height of `node` in its window, as the toolkit counts."""
        relative = GLib.Variant("(u)", (int(Atspi.CoordType.WINDOW),))
        return self.call(node.bus, node.path, "org.a11y.atspi.Component", "GetExtents", relative)[0]

    def place(self, node):
        """Left, top, width and height of `node` on the display."""
        frame = node
        while frame.parent.parent is not None:
            frame = frame.parent
        frame = self.extents(frame)
        x, y, width, height = self.extents(node)
        window = self.geometry()
        # The toolkit counts from within the border that it draws itself, and its window begins that much before it, on both sides of zero.
        return x - 2 * frame[0] + window["X"], y - 2 * frame[1] + window["Y"], width, height

    def drawn(self):
        """The display's picture, and where the viewer is on it."""
        place = self.place(self.find(Role.IMAGE, "Guest screen"))
        return self.picture("viewer"), place

    def own(self, machine):
        """The guest's screen as the machine itself tells it."""
        path = os.path.join(self.exchange, "guest.png")
        self.guesthouse("screenshot", machine, path)
        return path

    def wait_for_picture(self, machine):
        """Waits until the viewer draws the guest's screen."""

        def alike():
            own = self.own(machine)
            return likeness(own, *self.drawn()) > ALIKE

        self.wait(f"the screen of {machine} in the window", alike)

    # The end

    def wait_for_end(self):
        """Waits until the program has closed its window and ended well."""
        code = self.program.wait(SOON)
        self.expect(f"the program ended with 0 (it was {code})", code == 0)

    def expect_no_warnings(self):
        """Fails if the toolkit complained about what the program did."""
        with open("program.log", errors="replace") as log:
            complaints = [line for line in log if re.search(r"-(WARNING|CRITICAL) \*\*", line) and not re.search(EXCUSED, line)]
        self.expect("the toolkit did not complain:\n" + "".join(complaints), not complaints)

    def close(self):
        self.program.send_signal(signal.SIGTERM)
        try:
            self.program.wait(10)
        except subprocess.TimeoutExpired:
            self.program.kill()
            self.program.wait()


def program_name(process):
    try:
        with open(f"/proc/{process}/comm") as file:
            return file.read().strip()
    except OSError:
        return None


def role_names(role):
    if role is None:
        return "anything"
    return " or ".join(role_name(one) for one in (role if isinstance(role, tuple) else (role,)))


def grey(path, *options):
    """A picture in 96 times 48 shades of grey."""
    command = ["convert", path, *options, "-resize", "96x48!", "-colorspace", "gray", "-depth", "8", "gray:-"]
    return subprocess.run(command, check=True, capture_output=True).stdout


def likeness(own, drawn, place):
    """How much the guest's picture is like what a viewer at `place` draws: 1 is the same, 0 is unlike or of one shade only."""
    left, top, width, height = place
    size = subprocess.run(["identify", "-format", "%w %h", own], check=True, capture_output=True, text=True).stdout
    across, down = (int(part) for part in size.split())
    largest = min(width / across, height / down)
    best = 0
    # The viewer enlarges to a whole number of times when it loses little by that.
    for factor in {largest, float(int(largest)) or largest}:
        w, h = round(across * factor), round(down * factor)
        x, y = left + (width - w) // 2, top + (height - h) // 2
        best = max(best, correlation(grey(own), grey(drawn, "-crop", f"{w}x{h}+{x}+{y}", "+repage")))
    return best


def correlation(one, other):
    count = len(one)
    if count != len(other):
        return 0
    mean_one, mean_other = sum(one) / count, sum(other) / count
    together = sum((a - mean_one) * (b - mean_other) for a, b in zip(one, other))
    spread_one = sum((a - mean_one) ** 2 for a in one)
    spread_other = sum((b - mean_other) ** 2 for b in other)
    if spread_one < count or spread_other < count:
        return 0
    return together / (spread_one * spread_other) ** 0.5


started = time.monotonic()


def step(text):
    print(f"[{time.monotonic() - started:6.1f} s] {text}", flush=True)


def run(scenario, size="1280x800", monitors=1, prepare=None, arguments=(), **environment):
    """Opens the window on a display of its own with as many monitors of this size, carries out `scenario` in it and ends the process accordingly. `prepare` is given the
    folder of machines before."""
    if "GUESTHOUSE_WINDOW_DISPLAY" not in os.environ:
        command = [sys.executable, os.path.abspath(sys.argv[0]), *sys.argv[1:]]
        sys.exit(display.run(command, size, monitors, GUESTHOUSE_WINDOW_DISPLAY=size))
    name = os.path.splitext(os.path.basename(sys.argv[0]))[0]
    window = None
    code = 1
    try:
        if prepare is not None:
            machines = os.path.join(os.environ["XDG_DATA_HOME"], "guesthouse", "machines")
            os.makedirs(machines)
            prepare(machines)
        window = Window(name, os.environ["GUESTHOUSE_BINARY"], arguments, **environment)
        scenario(window)
        window.expect_no_warnings()
        step("done")
        code = 0
    except BaseException:
        traceback.print_exc(file=sys.stdout)
        if window is not None:
            try:
                print("the screen is kept as", window.picture("failed"))
                print(dump(window.tree()))
            except Exception:
                traceback.print_exc(file=sys.stdout)
    finally:
        if window is not None:
            window.close()
        if code and os.path.exists("program.log"):
            with open("program.log", errors="replace") as log:
                print("the program said:", log.read()[-4000:], sep="\n")
        sys.stdout.flush()
    sys.exit(code)
