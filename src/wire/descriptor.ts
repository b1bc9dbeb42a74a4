// The shape of the generated descriptor table.

/** One field of a message. */
export interface FieldDescriptor {
  readonly number: number;
  /** As in the .proto file; the name that etcd's JSON gateway writes. */
  readonly name: string;
  /** protobuf's JSON name; accepted on input too. */
  readonly jsonName: string;
  /** The property of the TypeScript interface; within a oneof, the `kind`. */
  readonly property: string;
  /** A scalar's name, or the full name of a message or enum. */
  readonly type: string;
  readonly repeated: boolean;
  /** A 64-bit field that is a number in memory, not a bigint. */
  readonly asNumber?: boolean;
  /** The property that holds `{ kind, value }`. */
  readonly oneof?: string;
}

export interface MessageDescriptor {
  /** The generated module, without ".ts". */
  readonly module: string;
  /** By field number, ascending. */
  readonly fields: readonly FieldDescriptor[];
}

/** Number of each name. */
export type EnumDescriptor = Readonly<Record<string, number>>;

export interface MethodDescriptor {
  readonly request: string;
  readonly response: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}

/** A file of proto/, for server reflection. */
export interface FileDescriptor {
  /** Names of other files. */
  readonly imports: readonly string[];
  /** Full names of its messages, enums and services, nested ones too. */
  readonly symbols: readonly string[];
  /** Its google.protobuf.FileDescriptorProto. */
  readonly base64: string;
}
