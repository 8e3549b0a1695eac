#!/usr/bin/env bash
# Sets up what is missing, then starts the server.
set -euo pipefail
cd -P "$(dirname "${BASH_SOURCE[0]}")"

log=.venv/install.log
stamp=.venv/.installed
folders=(outputs stable_diffusion/{models,loras,upscalers,embeddings,controlnet,hints,vaes,faces,translators})

usage() {
    cat <<'TEXT'
Usage: ./init.sh [--no-start] [--dev] [--check] [--help]

Sets up what is missing (.venv, packages, folders) and starts the server.

  --no-start   set up only
  --dev        also install what the checks and tests need
  --check      change nothing: say what is there, what is missing and what mends it
  --help       this text

Environment:
  PYTHON=...   the Python that makes .venv (3.11 or newer); found by itself otherwise
  DEVICE=...   cpu, cuda or mps; otherwise cuda when nvidia-smi finds a GPU, else cpu

The server reads HOST, PORT, SSL_CERTFILE, SSL_KEYFILE and its other settings from the environment or from .env.
TEXT
}

say() { printf '%s\n' "$*"; }

fail() {
    say "$*" >&2
    exit 1
}

parse_flags() {
    start=yes dev=no check_only=no
    local flag
    for flag in "$@"; do
        case $flag in
            --no-start) start=no ;;
            --dev) dev=yes ;;
            --check) check_only=yes ;;
            --help | -h) usage && exit 0 ;;
            *) say "init.sh does not know '$flag'; ./init.sh --help lists what it knows." >&2 && exit 2 ;;
        esac
    done
}

choose_device() {
    case ${DEVICE:-auto} in
        auto) if [[ $(nvidia-smi -L 2>/dev/null) == *GPU* ]]; then say cuda; else say cpu; fi ;;
        cpu | cuda | mps) say "$DEVICE" ;;
        cuda:*) say cuda ;;
        *) fail "DEVICE='$DEVICE' is not a device; use cpu, cuda or mps." ;;
    esac
}

find_python() {
    local name names=(python3.11 python3.12 python3.13 python3.14 python3)
    if [[ -n ${PYTHON:-} ]]; then names=("$PYTHON"); fi
    for name in "${names[@]}"; do
        # Run, not only looked up: a version manager's shim may stand for a Python that is not there.
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    return 1
}

python_advice() {
    if [[ -n ${PYTHON:-} ]]; then
        say "PYTHON='$PYTHON' is not a Python 3.11 or newer that runs here."
    else
        say "Python 3.11 or newer is needed: apt-get install python3 python3-venv"
    fi
}

venv_advice() {
    say "$1 cannot make virtual environments (it lacks ensurepip): apt-get install python3-venv"
}

has_ensurepip() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

# venv writes pip last, so pip tells a whole one; the path in it tells one that was moved.
venv_is_whole() {
    .venv/bin/python -c '' 2>/dev/null && grep -qsF "$PWD/.venv/bin/" .venv/bin/pip
}

ensure_venv() {
    if venv_is_whole; then return; fi
    local python
    python=$(find_python) || fail "$(python_advice)"
    has_ensurepip "$python" || fail "$(venv_advice "$python")"
    if [[ -e .venv ]]; then say "The .venv here is half-made or was moved; making it anew."; fi
    rm -rf .venv
    say "Making .venv with $python ..."
    if ! "$python" -m venv .venv; then
        rm -rf .venv
        fail "$python could not make .venv; its own words are above."
    fi
}

wanted_stamp() {
    local sum
    sum=$(cat pyproject.toml constraints.txt | cksum)
    say "device=$device dev=$1 sum=$sum"
}

packages_are_in() {
    local found
    found=$(cat "$stamp" 2>/dev/null) || return 1
    [[ $found == "$(wanted_stamp yes)" ]] || [[ $dev == no && $found == "$(wanted_stamp no)" ]]
}

run_pip() { .venv/bin/python -m pip "$@" >>"$log" 2>&1 || fail_with_log; }

