// The Huffman code of HPACK (RFC 7541 section 5.2, appendix B).
//
// The code is canonical: codewords of one length are consecutive, in symbol order, and shorter
// ones come first. So the lengths define it, and only they are written down here.

/** Bits of the codeword -> its symbols; ranges are inclusive. 256 is end-of-string. */
const symbolsByLength: readonly (readonly [number, string])[] = [
  [5, "48-50 97 99 101 105 111 115-116"],
  [6, "32 37 45-47 51-57 61 65 95 98 100 102-104 108-110 112 114 117"],
  [7, "58 66-87 89 106-107 113 118-122"],
  [8, "38 42 44 59 88 90"],
  [10, "33-34 40-41 63"],
  [11, "39 43 124"],
  [12, "35 62"],
  [13, "0 36 64 91 93 126"],
  [14, "94 125"],
  [15, "60 96 123"],
  [19, "92 195 208"],
  [20, "128 130-131 162 184 194 224 226"],
  [21, "153 161 167 172 176-177 179 209 216-217 227 229-230"],
  [22, "129 132-134 136 146 154 156 160 163-164 169-170 173 178 181 185-187 189-190 196 198 228"],
  [22, "232-233"],
  [23, "1 135 137-141 143 147 149-152 155 157-158 165-166 168 174-175 180 182-183 188 191 197"],
  [23, "231 239"],
  [24, "9 142 144-145 148 159 171 206 215 225 236-237"],
  [25, "199 207 234-235"],
  [26, "192-193 200-202 205 210 213 218-219 238 240 242-243 255"],
  [27, "203-204 211-212 214 221-223 241 244-248 250-254"],
  [28, "2-8 11-12 14-21 23-31 127 220 249"],
  [30, "10 13 22 256"],
];

const endOfString = 256;
const codes = new Uint32Array(257);
const lengths = new Uint8Array(257);

function assignCodes(): void {
  let code = 0;
  let length = 0;
  for (const [bits, symbols] of symbolsByLength) {
    code *= 2 ** (bits - length);
    length = bits;
    for (const range of symbols.split(" ")) {
      const [first = 0, last = first] = range.split("-").map(Number);
      for (let symbol = first; symbol <= last; symbol++) {
        codes[symbol] = code++;
        lengths[symbol] = bits;
      }
    }
  }
}

// The decoder eats four bits at a time. A state is an inner node of the code tree; a transition
// holds the next state, a symbol if one was completed, and whether the input may end there.
const failed = 0xffff;
const maxStates = 256;
/** Next state by `state * 16 + nibble`; `failed` for end-of-string inside the input. */
const nextState = new Uint16Array(maxStates * 16);
/** The symbol completed on the way + 1; 0 for none. (No codeword is shorter than 5 bits.) */
const emitted = new Uint16Array(maxStates * 16);
/** 1 when the bits since the last symbol are at most 7, all ones: valid padding. */
const mayEnd = new Uint8Array(maxStates);

function buildMachine(): void {
  // Tree as arrays: child[node * 2 + bit] is an inner node (>= 0) or ~symbol (< 0).
  const child: number[] = [0, 0];
  for (let symbol = 0; symbol <= endOfString; symbol++) {
    const code = codes[symbol]!;
    const length = lengths[symbol]!;
    let node = 0;
    for (let bit = length - 1; bit > 0; bit--) {
      const slot = node * 2 + ((code >>> bit) & 1);
      if (child[slot] === 0) {
        child[slot] = child.length / 2;
        child.push(0, 0);
      }
      node = child[slot]!;
    }
    child[node * 2 + (code & 1)] = ~symbol;
  }
  for (let state = 0; state < child.length / 2; state++) {
    for (let nibble = 0; nibble < 16; nibble++) {
      step(child, state, nibble);
    }
  }
  let padding = 0;
  for (let bits = 0; bits <= 7; bits++) {
    mayEnd[padding] = 1;
    padding = child[padding * 2 + 1]!;
  }
}

function step(child: readonly number[], state: number, nibble: number): void {
  let node = state;
  let symbol = 0;
  for (let bit = 3; bit >= 0; bit--) {
    node = child[node * 2 + ((nibble >>> bit) & 1)]!;
    if (node < 0) {
      if (~node === endOfString) {
        nextState[state * 16 + nibble] = failed;
        return;
      }
      symbol = ~node + 1;
      node = 0;
    }
  }
  nextState[state * 16 + nibble] = node;
  emitted[state * 16 + nibble] = symbol;
}

assignCodes();
buildMachine();

/**
 * Decodes `bytes[start, end)` into `target`, which must hold 8/5 of the input. Returns the length,
 * or -1 when the input holds end-of-string or bad padding (a COMPRESSION_ERROR).
 */
export function huffmanDecode(
  bytes: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
): number {
  let state = 0;
  let length = 0;
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!;
    let transition = state * 16 + (byte >>> 4);
    state = nextState[transition]!;
    if (state === failed) {
      return -1;
    }
    let symbol = emitted[transition]!;
    if (symbol !== 0) {
      target[length++] = symbol - 1;
    }
    transition = state * 16 + (byte & 15);
    state = nextState[transition]!;
    if (state === failed) {
      return -1;
    }
    symbol = emitted[transition]!;
    if (symbol !== 0) {
      target[length++] = symbol - 1;
    }
  }
  return mayEnd[state] === 1 ? length : -1;
}
