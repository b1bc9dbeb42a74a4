// Which of the standard streams is a terminal, how wide it is, and its colours. What goes to a pipe
// or a file has none; NO_COLOR and TERM=dumb switch them off on a terminal, too, and FORCE_COLOR
// switches them on everywhere.

import type { Environment } from "./settings.ts";

/** One output stream, as far as its looks are concerned. */
export interface Screen {
  readonly isTerminal: boolean;
  /** Columns now; 80 where that is not known. */
  readonly columns: number;
  /** Lines now; 24 where that is not known. */
  readonly rows: number;
  readonly paint: Paint;
}

export interface Terminal {
  /** Whether a person can type on standard input. */
  readonly isInteractive: boolean;
  readonly output: Screen;
  readonly errors: Screen;
}

const styles = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  blue: [34, 39],
  cyan: [36, 39],
} as const;

export type Style = keyof typeof styles;

/** A text in a colour, or as it is where there are none. */
export type Paint = (style: Style, text: string) => string;

export const plain: Paint = (_, text) => text;

export const coloured: Paint = (style, text) => {
  const [on, off] = styles[style];
  return text === "" ? "" : `\u001b[${on}m${text}\u001b[${off}m`;
};

/** The parts of a line that is bytes in a colour. */
export function paintBytes(
  paint: Paint,
  style: Style,
  bytes: string | Uint8Array,
): readonly (string | Uint8Array)[] {
  const [on, off] = paint(style, "|").split("|");
  return on === "" ? [bytes] : [on ?? "", bytes, off ?? ""];
}

/** What a stream of a process says of itself. */
interface ScreenStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

function hasColours(isTerminal: boolean, environment: Environment): boolean {
  if ((environment["NO_COLOR"] ?? "") !== "") {
    return false;
  }
  const force = environment["FORCE_COLOR"] ?? "";
  if (force !== "") {
    return force !== "0" && force !== "false";
  }
  return isTerminal && environment["TERM"] !== "dumb";
}

/** A terminal that was never told its size says 0. */
function size(said: number | undefined, otherwise: number): number {
  return said === undefined || said === 0 ? otherwise : said;
}

export function screenOf(stream: ScreenStream, environment: Environment): Screen {
  const isTerminal = stream.isTTY === true;
  return {
    isTerminal,
    get columns() {
      return size(stream.columns, 80);
    },
    get rows() {
      return size(stream.rows, 24);
    },
    paint: hasColours(isTerminal, environment) ? coloured : plain,
  };
}

/** No terminal anywhere: what tests and pipes have. */
export const noTerminal: Terminal = {
  isInteractive: false,
  output: screenOf({}, {}),
  errors: screenOf({}, {}),
};
