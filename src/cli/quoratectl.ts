#!/usr/bin/env node
// The `quoratectl` command.

import { runControl } from "./ctl/main.ts";

const lineEnd = new Uint8Array([0x0a]);

// A reader that has seen enough, such as `head`, closes the pipe: that is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  process.exit(error.code === "EPIPE" ? 0 : 6);
});

process.exitCode = await runControl(process.argv.slice(2), process.env, {
  line(...parts) {
    const bytes = parts.map((part) => (typeof part === "string" ? Buffer.from(part) : part));
    process.stdout.write(Buffer.concat([...bytes, lineEnd]));
  },
  errorLine(text) {
    process.stderr.write(`${text}\n`);
  },
  async readStdin() {
    const chunks: Uint8Array[] = [];
    for await (const chunk of process.stdin as AsyncIterable<Uint8Array>) {
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  },
});
