// Calls with many replies, of which there are three: KV.RangeStream, Maintenance.Snapshot and
// Election.Observe.

import type { Channel, StreamOptions } from "./channel.ts";

/** Every message of one stream. Rejects with ClientError. Ends the call when it is left early. */
export async function* messagesOf(
  channel: Channel,
  path: string,
  request: Uint8Array,
  options: StreamOptions,
): AsyncGenerator<Uint8Array, undefined> {
  const stream = channel.source(path, request, options);
  try {
    for await (const bytes of stream as AsyncIterable<Uint8Array>) {
      yield bytes;
    }
  } catch (error) {
    throw channel.error(error);
  } finally {
    stream.cancel();
  }
}
