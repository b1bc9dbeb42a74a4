// Header fields and the two tables of HPACK (RFC 7541 section 2.3, appendix A).

/** What a field is to this server, settled once when the field is made, not at each use. */
export const fieldKind = {
  /** A regular field that the transport does not look at. */
  other: 0,
  method: 1,
  scheme: 2,
  path: 3,
  authority: 4,
  contentType: 5,
  grpcTimeout: 6,
  grpcEncoding: 7,
  contentLength: 8,
  /** A field that makes its request malformed (RFC 9113 section 8.2). */
  malformed: 9,
} as const;

export type FieldKind = (typeof fieldKind)[keyof typeof fieldKind];

const kindByName: ReadonlyMap<string, FieldKind> = new Map<string, FieldKind>([
  [":method", fieldKind.method],
  [":scheme", fieldKind.scheme],
  [":path", fieldKind.path],
  [":authority", fieldKind.authority],
  ["content-type", fieldKind.contentType],
  ["grpc-timeout", fieldKind.grpcTimeout],
  ["grpc-encoding", fieldKind.grpcEncoding],
  ["content-length", fieldKind.contentLength],
  // Connection-specific fields, which HTTP/2 forbids.
  ["connection", fieldKind.malformed],
  ["keep-alive", fieldKind.malformed],
  ["proxy-connection", fieldKind.malformed],
  ["transfer-encoding", fieldKind.malformed],
  ["upgrade", fieldKind.malformed],
]);

// Tokens of RFC 9110, in lower case only (RFC 9113 section 8.2.1).
const validName = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const invalidValue = /[\0\r\n]/;

function kindOfName(name: string): FieldKind {
  return kindByName.get(name) ?? (validName.test(name) ? fieldKind.other : fieldKind.malformed);
}

function isValidValue(name: string, value: string): boolean {
  return !invalidValue.test(value) && (name !== "te" || value === "trailers");
}

/** Octets that a field costs in a table and in a header list, beside its text. */
export const fieldOverheadBytes = 32;

/** One header field; text is latin1, one character a byte. Immutable and shared. */
export class HeaderField {
  readonly name: string;
  readonly value: string;
  readonly kind: FieldKind;
  /** The kind of a field with this name and a good value. */
  readonly nameKind: FieldKind;
  readonly sizeBytes: number;

  /** `nameKind` may be taken from another field of that name. */
  constructor(name: string, value: string, nameKind: FieldKind = kindOfName(name)) {
    this.name = name;
    this.value = value;
    this.nameKind = nameKind;
    this.kind = isValidValue(name, value) ? nameKind : fieldKind.malformed;
    this.sizeBytes = name.length + value.length + fieldOverheadBytes;
  }
}

const staticFields: readonly string[] = [
  ":authority",
  ":method GET",
  ":method POST",
  ":path /",
  ":path /index.html",
  ":scheme http",
  ":scheme https",
  ":status 200",
  ":status 204",
  ":status 206",
  ":status 304",
  ":status 400",
  ":status 404",
  ":status 500",
  "accept-charset",
  "accept-encoding gzip, deflate",
  "accept-language",
  "accept-ranges",
  "accept",
  "access-control-allow-origin",
  "age",
  "allow",
  "authorization",
  "cache-control",
  "content-disposition",
  "content-encoding",
  "content-language",
  "content-length",
  "content-location",
  "content-range",
  "content-type",
  "cookie",
  "date",
  "etag",
  "expect",
  "expires",
  "from",
  "host",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
  "last-modified",
  "link",
  "location",
  "max-forwards",
  "proxy-authenticate",
  "proxy-authorization",
  "range",
  "referer",
  "refresh",
  "retry-after",
  "server",
  "set-cookie",
  "strict-transport-security",
  "transfer-encoding",
  "user-agent",
  "vary",
  "via",
  "www-authenticate",
];

/** The static table; index 1 of the wire is element 0 here. */
export const staticTable: readonly HeaderField[] = staticFields.map((text) => {
  const space = text.indexOf(" ");
  return space < 0
    ? new HeaderField(text, "")
    : new HeaderField(text.slice(0, space), text.slice(space + 1));
});

/** Index of the static entry with this name, 0 for none. */
export function staticNameIndex(name: string): number {
  return staticTable.findIndex((field) => field.name === name) + 1;
}

/** The dynamic table: a ring, newest first by index (RFC 7541 section 2.3.2). */
export class DynamicTable {
  readonly #limitBytes: number;
  readonly #ring: (HeaderField | undefined)[];
  readonly #mask: number;
  /** Ring position of the newest entry. */
  #newest = 0;
  #count = 0;
  #sizeBytes = 0;
  #maxBytes: number;
  #generation = 0;

  /** `limitBytes` is what SETTINGS_HEADER_TABLE_SIZE allows; the table starts at that size. */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
    this.#maxBytes = limitBytes;
    const entriesMax = Math.floor(limitBytes / fieldOverheadBytes) + 1;
    const capacity = 2 ** Math.ceil(Math.log2(entriesMax));
    this.#ring = new Array<HeaderField | undefined>(capacity).fill(undefined);
    this.#mask = capacity - 1;
  }

  get count(): number {
    return this.#count;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Changes whenever an index may mean another field than before. */
  get generation(): number {
    return this.#generation;
  }

  /** The entry `offset` places behind the newest; undefined past the end. */
  at(offset: number): HeaderField | undefined {
    return offset < this.#count ? this.#ring[(this.#newest - offset) & this.#mask] : undefined;
  }

  insert(field: HeaderField): void {
    this.#generation++;
    this.#evictTo(this.#maxBytes - field.sizeBytes);
    if (field.sizeBytes > this.#maxBytes) {
      return;
    }
    this.#newest = (this.#newest + 1) & this.#mask;
    this.#ring[this.#newest] = field;
    this.#count++;
    this.#sizeBytes += field.sizeBytes;
  }

  /** False when `maxBytes` is more than the settings allow. */
  resize(maxBytes: number): boolean {
    if (maxBytes > this.#limitBytes) {
      return false;
    }
    this.#generation++;
    this.#maxBytes = maxBytes;
    this.#evictTo(maxBytes);
    return true;
  }

  #evictTo(sizeBytes: number): void {
    while (this.#count > 0 && this.#sizeBytes > sizeBytes) {
      const oldest = (this.#newest - this.#count + 1) & this.#mask;
      this.#sizeBytes -= this.#ring[oldest]?.sizeBytes ?? 0;
      this.#ring[oldest] = undefined;
      this.#count--;
    }
  }
}
