#!/bin/bash
# A TCP port in front of a serial device that survives being unplugged, in half a minute.
# Needs nothing but the bridge itself: the device is a pty of a second bridge.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
bridge=${1:?usage: demo.sh PATH-OF-ipfi-bridge}
dir=$(mktemp -d /tmp/demo-XXX)
port=${PORT:-7000}
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"' EXIT

if [ -t 1 ]; then bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'; else bold='' dim='' plain=''; fi
step() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
fail() { printf 'the demo failed: %s\n' "$*" >&2; cat "$dir"/*.log >&2; exit 1; }
# Waits until a log of ours has a line.
await() { for _ in $(seq 100); do grep -q "$2" "$dir/$1.log" && return; sleep 0.1; done; fail "no '$2' in $1.log"; }

plug_in() {
    "$bridge" --quiet --stats none "pty:,link=$dir/ttyDEMO" "exec:$here/thermometer,once" \
        >>"$dir/device.log" 2>&1 &
    device=$!
    pids+=("$device")
    disown "$device"
    for _ in $(seq 100); do [ -e "$dir/ttyDEMO" ] && return; sleep 0.1; done
    fail "the stand-in device did not come up"
}

step "1. A device on a serial line: a stand-in thermometer at $dir/ttyDEMO"
plug_in

step "2. The bridge:  ipfi-bridge tcp-listen:127.0.0.1:$port serial:$dir/ttyDEMO,baud=115200"
touch "$dir/bridge.log"
"$bridge" -v "tcp-listen:127.0.0.1:$port" "serial:$dir/ttyDEMO,baud=115200" 2>"$dir/bridge.log" &
pids+=($!)
await bridge 'listening at'
tail -n +1 -f "$dir/bridge.log" | sed -u "s|^|${dim}   |; s|\$|${plain}|" &
pids+=($!)

step "3. A client on the TCP port, connected from now to the end"
exec 3<>"/dev/tcp/127.0.0.1/$port" || fail "nobody listens at port $port"
hear() { IFS= read -r -t 15 line <&3 || fail "no answer"; printf '   device: %s\n' "$line"; }
ask() { printf '   client: %s\n' "$1"; printf '%s\n' "$1" >&3; hear; }
hear
ask "how warm is it?"
ask "and now?"

step "4. The device is unplugged. The client stays connected, and asks on."
rm "$dir/ttyDEMO" && kill -9 "$device"
await bridge 'lost serial:'
printf '   client: %s\n' "are you there?"
printf 'are you there?\n' >&3
sleep 3

step "5. The device is back, as another terminal under the same name. The question has waited."
plug_in
for _ in 1 2 3; do
    hear
    case $line in *"are you there?"*) break ;; esac
done
case $line in *"are you there?"*) ;; *) fail "the question was lost" ;; esac
ask "welcome back"

step "That is the whole thing. Try it on a real port: ipfi-bridge ports"
