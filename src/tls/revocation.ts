// Certificate revocation lists (RFC 5280, section 5): which serial numbers one names. As in etcd,
// the signature and the dates of a list are not looked at: the file is the operator's own.

import { derTag, pemBlocks, readDer } from "./der.ts";

/** Serial numbers, in lower-case hexadecimal without leading zeros. */
export type RevokedSerials = ReadonlySet<string>;

/** The serials in a list, DER or PEM (then several may follow each other). Throws RangeError. */
export function readRevocationLists(file: Buffer): RevokedSerials {
  const isDer = file[0] === derTag.sequence;
  const lists = isDer ? [file] : pemBlocks(file.toString("latin1"), "X509 CRL");
  if (lists.length === 0) {
    throw new RangeError("no revocation list in it");
  }
  return new Set(lists.flatMap(revokedIn));
}

/** CertificateList ::= {{version?, algorithm, issuer, thisUpdate, nextUpdate?, revoked?} ...} */
function revokedIn(list: Buffer): string[] {
  const [outer] = readDer(list);
  const [toBeSigned, , signature] = readDer(outer?.body ?? Buffer.alloc(0));
  if (toBeSigned?.tag !== derTag.sequence || signature?.tag !== derTag.bitString) {
    throw new RangeError("not a revocation list");
  }
  const fields = readDer(toBeSigned.body);
  const lastTime = fields.findLastIndex(
    ({ tag }) => tag === derTag.utcTime || tag === derTag.generalizedTime,
  );
  if (lastTime < 0) {
    throw new RangeError("not a revocation list");
  }
  const entries = fields[lastTime + 1];
  return entries?.tag !== derTag.sequence
    ? []
    : readDer(entries.body).map((entry) => {
        const [serial] = readDer(entry.body);
        if (serial?.tag !== derTag.integer) {
          throw new RangeError("an entry without a serial number");
        }
        return serialText(serial.body.toString("hex"));
      });
}

/** A serial number in hexadecimal, as this file writes them. */
export function serialText(hex: string): string {
  return hex.toLowerCase().replace(/^0+/, "");
}
