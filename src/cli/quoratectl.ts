#!/usr/bin/env node
// The `quoratectl` command.

import { ProcessIo } from "./ctl/io.ts";
import { runControl } from "./ctl/main.ts";
import { commandLineWords } from "./ctl/raw-text.ts";

// Node warns whoever types an address in place of a name for TLS, which is no mistake of theirs.
process.noDeprecation = true;

const words = commandLineWords(process.argv.slice(2));
process.exitCode = await runControl(words, process.env, new ProcessIo(process.env));