pip_install() { run_pip install -c constraints.txt "$@"; }

fail_with_log() {
    local end
    end=$(tail -n 20 "$log")
    printf '%s\n\n' "$end" >&2
    case $end in
        *"Operation cancelled by user"*) fail "Interrupted; ./init.sh takes it up again." ;;
        *"No space left on device"*)
            fail "The disk is full: cpu needs 3 GB, cuda 10 GB. Make room, then run ./init.sh again."
            ;;
        *ConnectionError* | *ConnectTimeout* | *ReadTimeout* | *NameResolutionError*)
            fail "pip could not reach its package index: check the network and HTTPS_PROXY, then run ./init.sh again."
            ;;
        *) fail "pip failed; all of its words are in $log. It is safe to delete .venv and run ./init.sh again." ;;
    esac
}

installed_torch() {
    .venv/bin/python -c 'import importlib.metadata as m; print(m.version("torch"))' 2>/dev/null || say none
}

install_torch() {
    say "Installing torch for $device (minutes on the first start; tail -f $log shows more) ..."
    if [[ $device == cpu ]]; then
        # Where this index cannot be reached, pip takes what it finds elsewhere: so little patience, and for torch alone.
        pip_install --extra-index-url https://download.pytorch.org/whl/cpu --retries 1 --timeout 8 --no-deps torch
        return
    fi
    # To pip 2.13.0+cpu satisfies torch==2.13.0, so a CPU build would stay.
    if [[ $(installed_torch) == *+cpu ]]; then run_pip uninstall --yes torch; fi
    pip_install torch
    if [[ $(installed_torch) == *+cpu ]]; then say "Only a CPU build of torch was found: $device will not be used."; fi
}

install_packages() {
    if packages_are_in; then return; fi
    # Without its stamp an interrupted install is taken up again, whatever it was an install of.
    rm -f "$stamp"
    : >"$log"
    install_torch
    say "Installing the other packages ..."
    if [[ $dev == yes ]]; then pip_install -e '.[dev]'; else pip_install -e .; fi
    # It asks for torchvision, which it can do without, and which breaks diffusers beside a torch of another build.
    pip_install --no-deps spandrel
    wanted_stamp "$dev" >"$stamp"
}

there() { say "ok       $1"; }

lacking() {
    say "missing  $1: $2"
    missing=yes
}

check_python() {
    local python
    if venv_is_whole; then
        there ".venv ($(.venv/bin/python --version))"
    elif ! python=$(find_python); then
        lacking "Python" "$(python_advice)"
    elif ! has_ensurepip "$python"; then
        lacking "ensurepip" "$(venv_advice "$python")"
    else
        there "Python ($python)"
        lacking ".venv" "./init.sh --no-start"
    fi
}

check_packages() {
    local mend="./init.sh --no-start"
    if [[ $dev == yes ]]; then mend="./init.sh --dev --no-start"; fi
    if packages_are_in; then there "packages for $device"; else lacking "packages for $device" "$mend"; fi
}

check_folders() {
    local folder
    for folder in "${folders[@]}"; do
        if [[ -d $folder ]]; then there "$folder/"; else lacking "$folder/" "mkdir -p $folder"; fi
    done
}

check_server() {
    if venv_is_whole && packages_are_in; then
        PYTHONDONTWRITEBYTECODE=1 .venv/bin/python -m diffusionapi --check || missing=yes
    fi
}

check() {
    missing=no
    check_python
    check_packages
    check_folders
    check_server
    [[ $missing == no ]]
}

parse_flags "$@"
device=$(choose_device)
if [[ $check_only == yes ]]; then
    check
    exit
fi
ensure_venv
install_packages
mkdir -p "${folders[@]}"
if [[ $start == no ]]; then
    say "Everything is set up; ./init.sh starts the server."
    exit
fi
# exec, so that signals reach the server itself.
exec .venv/bin/python -m diffusionapi
