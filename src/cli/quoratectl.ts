#!/usr/bin/env node
// The `quoratectl` command.

import { ProcessIo } from "./ctl/io.ts";
import { runControl } from "./ctl/main.ts";
import { commandLineWords } from "./ctl/raw-text.ts";

const words = commandLineWords(process.argv.slice(2));
process.exitCode = await runControl(words, process.env, new ProcessIo(process.env));
