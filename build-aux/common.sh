# Shared by the scripts beside it: where things are, and how a step tells what it did and how long it took.
# shellcheck shell=bash

source_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cache_dir=${XDG_CACHE_HOME:-$HOME/.cache}/guesthouse

say() { printf '%s\n' "guesthouse: $*" >&2; }

fail() {
    say "$*"
    exit 1
}

# step DESCRIPTION COMMAND... runs the command, or function, with its output in a log and prints the time it took; on failure, the log.
# Call it as a command of its own: as part of a condition, bash would not stop a function at its first error.
step() {
    local description=$1 log started=${EPOCHREALTIME/[.,]/} status=0
    shift
    log=$(mktemp "${TMPDIR:-/tmp}/guesthouse-step.XXXXXX")
    say "$description ..."
    set +e
    (
        set -e
        "$@"
    ) >"$log" 2>&1 </dev/null
    status=$?
    set -e
    local tenths=$(((${EPOCHREALTIME/[.,]/} - started) / 100000))
    if [ "$status" -ne 0 ]; then
        tail -n 40 "$log" >&2
        rm -f "$log"
        fail "$description: failed with exit code $status after $((tenths / 10)).$((tenths % 10)) s"
    fi
    rm -f "$log"
    say "$description: $((tenths / 10)).$((tenths % 10)) s"
}

# as_root COMMAND... runs the command as root, through sudo when this is another user.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "this needs root: run it as root, or install sudo and allow this user to use it ($*)"
    fi
}

# Whether this machine's own toolkit is new enough to build against.
has_toolkit() {
    command -v pkg-config >/dev/null &&
        pkg-config --atleast-version=4.18 gtk4 2>/dev/null &&
        pkg-config --atleast-version=1.7 libadwaita-1 2>/dev/null
}

# The mirror that this machine's apt is configured with for the distribution given ("Debian"); empty when it has none.
apt_mirror() {
    apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL)' 'Created-By: Packages' 2>/dev/null |
        awk -v origin="$1" '$2 == origin && $3 == origin { sub("/$", "", $1); print $1; exit }'
}

# The packages of build-aux/packages in the column of a distribution: 1 Debian, 2 Fedora, 3 Arch.
packages() {
    awk -v column="$1" '!/^#/ && NF && $column != "-" { print $column }' "$source_dir/build-aux/packages"
}

# Whether this machine's KVM runs a guest's kernel in an emulator (KVM-PVM), or there is no KVM at all: then whole operating systems need the
# nested rig.
emulated_kvm() { [ -d /sys/module/kvm_pvm ] || [ ! -w /dev/kvm ]; }
