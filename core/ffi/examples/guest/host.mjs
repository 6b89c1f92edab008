// Hosts a WebAssembly guest with nothing but the WebAssembly API, and integers only across the border: what comes
// on standard input goes in byte by byte, what comes out goes to standard output. `node host.mjs guest.wasm`

import { readFileSync } from "node:fs";

const { instance } = await WebAssembly.instantiate(readFileSync(process.argv[2]));
const guest = instance.exports;
const handle = guest.ipfi_open();
let before = process.hrtime.bigint();
let timer;
let blocked = false;

// Lets the time pass that has passed.
function elapse() {
    const now = process.hrtime.bigint();
    let micros = (now - before) / 1000n;
    before += micros * 1000n;
    for (; micros > 0xffffffffn; micros -= 0xffffffffn) guest.ipfi_elapse(handle, 0xffffffff);
    guest.ipfi_elapse(handle, Number(micros));
}

// Takes what the guest has to say, unless nobody reads it.
function transmit() {
    const bytes = [];
    let byte;
    while (!blocked && bytes.length < 65536 && (byte = guest.ipfi_transmit(handle)) >= 0) bytes.push(byte);
    if (bytes.length > 0) {
        blocked = !process.stdout.write(Buffer.from(bytes), () => {
            blocked = false;
            transmit();
        });
        if (!blocked) return transmit();
    }
    if (!blocked && guest.ipfi_is_closed(handle) > 0) leave(guest.ipfi_is_closed(handle) - 1);
    clearTimeout(timer);
    const millis = guest.ipfi_timeout(handle);
    if (millis >= 0) timer = setTimeout(() => (elapse(), transmit()), millis);
}

function leave(status) {
    process.stdout.write("", () => process.exit(status));
}

process.stdin.on("data", (bytes) => {
    elapse();
    for (const byte of bytes) guest.ipfi_receive(handle, byte);
    transmit();
});
process.stdin.on("end", () => {
    guest.ipfi_receive_end(handle);
    transmit();
});
process.stdout.on("error", () => process.exit(0));
transmit();
