// Hosts the WebAssembly link of the ring: integers only across the border, one byte at a time.

import { readFileSync } from "node:fs";

const { instance } = await WebAssembly.instantiate(readFileSync(process.argv[2]));
const { ipfi_open, ipfi_receive, ipfi_transmit, ipfi_is_closed } = instance.exports;
const handle = ipfi_open();

function transmit() {
    const bytes = [];
    for (let byte; (byte = ipfi_transmit(handle)) >= 0; ) bytes.push(byte);
    process.stdout.write(Buffer.from(bytes), () => ipfi_is_closed(handle) && process.exit());
}

process.stdin.on("data", (bytes) => {
    for (const byte of bytes) ipfi_receive(handle, byte);
    transmit();
});
process.stdin.on("end", () => process.exit());
transmit();
