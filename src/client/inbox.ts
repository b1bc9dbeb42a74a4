// What arrived and is not taken yet, as an async iterator. Bounded by its source: `onFull` and
// `onTaken` tell it to pause and go on.

export interface InboxOptions {
  readonly itemsMax: number;
  readonly sizeBytesMax: number;
  readonly onFull: () => void;
  readonly onTaken: () => void;
  /** The reader wants no more. */
  readonly onReturn: () => void;
}

export class Inbox<Item> implements AsyncIterator<Item, undefined> {
  readonly #options: InboxOptions;
  readonly #items: { readonly item: Item; readonly sizeBytes: number }[] = [];
  #sizeBytes = 0;
  readonly #readers: {
    readonly resolve: (result: IteratorResult<Item, undefined>) => void;
    readonly reject: (error: Error) => void;
  }[] = [];
  #ended = false;
  #error: Error | undefined;

  constructor(options: InboxOptions) {
    this.#options = options;
  }

  push(item: Item, sizeBytes: number): void {
    if (this.#ended) {
      return;
    }
    const reader = this.#readers.shift();
    if (reader !== undefined) {
      reader.resolve({ done: false, value: item });
      return;
    }
    this.#items.push({ item, sizeBytes });
    this.#sizeBytes += sizeBytes;
    const { itemsMax, sizeBytesMax } = this.#options;
    if (this.#items.length >= itemsMax || this.#sizeBytes >= sizeBytesMax) {
      this.#options.onFull();
    }
  }

  /** Nothing more will come; with an error, reading past what is here rejects with it once. */
  end(error?: Error): void {
    if (this.#ended) {
      return;
    }
    this.#ended = true;
    this.#error = error;
    for (const reader of this.#readers.splice(0)) {
      this.#finish(reader);
    }
  }

  next(): Promise<IteratorResult<Item, undefined>> {
    const first = this.#items.shift();
    if (first !== undefined) {
      this.#sizeBytes -= first.sizeBytes;
      if (this.#items.length === 0) {
        this.#options.onTaken();
      }
      return Promise.resolve({ done: false, value: first.item });
    }
    return new Promise((resolve, reject) => {
      const reader = { resolve, reject };
      if (this.#ended) {
        this.#finish(reader);
      } else {
        this.#readers.push(reader);
      }
    });
  }

  return(): Promise<IteratorResult<Item, undefined>> {
    this.#items.length = 0;
    this.end();
    this.#options.onReturn();
    return Promise.resolve({ done: true, value: undefined });
  }

  #finish(reader: {
    readonly resolve: (result: IteratorResult<Item, undefined>) => void;
    readonly reject: (error: Error) => void;
  }): void {
    const error = this.#error;
    this.#error = undefined;
    if (error === undefined) {
      reader.resolve({ done: true, value: undefined });
    } else {
      reader.reject(error);
    }
  }
}
