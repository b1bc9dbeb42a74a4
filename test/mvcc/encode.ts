// KeyValue and Event as the generated codecs write them: a second opinion on the store's own bytes.

import { KeyValue } from "../../src/wire/index.ts";
import type { ModelEvent } from "./model.ts";

/** The pair that an event made; that of a delete has only key and revision. */
export function encodePair(event: ModelEvent, options: { readonly keyOnly: boolean }): Uint8Array {
  return KeyValue.encode(
    KeyValue.create(
      event.deleted
        ? { key: event.key, modRevision: event.revision }
        : {
            key: event.key,
            createRevision: event.create,
            modRevision: event.revision,
            version: event.version,
            value: options.keyOnly ? new Uint8Array(0) : event.value,
            lease: event.lease,
          },
    ),
  );
}

/** What HashKV hashes of an event. */
export function encodeHashed(event: ModelEvent): Uint8Array {
  return event.deleted
    ? KeyValue.encode(KeyValue.create({ key: event.key }))
    : encodePair(event, { keyOnly: false });
}
