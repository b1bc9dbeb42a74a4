#!/usr/bin/env node
// The `quoratectl` command.

import { ProcessIo } from "./ctl/io.ts";
import { runControl } from "./ctl/main.ts";

process.exitCode = await runControl(process.argv.slice(2), process.env, new ProcessIo(process.env));
