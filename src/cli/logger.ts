// The log: pino, with the keys that etcd's logs have (level, ts, msg), as JSON or, on a terminal,
// as text. Lines are written at once, so that the last one before an exit is not lost.

import { styleText } from "node:util";
import pino from "pino";
import type { Logger } from "../base/index.ts";
import type { LogConfig } from "./config.ts";
import { type LogRotation, RotatingFile } from "./rotating-file.ts";
import { ConfigError } from "./config-error.ts";

interface LineSink {
  write(line: string): void;
}

/** Opens the outputs. Throws ConfigError when a file cannot be opened. */
export function createLogger(config: LogConfig, colours: boolean): Logger {
  const sinks = config.outputs.map((output) => openSink(output, config.rotation));
  const format =
    config.format === "console"
      ? (line: string): string => consoleLine(line, colours)
      : (line: string): string => line;
  const sink: LineSink =
    sinks.length === 1 && sinks[0] !== undefined && config.format === "json"
      ? sinks[0]
      : {
          write(line) {
            const text = format(line);
            for (const each of sinks) {
              each.write(text);
            }
          },
        };
  return pino(
    {
      level: config.level,
      base: null,
      messageKey: "msg",
      timestamp: () => `,"ts":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    sink,
  );
}

function openSink(output: string, rotation: LogRotation | undefined): LineSink {
  const isFile = output !== "stderr" && output !== "stdout";
  const dest = output === "stderr" ? 2 : output === "stdout" ? 1 : output;
  try {
    if (isFile && rotation !== undefined) {
      return new RotatingFile(output, rotation);
    }
    return pino.destination({ dest, sync: true });
  } catch (error) {
    throw new ConfigError(`cannot open the log: ${(error as Error).message}`);
  }
}

const levelColours = {
  debug: "gray",
  info: "cyan",
  warn: "yellow",
  error: "red",
  fatal: "red",
} as const;

/** One JSON line of the log as a person reads it: time, level, message, then what is left. */
export function consoleLine(line: string, colours: boolean): string {
  const { level, ts, msg, ...fields } = JSON.parse(line) as {
    readonly level: keyof typeof levelColours;
    readonly ts: string;
    readonly msg: string;
    readonly [field: string]: unknown;
  };
  const paint = (colour: Parameters<typeof styleText>[0], text: string): string =>
    colours ? styleText(colour, text, { validateStream: false }) : text;
  const rest = Object.entries(fields).map(
    ([key, value]) => ` ${paint("gray", `${key}=`)}${fieldText(value)}`,
  );
  const label = paint(levelColours[level], level.toUpperCase().padEnd(5));
  return `${paint("gray", ts.slice(11, 23))} ${label} ${msg}${rest.join("")}\n`;
}

function fieldText(value: unknown): string {
  if (typeof value === "string" && /^[^\s"=]+$/.test(value)) {
    return value;
  }
  return JSON.stringify(value);
}
