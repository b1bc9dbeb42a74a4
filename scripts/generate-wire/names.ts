// How protobuf names become TypeScript names.

import protobuf from "protobufjs";

/** "v3lock.proto" -> "v3lock". */
export function moduleOf(file: string): string {
  const base = file.split("/").pop() ?? file;
  return base.replace(/\.proto$/, "");
}

/** A nested type is named after its parent unless its own name begins so. */
export function typeName(type: protobuf.ReflectionObject): string {
  const parent = type.parent;
  if (parent instanceof protobuf.Type && !type.name.startsWith(parent.name)) {
    return typeName(parent) + type.name;
  }
  return type.name;
}

/** "create_revision" -> "createRevision", "peerURLs" -> "peerUrls", "ID" -> "id". */
export function propertyName(name: string): string {
  const calm = name.replace(/[A-Z]{2,}/g, (run) => run[0] + run.slice(1).toLowerCase());
  const camel = calm.replace(/_+([A-Za-z])/g, (_all, letter: string) => letter.toUpperCase());
  return camel.charAt(0).toLowerCase() + camel.slice(1);
}

/** protobuf's own JSON name: "create_revision" -> "createRevision", the rest unchanged. */
export function jsonName(name: string): string {
  return name.replace(/_([a-z])/g, (_all, letter: string) => letter.toUpperCase());
}

/** "etcdserverpb.PutRequest", without the leading dot. */
export function fullName(object: protobuf.ReflectionObject): string {
  return object.fullName.replace(/^\./, "");
}

/** The file that declares the object, as named in proto/. */
export function fileOf(object: protobuf.ReflectionObject): string {
  return (object.filename ?? "").split("/").pop() ?? "";
}

/** All messages and enums below `namespace`, in order of declaration, nested ones first. */
export function declarations(namespace: protobuf.NamespaceBase): (protobuf.Type | protobuf.Enum)[] {
  const found: (protobuf.Type | protobuf.Enum)[] = [];
  for (const nested of namespace.nestedArray) {
    if (nested instanceof protobuf.Type) {
      found.push(...declarations(nested), nested);
    } else if (nested instanceof protobuf.Enum) {
      found.push(nested);
    } else if (nested instanceof protobuf.Namespace) {
      found.push(...declarations(nested));
    }
  }
  return found;
}

/** All services below `namespace`. */
export function services(namespace: protobuf.NamespaceBase): protobuf.Service[] {
  const found: protobuf.Service[] = [];
  for (const nested of namespace.nestedArray) {
    if (nested instanceof protobuf.Service) {
      found.push(nested);
    } else if (nested instanceof protobuf.Namespace) {
      found.push(...services(nested));
    }
  }
  return found;
}
