// The bounds of the direct HTTP/2 server, by name, with the attack that each one answers.

/** Bytes queued on one stream beyond which `write` asks its handler to wait for `onDrain`. */
export const streamQueueBytesMax = 256 * 1024;
