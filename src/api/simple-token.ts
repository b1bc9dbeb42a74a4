// Simple tokens as clients hold them: 16 random letters, a dot, and the log index of the command
// that issued them, as etcd's are. The log and the members know a digest of the letters alone: who
// reads a member's files, or a backup of them, learns no token that still lives.

import { hash, randomInt } from "node:crypto";

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const lettersCount = 16;
const simpleToken = /^([A-Za-z]{16})\.(\d{1,15})$/;

/** The letters of a new token. */
export function randomLetters(): string {
  let text = "";
  for (let i = 0; i < lettersCount; i++) {
    text += letters.charAt(randomInt(letters.length));
  }
  return text;
}

/** What is stored in place of a token's letters. They have 91 bits, so that no salt is needed. */
export function digestOf(text: string): string {
  return hash("sha256", text, "base64url");
}

export interface SimpleToken {
  /** The token as members know it. */
  readonly stored: string;
  /** Of the command that issued it. */
  readonly index: number;
}

/** Undefined for what cannot be a simple token. */
export function parseSimpleToken(token: string): SimpleToken | undefined {
  const [, text, index] = simpleToken.exec(token) ?? [];
  return text === undefined || index === undefined
    ? undefined
    : { stored: `${digestOf(text)}.${index}`, index: Number(index) };
}
