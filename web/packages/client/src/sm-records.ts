import { sm2, sm3, sm4 } from 'sm-crypto-v2';

/** The names of the two sides, ID_A and ID_B of GB/T 32918.3. */
const CLIENT = 'unique-cs.client';
const SERVER = 'unique-cs.server';
const STATEMENT = 'unique-cs.v1+sm agreement key';
const VERSION = '01';
const POINT = 130;
const SIGNATURE = 128;
const TAG = 16;

type KeyPair = ReturnType<typeof sm2.generateKeyPairHex>;

/** One direction: a key, and a counter for a nonce. */
class Direction {
  #count = 0n;

  constructor(
    readonly key: Uint8Array,
    readonly iv: Uint8Array,
    readonly bound: Uint8Array,
  ) {}

  /** What the next record is made with; each count is used once. */
  next(): { mode: 'gcm'; iv: Uint8Array; associatedData: Uint8Array; output: 'array' } {
    const iv = Uint8Array.from(this.iv);
    const low = new DataView(iv.buffer, 4);
    low.setBigUint64(0, low.getBigUint64(0) ^ this.#count++);
    return { mode: 'gcm', iv, associatedData: this.bound, output: 'array' };
  }
}

/** Both directions, as the client sees them. */
export class Records {
  readonly #up: Direction;
  readonly #down: Direction;

  constructor(keys: Uint8Array, bound: Uint8Array) {
    this.#up = new Direction(keys.slice(0, 16), keys.slice(32, 44), bound);
    this.#down = new Direction(keys.slice(16, 32), keys.slice(44, 56), bound);
  }

  seal(frame: string): Uint8Array<ArrayBuffer> {
    const sealed = sm4.encrypt(new TextEncoder().encode(frame), this.#up.key, { ...this.#up.next(), outputTag: true });
    return Uint8Array.from([...sealed.output, ...sealed.tag!]);
  }

  /** Throws for a record that the server did not make, or not at this place; then the connection is over. */
  open(record: Uint8Array): string {
    if (record.length < TAG) throw new Error('too short for a record');
    const tag = record.slice(-TAG);
    return new TextDecoder().decode(sm4.decrypt(record.slice(0, -TAG), this.#down.key, { ...this.#down.next(), tag }));
  }
}

/** The client's side of one handshake. */
export class Handshake {
  readonly #own: KeyPair;
  readonly #once: KeyPair;
  readonly hello: Uint8Array<ArrayBuffer>;

  constructor(own = sm2.generateKeyPairHex(), once = sm2.generateKeyPairHex()) {
    this.#own = own;
    this.#once = once;
    this.hello = bytes(VERSION + own.publicKey + once.publicKey);
  }

  /** `pin` is the server's fingerprint. Throws unless the answer is of that server. */
  finish(answer: Uint8Array, pin: string): Records {
    const text = hex(answer);
    const [version, identity, agreement, signature, once] = split(text, [2, POINT, POINT, SIGNATURE, POINT]);
    if (version !== VERSION) throw new Error('no handshake of this version');
    if (sm3(bytes(identity!)) !== pin.toLowerCase()) throw new Error('the server has another identity key');
    const said = Uint8Array.from([...new TextEncoder().encode(STATEMENT), ...bytes(agreement!)]);
    if (!sm2.doVerifySignature(said, signature!, identity!, { hash: true, userId: SERVER })) throw new Error("the server's agreement key is not signed");
    const keys = sm2.calculateSharedKey(this.#own, this.#once, agreement!, once!, 56, false, CLIENT, SERVER);
    return new Records(keys, bytes(sm3(Uint8Array.from([...this.hello, ...answer]))));
  }
}

/** Parts of these lengths. Throws unless they are the whole text. */
function split(text: string, lengths: readonly number[]): string[] {
  let at = 0;
  const parts = lengths.map((length) => text.slice(at, (at += length)));
  if (text.length !== at) throw new Error('no handshake of this version');
  return parts;
}

function hex(data: Uint8Array): string {
  return [...data].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

function bytes(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(text.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}
