// SPDX-License-Identifier: GPL-2.0-or-later
// What the file has its data in: base 64 of DEFLATE (RFC 1951) of numbers of seven bits a byte, lowest first.

/** The bytes of the element with this id, or null if the file has none. */
async function block(id) {
  const element = document.getElementById(id);
  if (!element) return null;
  const text = element.textContent;
  const packed = Uint8Array.fromBase64 ? Uint8Array.fromBase64(text) : Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Reads numbers and texts one after the other. */
class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  /** Exact up to 2^53. */
  number() {
    let byte = this.bytes[this.at++];
    if (byte < 128) return byte;
    let value = byte & 127;
    for (let unit = 128; byte >= 128; unit *= 128) {
      byte = this.bytes[this.at++];
      value += (byte & 127) * unit;
    }
    return value;
  }

  /** Exact whatever it is. */
  big() {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.bytes[this.at++];
      value |= BigInt(byte & 127) << shift;
      if (!(byte >= 128)) return value;
    }
  }

  /** A difference, exact whatever it is. */
  bigDifference() {
    const value = this.big();
    return value & 1n ? -((value + 1n) >> 1n) : value >> 1n;
  }

  /** Its sign is in the lowest bit. */
  difference() {
    const value = this.number();
    return value % 2 ? -(value + 1) / 2 : value / 2;
  }

  take(length) {
    const start = this.at;
    this.at += length;
    return this.bytes.subarray(start, this.at);
  }

  text() {
    return utf8.decode(this.take(this.number()));
  }
}

const utf8 = new TextDecoder();
