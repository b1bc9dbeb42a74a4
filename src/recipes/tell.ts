// Calling listeners back.

/** Tells all. A listener's mistake must not end what it listens to: it becomes a warning. */
export function tellAll<News extends readonly unknown[]>(
  listeners: Iterable<(...news: News) => void>,
  ...news: News
): void {
  for (const listener of [...listeners]) {
    try {
      listener(...news);
    } catch (error) {
      process.emitWarning(error instanceof Error ? error : String(error));
    }
  }
}
