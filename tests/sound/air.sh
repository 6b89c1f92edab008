#!/bin/sh
# air.sh COMMAND [ARGUMENT]...: runs a command on a machine that has sound, though it has none.
#
# Starts PipeWire with one null sink ("air"), whose monitor is the microphone: what one program
# plays, another hears. There are two more ("here" and "there", of different sample rates), which
# take part if they are asked for by name, as two cables. All is private (its own runtime directory
# and D-Bus) and ends with the command, whose exit code is ours. Needs no root, no sound card, no
# session.
#
# Debian: apt-get install --no-install-recommends dbus libspa-0.2-modules pipewire pipewire-alsa \
#         pipewire-pulse pulseaudio-utils wireplumber
set -eu

[ $# -gt 0 ] || { sed -n '2,12s/^# \{0,1\}//p' "$0" >&2; exit 2; }
for tool in dbus-daemon pipewire pipewire-pulse wireplumber pactl; do
    command -v "$tool" >/dev/null || { echo "air.sh: $tool is missing: see the packages in $0" >&2; exit 69; }
done

home=$(mktemp -d "${TMPDIR:-/tmp}/air.XXXXXX")
children=
stop() {
    # Only what was started here, the last first.
    for child in $children; do kill "$child" 2>/dev/null || :; done
    for child in $children; do wait "$child" 2>/dev/null || :; done
    rm -rf "$home"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

export XDG_RUNTIME_DIR="$home" XDG_CONFIG_HOME="$home/config" XDG_STATE_HOME="$home/state"
export PIPEWIRE_RUNTIME_DIR="$home"
unset PULSE_RUNTIME_PATH PULSE_SERVER DISPLAY WAYLAND_DISPLAY DBUS_SESSION_BUS_ADDRESS
# Clients of PulseAudio's protocol want a cookie, whatever it is.
export PULSE_COOKIE="$home/cookie"
head -c 256 /dev/zero >"$PULSE_COOKIE"
mkdir -p "$XDG_CONFIG_HOME/pipewire/pipewire.conf.d"
cat >"$XDG_CONFIG_HOME/pipewire/pipewire.conf.d/air.conf" <<'CONF'
context.properties = {
    default.clock.rate = 48000
    default.clock.quantum = 1024
    default.clock.min-quantum = 256
    default.clock.max-quantum = 8192
}
context.objects = [
CONF
for sink in air:48000 here:48000 there:44100; do
    cat >>"$XDG_CONFIG_HOME/pipewire/pipewire.conf.d/air.conf" <<CONF
    {
        factory = adapter
        args = {
            factory.name = support.null-audio-sink
            node.name = ${sink%:*}
            audio.rate = ${sink#*:}
            media.class = Audio/Sink
            object.linger = true
            audio.position = [ MONO ]
            monitor.channel-volumes = true
        }
    }
CONF
done
echo ']' >>"$XDG_CONFIG_HOME/pipewire/pipewire.conf.d/air.conf"

# No real devices, nor what watches for them: they are not ours, and without logind, as in a container,
# WirePlumber would end because it cannot. For 0.4 and for later ones.
mkdir -p "$XDG_CONFIG_HOME/wireplumber/main.lua.d" "$XDG_CONFIG_HOME/wireplumber/bluetooth.lua.d" \
    "$XDG_CONFIG_HOME/wireplumber/wireplumber.conf.d"
for monitor in alsa v4l2 libcamera; do
    echo "if ${monitor}_monitor then ${monitor}_monitor.enabled = false end"
done >"$XDG_CONFIG_HOME/wireplumber/main.lua.d/60-air.lua"
echo 'bluez_monitor.enabled = false' >"$XDG_CONFIG_HOME/wireplumber/bluetooth.lua.d/60-air.lua"
cat >"$XDG_CONFIG_HOME/wireplumber/wireplumber.conf.d/air.conf" <<'CONF'
wireplumber.profiles = {
    main = {
        support.logind = disabled
        monitor.alsa = disabled
        monitor.alsa-midi = disabled
        monitor.bluez = disabled
        monitor.bluez-midi = disabled
        monitor.v4l2 = disabled
        monitor.libcamera = disabled
    }
}
CONF

# await WHAT COMMAND...: until the command succeeds, ten seconds at most
await() {
    what=$1
    shift
    tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ $tries -ge 100 ]; then
            echo "air.sh: $what did not come up:" >&2
            tail -n 5 "$home"/*.log >&2
            exit 70
        fi
        sleep 0.1
    done
}

# What makes sound goes before all else, where we may say so.
first=
nice -n -11 true 2>/dev/null && first="nice -n -11"

start() {
    $first "$@" >"$home/$1.log" 2>&1 &
    children="$! $children"
}

dbus-daemon --session --nofork --nopidfile --print-address=1 \
    >"$home/address" 2>"$home/dbus.log" &
children="$! $children"
await dbus-daemon test -s "$home/address"
DBUS_SESSION_BUS_ADDRESS=$(cat "$home/address")
export DBUS_SESSION_BUS_ADDRESS
start pipewire
await pipewire test -S "$home/pipewire-0"
start wireplumber
start pipewire-pulse
await pipewire-pulse test -S "$home/pulse/native"
await "the sink" pactl set-default-sink air
await "the source" pactl set-default-source air.monitor
# The session manager links later than it answers.
await "the monitor" sh -c 'test "$(pactl get-default-source)" = air.monitor'

set +e
$first "$@"
code=$?
exit $code
