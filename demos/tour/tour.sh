#!/bin/bash
# Everything once, in a minute: tour.sh [DIRECTORY OF THE PROGRAMS]. Builds those that are not there.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
programs=${1:-${CARGO_TARGET_DIR:-$root/target}/debug}
missing=
for program in ipfi=ipfi-cli ipfi-bridge=ipfi-bridge ipfi-transport-rot13=demo-plugin-rust \
    demo-calculator=demo-calculator demo-progress=demo-progress demo-polyglot=demo-polyglot; do
    [ -x "$programs/${program%=*}" ] || missing="$missing -p ${program#*=}"
done
# shellcheck disable=SC2086
[ -z "$missing" ] || (cd "$root" && "${CARGO:-cargo}" build -q --locked $missing)
# Programs are run by name, and `rot13:` is found by its name.
programs=$(cd "$programs" && pwd)
export PATH="$programs:$PATH"
dir=$(mktemp -d /tmp/tour-XXX)
export XDG_CACHE_HOME=$dir
pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"' EXIT

if [ -t 1 ]; then bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'; else bold='' dim='' plain=''; fi
step() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
fail() { printf 'the tour failed: %s\n' "$*" >&2; exit 1; }
# Shows a command and what it says.
show() { printf '  %s$ %s%s\n' "$dim" "$*" "$plain"; eval "$*" 2>&1 | sed 's/^/    /'; }
# Starts a server and waits until it says `$1`, and after that `where` it is. If `$1` is empty it need not.
serve() {
    local words=$1 line; shift
    printf '  %s$ %s &%s\n' "$dim" "$*" "$plain"
    exec {said}< <(eval "exec $*" 2>&1)
    pids+=($!)
    [ -n "$words" ] || return 0
    while IFS= read -r -t 20 -u "$said" line; do
        case $line in *"$words"*) where=${line##*"$words"}; where=${where%% *}; return ;; esac
    done
    fail "\`$*\` did not start: ${line-}"
}

step '1. A service: a trait in Rust, called from a terminal'
serve 'listening at ' demo-calculator tcp-listen:127.0.0.1:0
calculator=$where
show ipfi list "$calculator"
show ipfi call "$calculator" divide 7 2
show "ipfi call $calculator divide 7 0 || echo \"exit status \$?\""

step '2. Streams, both ways: numbers go in as lines, powers come out as they are made'
show "seq 1000 | ipfi call $calculator sum --stream"
show "ipfi call $calculator powers 100 | xargs"

step '3. A callback: the oven calls whoever watches it'
serve 'listening at ' demo-progress serve tcp-listen:127.0.0.1:0
show ipfi call "$where" bake 4 @print=true

step '4. A bridge joins any two links: here a Unix socket and the calculator'
serve 'listening at ' ipfi-bridge -v "unix-listen:$dir/socket" "$calculator"
show ipfi call "$where" add 2 3

step '5. A plug-in: any executable `ipfi-transport-NAME` on PATH. This one turns letters on their way'
serve 'listening at ' ipfi-bridge -v rot13-listen:127.0.0.1:0 "$calculator"
show ipfi call "$where" add 20 22

step '6. A serial line that turns over one bit in two thousand, with shell commands as procedures behind it'
serve "opened pty:$dir/ttyB" ipfi-bridge -v "pty:$dir/ttyA" "pty:$dir/ttyB"
serve '' ipfi serve "arq+noise+serial:$dir/ttyA,flip=5e-4,baud=115200" \
    "--exec 'count=seq \"\$1\"'" "--exec 'warmth=echo \"21.5 degrees, said \$1\"'"
device="arq+serial:$dir/ttyB,baud=115200"
show ipfi call -r "$device" warmth hello
show ipfi ping "$device" -n 5 --interval 1ms
show "ipfi call $device count 500 | tail -n 1"

step '7. A gateway: many clients share that line, call by call'
serve 'listening at ' ipfi gateway -v tcp-listen:127.0.0.1:0 "$device"
clients=()
for client in Ada Grace Edsger Barbara; do
    ipfi call -r "$where" warmth "$client" >"$dir/$client" 2>&1 & clients+=($!)
done
wait "${clients[@]}"
show "cat $dir/Ada $dir/Grace $dir/Edsger $dir/Barbara"
show ipfi list "$where"

step '8. How fast: a thousand calls, eight at a time'
show "ipfi bench $calculator add 2 3 -n 1000 -c 8 | sed -n 1,2p"

step '9. Other languages: each adds its name and calls the next'
show "$root/demos/polyglot/demo.sh" "$programs/demo-polyglot"

step 'That is all of it. README.md has the same with real devices.'
