// A line of interactive input as words, as etcdctl takes it apart: "double quoted" with Go's
// escapes, 'single quoted' as it is, anything else up to white space.

import { CommandError, exitCodes } from "./failure.ts";
import { goUnquote } from "./go-text.ts";

const wordPattern = /"(?:[^"\\]|\\.)*"|'[^']*'|[^'"\s]\S*[^'"\s]?/g;

/** Fails with CommandError for an escape that Go does not have. */
export function quotedWords(line: string): string[] {
  return (line.match(wordPattern) ?? []).map((word) => {
    if (word.startsWith("'")) {
      return word.slice(1, -1);
    }
    if (!word.startsWith('"')) {
      return word;
    }
    const text = goUnquote(word);
    if (text === undefined) {
      throw new CommandError(
        exitCodes.invalidInput,
        `bad quoted string ${word}`,
        'a double quoted text has the escapes of Go: \\n, \\t, \\", \\\\, \\x61, \\u00e9',
      );
    }
    return text;
  });
}
